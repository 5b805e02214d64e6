/**
 * All TCP connections of a stack: demultiplexing, opening, flushing, timing out.
 *
 * The guest's SYN for an unknown 4-tuple becomes a {@link SynRequest} that whoever sits above
 * answers later: with a connection once the host has answered, with a RST, or with an ICMP error.
 * Until then the SYN is remembered and its repetitions are silent (DESIGN §5: dial first).
 */
import type { Counters } from '../counters.ts'
import { Deadlines } from '../deadlines.ts'
import type { FlowErrors } from '../flow-errors.ts'
import { FlowTable, isIpv4 } from '../flow-table.ts'
import type { Memory } from '../link.ts'
import type { Neighbour } from '../neighbours.ts'
import type { Pool } from '../pool.ts'
import type { Transmitter } from '../transmitter.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as ipv6 from '../wire/ipv6.ts'
import * as wire from '../wire/tcp.ts'
import { agreeOnOptions } from './agreement.ts'
import type { CongestionName } from './congestion.ts'
import {
  type CloseReason,
  Connection,
  type ConnectionUser,
  discard,
  setState,
  touch,
} from './connection.ts'
import { Gro } from './gro.ts'
import { tooBigArrives, unreachableArrives } from './icmp.ts'
import { segmentArrives } from './input.ts'
import { halfSipHash, isnOf } from './isn.ts'
import { emitReset, emitResetFor, output } from './output.ts'
import { Segments } from './segments.ts'
import * as seq from './seq.ts'
import { PATIENCE, SynRequest } from './syn-request.ts'
import { timeout, updateDeadline } from './timers.ts'

export interface TcpLimits {
  /** The most octets of a connection that wait to be acknowledged or sent. */
  sendBuffer: number
  /** The most octets that are offered as window. */
  receiveBuffer: number
  /** How many connections there may be, those in TIME-WAIT not counted. */
  connections: number
  /**
   * How many handshakes of the guest's may be under way: SYNs that wait for an answer, and answers that
   * are not acknowledged yet.
   */
  halfOpen: number
}

export interface TcpOptions {
  readonly memory: Memory
  readonly pool: Pool
  readonly transmitter: Transmitter
  readonly errors: FlowErrors
  readonly counters: Counters
  readonly mtu: number
  readonly limits: TcpLimits
  /** Congestion control; CUBIC without it. */
  readonly congestion?: CongestionName | undefined
  /** As in StackOptions. */
  readonly gsoIpv4MaxSize: number
  /** 32 random bits at each call. */
  readonly random: () => number
  /** The guest opens a connection. */
  readonly onSyn: (request: SynRequest) => void
}

/** RFC 9293 §3.4.1: 2 MSL, as Linux has it (TCP_TIMEWAIT_LEN). */
export const TIME_WAIT = 60_000
/** RFC 9293 §3.6.1, MAY-2: the ISS of a connection that is reopened is above what was sent before; so far, as Linux has it. */
const REOPENED = 65_537
/** Ours: older ones are forgotten when there are more. */
const MAX_TIME_WAIT = 4096

export class Tcp {
  readonly memory: Memory
  readonly pool: Pool
  readonly options: TcpOptions
  readonly limits: TcpLimits
  readonly counters: Counters
  readonly connections: FlowTable<Connection>
  readonly requests: FlowTable<SynRequest>
  /** Requests, by when they may make room for others. */
  readonly #dials: Deadlines<SynRequest> = new Deadlines()
  readonly deadlines: Deadlines<Connection> = new Deadlines()
  /** Connections in SYN-RECEIVED, first the one that was silent longest. */
  readonly halfOpen: Set<Connection> = new Set()
  /** Connections that are over, and whose user keeps what is unread until it is delivered. */
  undelivered = 0
  /** Of the retransmission queues of all connections. */
  readonly segments: Segments = new Segments()
  /** Connections with something due: a list, by `nextTouched`. */
  firstTouched: Connection | undefined
  #lastTouched: Connection | undefined
  /** Called after each change of state: for tests and traces. */
  observer: ((c: Connection, before: string) => void) | undefined
  /** MMS_S: the most octets of TCP header and text in one packet, by IP version. */
  readonly #mms4: number
  readonly #mms6: number
  /** A segment that waits for more. */
  readonly gro: Gro = new Gro()
  /** What arrives is read into this. */
  #seg: wire.Segment = new wire.Segment()
  readonly #secret: Int32Array
  readonly #tsSecret: Int32Array
  readonly #timeWait: Connection[] = []
  /** SND.NXT of the connection in TIME-WAIT that the segment reopens. */
  #sndNxtBefore: seq.Seq | undefined

  constructor(options: TcpOptions) {
    this.options = options
    this.memory = options.memory
    this.pool = options.pool
    this.limits = options.limits
    this.counters = options.counters
    this.#mms4 = options.mtu - ipv4.HEADER_LEN
    this.#mms6 = options.mtu - ipv6.HEADER_LEN
    this.connections = new FlowTable(options.random())
    this.requests = new FlowTable(options.random())
    this.#secret = Int32Array.of(options.random(), options.random())
    this.#tsSecret = Int32Array.of(options.random(), options.random())
  }

  /**
   * A segment at [at, end), whose checksum is right, for the connection `key`, which is borrowed. When `more` follow,
   * it may wait for them, in its place, until `gather`.
   * False when there is no such connection: `arrivesAtNobody` has to follow, with the neighbour.
   */
  receive(key: Int32Array, at: number, end: number, now: number, more: boolean): boolean {
    const seg = this.#seg
    if (!wire.parse(this.memory.view, at, end, seg)) {
      this.counters.drop.tcpMalformed++
      return true
    }
    const c = this.connections.get(key)
    if (c !== undefined && this.gro.append(c, seg)) {
      if (!more) this.gather(now) // its octets may not stay
      return true
    }
    this.gather(now)
    if (c === undefined || c.state === 'CLOSED') return false
    if (more) {
      const spare = this.gro.begin(c, seg)
      if (spare !== undefined) {
        this.#seg = spare
        return true
      }
    }
    if (c.state === 'TIME-WAIT' && this.#isReopening(c, seg)) {
      this.#sndNxtBefore = c.sndNxt
      this.remove(c)
      return false
    }
    segmentArrives(c, seg, now)
    return true
  }

  /** What waited for more has all: it arrives. */
  gather(now: number): void {
    const c = this.gro.connection
    if (c === undefined) return
    const seg = this.gro.end()
    if (c.state !== 'CLOSED') segmentArrives(c, seg, now)
  }

  /** RFC 9293 §3.10.7.1 and §3.10.7.2: state CLOSED, and LISTEN for every host there is. */
  arrivesAtNobody(key: Int32Array, neighbour: Neighbour, ttl: number, now: number): void {
    const seg = this.#seg
    const before = this.#sndNxtBefore
    this.#sndNxtBefore = undefined
    const isSyn = (seg.ctl & (wire.SYN | wire.ACK | wire.RST | wire.FIN)) === wire.SYN
    const request = this.requests.get(key)
    if (isSyn) {
      if (request !== undefined) {
        if (request.irs === seg.seq) return request.heard(now) // the dial goes on
        this.#giveUp(request, 'guest-reset')
      }
      // More than one must give way where both ends have opened at once: those are let in without being asked for.
      while (this.requests.size + this.halfOpen.size >= this.limits.halfOpen) {
        this.counters.drop.tcpHalfOpen++
        if (!this.#recycle(now)) return
      }
      const full = this.whatIsFull()
      if (full !== undefined) {
        this.counters.drop[full]++
        return emitReset(this, key, neighbour, seg)
      }
      const fresh = new SynRequest(this, key.slice(), neighbour, seg, ttl, now)
      fresh.sndNxtBefore = before
      this.requests.add(fresh)
      this.#dials.update(fresh)
      return this.options.onSyn(fresh)
    }
    this.counters.drop.tcpNoConnection++
    if (
      request !== undefined &&
      (seg.ctl & wire.RST) !== 0 &&
      seg.seq === seq.add(request.irs, 1)
    ) {
      this.#giveUp(request, 'guest-reset')
    }
    emitReset(this, key, neighbour, seg)
  }

  #giveUp(request: SynRequest, why: 'guest-reset' | 'evicted'): void {
    this.forget(request)
    request.onGivenUp?.(why)
  }

  /** The request is answered, or nobody waits for the answer. */
  forget(request: SynRequest): void {
    this.requests.delete(request)
    this.#dials.remove(request)
  }

  /**
   * Gives up one of those that did not answer our SYN-ACK in time, so that a flood is over when it ends (RFC 4987 §3.4):
   * who lives answers within a round trip, or repeats its SYN. Else a dial that nobody seems to wait for any more, or that
   * the host takes long to answer.
   */
  #recycle(now: number): boolean {
    const [silent] = this.halfOpen
    if (silent !== undefined && now - silent.heardAt >= PATIENCE) {
      this.abort(silent, 'guest-timeout')
      return true
    }
    const dial = this.#dials.pop(now)
    if (dial === undefined) return false
    this.#giveUp(dial, 'evicted')
    return true
  }

  /** One in SYN-RECEIVED was heard of: it is the last to be given up. */
  halfOpenLives(c: Connection): void {
    this.halfOpen.delete(c)
    this.halfOpen.add(c)
  }

  /**
   * Why no connection may be added, by the counter to be incremented. There are as many as there may be: those that
   * are dialled count, for they become some, those in TIME-WAIT use nothing that is scarce, unless their user has not
   * delivered everything. Or it would have no chunk to send with.
   */
  whatIsFull(): 'tcpLimit' | 'tcpNoMemory' | undefined {
    const { connections, requests, undelivered, limits, pool } = this
    const count = connections.size - this.#timeWait.length + requests.size + undelivered
    if (count >= limits.connections) return 'tcpLimit'
    return pool.free <= pool.forReceiving ? 'tcpNoMemory' : undefined
  }

  /** Is there a connection of that 4-tuple, or a SYN of the guest that is to become one? */
  isTaken(key: Int32Array): boolean {
    return this.connections.get(key) !== undefined || this.requests.get(key) !== undefined
  }

  /** A new SYN may reopen a connection in TIME-WAIT (RFC 9293 §3.6.1, MAY-2; RFC 6191). */
  #isReopening(c: Connection, seg: wire.Segment): boolean {
    if ((seg.ctl & (wire.SYN | wire.ACK | wire.RST)) !== wire.SYN) return false
    if (c.hasTimestamps && seg.hasTimestamp && seg.tsVal !== c.tsRecent) {
      return seq.gt(seg.tsVal, c.tsRecent)
    }
    return seq.gt(seg.seq, c.rcvNxt)
  }

  /** An ICMP error about the segment at `at` of the flow `key`: see icmp.ts. */
  unreachableArrives(key: Int32Array, at: seq.Seq): boolean {
    const c = this.connections.get(key)
    return c !== undefined && unreachableArrives(c, at)
  }

  tooBigArrives(key: Int32Array, at: seq.Seq, mtu: number, now: number): boolean {
    const c = this.connections.get(key)
    return c !== undefined && tooBigArrives(c, at, mtu, now)
  }

  acceptSyn(request: SynRequest, user: ConnectionUser, now: number): Connection {
    const c = this.#create(user, request.key, request.neighbour, now, request.sndNxtBefore)
    c.irs = request.irs
    c.rcvNxt = c.rcvAdv = seq.add(request.irs, 1) // the SYN-ACK is the first to offer a window
    c.hasSack = request.sackPermitted
    c.sndWnd = c.maxSndWnd = request.wnd
    c.sndWl1 = request.irs
    agreeOnOptions(c, request.mss, request.windShift, request.hasTimestamp, request.tsVal, now)
    setState(c, 'SYN-RECEIVED')
    return c
  }

  /**
   * OPEN, active (RFC 9293 §3.10.1): towards the guest, for a forwarded port. The key is not taken, and borrowed.
   */
  connect(key: Int32Array, neighbour: Neighbour, user: ConnectionUser, now: number): Connection {
    const c = this.#create(user, key.slice(), neighbour, now)
    c.rcvWindShift = this.windShift()
    setState(c, 'SYN-SENT')
    return c
  }

  #create(
    user: ConnectionUser,
    key: Int32Array,
    neighbour: Neighbour,
    now: number,
    sndNxtBefore?: seq.Seq,
  ): Connection {
    const c = new Connection(this, user, key, neighbour)
    c.iss = isnOf(this.#secret, key, now)
    if (sndNxtBefore !== undefined) c.iss = seq.max(c.iss, seq.add(sndNxtBefore, REOPENED))
    c.sndUna = c.sndNxt = c.recover = c.iss
    // Of the addresses and ports, too: a 4-tuple that is used again goes on, or PAWS would drop its SYN
    // (RFC 7323 §7.1).
    c.tsOffset = halfSipHash(this.#tsSecret, key)
    c.heardAt = now
    c.synDue = true
    this.connections.add(c)
    touch(c)
    return c
  }

  /** The MSS that the link has room for: our option in a SYN (RFC 9293 §3.7.1). */
  linkMss(key: Int32Array): number {
    return (isIpv4(key) ? this.#mms4 : this.#mms6) - wire.HEADER_LEN
  }

  /** Our shift: the smallest with which the whole receive buffer can be offered. */
  windShift(): number {
    let shift = 0
    while (65535 << shift < this.limits.receiveBuffer && shift < 14) shift++
    return shift
  }

  /** ABORT (RFC 9293 §3.10.5): a RST to the guest, and the end. */
  abort(c: Connection, reason: CloseReason): void {
    if (c.state === 'CLOSED') return
    if (c.state !== 'SYN-SENT' && c.state !== 'TIME-WAIT') {
      emitResetFor(this, c.key, c.neighbour, c.sndNxt, c.rcvNxt, true)
    }
    this.end(c, reason)
  }

  /** The connection is over: it is forgotten, then its user told. */
  end(c: Connection, reason: CloseReason): void {
    const wasWaiting = c.state === 'TIME-WAIT'
    this.remove(c)
    if (!wasWaiting) c.user.closed(c, reason)
  }

  /** TIME-WAIT: the user is told that it is over; the table remembers it for 2 MSL. */
  enterTimeWait(c: Connection, now: number): void {
    const wasWaiting = c.state === 'TIME-WAIT'
    c.rtoAt = c.reoAt = c.ptoAt = c.persistAt = c.keepAliveAt = Infinity
    c.waitAt = now + TIME_WAIT
    if (wasWaiting) return
    setState(c, 'TIME-WAIT')
    this.#timeWait.push(c)
    if (this.#timeWait.length > MAX_TIME_WAIT) {
      const oldest = this.#timeWait.shift()!
      if (oldest.state === 'TIME-WAIT') this.remove(oldest)
    }
    c.user.closed(c, 'finished')
  }

  /**
   * Forgets a connection. What its user has not read yet stays in `recvQueue` when the guest had
   * sent its FIN: those octets are acknowledged, and still to be delivered.
   */
  remove(c: Connection): void {
    if (c.state === 'TIME-WAIT') {
      const i = this.#timeWait.indexOf(c)
      if (i >= 0) this.#timeWait.splice(i, 1)
    }
    setState(c, 'CLOSED')
    c.sendQueue.clear()
    c.inFlight.clear()
    if (!c.finReceived) discard(c)
    c.deadline = Infinity
    this.deadlines.remove(c)
    this.connections.delete(c)
  }

  /** The connection is looked at with the next flush, or with the one that is going on. */
  touch(c: Connection): void {
    c.isTouched = true
    if (this.firstTouched === undefined) this.firstTouched = c
    else this.#lastTouched!.nextTouched = c
    this.#lastTouched = c
  }

  /** Sends what is due on the connections that were touched since the last flush. */
  flush(now: number): void {
    for (let c = this.firstTouched; c !== undefined; c = this.firstTouched) {
      this.firstTouched = c.nextTouched
      c.nextTouched = undefined
      c.isTouched = false
      if (c.state === 'CLOSED') continue
      output(c, now)
      updateDeadline(c)
    }
  }

  timeout(now: number): void {
    for (;;) {
      const c = this.deadlines.pop(now)
      if (c === undefined) return
      timeout(c, now)
      if (c.state !== 'CLOSED') touch(c)
    }
  }
}
