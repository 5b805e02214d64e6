/** What listens on the container's network: as a `net.Server` does, without a socket of the host. */
import { EventEmitter } from 'node:events'
import type { EndAddress } from './endpoint-errors.ts'
import type { NetworkSocket } from './socket.ts'

/** As of `net.Server`. */
export interface Dropped {
  readonly localAddress: string
  readonly localPort: number
  readonly localFamily: 'IPv4' | 'IPv6'
  readonly remoteAddress: string
  readonly remotePort: number
  readonly remoteFamily: 'IPv4' | 'IPv6'
}

/** The events of a server, and what their listeners get. */
export interface NetworkServerEvents {
  connection: [socket: NetworkSocket]
  /** A guest was refused: there are `maxConnections`. */
  drop: [ends: Dropped]
  /** It listens no more. Connections go on, unless the network is closed. */
  close: []
}

export class NetworkServer extends EventEmitter<NetworkServerEvents> {
  /** Until `close`, or the end of the network. */
  listening = true
  /** While so many of its connections are open, more are reset. Undefined: any number. */
  maxConnections: number | undefined
  #connections = 0
  readonly #address: EndAddress
  readonly #unlisten: () => Promise<unknown>
  #closing: Promise<void> | undefined

  /** Servers are made by `Network.listen`. */
  constructor(address: EndAddress, unlisten: () => Promise<unknown>) {
    super()
    this.#address = address
    this.#unlisten = unlisten
  }

  /** Where it listens: never port 0. */
  address(): EndAddress {
    return { ...this.#address }
  }

  /** The library's own: may another guest connect? */
  admits(remote: EndAddress): boolean {
    if (this.maxConnections === undefined || this.#connections < this.maxConnections) return true
    this.emit('drop', {
      localAddress: this.#address.address,
      localPort: this.#address.port,
      localFamily: this.#address.family,
      remoteAddress: remote.address,
      remotePort: remote.port,
      remoteFamily: remote.family,
    })
    return false
  }

  /** The library's own: a guest has connected. */
  connected(socket: NetworkSocket): void {
    this.#connections++
    socket.once('close', () => this.#connections--)
    if (!this.emit('connection', socket)) socket.destroy() // nobody would ever have it
  }

  /** Takes no more connections; resolves when the port is free. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#unlisten().then(
      () => this.ended(),
      () => this.ended(), // the network is closed, and the server with it
    )
    return this.#closing
  }

  /** The library's own: it is over. */
  ended(): void {
    if (!this.listening) return
    this.listening = false
    // As Node does: a listener that throws keeps nobody else from the end.
    process.nextTick(() => this.emit('close'))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Each connection from now on, until the server is closed. One that is over before its turn is left out, and those whose
   * turn does not come are reset.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<NetworkSocket, void, undefined> {
    const queue: NetworkSocket[] = []
    let wake = (): void => {}
    const connected = (socket: NetworkSocket): void => {
      socket.on('error', ignore)
      queue.push(socket)
      wake()
    }
    const closed = (): void => wake()
    this.on('connection', connected)
    this.prependListener('close', closed) // before one that may throw
    try {
      while (this.listening || queue.length > 0) {
        const socket = queue.shift()
        if (socket === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        } else if (!socket.destroyed) {
          socket.off('error', ignore)
          yield socket
        }
      }
    } finally {
      this.off('connection', connected)
      this.off('close', closed)
      for (const socket of queue) socket.destroy()
    }
  }

  /** Whether the program goes on is the network's to say (`Network.unref`): here for who expects a `net.Server`. */
  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

/** Nobody has it yet who could hear of it. */
const ignore = (): void => {}
