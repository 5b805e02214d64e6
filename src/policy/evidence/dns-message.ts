/**
 * DNS messages (RFC 1035 §4) as values: read with everything that is malformed refused, written anew from what was kept. What
 * is not read is not passed on, so neither question nor answer carries anything that was not judged.
 *
 *   | header 12 | question | answers | authority | additional: OPT |
 *   record:  | name | type 2 | class 2 | TTL 4 | length 2 | data |
 */
import { canonicalName } from '../names.ts'

export const QR = 0x8000
export const TC = 0x0200
export const RD = 0x0100
export const RA = 0x0080
export const AD = 0x0020
export const CD = 0x0010
const OPCODE = 0x7800

export const NO_ERROR = 0
export const FORMAT_ERROR = 1
export const SERVER_FAILURE = 2
export const NAME_ERROR = 3
export const NOT_IMPLEMENTED = 4
export const REFUSED = 5

export const A = 1
export const NS = 2
export const CNAME = 5
export const SOA = 6
export const PTR = 12
export const MX = 15
export const AAAA = 28
export const SRV = 33
export const DNAME = 39
export const OPT = 41
export const SVCB = 64
export const HTTPS = 65
const IXFR = 251
export const ANY = 255
export const IN = 1

const HEADER_LEN = 12
const MAX_NAME = 255
const MAX_RECORDS = 512
/** RFC 6891 §6.1.4: DNSSEC OK. */
const DO = 0x8000

export interface Question {
  /** As it was written: labels, each behind its length, and a zero. */
  readonly wire: Uint8Array
  /** Canonical; undefined when no policy can name it. */
  readonly name: string | undefined
  readonly type: number
  readonly class: number
}

export interface ResourceRecord {
  readonly wire: Uint8Array
  readonly name: string | undefined
  readonly type: number
  readonly class: number
  readonly ttl: number
  /** Names in it are written out. */
  readonly data: Uint8Array
}

/** EDNS (RFC 6891). Its options are not kept. */
export interface Edns {
  /** What fits into a datagram there. */
  readonly udpLen: number
  readonly isDnssecOk: boolean
}

export interface Message {
  readonly id: number
  /** With OPCODE and RCODE. */
  readonly flags: number
  readonly question: Question
  readonly answers: readonly ResourceRecord[]
  readonly authority: readonly ResourceRecord[]
  readonly edns?: Edns
}

export const rcodeOf = ({ flags }: Message): number => flags & 15

/** Reads [at, end) of the octets. Undefined when it is malformed, or no standard query with one question or an answer to it. */
export function readMessage(octets: Uint8Array, at: number, end: number): Message | undefined {
  try {
    return new Reader(octets, at, end).readMessage()
  } catch (error) {
    if (error === MALFORMED) return undefined
    throw error
  }
}

/** Is it a question that a resolver can be asked (one name, one type, of the Internet)? */
export const isPlain = ({ type, class: of }: Question): boolean =>
  of === IN && type !== OPT && !(type >= IXFR && type <= ANY) && type !== 0

const MALFORMED = new Error('malformed')

/** Where in their data names stand that may be shortened (RFC 3597 §4); behind how many octets, and how many names. */
const NAMES_IN: Readonly<Record<number, [before: number, names: number]>> = {
  [NS]: [0, 1],
  [CNAME]: [0, 1],
  [SOA]: [0, 2],
  [PTR]: [0, 1],
  [MX]: [2, 1],
  [SRV]: [6, 1],
  [DNAME]: [0, 1],
}

/** Types of RFC 1035 and 1183 with names in them that nobody uses: they are left out. */
const OBSOLETE: readonly number[] = [3, 4, 7, 8, 9, 14, 17, 18, 21, 26]

class Reader {
  readonly #octets: Uint8Array
  readonly #view: DataView
  readonly #start: number
  #at: number
  readonly #end: number

  constructor(octets: Uint8Array, at: number, end: number) {
    this.#octets = octets
    this.#view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
    this.#start = at
    this.#at = at
    this.#end = end
  }

  readMessage(): Message {
    this.#need(HEADER_LEN)
    const id = this.#u16()
    const flags = this.#u16()
    const [questions, answers, authority, additional] = [
      this.#u16(),
      this.#u16(),
      this.#u16(),
      this.#u16(),
    ] as const
    if ((flags & OPCODE) !== 0 || questions !== 1) throw MALFORMED
    if (answers + authority + additional > MAX_RECORDS) throw MALFORMED
    const question = this.#question()
    const message = {
      id,
      flags,
      question,
      answers: this.#records(answers),
      authority: this.#records(authority),
    }
    const options = this.#records(additional).filter(({ type }) => type === OPT)
    const [option] = options
    if (options.length > 1) throw MALFORMED
    if (option === undefined) return message
    const edns = { udpLen: option.class, isDnssecOk: (option.ttl & DO) !== 0 }
    return { ...message, edns }
  }

  #question(): Question {
    const wire = this.#name(this.#end)
    return { wire, name: nameOf(wire), type: this.#u16(), class: this.#u16() }
  }

  #records(count: number): ResourceRecord[] {
    const records: ResourceRecord[] = []
    for (let i = 0; i < count; i++) {
      const wire = this.#name(this.#end)
      const type = this.#u16()
      const of = this.#u16()
      this.#need(4)
      const ttl = this.#view.getInt32(this.#at)
      this.#at += 4
      const len = this.#u16()
      this.#need(len)
      const end = this.#at + len
      const data = this.#data(type, end)
      this.#at = end
      if (OBSOLETE.includes(type)) continue
      // RFC 2181 §8: a TTL with the first bit set is zero. Of OPT it is flags.
      const isZero = type !== OPT && ttl < 0
      records.push({ wire, name: nameOf(wire), type, class: of, ttl: isZero ? 0 : ttl, data })
    }
    return records
  }

  #data(type: number, end: number): Uint8Array {
    const [before, names] = NAMES_IN[type] ?? [0, 0]
    if (names === 0) return this.#octets.slice(this.#at, end)
    if (this.#at + before > end) throw MALFORMED
    const parts = [this.#octets.subarray(this.#at, this.#at + before)]
    this.#at += before
    for (let i = 0; i < names; i++) parts.push(this.#name(end))
    // Behind the names of a SOA stand five numbers; of the others nothing does.
    if (end - this.#at !== (type === SOA ? 20 : 0)) throw MALFORMED
    parts.push(this.#octets.subarray(this.#at, end))
    return joined(parts)
  }

  /** A name, written out. Its own octets end before `end`; those that it points to stand before it (RFC 1035 §4.1.4). */
  #name(end: number): Uint8Array {
    const name = new Uint8Array(MAX_NAME)
    let length = 0
    let at = this.#at
    let limit = end
    let hasJumped = false
    for (;;) {
      if (at >= limit) throw MALFORMED
      const len = this.#octets[at]!
      if (len >= 0xc0) {
        if (at + 1 >= limit) throw MALFORMED
        const to = this.#start + (((len & 0x3f) << 8) | this.#octets[at + 1]!)
        if (!hasJumped) this.#at = at + 2
        hasJumped = true
        // Only ever back: so it ends.
        if (to >= at || to < this.#start + HEADER_LEN) throw MALFORMED
        limit = at
        at = to
        continue
      }
      if (len > 63 || at + 1 + len > limit || length + 1 + len > MAX_NAME) throw MALFORMED
      name.set(this.#octets.subarray(at, at + 1 + len), length)
      length += 1 + len
      at += 1 + len
      if (len === 0) break
    }
    if (!hasJumped) this.#at = at
    return name.slice(0, length)
  }

  #u16(): number {
    this.#need(2)
    this.#at += 2
    return this.#view.getUint16(this.#at - 2)
  }

  #need(len: number): void {
    if (this.#end - this.#at < len) throw MALFORMED
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The canonical form of a name on the wire. */
export function nameOf(wire: Uint8Array): string | undefined {
  let text = ''
  for (let at = 0; wire[at] !== undefined && wire[at] !== 0; at += 1 + wire[at]!) {
    for (const octet of wire.subarray(at + 1, at + 1 + wire[at]!)) {
      if (octet === 0x2e) return undefined // a dot within a label is none between two
      text += String.fromCharCode(octet)
    }
    text += '.'
  }
  return text === '' ? undefined : canonicalName(text)
}

/** For people: what cannot be shown is `\ddd` (RFC 1035 §5.1). */
export function showName(wire: Uint8Array): string {
  const labels: string[] = []
  for (let at = 0; wire[at] !== undefined && wire[at] !== 0; at += 1 + wire[at]!) {
    const label = Array.from(wire.subarray(at + 1, at + 1 + wire[at]!), (octet) =>
      octet > 0x20 && octet < 0x7f && octet !== 0x2e && octet !== 0x5c
        ? String.fromCharCode(octet)
        : `\\${octet.toString().padStart(3, '0')}`,
    )
    labels.push(label.join(''))
  }
  return labels.length === 0 ? '.' : labels.join('.')
}

/** A canonical name as it stands on the wire. */
export function wireOf(name: string): Uint8Array {
  const wire = new Uint8Array(name.length + 2)
  let at = 0
  for (const label of name.split('.')) {
    wire[at++] = label.length
    for (let i = 0; i < label.length; i++) wire[at++] = label.charCodeAt(i)
  }
  return wire
}

/** A name in the data of a record: its octets from `at` on to its zero; undefined when it does not end there. */
export function nameIn(data: Uint8Array, at: number): Uint8Array | undefined {
  for (let end = at; end < data.length && end - at < MAX_NAME; end += 1 + data[end]!) {
    if (data[end] === 0) return data.slice(at, end + 1)
    if (data[end]! > 63) return undefined
  }
  return undefined
}

// --- writing ---

/** An option of EDNS that tells why (RFC 8914). */
export interface ExtendedError {
  readonly code: number
  readonly text: string
}

const EXTENDED_ERROR = 15
/** OPT without options; and what stands before the text of an extended error. */
const OPTION_LEN = 11
const EXTENDED_LEN = 6
/** What we say that fits here. */
const OWN_UDP_LEN = 1232

/**
 * Writes a message. `edns` decides whether it has an OPT record, `error` goes into that. Names that stood before are shortened
 * to a pointer. Of a message that is longer than `most` as many records stay as there is room for, with TC (RFC 2181 §9).
 */
export function writeMessage(message: Message, most: number, error?: ExtendedError): Uint8Array {
  return new Writer().write(message, most, error)
}

class Writer {
  #octets: number[] = []
  readonly #places = new Map<string, number>()

  write(message: Message, most: number, error: ExtendedError | undefined): Uint8Array {
    const { id, flags, question, answers, authority, edns } = message
    for (const word of [id, flags, 1, 0, 0, edns === undefined ? 0 : 1]) this.#u16(word)
    this.#name(question.wire)
    this.#u16(question.type)
    this.#u16(question.class)
    const room = most - (edns === undefined ? 0 : OPTION_LEN)
    const answered = this.#records(answers, room)
    const isCut = answered < answers.length
    const stated = isCut ? 0 : this.#records(authority, room)
    for (const [i, word] of [answered, stated].entries()) this.#set(6 + 2 * i, word)
    if (isCut || stated < authority.length) this.#set(2, flags | TC)
    if (edns !== undefined) {
      const isRoomy =
        this.#octets.length + OPTION_LEN + EXTENDED_LEN + (error?.text.length ?? 0) <= most
      this.#option(edns, isRoomy ? error : undefined)
    }
    return Uint8Array.from(this.#octets)
  }

  /** As many as there is room for; returns how many. */
  #records(records: readonly ResourceRecord[], room: number): number {
    for (const [i, record] of records.entries()) {
      const { length } = this.#octets
      this.#record(record)
      if (this.#octets.length <= room) continue
      this.#octets.length = length
      return i
    }
    return records.length
  }

  #set(at: number, word: number): void {
    this.#octets[at] = word >>> 8
    this.#octets[at + 1] = word & 0xff
  }

  #record({ wire, type, class: of, ttl, data }: ResourceRecord): void {
    this.#name(wire)
    this.#u16(type)
    this.#u16(of)
    this.#u16(ttl >>> 16)
    this.#u16(ttl & 0xffff)
    this.#u16(data.length)
    for (const octet of data) this.#octets.push(octet)
  }

  #option({ isDnssecOk }: Edns, error: ExtendedError | undefined): void {
    const text = error === undefined ? [] : Array.from(error.text, (letter) => letter.charCodeAt(0))
    const length = error === undefined ? 0 : 6 + text.length
    this.#octets.push(0)
    this.#u16(OPT)
    this.#u16(OWN_UDP_LEN)
    this.#u16(0)
    this.#u16(isDnssecOk ? DO : 0)
    this.#u16(length)
    if (error === undefined) return
    this.#u16(EXTENDED_ERROR)
    this.#u16(2 + text.length)
    this.#u16(error.code)
    this.#octets.push(...text)
  }

  #name(wire: Uint8Array): void {
    let at = 0
    for (; wire[at] !== 0; at += 1 + wire[at]!) {
      // Letters of either case are the same; so an answer's names have the case of the question.
      const rest = String.fromCharCode(...wire.subarray(at)).toLowerCase()
      const place = this.#places.get(rest)
      if (place !== undefined) return this.#u16(0xc000 | place)
      if (this.#octets.length < 0x4000) this.#places.set(rest, this.#octets.length)
      for (const octet of wire.subarray(at, at + 1 + wire[at]!)) this.#octets.push(octet)
    }
    this.#octets.push(0)
  }

  #u16(value: number): void {
    this.#octets.push((value >>> 8) & 0xff, value & 0xff)
  }
}
