/**
 * A network whose data plane has a worker thread, seen from the thread that asked for it.
 *
 * Node joins its workers when it ends and cannot interrupt one in a system call. So every way out leads by `stop`: the
 * flag is set, the eventfd wakes the worker, and it returns by itself. `close` and an aborted start say so; for
 * process.exit(), an uncaught exception and a program that has nothing left to do, one listener of 'exit' does.
 */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { HookQuestion, HookVerdict } from '../egress/hooks.ts'
import type { Decision } from '../policy/decisions.ts'
import type { Policy } from '../policy/policy.ts'
import * as io from '../sys/io.ts'
import { addressesOf, formatAddresses } from './addresses.ts'
import { SlipwayError } from './errors.ts'
import { type Acceptor, Exchange } from './exchange.ts'
import {
  type Commands,
  errorOf,
  PHASE,
  type Report,
  type Request,
  RUNNING,
  STOP,
  type Start,
} from './messages.ts'
import { rethrow } from './rethrow.ts'
import { createRings } from './ring.ts'
import type {
  Addresses,
  CaptureOptions,
  CaptureResult,
  Ending,
  EndpointOptions,
  Forwards,
  Happening,
  Interest,
  NetworkOptions,
  Stats,
} from './types.ts'

/** dist/engine/worker.js, or the source beside this one where Node runs that. */
const PROGRAM = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)

/** Ours, in ms: how long the end of the process waits for all networks to leave their TAPs as they should be found. */
const EXIT_TIMEOUT = 400
/** Ours, in ms: a worker that has not ended by itself is terminated. */
const CLOSE_TIMEOUT = 2_000

/** Opens the TAP and lets traffic flow. Rejects, with everything undone, with what went wrong or `signal.reason`. */
export async function startWorkerNetwork(
  options: NetworkOptions,
  signal?: AbortSignal,
): Promise<WorkerNetwork> {
  signal?.throwIfAborted()
  const network = new WorkerNetwork(options)
  const abort = (): void => network.stop()
  signal?.addEventListener('abort', abort)
  try {
    await network.started
    if (!signal?.aborted) return network
    await network.closed
    throw signal.reason
  } catch (error) {
    throw signal?.aborted ? signal.reason : error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** Who decides in the program, and reads what was decided. */
export interface EgressUser {
  /** `takeDecisions` has to follow. */
  decided(decisions: readonly Decision[]): void
  /** `answerHook` has to follow. */
  asked(question: HookQuestion): void
  /** No answer is waited for any more. */
  withdrawn(id: number): void
}

interface Waiting {
  resolve(value: never): void
  reject(error: Error): void
}

export class WorkerNetwork {
  readonly addresses: Addresses
  readonly forwards: Forwards
  /** Rejects when it ends before it is ready. */
  readonly started: Promise<void>
  readonly closed: Promise<Ending>
  /** Called with what `observe` asked for. */
  onHappening: ((happening: Happening) => void) | undefined
  /** Called once when it is over, before `closed` resolves. */
  onEnded: ((ending: Ending) => void) | undefined
  /** Told of what is decided, and asked. */
  egress: EgressUser | undefined
  readonly #worker: Worker
  readonly #wakeFd: number
  readonly #flags = new Int32Array(new SharedArrayBuffer(8))
  readonly #waiting = new Map<number, Waiting>()
  #exchange: Exchange | undefined
  /** Connections of endpoints that keep the program alive. */
  #holders = 0
  #lastId = 0
  #isStopped = false
  #isReferenced = true
  #ending: Ending | undefined
  #settleStart!: { resolve: () => void; reject: (error: Error) => void }
  #resolveClosed!: (ending: Ending) => void

  constructor(options: NetworkOptions) {
    this.addresses = formatAddresses(addressesOf(options.cidr.network, options.cidr.prefix))
    this.started = new Promise((resolve, reject) => {
      this.#settleStart = { resolve, reject }
    })
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.forwards = {
      add: (forward) => this.#ask('add', forward),
      list: () => this.#ask('list'),
      remove: (id) => this.#ask('remove', id),
    }
    this.#wakeFd = io.eventfd()
    try {
      this.#worker = this.#startWorker(options)
    } catch (error) {
      io.close(this.#wakeFd)
      throw error
    }
    remember(this)
  }

  #startWorker(options: NetworkOptions): Worker {
    const start: Start = { options, wakeFd: this.#wakeFd, flags: this.#flags }
    // Loaders and hooks of the program are not for us, and would cost each start.
    const worker = new Worker(PROGRAM, { name: 'slipway', execArgv: [], workerData: start })
    worker.on('message', (report: Report) => this.#heard(report))
    worker.once('error', (cause) => {
      const message = 'the data plane has failed'
      const error = new SlipwayError('ERR_WORKER_FAILED', message, { cause })
      this.#ending ??= { reason: 'failed', error }
    })
    worker.once('exit', () => this.#ended())
    return worker
  }

  stats(): Promise<Stats> {
    return this.#ask('stats')
  }

  /** What `onHappening` is called with from now on. A network that is over has nothing to tell. */
  observe(interest: Interest): void {
    this.#ask('observe', interest).catch(() => {})
  }

  setPolicy(policy: Policy): Promise<void> {
    return this.#ask('setPolicy', policy)
  }

  /** `egress.decided` is called from now on, or not any more. */
  recordDecisions(isOn: boolean): void {
    this.#ask('recordDecisions', isOn).catch(() => {})
  }

  /** The decisions that `egress.decided` was called with were read. */
  takeDecisions(): void {
    this.#ask('takeDecisions').catch(() => {})
  }

  /** The answer to a question that `egress.asked` was called with. */
  answerHook(id: number, verdict: HookVerdict): void {
    this.#ask('answerHook', id, verdict).catch(() => {})
  }

  capture(options: CaptureOptions): Promise<number> {
    return this.#ask('capture', options)
  }

  stopCapture(id: number): Promise<CaptureResult | undefined> {
    return this.#ask('stopCapture', id)
  }

  /** The way to endpoints: made when it is asked for first, and `acceptor` is for good. */
  exchange(acceptor: Acceptor): Exchange {
    if (this.#isStopped || this.#ending) throw this.#gone()
    if (this.#exchange === undefined) {
      const rings = createRings()
      this.#ask('useRings', rings).catch(() => {}) // the network has ended, and whoever comes next learns of it
      this.#exchange = new Exchange(rings, acceptor, () => this.#wake())
    }
    return this.#exchange
  }

  listen(options: EndpointOptions): Promise<{ id: number; port: number }> {
    return this.#ask('listen', options)
  }

  unlisten(id: number): Promise<boolean> {
    return this.#ask('unlisten', id)
  }

  /** Keeps the program alive, whatever was said about the network itself, until `letGo` was called as often. */
  hold(): void {
    this.#holders++
    this.#keepAlive()
  }

  letGo(): void {
    this.#holders--
    this.#keepAlive()
  }

  #wake(): void {
    if (!this.#isStopped) io.eventfdSignal(this.#wakeFd)
  }

  #ask<Name extends keyof Commands>(
    name: Name,
    ...args: Parameters<Commands[Name]>
  ): Promise<ReturnType<Commands[Name]>> {
    if (this.#isStopped || this.#ending) return Promise.reject(this.#gone())
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#worker.postMessage({ id, name, args } satisfies Request) // throws when it cannot be cloned
      this.#waiting.set(id, { resolve, reject })
      io.eventfdSignal(this.#wakeFd)
      this.#keepAlive()
    })
  }

  #heard(report: Report): void {
    if (report.kind === 'ready') {
      if (!this.#isStopped) this.#settleStart.resolve()
    } else if (report.kind === 'happened') {
      for (const happening of report.happenings) this.tell(happening)
    } else if (report.kind === 'rung') {
      this.#exchange?.look()
    } else if (report.kind === 'decided') {
      this.egress?.decided(report.decisions)
    } else if (report.kind === 'asked') {
      this.egress?.asked(report.question)
    } else if (report.kind === 'withdrawn') {
      this.egress?.withdrawn(report.id)
    } else if (report.kind === 'ended') {
      const { reason, failure } = report
      this.#ending ??= failure === undefined ? { reason } : { reason, error: errorOf(failure) }
    } else {
      const waiting = this.#waiting.get(report.id)
      this.#waiting.delete(report.id)
      this.#keepAlive()
      if (report.kind === 'answer') waiting?.resolve(report.value as never)
      else waiting?.reject(errorOf(report.failure))
    }
  }

  /** Calls `onHappening`: one whose listener throws keeps no other back. */
  tell(happening: Happening): void {
    try {
      this.onHappening?.(happening)
    } catch (error) {
      rethrow(error)
    }
  }

  /** Lets the worker return. What it was asked before is answered no more. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    Atomics.store(this.#flags, STOP, 1)
    io.eventfdSignal(this.#wakeFd)
    this.#keepAlive()
  }

  /** Blocks this thread until the TAP is left as it should be found, at most until `limit`. */
  waitUntilIdle(limit: number): void {
    const rest = limit - performance.now()
    if (rest > 0) Atomics.wait(this.#flags, PHASE, RUNNING, rest)
  }

  /** Resolves when nothing is left of it: thread, TAP, descriptors. */
  async close(): Promise<void> {
    this.stop()
    const late = setTimeout(() => this.#worker.terminate(), CLOSE_TIMEOUT)
    await this.closed
    clearTimeout(late)
  }

  ref(): void {
    this.#isReferenced = true
    this.#keepAlive()
  }

  unref(): void {
    this.#isReferenced = false
    this.#keepAlive()
  }

  /** The program does not end while somebody waits for us, whatever was said about the network itself. */
  #keepAlive(): void {
    const isNeeded = this.#waiting.size > 0 || this.#holders > 0
    if (this.#isReferenced || this.#isStopped || isNeeded) this.#worker.ref()
    else this.#worker.unref()
  }

  #ended(): void {
    forget(this)
    this.#ending ??= this.#isStopped
      ? { reason: 'closed' }
      : { reason: 'failed', error: vanished() }
    this.#isStopped = true // the eventfd's number may be somebody else's from here on
    io.close(this.#wakeFd)
    for (const { reject } of this.#waiting.values()) reject(this.#gone())
    this.#waiting.clear()
    this.#exchange?.close()
    this.onEnded?.(this.#ending)
    // Of these the first counts: a network that was ready does not reject any more.
    this.#settleStart.reject(this.#ending.error ?? this.#gone())
    this.#resolveClosed(this.#ending)
  }

  #gone(): SlipwayError {
    const cause = this.#ending?.error
    return new SlipwayError('ERR_NETWORK_CLOSED', 'the network is closed', cause && { cause })
  }
}

function vanished(): SlipwayError {
  return new SlipwayError('ERR_WORKER_FAILED', "the data plane's thread was ended from outside")
}

const networks = new Set<WorkerNetwork>()

function remember(network: WorkerNetwork): void {
  if (networks.size === 0) process.on('exit', stopAll)
  networks.add(network)
}

function forget(network: WorkerNetwork): void {
  networks.delete(network)
  if (networks.size === 0) process.off('exit', stopAll)
}

function stopAll(): void {
  for (const network of networks) network.stop()
  const limit = performance.now() + EXIT_TIMEOUT
  for (const network of networks) network.waitUntilIdle(limit)
}
