/** What a network tells as it happens. The data plane is asked only for what somebody listens to. */
import { EventEmitter } from 'node:events'
import type { ClosedFlow, Flow, Warning } from '../engine/types.ts'
import type { WorkerNetwork } from '../engine/worker-network.ts'

/** The events of a network, and what their listeners get. */
export interface NetworkEvents {
  /** The container has opened a connection or sent from a new UDP port; or a published port has a new client. */
  'flow-open': [flow: Flow]
  /** A flow is over. Every flow is told of, also one that was there before there was a listener. */
  'flow-close': [flow: ClosedFlow]
  /** A limit was reached, or the like. At most one in a minute of each code. */
  warning: [warning: Warning]
}

export type Listener<Name extends keyof NetworkEvents> = (...args: NetworkEvents[Name]) => void

/** As `node:events` has it. */
export interface Subject {
  on<Name extends keyof NetworkEvents>(name: Name, listener: Listener<Name>): this
  once<Name extends keyof NetworkEvents>(name: Name, listener: Listener<Name>): this
  off<Name extends keyof NetworkEvents>(name: Name, listener: Listener<Name>): this
}

export class Events {
  readonly #emitter = new EventEmitter()
  readonly #engine: WorkerNetwork
  #interest = { flows: false, warnings: false }

  constructor(engine: WorkerNetwork) {
    this.#engine = engine
    engine.onHappening = (happening) => {
      try {
        if (happening.kind === 'warning') this.#emitter.emit('warning', happening.warning)
        else this.#emitter.emit(happening.kind, happening.flow)
      } finally {
        this.#update()
      }
    }
  }

  add<Name extends keyof NetworkEvents>(name: Name, listener: Listener<Name>): void {
    this.#emitter.on(name, listener)
    this.#update()
  }

  addOnce<Name extends keyof NetworkEvents>(name: Name, listener: Listener<Name>): void {
    this.#emitter.once(name, listener)
    this.#update()
  }

  remove<Name extends keyof NetworkEvents>(name: Name, listener: Listener<Name>): void {
    this.#emitter.off(name, listener)
    this.#update()
  }

  #update(): void {
    const has = (name: keyof NetworkEvents): boolean => this.#emitter.listenerCount(name) > 0
    const flows = has('flow-open') || has('flow-close')
    const warnings = has('warning')
    if (flows === this.#interest.flows && warnings === this.#interest.warnings) return
    this.#interest = { flows, warnings }
    this.#engine.observe(this.#interest)
  }
}
