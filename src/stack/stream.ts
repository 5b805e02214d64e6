/**
 * One TCP connection of a {@link Station}, as its user sees it: octets that are given and taken.
 *
 *  the user                          the connection
 *  write() takes what fits       →   send queue
 *  drain                         ←   acknowledged, or others gave octets back: the queue has room
 *  data, unless paused           ←   text in line
 *  paused: it waits              ←   receive queue; the window closes with it
 *  finish() a FIN, data goes on  →   half-closed
 *  end                           ←   the peer's FIN, after its last octet
 */
import type { Memory } from './link.ts'
import { Slices } from './slices.ts'
import * as tcp from './tcp/connection.ts'

/** An end of a connection or the peer of a datagram. */
export interface Peer {
  /** An IPv4 address as text. */
  readonly address: string
  readonly port: number
}

/**
 * How a stream ended: both sides sent all that they had; the peer reset it; it was aborted here; the
 * peer was not heard of for too long; the peer refused it.
 */
export type StreamEnd = 'finished' | 'reset' | 'aborted' | 'timeout' | 'refused'

/** What a stream tells its user. Everything may be left out. */
export interface StreamHandler {
  /** The handshake is complete: `write` takes octets from now on. */
  open?(stream: Stream): void
  /** Octets of the peer, in order. They are the user's to keep. */
  data?(octets: Uint8Array, stream: Stream): void
  /** The peer has sent its last octet. Our side may go on. */
  end?(stream: Stream): void
  /** There is room again after a `write` that took less than it was given. */
  drain?(stream: Stream): void
  /** The last call: nothing more comes. */
  close?(end: StreamEnd, stream: Stream): void
}

const ENDS: Readonly<Record<tcp.CloseReason, StreamEnd>> = {
  finished: 'finished',
  'guest-reset': 'reset',
  aborted: 'aborted',
  'guest-timeout': 'timeout',
  refused: 'refused',
}

/** A TCP connection. What is asked of it is sent with the station's next `flush`. */
export class Stream {
  /** The other end. */
  readonly remote: Peer
  /** The port here. */
  readonly localPort: number
  readonly #user: StreamUser

  /** Streams are made by `Station.connect` and `Station.listen`. */
  constructor(remote: Peer, localPort: number, user: StreamUser) {
    this.remote = remote
    this.localPort = localPort
    this.#user = user
  }

  /**
   * Takes octets to be sent, from the front, and answers how many: none before `open` and after
   * `finish`, fewer than given when the send queue is full. Then `drain` tells when to go on.
   */
  write(octets: Uint8Array): number {
    return this.#user.write(octets)
  }

  /** The peer learns that nothing more comes, after the last octet. Receiving goes on. */
  finish(): void {
    this.#user.finish()
  }

  /** Ends it at once: the peer sees a reset, and what was on its way is lost. */
  abort(): void {
    this.#user.abort()
  }

  /** Nothing is handed to `data` until `resume`; the peer may send what the window has room for. */
  pause(): void {
    this.#user.isPaused = true
  }

  /** The opposite of `pause`. What waits is handed out before it returns. */
  resume(): void {
    this.#user.resume()
  }
}

/** The stream's side towards the connection. */
export class StreamUser implements tcp.ConnectionUser {
  isPaused = false
  stream!: Stream
  readonly #handler: StreamHandler
  readonly #memory: Memory
  readonly #slices = new Slices(8)
  #connection: tcp.Connection | undefined
  #isOpen = false
  /** Those whose `write` took less than it was given, of all streams of a station. */
  readonly #short: Set<StreamUser>
  #isDelivering = false
  /** The FIN waits for what is before it. */
  #hasEnd = false
  /** The end waits for what is before it. */
  #close: StreamEnd | undefined
  #isOver = false

  constructor(memory: Memory, handler: StreamHandler, short: Set<StreamUser> = new Set()) {
    this.#memory = memory
    this.#handler = handler
    this.#short = short
  }

  /** The connection that this is the user of. */
  uses(connection: tcp.Connection): void {
    this.#connection = connection
  }

  // --- what the stream asks for ---

  write(octets: Uint8Array): number {
    const c = this.#connection
    if (c === undefined || !this.#isOpen || this.#isOver) return 0
    const slices = this.#slices
    let taken = 0
    while (taken < octets.length) {
      slices.clear()
      tcp.reserve(c, Math.min(octets.length - taken, tcp.sendRoom(c)), slices)
      if (slices.total === 0) break
      for (let i = 0; i < slices.count; i++) {
        const len = slices.len[i]!
        this.#memory.bytes.set(octets.subarray(taken, taken + len), slices.at[i]!)
        taken += len
      }
      tcp.sent(c, slices.total)
    }
    if (taken < octets.length) this.#short.add(this)
    return taken
  }

  finish(): void {
    if (this.#connection !== undefined && !this.#isOver) tcp.close(this.#connection)
  }

  abort(): void {
    const c = this.#connection
    if (c === undefined || this.#isOver) return
    this.isPaused = false
    if (this.#close !== undefined) this.#end(c, 'aborted')
    else c.tcp.abort(c, 'aborted')
  }

  resume(): void {
    this.isPaused = false
    if (this.#connection !== undefined) this.#deliver(this.#connection)
  }

  // --- what the connection tells ---

  established(c: tcp.Connection): void {
    this.#connection = c
    this.#isOpen = true
    this.#handler.open?.(this.stream)
  }

  text(_c: tcp.Connection, { at, len, count }: Slices): number {
    let told = 0
    for (let i = 0; i < count && !this.isPaused && !this.#isOver; i++) {
      const octets = this.#memory.bytes.slice(at[i]!, at[i]! + len[i]!)
      this.#handler.data?.(octets, this.stream)
      told += octets.length
    }
    return told
  }

  readable(c: tcp.Connection): void {
    this.#deliver(c)
  }

  finArrived(c: tcp.Connection): void {
    this.#hasEnd = true
    this.#deliver(c)
  }

  writable(_c: tcp.Connection): void {
    if (this.#short.delete(this)) this.#handler.drain?.(this.stream)
  }

  /** The pool has chunks for whoever wrote in vain. */
  poolHasRoom(): void {
    const c = this.#connection!
    if (tcp.sendRoom(c) > 0) this.writable(c)
  }

  closed(c: tcp.Connection, reason: tcp.CloseReason): void {
    this.#isOpen = false
    if (reason !== 'finished' || c.rcvQueued === 0) return this.#end(c, ENDS[reason])
    this.#close = ENDS[reason]
    this.#deliver(c)
  }

  /** Hands out what waits, then what stands behind it, as long as nobody pauses. */
  #deliver(c: tcp.Connection): void {
    if (this.#isDelivering) return
    this.#isDelivering = true
    const slices = this.#slices
    while (c.rcvQueued > 0 && !this.isPaused && !this.#isOver) {
      slices.clear()
      tcp.unread(c, slices)
      const at = slices.at[0]!
      const octets = this.#memory.bytes.slice(at, at + slices.len[0]!)
      tcp.consume(c, octets.length)
      this.#handler.data?.(octets, this.stream)
    }
    this.#isDelivering = false
    if (c.rcvQueued > 0 || this.#isOver) return
    if (this.#hasEnd) {
      this.#hasEnd = false
      this.#handler.end?.(this.stream)
    }
    if (this.#close !== undefined) this.#end(c, this.#close)
  }

  #end(c: tcp.Connection, end: StreamEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#short.delete(this)
    tcp.discard(c)
    this.#handler.close?.(end, this.stream)
  }
}
