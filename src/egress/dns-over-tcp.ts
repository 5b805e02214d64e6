/** DNS over TCP (RFC 7766): messages with their lengths before them, from the guest and from a name server. */
import type { Host } from '../nat/host.ts'
import { bindTowards } from '../nat/outbound.ts'
import type { Handler } from '../nat/reactor.ts'
import { Stream, type StreamHandler, StreamUser } from '../stack/stream.ts'
import type { SynRequest } from '../stack/tcp/syn-request.ts'
import * as address from '../stack/wire/address.ts'
import {
  EAGAIN,
  EINPROGRESS,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  SOCK_STREAM,
} from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'

const LENGTH_LEN = 2
const MAX_MESSAGE = 0xffff

/** Puts messages together from pieces of a stream. */
export class Framing {
  #octets = new Uint8Array(512)
  #length = 0

  /** Calls back with each message that is whole. They are the callee's to keep. */
  take(piece: Uint8Array, each: (message: Uint8Array) => void): void {
    if (this.#length + piece.length > this.#octets.length) {
      const larger = new Uint8Array(2 * (this.#length + piece.length))
      larger.set(this.#octets.subarray(0, this.#length))
      this.#octets = larger
    }
    this.#octets.set(piece, this.#length)
    this.#length += piece.length
    let at = 0
    while (this.#length - at >= LENGTH_LEN) {
      const end = at + LENGTH_LEN + ((this.#octets[at]! << 8) | this.#octets[at + 1]!)
      if (end > this.#length) break
      each(this.#octets.slice(at + LENGTH_LEN, end))
      at = end
    }
    this.#octets.copyWithin(0, at, this.#length)
    this.#length -= at
  }
}

export function framed(message: Uint8Array): Uint8Array {
  const octets = new Uint8Array(LENGTH_LEN + message.length)
  octets[0] = message.length >>> 8
  octets[1] = message.length & 0xff
  octets.set(message, LENGTH_LEN)
  return octets
}

/** A connection of the guest to the name server. */
export class GuestStream {
  #stream: Stream | undefined
  readonly #onMessage: (message: Uint8Array, reply: (answer: Uint8Array) => void) => void
  readonly #onClosed: () => void
  #pending = 0
  /** The guest asks no more. */
  #isEnding = false

  constructor(
    host: Host,
    request: SynRequest,
    onMessage: (message: Uint8Array, reply: (answer: Uint8Array) => void) => void,
    onClosed: () => void,
  ) {
    this.#onMessage = onMessage
    this.#onClosed = onClosed
    const framing = new Framing()
    const handler: StreamHandler = {
      data: (piece) => framing.take(piece, (message) => this.#received(message)),
      end: () => {
        this.#isEnding = true
        this.#finish()
      },
      close: () => {
        this.#stream = undefined
        this.#onClosed()
      },
    }
    const { key } = request
    const user = new StreamUser(host.arena, handler)
    const guest = { address: address.format(key.subarray(0, 4)), port: key[8]! >>> 16 }
    this.#stream = new Stream(guest, key[8]! & 0xffff, user)
    user.stream = this.#stream
    user.uses(request.accept(user, host.reactor.now))
  }

  #received(message: Uint8Array): void {
    // Ours: who does not read answers gets no more of them.
    if (this.#pending >= 64) return this.close()
    this.#pending++
    this.#onMessage(message, (answer) => {
      this.#pending--
      const octets = framed(answer)
      if (this.#stream !== undefined && this.#stream.write(octets) < octets.length) this.close()
      this.#finish()
    })
  }

  /** Nothing that it asked has still to be answered. */
  get isIdle(): boolean {
    return this.#pending === 0
  }

  #finish(): void {
    if (this.#isEnding && this.#pending === 0) this.#stream?.finish()
  }

  close(): void {
    this.#stream?.abort()
  }
}

/** One question over TCP to a name server of the host, whose answer was too long for UDP. */
export class ServerStream implements Handler {
  token = -1
  isPending = false
  readonly #host: Host
  readonly #at: number
  readonly #question: Uint8Array
  readonly #framing = new Framing()
  #onEnd: ((answer: Uint8Array | undefined) => void) | undefined
  #fd = -1
  #isSent = false

  /** `at` is a place of memory for a message. `onEnd` gets the answer, or undefined when there is none. */
  constructor(
    host: Host,
    at: number,
    server: socket.Endpoint,
    question: Uint8Array,
    onEnd: (answer: Uint8Array | undefined) => void,
  ) {
    this.#host = host
    this.#at = at
    this.#question = framed(question)
    this.#onEnd = onEnd
    this.#fd = socket.socket(socket.familyOf(server), SOCK_STREAM)
    if (this.#fd < 0 || !this.#connect(server)) this.close(undefined)
  }

  #connect(server: socket.Endpoint): boolean {
    if (bindTowards(this.#host, this.#fd, server) < 0) return false
    const connected = socket.connect(this.#fd, server)
    if (connected < 0 && connected !== -EINPROGRESS) return false
    const events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
    return this.#host.reactor.add(this.#fd, events, this) >= 0
  }

  ready(events: number): void {
    const { arena } = this.#host
    if (events & (EPOLLERR | EPOLLHUP)) return this.close(undefined)
    if (events & EPOLLOUT && !this.#isSent) {
      this.#isSent = true
      arena.bytes.set(this.#question, this.#at)
      const n = socket.send(this.#fd, arena, this.#at, this.#question.length)
      if (n < this.#question.length) return this.close(undefined)
    }
    while (this.#fd >= 0) {
      const n = socket.recv(this.#fd, arena, this.#at, MAX_MESSAGE)
      if (n === -EAGAIN) return
      if (n <= 0) return this.close(undefined)
      this.#framing.take(arena.bytes.slice(this.#at, this.#at + n), (answer) => this.close(answer))
    }
  }

  close(answer: Uint8Array | undefined): void {
    const onEnd = this.#onEnd
    if (onEnd === undefined) return
    this.#onEnd = undefined
    if (this.#fd >= 0) {
      this.#host.reactor.remove(this)
      io.close(this.#fd)
      this.#fd = -1
    }
    onEnd(answer)
  }
}
