/**
 * Answers of DNS on their way to a container: what may stay in them, what is leased by them, and what is made up in place of
 * them.
 *
 *  A, AAAA         an address that the name may not have is taken out; the others are leased to the name that was
 *                  asked for
 *  CNAME, DNAME,   their target is the same name for the policy: it may be asked for as long as the lease holds. One that
 *  SVCB, HTTPS     a rule denies makes the whole answer denied
 *  SVCB, HTTPS     address hints stay when they were leased, `h3` where UDP may be sent, keys of ECH where no name is read
 *  all             the TTL is at most 60 s; names that nobody asked for are left out, the additional section as well
 */
import { type AddressKey, addressKey, type JudgedAddress, type Surroundings } from './addresses.ts'
import type { Decider } from './decider.ts'
import {
  A,
  AAAA,
  AD,
  CD,
  CNAME,
  DNAME,
  type ExtendedError,
  HTTPS,
  IN,
  type Message,
  NAME_ERROR,
  NO_ERROR,
  nameIn,
  QR,
  RA,
  RD,
  REFUSED,
  type ResourceRecord,
  rcodeOf,
  SOA,
  SVCB,
  showName,
  TC,
  wireOf,
} from './evidence/dns-message.ts'
import { reviseService } from './evidence/service-binding.ts'
import type { Guest, Leases } from './leases.ts'
import type { Rule } from './policy.ts'

/** In seconds: so that names are asked for again before their leases end. */
const MAX_TTL = 60
/** In seconds, of a name that is denied: a policy may change. */
const NEGATIVE_TTL = 5
/** Ours: names that one answer is about. A DNAME that leads below itself makes names without end. */
const MAX_NAMES = 32
/** RFC 8914 §4.19: Prohibited. */
const PROHIBITED = 18
/** RFC 8914 §4.18: Filtered. */
const FILTERED = 17

export interface AnswerContext {
  readonly decider: Decider
  readonly surroundings: Surroundings
  readonly leases: Leases
  readonly guest: Guest
  /** Whom the answer is leased to: the name that was asked for, or the one that led to it. */
  readonly origin: string
  readonly now: number
  /** Nothing is taken out: what would be is told. */
  readonly isObserved: boolean
  /** May the origin have this address? */
  mayHave(address: JudgedAddress): boolean
  /** May UDP be sent to that port of it? */
  mayUseUdp(port: number): boolean
  /** Is the name of a connection to that port of it read? */
  isNameRead(port: number): boolean
}

export interface JudgedAnswer {
  readonly message: Message
  readonly error?: ExtendedError
  /** Addresses in it, as text was given by the caller's words. */
  readonly addresses: readonly Int32Array[]
  /** Taken out. */
  readonly removed: readonly Int32Array[]
  /** A name on the way is denied: so is the answer. */
  readonly deniedBy?: { readonly name: string; readonly rule: Rule }
}

/** The answer that the container gets to its `query`. */
export function judgeAnswer(query: Message, answer: Message, context: AnswerContext): JudgedAnswer {
  return new Judge(query, answer, context).judge()
}

/** What a name that is denied is answered with (RFC 2308 §2.1, RFC 8914). */
export function deniedAnswer(
  query: Message,
  how: 'nxdomain' | 'refused',
  text: string,
): { message: Message; error: ExtendedError } {
  const rcode = how === 'nxdomain' ? NAME_ERROR : REFUSED
  return {
    message: {
      ...emptyAnswer(query, rcode),
      authority: how === 'nxdomain' ? [startOfAuthority()] : [],
    },
    error: { code: PROHIBITED, text },
  }
}

/** An answer without records. */
export function emptyAnswer({ id, flags, question, edns }: Message, rcode: number): Message {
  return {
    id,
    flags: QR | RA | (flags & (RD | CD)) | rcode,
    question,
    answers: [],
    authority: [],
    ...(edns !== undefined && { edns }),
  }
}

/** The question that a server is asked: nothing in it is the container's but the name, the type and two bits. */
export function upstreamQuery({ flags, question, edns }: Message, id: number): Message {
  const { name, wire } = question
  return {
    id,
    flags: flags & (RD | CD | AD),
    question: { ...question, wire: name === undefined ? wire.map(lowerCase) : wireOf(name) },
    answers: [],
    authority: [],
    edns: { udpLen: 0, isDnssecOk: edns?.isDnssecOk ?? false },
  }
}

/** Of ASCII. Lengths of labels are below. */
const lowerCase = (octet: number): number => (octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet)

/** An answer with one made-up address. */
export function syntheticAnswer(query: Message, addr: number): Message {
  const data = Uint8Array.of(addr >>> 24, addr >>> 16, addr >>> 8, addr)
  const { question } = query
  const record = { ...question, type: A, ttl: NEGATIVE_TTL, data }
  return { ...emptyAnswer(query, NO_ERROR), answers: [record] }
}

function startOfAuthority(): ResourceRecord {
  const root = Uint8Array.of(0)
  const data = new Uint8Array(2 + 20)
  const view = new DataView(data.buffer)
  // MNAME and RNAME are the root; SERIAL, REFRESH, RETRY, EXPIRE, MINIMUM.
  for (const [i, value] of [1, 3600, 600, 86_400, NEGATIVE_TTL].entries()) {
    view.setUint32(2 + 4 * i, value)
  }
  return { wire: root, name: undefined, type: SOA, class: IN, ttl: NEGATIVE_TTL, data }
}

class Judge {
  readonly #query: Message
  readonly #answer: Message
  readonly #context: AnswerContext
  /** The names that the answer is about: the one that was asked for, and those that it leads to. */
  readonly #names: Set<string>
  readonly #addresses: Int32Array[] = []
  readonly #removed: Int32Array[] = []
  #deniedBy: JudgedAnswer['deniedBy']

  constructor(query: Message, answer: Message, context: AnswerContext) {
    this.#query = query
    this.#answer = answer
    this.#context = context
    this.#names = new Set([textOf(query.question.wire)])
  }

  judge(): JudgedAnswer {
    const { decider, isObserved } = this.#context
    this.#follow()
    if (this.#deniedBy !== undefined && !isObserved) {
      const { message, error } = deniedAnswer(
        this.#query,
        decider.policy.dns.denied,
        'the name leads to one that is denied',
      )
      return { message, error, addresses: [], removed: [], deniedBy: this.#deniedBy }
    }
    const answers = this.#answer.answers.flatMap((record) => this.#keep(record) ?? [])
    const isFiltered = this.#removed.length > 0 && !isObserved
    const { flags } = this.#answer
    const empty = emptyAnswer(this.#query, rcodeOf(this.#answer))
    // What is not whole any more is not authentic either.
    const kept = flags & (isFiltered ? TC : TC | AD)
    return {
      message: {
        ...empty,
        flags: empty.flags | kept,
        answers,
        authority: this.#answer.authority.filter(({ type }) => type === SOA).map(withShortTtl),
      },
      ...(isFiltered && { error: { code: FILTERED, text: 'addresses were taken out' } }),
      addresses: this.#addresses,
      removed: this.#removed,
      ...(this.#deniedBy && { deniedBy: this.#deniedBy }),
    }
  }

  /** Where the names lead: as often as one more is found, for records come in any order. */
  #follow(): void {
    const ttls = new Map<string, number>()
    for (let size = 0; size < this.#names.size; ) {
      size = this.#names.size
      for (const record of this.#answer.answers) {
        for (const target of this.#targetsOf(record)) {
          if (this.#names.has(target) || this.#names.size >= MAX_NAMES) continue
          this.#names.add(target)
          ttls.set(target, record.ttl)
        }
      }
    }
    const { decider, leases, guest, origin, isObserved } = this.#context
    for (const name of ttls.keys()) {
      const rule = decider.denyingTarget(origin, name)
      if (rule !== undefined) this.#deniedBy ??= { name, rule }
    }
    if (this.#deniedBy !== undefined && !isObserved) return
    for (const [name, ttl] of ttls) {
      if (name !== origin) leases.alias(guest, name, origin, this.#until(ttl))
    }
  }

  /** Is the record about a name that this answer is about? Of DNAME it is about one above (RFC 6672 §2.2). */
  #isAsked({ wire, type }: ResourceRecord): boolean {
    const name = textOf(wire)
    if (type !== DNAME) return this.#names.has(name)
    return [...this.#names].some((asked) => asked.endsWith(`.${name}`))
  }

  /** The names that whoever asked goes on with. */
  #targetsOf(record: ResourceRecord): string[] {
    const { type, data } = record
    if (!this.#isAsked(record)) return []
    const at = type === SVCB || type === HTTPS ? 2 : type === CNAME || type === DNAME ? 0 : -1
    const wire = at < 0 ? undefined : nameIn(data, at)
    // The root: of SVCB that is the name itself (RFC 9460 §2.5).
    if (wire === undefined || wire.length === 1) return []
    const target = textOf(wire)
    if (type !== DNAME) return [target]
    const name = textOf(record.wire)
    const below = [...this.#names].filter((asked) => asked.endsWith(`.${name}`))
    return below.map((asked) => asked.slice(0, -name.length) + target)
  }

  #until(ttl: number): number {
    const { decider, now } = this.#context
    return now + 1000 * Math.max(ttl, decider.policy.leaseMin)
  }

  /** The record as it may stay, or undefined. */
  #keep(record: ResourceRecord): ResourceRecord | undefined {
    if (record.class !== IN || !this.#isAsked(record)) return undefined
    const { type, data } = record
    if (type === A || type === AAAA) return this.#keepAddress(record)
    if (type === SVCB || type === HTTPS) {
      if (this.#context.isObserved) return withShortTtl(record)
      const revised = reviseService(data, {
        isLeased: (words) => this.#isLeased(words),
        mayUseUdp: (port) => this.#context.mayUseUdp(port),
        isNameRead: (port) => this.#context.isNameRead(port),
      })
      return revised && withShortTtl({ ...record, data: revised })
    }
    return withShortTtl(record)
  }

  #isLeased(words: Int32Array): boolean {
    const { leases, guest, origin, now } = this.#context
    return leases.has(guest, origin, this.#keyOf(words), now)
  }

  #keepAddress(record: ResourceRecord): ResourceRecord | undefined {
    const { surroundings, leases, guest, origin, now, isObserved } = this.#context
    const words = wordsOf(record)
    if (words === undefined) return undefined
    const judged = surroundings.judge(words)
    if (!this.#context.mayHave(judged)) {
      this.#removed.push(words)
      if (!isObserved) return undefined
    }
    this.#addresses.push(words)
    leases.grant(guest, origin, addressKey(judged.words), now, this.#until(record.ttl))
    return withShortTtl(record)
  }

  #keyOf(words: Int32Array): AddressKey {
    return addressKey(this.#context.surroundings.judge(words).words)
  }
}

/** The name as text, canonical where it has such a form; also of those that no policy can name, such as 0/25.2.0.192.in-addr.arpa. */
const textOf = (wire: Uint8Array): string => showName(wire).toLowerCase()

function wordsOf({ type, data }: ResourceRecord): Int32Array | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  if (type === A)
    return data.length === 4 ? Int32Array.of(0, 0, 0xffff, view.getInt32(0)) : undefined
  if (data.length !== 16) return undefined
  return Int32Array.of(view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12))
}

const withShortTtl = (record: ResourceRecord): ResourceRecord => ({
  ...record,
  ttl: Math.min(record.ttl, MAX_TTL),
})
