/**
 * Questions to the program: may this container go there, may it ask for this name?
 *
 * There is one question about one thing, however many wait for the answer: clients try all addresses of a name, and ask again
 * when they hear nothing. An answer that comes when nobody waits any more serves who comes in the next minute. A question that
 * nobody answers in time is denied.
 */
import type { Protocol } from '../policy/policy.ts'
import { Deadlines, type Timed } from '../stack/deadlines.ts'

/** What the program is asked. Sent to its thread. */
export interface HookQuestion {
  readonly id: number
  readonly kind: 'flow' | 'query'
  /** The container's address. */
  readonly guest: string
  /** Absent: the container has the address from nowhere. */
  readonly name?: string
  /** Of a flow without a name. */
  readonly address?: string
  readonly protocol?: Protocol
  readonly port?: number
}

/** What it says. */
export interface HookVerdict {
  readonly action: 'allow' | 'deny'
  /** How long it holds: for what waits now; until the network ends; in ms. */
  readonly for: 'flow' | 'session' | number
  readonly why?: string
}

/** Which hooks the program has. */
export interface HooksAsked {
  readonly flow: boolean
  readonly query: boolean
  /** In ms: how long an answer is waited for. */
  readonly timeout: number
}

export type Waiter = (verdict: HookVerdict) => void

/** Ours: questions that wait at the same time. */
const MAX_PENDING = 256
/** Ours: those who wait for one. */
const MAX_WAITERS = 256
/** Ours: answers that are kept. */
const MAX_KEPT = 4096
/** In ms: how long an answer that nobody waited for is kept. */
const LATE = 60_000

class Pending implements Timed {
  heapIndex = -1
  heapKey = 0
  readonly key: string
  readonly id: number
  readonly deadline: number
  readonly waiters = new Set<Waiter>()

  constructor(key: string, id: number, deadline: number) {
    this.key = key
    this.id = id
    this.deadline = deadline
  }
}

interface Kept {
  readonly verdict: HookVerdict
  readonly until: number
  /** It serves one thing only. */
  readonly isOnce: boolean
}

export class Hooks {
  readonly asked: HooksAsked
  /** Told to the program. */
  readonly #ask: (question: HookQuestion) => void
  /** Nobody waits for the answer any more. */
  readonly #withdraw: (id: number) => void
  readonly #pending = new Map<string, Pending>()
  readonly #byId = new Map<number, Pending>()
  readonly #deadlines = new Deadlines<Pending>()
  readonly #kept = new Map<string, Kept>()
  readonly #mostWaiters: number
  #waiters = 0
  #lastId = 0

  /** `mostWaiters`: those who wait for an answer, all together. */
  constructor(
    asked: HooksAsked,
    ask: (question: HookQuestion) => void,
    withdraw: (id: number) => void,
    mostWaiters: number = Infinity,
  ) {
    this.#mostWaiters = mostWaiters
    this.asked = asked
    this.#ask = ask
    this.#withdraw = withdraw
  }

  /**
   * The answer, when it is there; else the program is asked, unless it is asked already. `waiter` is called with its answer; without
   * one it is kept for who comes again.
   */
  ask(
    key: string,
    question: Omit<HookQuestion, 'id'>,
    now: number,
    waiter?: Waiter,
  ): HookVerdict | undefined {
    const kept = this.#keptFor(key, now)
    if (kept !== undefined) return kept
    const pending = this.#pending.get(key) ?? this.#open(key, question, now)
    const isFull = this.#waiters >= this.#mostWaiters
    if (pending === undefined || isFull || pending.waiters.size >= MAX_WAITERS) {
      return { action: 'deny', for: 'flow', why: 'too many questions wait for an answer' }
    }
    if (waiter !== undefined) {
      pending.waiters.add(waiter)
      this.#waiters++
    }
    return undefined
  }

  /** Who waited does not any more. */
  leave(key: string, waiter: Waiter): void {
    if (this.#pending.get(key)?.waiters.delete(waiter)) this.#waiters--
  }

  #open(key: string, question: Omit<HookQuestion, 'id'>, now: number): Pending | undefined {
    if (this.#pending.size >= MAX_PENDING) return undefined
    const pending = new Pending(key, ++this.#lastId, now + this.asked.timeout)
    this.#pending.set(key, pending)
    this.#byId.set(pending.id, pending)
    this.#deadlines.update(pending)
    this.#ask({ id: pending.id, ...question })
    return pending
  }

  #keptFor(key: string, now: number): HookVerdict | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    if (kept.isOnce || kept.until <= now) this.#kept.delete(key)
    return kept.until > now ? kept.verdict : undefined
  }

  /** The program has answered; too late, when the question is not known any more. */
  answer(id: number, verdict: HookVerdict, now: number): void {
    const pending = this.#byId.get(id)
    if (pending !== undefined) this.#settle(pending, verdict, now)
  }

  #settle(pending: Pending, verdict: HookVerdict, now: number): void {
    this.#forget(pending)
    const { key, waiters } = pending
    this.#waiters -= waiters.size
    const isOnce = verdict.for === 'flow'
    const until =
      verdict.for === 'session' ? Infinity : now + (verdict.for === 'flow' ? LATE : verdict.for)
    if (!isOnce || waiters.size === 0) this.#keep(key, { verdict, until, isOnce })
    for (const waiter of waiters) waiter(verdict)
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key)
    if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!)
    this.#kept.set(key, kept)
  }

  #forget(pending: Pending): void {
    this.#pending.delete(pending.key)
    this.#byId.delete(pending.id)
    this.#deadlines.remove(pending)
  }

  deadline(): number {
    return this.#deadlines.next()
  }

  timeout(now: number): void {
    for (;;) {
      const pending = this.#deadlines.pop(now)
      if (pending === undefined) return
      this.#withdraw(pending.id)
      this.#settle(pending, { action: 'deny', for: 'flow', why: 'nobody answered in time' }, now)
    }
  }

  /** Nobody is asked any more. */
  destroy(): void {
    for (const { id } of this.#byId.values()) this.#withdraw(id)
    this.#pending.clear()
    this.#byId.clear()
  }
}
