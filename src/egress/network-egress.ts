/** The egress of one network, as its engine holds it: made when the network is, fed with changes, read for records. */
import type { Nat } from '../nat/nat.ts'
import { DecisionQueue } from '../policy/decisions.ts'
import type { Policy } from '../policy/policy.ts'
import { EgressGate } from './gate.ts'
import { type HookQuestion, Hooks, type HooksAsked, type HookVerdict } from './hooks.ts'

export interface NetworkEgress {
  readonly policy: Policy
  /** Absent: the program is not asked. */
  readonly hooks?: HooksAsked
}

/** What is told of it, in the data plane's turn. */
export interface EgressListener {
  asked(question: HookQuestion): void
  withdrawn(id: number): void
}

export class Egress {
  listener: EgressListener | undefined
  readonly decisions: DecisionQueue = new DecisionQueue()
  readonly #gate: EgressGate

  constructor(nat: Nat, { policy, hooks: asked }: NetworkEgress) {
    this.#gate = nat.guard((host, asker) => {
      // Each SYN that waits is one that the stack has half open: others are to have room, too.
      const mostWaiters = Math.max(1, host.stack.tcp.limits.halfOpen >> 1)
      const hooks =
        asked &&
        new Hooks(
          asked,
          (question) => this.listener?.asked(question),
          (id) => this.listener?.withdrawn(id),
          mostWaiters,
        )
      return new EgressGate(host, asker, policy, hooks)
    })
  }

  setPolicy(policy: Policy): void {
    this.#gate.setPolicy(policy)
  }

  /** Are decisions recorded? */
  record(isOn: boolean): void {
    const { decisions } = this
    if (!isOn) this.#gate.listener = undefined
    else this.#gate.listener ??= (decided, time) => decisions.decide(decided, time)
  }

  answer(id: number, verdict: HookVerdict, now: number): void {
    this.#gate.hooks?.answer(id, verdict, now)
  }

  /** What was counted. */
  stats(): EgressGate['counters'] & { leasesEvicted: number } {
    return { ...this.#gate.counters, leasesEvicted: this.#gate.leases.evicted }
  }
}
