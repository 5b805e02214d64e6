/**
 * A connection between a guest and the program itself: what a TcpFlow is for a socket of the host, with the main thread in
 * the socket's place.
 *
 * Theory of Operation
 *
 *  Data and back-pressure.
 *
 *  guest side (Connection)             main thread (endpoint-records.ts)
 *  text                            →   TEXT, as much as it has granted and the ring has room for
 *  the rest waits in recvQueue,    ←   it does not read
 *    RCV.WND closes with it
 *  TEXT into sendQueue             ←   never more than we have granted
 *  sendQueue is full: no GRANT     →   writing waits
 *
 *  Nothing here ever waits for the main thread: what finds no room in the ring is written when that has read.
 *
 *  Close.
 *
 *  FIN, after the last octet       →   END
 *  FIN, after the last octet       ←   FINISH
 *  RST                             →   CLOSED
 *  RST                             ←   RELEASE, unless FINISH came before and everything was read; then it goes
 *                                        on by itself, as with a socket that was closed
 */
import type { FlowEnd, FlowEntry } from '../nat/flow-journal.ts'
import type { Timed } from '../stack/deadlines.ts'
import type { Slices } from '../stack/slices.ts'
import * as tcp from '../stack/tcp/connection.ts'
import { CLOSED, CLOSINGS, type Closing, END, GRANT, octetsOf, TEXT } from './endpoint-records.ts'
import type { RingWriter } from './ring.ts'

/** Where a payload is: a record of the ring, or octets that were kept. */
export interface Source {
  copy(from: number, into: Uint8Array, at: number, len: number): void
}

/** What a flow needs of all of them. */
export interface FlowHost {
  readonly bytes: Uint8Array
  readonly ring: RingWriter
  readonly slices: Slices
  now(): number
  /** `pump` is called when the ring has room again. */
  block(flow: EndpointFlow): void
  /** The flow's deadline has changed. */
  schedule(flow: EndpointFlow): void
  /** It is over. */
  forget(flow: EndpointFlow, end: FlowEnd): void
}

/** Ours, in ms: an address whose owner does not answer ARP for so long is nobody's. On a TAP it takes microseconds. */
const NEIGHBOUR_PATIENCE = 1_000
/** Ours, in ms, as Linux' tcp_fin_timeout: what nobody holds any more and makes no progress. */
const LINGER = 60_000
/** Ours, in ms: when the pool is empty, it is asked again. */
const POOL_RETRY = 5

export class EndpointFlow implements tcp.ConnectionUser, Timed {
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0
  readonly id: number
  readonly entry: FlowEntry
  readonly #host: FlowHost
  /** Writes the record that tells the main thread of it; false when the ring is full. */
  readonly #announce: (flow: EndpointFlow) => boolean
  /** The main thread knows the id, and waits for how the dial ends. */
  readonly #isDialed: boolean
  #connection: tcp.Connection | undefined
  /** The most octets under way to either side. */
  readonly #window: number
  /** Octets that the main thread takes. */
  #credit: number
  /** Octets that it may send and has not sent. */
  #granted = 0
  #isEstablished = false
  #isAnnounced = false
  #hasEnd = false
  #isEndTold = false
  #isFinishing = false
  #isReleased = false
  #closing: Closing | undefined
  /** How it ended, where `#closing` does not say it. */
  #end: FlowEnd | undefined
  /** TEXT that found no chunk. */
  #kept: Uint8Array[] = []
  #lingerUna = 0

  constructor(
    host: FlowHost,
    id: number,
    entry: FlowEntry,
    window: number,
    announce: (flow: EndpointFlow) => boolean,
  ) {
    this.#host = host
    this.id = id
    this.entry = entry
    this.#window = window
    this.#credit = window
    this.#announce = announce
    this.#isDialed = id % 2 === 0
  }

  /** The guest's connection: it is in SYN-RECEIVED or SYN-SENT. */
  uses(connection: tcp.Connection): void {
    this.#connection = connection
    if (!connection.neighbour.isKnown) this.#wakeIn(NEIGHBOUR_PATIENCE)
  }

  get connection(): tcp.Connection {
    return this.#connection!
  }

  // --- guest to main thread ---

  established(c: tcp.Connection): void {
    this.#connection = c
    this.#isEstablished = true
    this.pump()
  }

  text(c: tcp.Connection, text: Slices): number {
    if (this.#isReleased) {
      c.tcp.abort(c, 'aborted') // nobody will read it (RFC 9293 §3.6.1)
      return 0
    }
    if (!this.#isAnnounced) return 0
    let told = 0
    for (let i = 0; i < text.count; i++) {
      const len = text.len[i]!
      const n = this.#tell(this.#host.bytes, text.at[i]!, len)
      told += n
      if (n < len) break
    }
    return told
  }

  #tell(bytes: Uint8Array, at: number, len: number): number {
    const most = Math.min(len, this.#credit)
    const n = this.#host.ring.text(TEXT, this.id, bytes, at, most)
    this.#credit -= n
    this.entry.fromGuest += n
    if (n < most) this.#host.block(this)
    return n
  }

  readable(_c: tcp.Connection): void {
    this.pump()
  }

  finArrived(_c: tcp.Connection): void {
    this.#hasEnd = true
    this.pump()
  }

  /** Tells what there is to tell, in its order, as far as the ring has room. */
  pump(): void {
    const c = this.#connection
    if (c === undefined || this.#isReleased) return
    const { ring } = this.#host
    if (!this.#isAnnounced && this.#isEstablished) {
      this.#isAnnounced = this.#announce(this)
      if (!this.#isAnnounced) return this.#host.block(this)
      this.#grant()
    }
    if (this.#isAnnounced) this.#deliver(c)
    if (c.rcvQueued > 0) return
    if (this.#hasEnd && !this.#isEndTold) {
      this.#isEndTold = ring.write(END, this.id)
      if (!this.#isEndTold) return this.#host.block(this)
    }
    if (this.#closing !== undefined) this.#tellClosing(this.#closing)
  }

  #deliver(c: tcp.Connection): void {
    const { slices, bytes } = this.#host
    while (c.rcvQueued > 0 && this.#credit > 0) {
      slices.clear()
      tcp.unread(c, slices)
      const len = slices.len[0]!
      const n = this.#tell(bytes, slices.at[0]!, len)
      if (n > 0) tcp.consume(c, n)
      if (n < len) return
    }
  }

  /** The main thread takes so much more. */
  granted(len: number): void {
    this.#credit += len
    this.pump()
  }

  // --- main thread to guest ---

  /** TEXT came. */
  take(source: Source, len: number): void {
    this.#granted -= len
    const taken = this.#kept.length > 0 ? 0 : this.#queue(source, len)
    if (taken === len) return this.#grant()
    const rest = new Uint8Array(len - taken)
    source.copy(taken, rest, 0, rest.length)
    this.#kept.push(rest)
    this.#wakeIn(POOL_RETRY)
  }

  /** Into the send queue, as far as there are chunks. */
  #queue(source: Source, len: number): number {
    const c = this.#connection!
    if (c.finQueued || !tcp.maySend(c.state)) return len // it is over: nobody takes it any more
    const { slices, bytes } = this.#host
    let taken = 0
    while (taken < len) {
      slices.clear()
      tcp.reserve(c, len - taken, slices)
      if (slices.total === 0) break
      for (let i = 0; i < slices.count; i++) {
        const n = slices.len[i]!
        source.copy(taken, bytes, slices.at[i]!, n)
        taken += n
      }
      tcp.sent(c, slices.total)
    }
    this.entry.toGuest += taken
    return taken
  }

  writable(_c: tcp.Connection): void {
    this.#queueKept()
    this.#grant()
  }

  /** What found no chunk before; then the FIN that waits for it. */
  #queueKept(): void {
    for (let first = this.#kept[0]; first !== undefined; first = this.#kept[0]) {
      const octets = first
      const copy = (from: number, into: Uint8Array, at: number, len: number): void =>
        into.set(octets.subarray(from, from + len), at)
      const taken = this.#queue({ copy }, octets.length)
      if (taken < octets.length) {
        this.#kept[0] = octets.subarray(taken)
        return this.#wakeIn(POOL_RETRY)
      }
      this.#kept.shift()
    }
    if (this.#isFinishing) tcp.close(this.#connection!)
  }

  /** Lets the main thread send more, when that is worth a record. */
  #grant(): void {
    const c = this.#connection!
    if (this.#isFinishing || !this.#isAnnounced || this.#isReleased || this.#kept.length > 0) return
    const more = Math.min(this.#window, tcp.sendRoom(c)) - this.#granted
    if (more <= 0 || (more < this.#window / 4 && this.#granted > 0)) return
    if (this.#host.ring.write(GRANT, this.id, octetsOf(more))) this.#granted += more
    else this.#host.block(this)
  }

  /** It was blocked; now there is room. */
  unblocked(): void {
    this.pump()
    if (this.#closing === undefined && this.#isEstablished) this.#grant()
  }

  /** FINISH: a FIN follows the last octet. */
  finish(): void {
    this.#isFinishing = true
    this.#queueKept()
  }

  // --- the end ---

  /** RELEASE: the main thread has forgotten it, or wants a RST in any case. */
  release(isReset: boolean): void {
    const c = this.#connection!
    this.#isReleased = true
    if (this.#closing !== undefined) return this.#over(this.#closing)
    if (isReset || !this.#isFinishing || c.rcvQueued > 0) return c.tcp.abort(c, 'aborted')
    this.#lingerUna = c.sndUna
    this.#wakeIn(LINGER)
  }

  closed(c: tcp.Connection, reason: tcp.CloseReason): void {
    this.deadline = Infinity
    this.#host.schedule(this)
    this.#closing ??= CLOSING_OF[reason]
    if (reason === 'aborted' && this.#isReleased) this.#end = 'host-reset'
    if (reason !== 'finished' || this.#isReleased) tcp.discard(c)
    if (this.#isReleased) return this.#over(this.#closing)
    // One that died in its handshake was never heard of.
    if (!this.#isAnnounced && !this.#isDialed) return this.#over(this.#closing)
    this.pump()
  }

  #tellClosing(closing: Closing): void {
    if (!this.#host.ring.write(CLOSED, this.id, octetsOf(CLOSINGS.indexOf(closing)))) {
      return this.#host.block(this)
    }
    this.#over(closing)
  }

  #over(closing: Closing): void {
    this.#isReleased = true
    tcp.discard(this.#connection!)
    this.#host.forget(this, this.#end ?? END_OF[closing])
  }

  #wakeIn(ms: number): void {
    this.deadline = this.#host.now() + ms
    this.#host.schedule(this)
  }

  /** The deadline is here. */
  timeout(): void {
    const c = this.#connection!
    this.deadline = Infinity
    if (this.#isReleased) return this.#lingerOn(c)
    if (c.state === 'SYN-SENT' && !c.neighbour.isKnown) {
      this.#closing = 'unreachable'
      return c.tcp.abort(c, 'aborted')
    }
    if (this.#kept.length > 0) this.#queueKept()
  }

  #lingerOn(c: tcp.Connection): void {
    if (c.state === 'FIN-WAIT-2' || c.sndUna === this.#lingerUna) return c.tcp.abort(c, 'aborted')
    this.#lingerUna = c.sndUna
    this.#wakeIn(LINGER)
  }

  /** The network is closed. */
  destroy(): void {
    if (this.#connection !== undefined) tcp.discard(this.#connection)
    this.#isReleased = true
    this.#host.forget(this, 'closed')
  }
}

/** Aborted is what the main thread has released: it is told nothing. */
const CLOSING_OF: Readonly<Record<tcp.CloseReason, Closing>> = {
  finished: 'finished',
  'guest-reset': 'reset',
  'guest-timeout': 'timeout',
  aborted: 'reset',
  refused: 'refused',
}

const END_OF: Readonly<Record<Closing, FlowEnd>> = {
  finished: 'finished',
  reset: 'guest-reset',
  refused: 'guest-refused',
  timeout: 'guest-timeout',
  unreachable: 'guest-timeout',
  full: 'closed',
}
