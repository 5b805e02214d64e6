/** What listens on the container's network: as a `net.Server` does, without a socket of the host. */
import { EventEmitter, on } from 'node:events'
import type { EndAddress } from './endpoint-errors.ts'
import type { NetworkSocket } from './socket.ts'

/** The events of a server, and what their listeners get. */
export interface NetworkServerEvents {
  connection: [socket: NetworkSocket]
  /** It listens no more. Connections go on, unless the network is closed. */
  close: []
}

export class NetworkServer extends EventEmitter<NetworkServerEvents> {
  /** Until `close`, or the end of the network. */
  listening = true
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
    this.emit('close')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Each connection from now on, until the server is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<NetworkSocket, void, undefined> {
    if (!this.listening) return
    for await (const [socket] of on(this, 'connection', { close: ['close'] })) {
      yield socket as NetworkSocket
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
