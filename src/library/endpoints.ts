/** The program as a host on the container's network: makes servers, streams and UDP sockets, and hands each what is for it. */
import {
  CLOSED,
  CLOSINGS,
  type Closing,
  DIAL,
  END_LEN,
  ESTABLISHED,
  octetsOf,
  RELEASE,
  wordsIn,
} from '../engine/endpoint-records.ts'
import { SlipwayError } from '../engine/errors.ts'
import type { Exchange } from '../engine/exchange.ts'
import type { Ending, EndpointOptions, NetworkOptions } from '../engine/types.ts'
import type { WorkerNetwork } from '../engine/worker-network.ts'
import { parse } from '../stack/wire/address.ts'
import { type EndAddress, endOf, nodeError } from './endpoint-errors.ts'
import {
  type Dial,
  readBindOptions,
  readConnectOptions,
  readGuest,
  readListenOptions,
} from './endpoint-options.ts'
import { NetworkServer } from './server.ts'
import { NetworkSocket, type SocketHost, type SocketParts } from './socket.ts'
import { NetworkUdpSocket } from './udp-socket.ts'
import { readInteger, wrong } from './values.ts'

const MAX_DATAGRAM = 65_507
/** Of a RELEASE: an ordinary one. */
const NO_RESET = octetsOf(0)

interface Listening {
  readonly server: NetworkServer
  readonly window: number
  readonly allowHalfOpen: boolean
}

/** What endpoints need of their network. */
export type Engine = Pick<
  WorkerNetwork,
  'exchange' | 'listen' | 'unlisten' | 'hold' | 'letGo' | 'onEnded'
>

export class Endpoints {
  readonly #engine: Engine
  readonly #network: NetworkOptions
  readonly #servers = new Map<number, Listening>()
  readonly #sockets = new Map<number, NetworkUdpSocket>()
  readonly #streams = new Set<NetworkSocket>()
  readonly #dials = new Set<(error: unknown) => void>()

  constructor(engine: Engine, network: NetworkOptions) {
    this.#engine = engine
    this.#network = network
    engine.onEnded = (ending) => this.#ended(ending)
  }

  /** Throws when the network is closed: only for what somebody asks for. */
  #exchange(): Exchange {
    const exchange: Exchange = this.#engine.exchange({
      opened: (id, payload) => this.#opened(exchange, id, wordsIn(payload)),
      datagram: (id, payload) => this.#arrived(id, payload),
    })
    return exchange
  }

  // --- TCP ---

  async listen(
    given: unknown,
    onConnection?: (socket: NetworkSocket) => void,
  ): Promise<NetworkServer> {
    const { endpoint, allowHalfOpen } = readListenOptions(given, this.#network)
    if (onConnection !== undefined && typeof onConnection !== 'function') {
      throw wrong(onConnection, 'the listener', 'a function', false)
    }
    return this.#listening(endpoint, (id, address) => {
      const server = new NetworkServer(address, () => {
        this.#servers.delete(id)
        return this.#engine.unlisten(id)
      })
      if (onConnection) server.on('connection', onConnection)
      this.#servers.set(id, { server, window: endpoint.window, allowHalfOpen })
      return server
    })
  }

  /** What `make` makes of a port, and who waits for that, is there before anything of it is read. */
  async #listening<Made>(
    endpoint: EndpointOptions,
    make: (id: number, address: EndAddress, exchange: Exchange) => Made,
  ): Promise<Made> {
    const exchange = this.#exchange()
    exchange.pause()
    try {
      const { id, port } = await this.#engine.listen(endpoint)
      return make(id, this.#endAt(endpoint.address, port), exchange)
    } finally {
      exchange.resume()
    }
  }

  #endAt(address: string, port: number): EndAddress {
    const words = new Int32Array(4)
    parse(address, words)
    return endOf(words, port)
  }

  /** A guest has connected. */
  #opened(exchange: Exchange, id: number, words: Int32Array): void {
    const listening = this.#servers.get(words[0]!)
    if (listening === undefined) return exchange.send(RELEASE, id, NO_RESET)
    const { server, ...options } = listening
    const remote = endOf(words.subarray(1, 5), words[5]!)
    if (!server.admits(remote)) return exchange.send(RELEASE, id, NO_RESET)
    server.connected(this.#stream(exchange, { id, local: server.address(), remote, ...options }))
  }

  #stream(exchange: Exchange, parts: SocketParts): NetworkSocket {
    const host: SocketHost = {
      exchange,
      hold: () => this.#engine.hold(),
      letGo: () => this.#engine.letGo(),
    }
    const socket = new NetworkSocket(host, parts)
    this.#streams.add(socket)
    socket.once('close', () => this.#streams.delete(socket))
    return socket
  }

  async connect(given: unknown): Promise<NetworkSocket> {
    const dial = readConnectOptions(given, this.#network)
    const { signal, timeout } = dial
    signal?.throwIfAborted()
    const remote = endOf(dial.host, dial.port)
    const { socket, cancel } = this.#dial(dial, remote)
    const abort = (): void => cancel(signal!.reason)
    const late = (): void => cancel(nodeError('ETIMEDOUT', 'connect', remote))
    signal?.addEventListener('abort', abort)
    const timer = timeout > 0 ? setTimeout(late, timeout) : undefined
    this.#dials.add(cancel)
    this.#engine.hold()
    try {
      return await socket
    } finally {
      this.#engine.letGo()
      this.#dials.delete(cancel)
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
  }

  /** The stream, once the guest has answered; and what ends the dial before that. */
  #dial(
    { host, port, isDefault, window, allowHalfOpen }: Dial,
    remote: EndAddress,
  ): { socket: Promise<NetworkSocket>; cancel: (error: unknown) => void } {
    const exchange = this.#exchange()
    const id = exchange.dialId()
    let cancel!: (error: unknown) => void
    const socket = new Promise<NetworkSocket>((resolve, reject) => {
      let isSettled = false
      const fail = (error: unknown): void => {
        isSettled = true
        exchange.remove(id)
        reject(error)
      }
      cancel = (error) => {
        if (isSettled) return
        exchange.send(RELEASE, id, NO_RESET)
        fail(error)
      }
      exchange.add(id, {
        arrived: (kind, payload) => {
          if (kind === CLOSED) {
            return fail(dialError(CLOSINGS[wordsIn(payload)[0]!]!, remote, isDefault))
          }
          if (kind !== ESTABLISHED) return
          // At once: text may be the next record.
          isSettled = true
          const words = wordsIn(payload)
          const local = endOf(words.subarray(0, 4), words[4]!)
          resolve(this.#stream(exchange, { id, local, remote, window, allowHalfOpen }))
        },
      })
      exchange.send(DIAL, id, octetsOf(...host, port, window))
    })
    return { socket, cancel }
  }

  // --- UDP ---

  async bind(given: unknown): Promise<NetworkUdpSocket> {
    const endpoint = readBindOptions(given, this.#network)
    return this.#listening(endpoint, (id, address, exchange) => {
      const socket = new NetworkUdpSocket(address, {
        send: (octets, port, address) => this.#send(exchange, id, octets, port, address),
        unlisten: () => {
          this.#sockets.delete(id)
          return this.#engine.unlisten(id)
        },
      })
      this.#sockets.set(id, socket)
      return socket
    })
  }

  #arrived(id: number, payload: Uint8Array): void {
    const words = wordsIn(payload.subarray(0, END_LEN))
    const octets = payload.subarray(END_LEN) as Buffer
    const from = { ...endOf(words.subarray(0, 4), words[4]!), size: octets.length }
    this.#sockets.get(id)?.emit('message', octets, from)
  }

  #send(
    exchange: Exchange,
    id: number,
    octets: Uint8Array,
    port: number,
    address: string | undefined,
  ): boolean {
    readInteger(octets.length, 'the length of data', 0, MAX_DATAGRAM)
    readInteger(port, 'port', 1, 65535)
    const words = readGuest(address, 'address', this.#network)
    const head = octetsOf(...words, port)
    return exchange.datagram(id, head, octets)
  }

  // --- the end ---

  /** Of a network that was closed streams just end: that was asked for. */
  #ended({ error }: Ending): void {
    const options = error && { cause: error }
    const gone = new SlipwayError('ERR_NETWORK_CLOSED', 'the network is closed', options)
    for (const cancel of this.#dials) cancel(gone)
    for (const stream of this.#streams) stream.networkEnded(error && gone)
    for (const { server } of this.#servers.values()) server.ended()
    for (const socket of this.#sockets.values()) socket.ended()
    this.#servers.clear()
    this.#sockets.clear()
  }
}

function dialError(closing: Closing, remote: EndAddress, isDefault: boolean): Error {
  if (closing === 'unreachable' && isDefault) {
    const message = `no guest has been seen at ${remote.address}, nor does one answer there`
    return new SlipwayError('ERR_NO_GUEST', message)
  }
  const codes = {
    unreachable: 'EHOSTUNREACH',
    refused: 'ECONNREFUSED',
    timeout: 'ETIMEDOUT',
    full: 'EMFILE',
    reset: 'ECONNRESET',
    finished: 'ECONNRESET',
  } as const
  return nodeError(codes[closing], 'connect', remote)
}
