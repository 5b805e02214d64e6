/**
 * The flows that a policy lets through, each with what it goes by: a rule, the name that it is for, the lease of its address.
 *
 * A flow that has to say its name is given an inspector, which is told the name as soon as it is read and says whether it may
 * go on. It has some time for that from its first octet on.
 */

import type { Inspector, Passage } from '../nat/gate.ts'
import type { Admission, Decider, Destination } from '../policy/decider.ts'
import type { Decided, DecidedBy } from '../policy/decisions.ts'
import type { ClientHello } from '../policy/evidence/client-hello.ts'
import { HttpInspector } from '../policy/evidence/http-inspector.ts'
import type { Inspector as Reader } from '../policy/evidence/inspector.ts'
import { TlsInspector } from '../policy/evidence/tls-inspector.ts'
import type { Lease } from '../policy/leases.ts'
import type { Rule } from '../policy/policy.ts'
import type { Timed } from '../stack/deadlines.ts'
import type { Endpoint } from '../sys/socket.ts'
import type { Sender } from './sender.ts'

/** A flow as it begins. */
export interface FlowStart {
  readonly sender: Sender
  readonly to: Destination
  /** The host's address as the guest has it, as text. */
  readonly shown: string
  /** The names that the guest has the address for. */
  readonly names: readonly string[]
  /** It goes to an address that was made up: for this name, whatever becomes of the address meanwhile. */
  readonly madeUp?: string
}

/** Where a name led. */
export interface Place {
  readonly endpoint: Endpoint
  readonly to: Destination
}

/** What a passage asks of the gate. */
export interface PassageOwner {
  readonly decider: Decider
  /** Something was decided about the flow. */
  decided(decided: Decided): void
  /** The inspector reads, and has judged nothing yet: the time runs. */
  reading(passage: FlowPassage): void
  ended(passage: FlowPassage, octetsFromGuest: number, octetsToGuest: number): void
}

export class FlowPassage implements Passage, Timed {
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0
  revoke: (() => void) | undefined
  readonly start: FlowStart
  readonly destinations?: readonly Endpoint[]
  readonly inspector: Inspector | undefined
  /** The name that it was admitted by; when it says its name, that. */
  name: string | undefined
  lease: Lease | undefined
  readonly #owner: PassageOwner
  readonly #hooked: Decider | undefined
  readonly #places: readonly Place[] | undefined
  readonly #reader: Reader | undefined
  #admission: Admission
  #rule: Rule | undefined
  #said: string | undefined
  /** The names that records were made of. */
  readonly #told = new Set<string | undefined>()

  constructor(
    owner: PassageOwner,
    start: FlowStart,
    admission: Admission,
    more: {
      /** By a hook: what decides on names in place of the policy. */
      readonly hooked?: Decider | undefined
      /** Where it may go in place of the address that was made up. */
      readonly places?: readonly Place[] | undefined
    } = {},
  ) {
    this.#owner = owner
    this.#hooked = more.hooked
    this.start = start
    this.#admission = admission
    this.#rule = admission.rule
    this.name = admission.name
    this.#places = more.places
    if (more.places !== undefined) this.destinations = more.places.map(({ endpoint }) => endpoint)
    this.#reader = this.#makeReader()
    this.inspector = this.#reader && inModeOf(owner, this.#reader)
  }

  #makeReader(): Reader | undefined {
    if (this.start.to.protocol !== 'tcp') return undefined
    switch (this.#admission.check) {
      case 'none':
        return undefined
      case 'tls':
        return new TlsInspector((hello) => this.#judgeHello(hello))
      case 'http':
        return new HttpInspector((host) => this.#judgeName(host, false))
    }
  }

  #judgeHello({ sni, hasEch }: ClientHello): string | undefined {
    if (sni !== undefined) return this.#judgeName(sni, hasEch)
    const rules = this.#admission.rules.map(({ rule }) => rule)
    const open = rules.find((rule) => rule.sni === 'any' && !(rule.ech === 'deny' && hasEch))
    if (open === undefined) return 'its ClientHello names nobody'
    this.#rule = open
    return this.#tell()
  }

  #judgeName(said: string, hasEch: boolean): string | undefined {
    this.#said = said
    const decider = this.#hooked ?? this.#owner.decider
    const { action, rule } = decider.admitName(this.start.to, this.#admission, said)
    if (action === 'deny') return said === '' ? 'it says no name of a host' : `it says ${said}`
    if (hasEch && rule?.ech === 'deny') return 'its ClientHello has an encrypted one'
    this.#rule = rule
    this.name = said
    return this.#tell()
  }

  /** Of a connection with many requests for one name there is one record. */
  #tell(): undefined {
    if (this.#told.has(this.#said)) return
    this.#told.add(this.#said)
    this.#owner.decided(this.describe('allow', 'check'))
  }

  inspected(): void {
    const reader = this.#reader!
    if (reader.state === 'denied') {
      this.#owner.decided({ ...this.describe('deny', 'check'), why: reader.problem })
    } else if (reader.hasJudged) this.deadline = Infinity
    else if (this.deadline === Infinity) this.#owner.reading(this)
  }

  closed(octetsFromGuest: number, octetsToGuest: number): void {
    if (this.lease !== undefined) this.lease.uses--
    this.lease = undefined
    this.#owner.ended(this, octetsFromGuest, octetsToGuest)
  }

  /** Is the flow still allowed? It is judged by its own name, not by what is leased now. */
  isAllowedBy(decider: Decider): boolean {
    const { to, names } = this.start
    if (isObserving(decider)) return true
    if (this.#hooked !== undefined) {
      const places = this.#places?.map((place) => place.to) ?? [to]
      return places.every((place) => decider.match(place, this.name)?.rule.action !== 'deny')
    }
    // What it said; else what it was admitted by. As long as it may still say something, any of its names.
    const name = this.#said ?? this.name
    const isReading = this.#reader !== undefined && !this.#reader.hasJudged
    const own = isReading ? names : name === undefined ? [] : [name]
    const admission = decider.admit(to, own)
    if (admission.action === 'deny') return false
    // Further requests may be for others of its names.
    const further = decider.admit(to, [...new Set([...own, ...names])])
    this.#admission = further.action === 'allow' ? further : admission
    return true
  }

  describe(verdict: 'allow' | 'deny', by: DecidedBy): Decided {
    const { sender, to, shown } = this.start
    const rule = this.#rule
    return {
      ...describeStart({ sender, to, shown }, verdict, by, rule),
      ...(this.name !== undefined && { name: this.name }),
      ...(this.#said !== undefined && { said: this.#said }),
      ...(this.#admission.check !== 'none' && { check: this.#admission.check }),
    }
  }
}

/** A record of a flow that begins, or does not. */
export function describeStart(
  { sender, to, shown }: Omit<FlowStart, 'names'>,
  verdict: 'allow' | 'deny',
  by: DecidedBy,
  rule?: Rule,
): Decided {
  return {
    kind: 'flow',
    verdict,
    by,
    guest: sender.address,
    ...(rule !== undefined && { rule: rule.id }),
    ...(rule?.why !== undefined && { why: rule.why }),
    protocol: to.protocol,
    address: shown,
    ...(to.protocol !== 'icmp' && { port: to.port }),
  }
}

const isObserving = ({ policy }: Decider): boolean => policy.mode === 'observe'

/** Reads, and lets everything pass while the policy only observes. */
function inModeOf(owner: PassageOwner, reader: Reader): Inspector {
  return {
    get state() {
      return reader.state === 'denied' && isObserving(owner.decider) ? 'open' : reader.state
    },
    get passed() {
      return isObserving(owner.decider) ? Infinity : reader.passed
    },
    feed: (octets, at, len) => reader.feed(octets, at, len),
    end: () => reader.end(),
  }
}
