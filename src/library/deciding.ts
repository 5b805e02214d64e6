/** The questions that the hooks of a program are asked, and the records of what was decided, on the program's thread. */
import type { HookQuestion, HookVerdict } from '../egress/hooks.ts'
import type { EgressUser, WorkerNetwork } from '../engine/worker-network.ts'
import { type Decision, DecisionQueue } from '../policy/decisions.ts'
import {
  type FlowQuestion,
  type HookContext,
  type Hooks,
  isLasting,
  type NameQuestion,
} from './egress.ts'

type Engine = Pick<
  WorkerNetwork,
  'egress' | 'closed' | 'answerHook' | 'tell' | 'takeDecisions' | 'recordDecisions'
>

export class Deciding implements EgressUser {
  readonly #engine: Engine
  readonly #hooks: Hooks
  /** Of the questions that wait for an answer. */
  readonly #waiting = new Map<number, AbortController>()
  readonly #readers = new Set<DecisionReader>()
  #isOver = false

  constructor(engine: Engine, hooks: Hooks) {
    this.#engine = engine
    this.#hooks = hooks
    engine.egress = this
    engine.closed.then(() => this.#end())
  }

  // --- hooks ---

  asked(question: HookQuestion): void {
    const { id } = question
    const controller = new AbortController()
    this.#waiting.set(id, controller)
    void this.#answer(question, { signal: controller.signal }).then((verdict) => {
      if (this.#waiting.delete(id)) this.#engine.answerHook(id, verdict)
    })
  }

  async #answer(
    { id: _, kind, ...asked }: HookQuestion,
    context: HookContext,
  ): Promise<HookVerdict> {
    const { onFlow, onQuery } = this.#hooks
    try {
      const verdict =
        kind === 'flow'
          ? await onFlow!(asked as FlowQuestion, context)
          : await onQuery!(asked as NameQuestion, context)
      return checked(verdict)
    } catch (error) {
      const name = kind === 'flow' ? 'onFlow' : 'onQuery'
      const why = `${name} has failed: ${textOf(error)}`
      const warning = { code: 'WARN_HOOK', count: 1, message: why } as const
      if (!context.signal.aborted) this.#engine.tell({ kind: 'warning', warning })
      return { action: 'deny', for: 'flow', why }
    }
  }

  withdrawn(id: number): void {
    const controller = this.#waiting.get(id)
    this.#waiting.delete(id)
    controller?.abort(new Error('no answer is waited for any more'))
  }

  // --- records ---

  decided(decisions: readonly Decision[]): void {
    for (const reader of this.#readers) reader.add(decisions)
    if (!this.#isOver) this.#engine.takeDecisions()
  }

  decisions(): AsyncIterableIterator<Decision> {
    const reader = new DecisionReader(() => {
      this.#readers.delete(reader)
      if (this.#readers.size === 0 && !this.#isOver) this.#engine.recordDecisions(false)
    })
    if (this.#isOver) reader.end()
    else {
      this.#readers.add(reader)
      this.#engine.recordDecisions(true)
    }
    return reader
  }

  #end(): void {
    this.#isOver = true
    for (const id of [...this.#waiting.keys()]) this.withdrawn(id)
    for (const reader of this.#readers) reader.end()
  }
}

/** Of what the program has returned no more than can be sent on. */
function checked(verdict: unknown): HookVerdict {
  const { action, for: lasting, why } = (verdict ?? {}) as Partial<Record<string, unknown>>
  if ((action === 'allow' || action === 'deny') && isLasting(lasting)) {
    return { action, for: lasting, ...(typeof why === 'string' && { why }) }
  }
  throw new TypeError('it must return what allow() or deny() gives')
}

/** Anything may be thrown. */
function textOf(error: unknown): string {
  try {
    return String((error as Error | undefined)?.message ?? error)
  } catch {
    return 'with something that has no text'
  }
}

/** Decisions for one reader, who may be slow: then they become one, where they are of the same. */
class DecisionReader implements AsyncIterableIterator<Decision> {
  readonly #queue = new DecisionQueue()
  readonly #onReturn: () => void
  #taken: Decision[] = []
  #isOver = false
  #waiting: ((result: IteratorResult<Decision>) => void)[] = []

  constructor(onReturn: () => void) {
    this.#onReturn = onReturn
  }

  add(decisions: readonly Decision[]): void {
    for (const decision of decisions) this.#queue.add(decision)
    this.#serve()
  }

  /** There will be no more; what there is can be read. */
  end(): void {
    this.#isOver = true
    this.#serve()
  }

  next(): Promise<IteratorResult<Decision>> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#serve()
    })
  }

  return(): Promise<IteratorResult<Decision>> {
    this.#taken = []
    this.#queue.take()
    this.end()
    this.#onReturn()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      if (this.#taken.length === 0) this.#taken = this.#queue.take()
      const value = this.#taken.shift()
      if (value !== undefined) this.#waiting.shift()!({ done: false, value })
      else if (this.#isOver) this.#waiting.shift()!({ done: true, value: undefined })
      else return
    }
  }
}
