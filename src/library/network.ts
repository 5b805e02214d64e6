/** The library's one function, and the handle that it gives: checks at the edge, and what a caller can dispose of. */
import { SlipwayError } from '../engine/errors.ts'
import type {
  Addresses,
  Ending,
  Forward as EngineForward,
  ForwardProto,
  NetworkOptions,
  Stats,
} from '../engine/types.ts'
import { startWorkerNetwork, type WorkerNetwork } from '../engine/worker-network.ts'
import type { Decision } from '../policy/decisions.ts'
import type { PolicyInput } from '../policy/policy.ts'
import { type Capture, type CaptureOptions, LibraryCapture, readCaptureOptions } from './capture.ts'
import { Deciding } from './deciding.ts'
import { type Hooks, readEgress, readPolicy } from './egress.ts'
import type { BindOptions, ConnectOptions, ListenOptions } from './endpoint-options.ts'
import { Endpoints } from './endpoints.ts'
import { Events, type Listener, type NetworkEvents, type Subject } from './events.ts'
import {
  type AttachOptions,
  type ForwardOptions,
  readAttachOptions,
  readForwardId,
  readForwardOptions,
} from './options.ts'
import type { NetworkServer } from './server.ts'
import type { NetworkSocket } from './socket.ts'
import type { NetworkUdpSocket } from './udp-socket.ts'

/** A port of the host that leads to a port of the container. */
export interface Forward {
  /** From 1, never used again in one network. */
  readonly id: number
  readonly proto: ForwardProto
  /** Where it listens. */
  readonly hostAddress: string
  /** Where it listens: never 0. */
  readonly hostPort: number
  readonly guestAddress: string
  readonly guestPort: number
  /** How many ports in a row, these being the first. */
  readonly count: number
  /** The ports are free again; connections that came through it go on. False when it was removed already. */
  remove(): Promise<boolean>
  /** The same, and no error when the network is closed. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface Forwards {
  /** Rejects with the system's error (`EADDRINUSE`, `EACCES`) when the port cannot be had. */
  add(options: ForwardOptions): Promise<Forward>
  list(): Promise<Forward[]>
  /** By id; false when there is none of that id. */
  remove(id: number): Promise<boolean>
}

/** The network of one container. It goes on, and keeps the program alive, until `close` or until its TAP is gone. */
export interface Network extends Subject {
  readonly addresses: Addresses
  readonly forwards: Forwards
  /** Resolves once, however the network ended, and never rejects. By then nothing is left of it. */
  readonly closed: Promise<Ending>
  /** A snapshot of the counters. */
  stats(): Promise<Stats>
  /** Writes all frames from now on to a file, as pcapng. Rejects with the system's error when it cannot be had. */
  capture(options: CaptureOptions): Promise<Capture>
  /**
   * Listens on the container's network itself, without a port of the host. Each connection is a stream, which
   * `http.createServer()` takes, too: `(socket) => httpServer.emit('connection', socket)`. Rejects with `EADDRINUSE` when the port is taken.
   */
  listen(
    options: ListenOptions,
    onConnection?: (socket: NetworkSocket) => void,
  ): Promise<NetworkServer>
  /**
   * Dials into the container, from the gateway's address. Resolves to a stream when it has answered; rejects with `ECONNREFUSED`,
   * `ETIMEDOUT`, `EHOSTUNREACH`, `ERR_NO_GUEST` or the signal's reason.
   */
  connect(options: ConnectOptions): Promise<NetworkSocket>
  /** Takes a UDP port on the container's network. Rejects with `EADDRINUSE`. */
  bind(options?: BindOptions): Promise<NetworkUdpSocket>
  /**
   * From now on this policy holds, at once and for flows that are there as well: those that it denies are reset. Rejects when
   * `attach` was given no `egress`. Hooks stay as they are.
   */
  setPolicy(policy: PolicyInput): Promise<void>
  /** What is decided from now on, until the network ends. Nothing that is denied is left out, however slow the reader is. */
  decisions(): AsyncIterableIterator<Decision>
  /** Keep the program alive as long as the network is there (the default). */
  ref(): this
  /** Let the program end though the network is there. */
  unref(): this
  /** Ends the network: connections are reset, the TAP is given back. May be called again. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Gives a container its network. Resolves when traffic flows; rejects, with everything undone, when that
 * cannot be.
 *
 * @example
 * ```js
 * import { attach } from 'slipway'
 *
 * // The process ID of anything that runs in the container.
 * const network = await attach({ target: { pid: Number(process.argv[2]) } })
 * try {
 *   const web = await network.forwards.add({ guestPort: 80 })
 *   process.once('SIGTERM', () => network.close())
 *   console.log(`http://127.0.0.1:${web.hostPort}/ is port 80 of ${network.addresses.guest}`)
 *   const { reason } = await network.closed
 *   console.log(`the end: ${reason}`)
 * } finally {
 *   await network.close()
 * }
 * ```
 */
export async function attach(options: AttachOptions): Promise<Network> {
  const { network, signal, egress: given } = readAttachOptions(options)
  checkPlatform()
  const { egress, hooks } = (await readEgress(given)) ?? {}
  const all = egress === undefined ? network : { ...network, egress }
  return new LibraryNetwork(await startWorkerNetwork(all, signal), network, hooks)
}

/** Constants and structures of the kernel are written down for these two, which have them in common. */
function checkPlatform(): void {
  const { platform, arch } = process
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) return
  const message = `slipway attaches to network namespaces of Linux on x64 and arm64; this is ${platform} on ${arch}`
  throw new SlipwayError('ERR_NOT_SUPPORTED', message)
}

class LibraryNetwork implements Network {
  readonly addresses: Addresses
  readonly forwards: Forwards
  readonly closed: Promise<Ending>
  readonly #engine: WorkerNetwork
  readonly #events: Events
  readonly #endpoints: Endpoints
  readonly #deciding: Deciding

  constructor(engine: WorkerNetwork, options: NetworkOptions, hooks: Hooks = {}) {
    this.#engine = engine
    this.addresses = engine.addresses
    this.closed = engine.closed
    this.#events = new Events(engine)
    this.#endpoints = new Endpoints(engine, options)
    this.#deciding = new Deciding(engine, hooks)
    const { forwards } = engine
    const remove = async (id: number) => forwards.remove(readForwardId(id))
    this.forwards = {
      add: async (wanted) =>
        new LibraryForward(await forwards.add(readForwardOptions(wanted, options)), remove),
      list: async () =>
        (await forwards.list()).map((forward) => new LibraryForward(forward, remove)),
      remove,
    }
  }

  stats(): Promise<Stats> {
    return this.#engine.stats()
  }

  async capture(options: CaptureOptions): Promise<Capture> {
    return new LibraryCapture(this.#engine, await this.#engine.capture(readCaptureOptions(options)))
  }

  listen(
    options: ListenOptions,
    onConnection?: (socket: NetworkSocket) => void,
  ): Promise<NetworkServer> {
    return this.#endpoints.listen(options, onConnection)
  }

  connect(options: ConnectOptions): Promise<NetworkSocket> {
    return this.#endpoints.connect(options)
  }

  bind(options: BindOptions = {}): Promise<NetworkUdpSocket> {
    return this.#endpoints.bind(options)
  }

  async setPolicy(policy: PolicyInput): Promise<void> {
    await this.#engine.setPolicy(await readPolicy(policy, 'policy'))
  }

  decisions(): AsyncIterableIterator<Decision> {
    return this.#deciding.decisions()
  }

  on<Name extends keyof NetworkEvents>(name: Name, listener: Listener<Name>): this {
    this.#events.add(name, listener)
    return this
  }

  once<Name extends keyof NetworkEvents>(name: Name, listener: Listener<Name>): this {
    this.#events.addOnce(name, listener)
    return this
  }

  off<Name extends keyof NetworkEvents>(name: Name, listener: Listener<Name>): this {
    this.#events.remove(name, listener)
    return this
  }

  ref(): this {
    this.#engine.ref()
    return this
  }

  unref(): this {
    this.#engine.unref()
    return this
  }

  close(): Promise<void> {
    return this.#engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

class LibraryForward implements Forward {
  readonly id: number
  readonly proto: ForwardProto
  readonly hostAddress: string
  readonly hostPort: number
  readonly guestAddress: string
  readonly guestPort: number
  readonly count: number
  readonly #remove: (id: number) => Promise<boolean>

  constructor(forward: EngineForward, remove: (id: number) => Promise<boolean>) {
    this.id = forward.id
    this.proto = forward.proto
    this.hostAddress = forward.hostAddr
    this.hostPort = forward.hostPort
    this.guestAddress = forward.guestAddr
    this.guestPort = forward.guestPort
    this.count = forward.count
    this.#remove = remove
  }

  remove(): Promise<boolean> {
    return this.#remove(this.id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.remove()
    } catch (error) {
      if ((error as SlipwayError).code !== 'ERR_NETWORK_CLOSED') throw error
    }
  }
}
