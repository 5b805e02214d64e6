/** A UDP port of the program on the container's network: as a `dgram.Socket`, without a socket of the host. */
import { EventEmitter } from 'node:events'
import type { EndAddress } from './endpoint-errors.ts'
import { wrong } from './values.ts'

/** Who a datagram is from. */
export interface DatagramInfo extends EndAddress {
  /** Octets of the datagram. */
  readonly size: number
}

/** The events of a UDP socket, and what their listeners get. */
export interface NetworkUdpSocketEvents {
  message: [octets: Buffer, from: DatagramInfo]
  close: []
}

/** What a socket needs of its network. */
export interface UdpHost {
  /** Checks port and address. False when there is no room: the datagram is lost. */
  send(octets: Uint8Array, port: number, address: string | undefined): boolean
  unlisten(): Promise<unknown>
}

export class NetworkUdpSocket extends EventEmitter<NetworkUdpSocketEvents> {
  readonly #address: EndAddress
  readonly #host: UdpHost
  #isOpen = true
  #closing: Promise<void> | undefined

  /** Sockets are made by `Network.bind`. */
  constructor(address: EndAddress, host: UdpHost) {
    super()
    this.#address = address
    this.#host = host
  }

  /** Where it is bound: never port 0. */
  address(): EndAddress {
    return { ...this.#address }
  }

  /**
   * Sends a datagram of at most 65,507 octets, by default to the container. Answers whether it was handed on: datagrams
   * are lost when more of them wait than there is room for, and when the socket is closed.
   */
  send(data: string | Uint8Array, port: number, address?: string): boolean {
    const octets = typeof data === 'string' ? Buffer.from(data) : data
    if (!(octets instanceof Uint8Array))
      throw wrong(data, 'data', 'a string or a Uint8Array', false)
    return this.#isOpen && this.#host.send(octets, port, address)
  }

  /** Resolves when the port is free. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#host.unlisten().then(
      () => this.ended(),
      () => this.ended(), // the network is closed, and the socket with it
    )
    return this.#closing
  }

  /** The library's own: it is over. */
  ended(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    // As Node does: a listener that throws keeps nobody else from the end.
    process.nextTick(() => this.emit('close'))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Whether the program goes on is the network's to say (`Network.unref`): here for who expects a `dgram.Socket`. */
  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}
