/**
 * What was decided, as records, on their way to a reader that may be slow.
 *
 * What is denied is never lost: records of the same thing become one, with a count; when there are too many things, the rest of
 * them is one record. What is allowed may be lost, and then a record says how much.
 */
import type { Check, Protocol } from './policy.ts'

export type DecisionKind =
  /** A connection, a UDP or ICMP destination. */
  | 'flow'
  /** It is over: octets are known. */
  | 'flow-end'
  /** A name that was asked for. */
  | 'question'
  /** What the answer was. */
  | 'answer'
  /** Records of what was allowed are missing. */
  | 'gap'
  /** What else was denied, when there were too many things for a record each. */
  | 'others'

/** What decided. */
export type DecidedBy =
  | 'rule'
  | 'default'
  /** The name that was read is not one that the rule allows; or none could be read. */
  | 'check'
  /** An address that the name may not have: `private: true` of its rule would leave it in. */
  | 'rebinding'
  /** A name that the answer leads to is denied. */
  | 'chain'
  /** So many names, or such long ones, that they may carry something. */
  | 'limit'
  /** `onFlow` or `onQuery`. */
  | 'hook'
  /** The program has registered that end point. */
  | 'endpoint'
  /** No host can be meant. */
  | 'malformed'

export interface Decision {
  readonly kind: DecisionKind
  readonly verdict: 'allow' | 'deny'
  readonly by: DecidedBy
  /** Milliseconds since 1970; of several, of the last. */
  readonly time: number
  /** Of several, of the first. */
  readonly first: number
  readonly count: number
  /** The container's address. */
  readonly guest?: string
  /** The id of the rule. */
  readonly rule?: string
  /** Why, in words: the rule's, the hook's, or what was wrong. */
  readonly why?: string
  readonly protocol?: Protocol
  readonly address?: string
  readonly port?: number
  /** The name that was asked for, or by which the address was known. */
  readonly name?: string
  /** What the flow said, where it was read. */
  readonly said?: string
  readonly check?: Check
  /** Of a question: A, AAAA, HTTPS or a number. */
  readonly type?: string
  /** Of an answer: the addresses that may be gone to, or, denied, those that were taken out. */
  readonly addresses?: readonly string[]
  /** It happened all the same: the policy only observes. */
  readonly isObserved?: true
  readonly octetsFromGuest?: number
  readonly octetsToGuest?: number
}

/** What is new about one decision. */
export type Decided = Omit<Decision, 'time' | 'first' | 'count'>

export interface DecisionLimits {
  readonly allowed: number
  readonly denied: number
}

/** Ours. */
export const DECISION_LIMITS: DecisionLimits = { allowed: 4096, denied: 1024 }

export class DecisionQueue {
  readonly #limits: DecisionLimits
  #allowed: Decision[] = []
  #lost = 0
  #lostFirst = 0
  #lostLast = 0
  readonly #denied = new Map<string, Decision>()
  #others: Decision | undefined

  constructor(limits: DecisionLimits = DECISION_LIMITS) {
    this.#limits = limits
  }

  get isEmpty(): boolean {
    return this.#allowed.length + this.#denied.size + this.#lost === 0 && this.#others === undefined
  }

  /** `time` in ms since 1970. */
  decide(decided: Decided, time: number): void {
    this.add({ ...decided, time, first: time, count: 1 })
  }

  /** Also one that has come out of another queue. */
  add(decision: Decision): void {
    if (decision.kind === 'gap') this.#lose(decision)
    else if (decision.kind === 'others') this.#others = merge(this.#others, decision)
    else if (decision.verdict === 'deny') this.#deny(decision)
    else if (this.#allowed.length < this.#limits.allowed) this.#allowed.push(decision)
    else this.#lose(decision)
  }

  #deny(decision: Decision): void {
    const { guest, kind, by, rule, protocol, address, name, port, type } = decision
    const key = [guest, kind, by, rule, protocol, address ?? name, port, type].join(' ')
    const known = this.#denied.get(key)
    if (known !== undefined) this.#denied.set(key, merge(known, decision))
    else if (this.#denied.size < this.#limits.denied) this.#denied.set(key, decision)
    else this.#others = merge(this.#others, othersOf(decision))
  }

  #lose({ count, first, time }: Decision): void {
    if (this.#lost === 0) this.#lostFirst = first
    this.#lost += count
    this.#lostLast = time
  }

  /** All that there is, in the order of time. */
  take(): Decision[] {
    const taken = [...this.#allowed, ...this.#denied.values()]
    if (this.#lost > 0) {
      taken.push({
        kind: 'gap',
        verdict: 'allow',
        by: 'limit',
        time: this.#lostLast,
        first: this.#lostFirst,
        count: this.#lost,
      })
    }
    if (this.#others !== undefined) taken.push(this.#others)
    this.#allowed = []
    this.#lost = 0
    this.#denied.clear()
    this.#others = undefined
    return taken.toSorted((a, b) => a.first - b.first)
  }
}

/** The later one with what both are together. */
function merge(earlier: Decision | undefined, later: Decision): Decision {
  if (earlier === undefined) return later
  const { first, count } = earlier
  return { ...later, first: Math.min(first, later.first), count: count + later.count }
}

const othersOf = ({ time, first, count }: Decision): Decision => ({
  kind: 'others',
  verdict: 'deny',
  by: 'limit',
  time,
  first,
  count,
})
