/**
 * One TCP connection with the guest: the transmission control block of RFC 9293 §3.3.1, whose
 * SND.UNA is `sndUna`, and so on.
 *
 *            sndUna            sndNxt          sndUna + sndWnd
 *   ───────────┼─────────────────┼──────────────────┼───────────   send sequence space
 *    acknowledged    in flight        may be sent       must wait
 *
 *       rcvNxt - rcvQueued      rcvNxt               rcvAdv
 *   ───────────┼─────────────────┼──────────────────┼───────────   receive sequence space
 *    with the user  in line, unread    may arrive       not offered
 *
 * This file is the data and its transitions; input.ts is SEGMENT ARRIVES, output.ts what is sent,
 * timers.ts the time-outs.
 */
import type { Timed } from '../deadlines.ts'
import type { Keyed } from '../flow-table.ts'
import type { Neighbour } from '../neighbours.ts'
import { OctetQueue } from '../octet-queue.ts'
import type { Slices } from '../slices.ts'
import { Assembler } from './assembler.ts'
import { OFFERED, sendLimit } from './buffers.ts'
import { type Congestion, Reno } from './congestion.ts'
import { Rack } from './rack.ts'
import { RetransmissionQueue } from './retransmission-queue.ts'
import { Rto } from './rto.ts'
import * as seq from './seq.ts'
import type { Tcp } from './tcp.ts'

/** RFC 9293 §3.3.2. There is no LISTEN: see `SynRequest`. */
export type State =
  | 'CLOSED'
  | 'SYN-SENT'
  | 'SYN-RECEIVED'
  | 'ESTABLISHED'
  | 'FIN-WAIT-1'
  | 'FIN-WAIT-2'
  | 'CLOSE-WAIT'
  | 'CLOSING'
  | 'LAST-ACK'
  | 'TIME-WAIT'

/** Why a connection ended. */
export type CloseReason =
  /** Both sides sent FIN and both were acknowledged. */
  | 'finished'
  /** The guest sent RST. */
  | 'guest-reset'
  /** The user of the connection aborted it. */
  | 'aborted'
  /** R2: the guest did not acknowledge for too long, or does not answer keep-alives. */
  | 'guest-timeout'
  /** The guest refused the SYN of ours. */
  | 'refused'

/**
 * Who uses a connection: a flow of the NAT, or a test. Called from within `receive` and `timeout`
 * of the stack; it may call `send` side functions of the connection, which take effect at `flush`.
 */
export interface ConnectionUser {
  /** The handshake is complete. */
  established(c: Connection): void
  /**
   * Text in line, and where it is in memory, all borrowed: returns how many octets it took, from the
   * front; the rest is queued, and the user asks for it with `unread` and `consume`.
   */
  text(c: Connection, text: Slices): number
  /** The queue has more text in line than before. */
  readable(c: Connection): void
  /** The guest's FIN arrived, behind the last octet. */
  finArrived(c: Connection): void
  /** Octets were acknowledged: the send queue has room. */
  writable(c: Connection): void
  /** The end. The connection sends nothing any more and is forgotten, TIME-WAIT excepted. */
  closed(c: Connection, reason: CloseReason): void
}

/** When it is asked whether an idle guest still lives (RFC 9293 §3.8.4). Times in ms. */
export interface KeepAlive {
  /** How long nothing was heard before it is asked. */
  readonly idle: number
  /** How long it is given to answer, before it is asked once more. */
  readonly interval: number
  /** How often it is asked in vain. */
  readonly probes: number
}

export class Connection implements Keyed, Timed {
  readonly tcp: Tcp
  readonly user: ConnectionUser
  /** Addresses and ports: see flow-table.ts. */
  readonly key: Int32Array
  readonly neighbour: Neighbour
  /** Changed by `setState` only. */
  state: State = 'CLOSED'

  // --- send sequence variables ---
  /** ISS: our initial sequence number. */
  iss: seq.Seq = 0
  /** What is sent and not yet acknowledged starts here. Also the first octet of `sendQueue`. */
  sndUna: seq.Seq = 0
  /** The next octet to send for the first time. */
  sndNxt: seq.Seq = 0
  /** The guest's window, already scaled (RFC 7323 §2.3). Zero starts the persist timer. */
  sndWnd = 0
  /** The largest window that the guest ever offered. */
  maxSndWnd = 0
  /** SND.WL1, SND.WL2: the segment of the last window update. */
  sndWl1: seq.Seq = 0
  sndWl2: seq.Seq = 0
  /** Snd.Wind.Shift (RFC 7323 §2.3). */
  sndWindShift = 0
  /** SMSS: the most octets of text in one segment to the guest, TCP options already taken off. */
  smss = 536
  readonly sendQueue: OctetQueue
  /** The user will send no more: a FIN follows the last octet of `sendQueue`. */
  finQueued = false
  /** The FIN has been sent, and `sndNxt` is behind it. */
  finSent = false

  // --- receive sequence variables ---
  /** IRS: the guest's initial sequence number. */
  irs: seq.Seq = 0
  /** The next octet expected. */
  rcvNxt: seq.Seq = 0
  /** The right edge of the window that was offered last: never moves to the left. */
  rcvAdv: seq.Seq = 0
  /** Rcv.Wind.Shift (RFC 7323 §2.3); 0 when the guest cannot scale. */
  rcvWindShift = 0
  /** Octets in line that the user has not taken: the front of `recvQueue`. */
  rcvQueued = 0
  /** The most octets that are offered as window, at the moment: see buffers.ts. */
  rcvBuffer: number
  /** When that is looked at again; when it was looked at last, ms; and what the user had taken then. */
  tuneAt: number = -Infinity
  tunedAt: number = -Infinity
  tuneSeq: seq.Seq = 0
  /** Octets in line, then what arrived out of order, with holes. */
  readonly recvQueue: OctetQueue
  /** What is in `recvQueue` beyond `rcvNxt`. */
  readonly assembler: Assembler = new Assembler()
  /** A FIN arrived before what precedes it: its sequence number. */
  finAt: seq.Seq = 0
  finAhead = false
  /** The FIN was taken. */
  finReceived = false
  /** What came twice: the next ACK tells of it (D-SACK, RFC 2883 §4). */
  dsackLeft: seq.Seq = 0
  dsackRight: seq.Seq = 0
  hasDsack = false
  /** Last.ACK.sent (RFC 7323 §4.3). */
  lastAckSent: seq.Seq = 0

  // --- options of both ---
  hasTimestamps = false
  hasSack = false
  hasWindScale = false
  /** TS.Recent, and when it was set, in ms (RFC 7323 §4.3, §5.5). */
  tsRecent = 0
  tsRecentAt = 0
  /** Added to the time, so that our timestamps tell nobody how long we run (RFC 7323 §7.1). */
  tsOffset = 0

  // --- loss detection and recovery ---
  /** What is out: [sndUna, sndNxt), the SYN excepted. */
  readonly inFlight: RetransmissionQueue
  readonly rack: Rack = new Rack()
  recovery: 'none' | 'fast' | 'timeout' = 'none'
  /** Recovery ends when this is acknowledged (RFC 6582 §3.2: recover). */
  recover: seq.Seq = 0
  dupAcks = 0
  readonly rto: Rto = new Rto()
  congestion: Congestion
  /** `cwnd` was what held the last output back: it may grow (RFC 9293 §3.8.2, RFC 7661). */
  isCwndLimited = false
  /** When text went out for the first time, last; Infinity before that, ms. */
  sentAt: number = Infinity
  /** One segment is timed when there are no timestamps: its end, and when it was sent. */
  rttSeq: seq.Seq = 0
  rttAt = -1
  /** TSval when the retransmission timer went off last. */
  timeoutVal = 0
  /** Time-outs in a row without progress. */
  retransmits = 0

  // --- what is due ---
  /** An ACK must go out with the next flush. */
  ackNow = false
  /** Octets of text that were received and not yet acknowledged. */
  ackPending = 0
  /** When text arrived last, ms. */
  textAt: number = -Infinity
  /** The user has read from the queue: there may be a window to reopen. */
  hasRead = false
  /** Text was answered with text at once: acknowledgments may wait for the answer. */
  isInteractive = false
  /** A SYN (or SYN-ACK) is due. */
  synDue = false
  /** The window was refused by the silly-window rule: what fits is sent all the same. */
  isForced = false
  /** In the stack's list of connections to flush. */
  isTouched = false
  nextTouched: Connection | undefined

  // --- timers, each a time in ms or Infinity ---
  rtoAt: number = Infinity
  /** RACK: when what has not arrived by then is lost. */
  reoAt: number = Infinity
  /** Tail loss probe (RFC 8985 §7): when the last segment goes once more. */
  ptoAt: number = Infinity
  /** TLP.end_seq, TLP.is_retrans: of the probe that is out. */
  tlpEndSeq: seq.Seq = 0
  isTlpOut = false
  isTlpRetrans = false
  persistAt: number = Infinity
  persistBackoff = 0
  /** When the guest was probed last, ms: its closed window, or whether it lives. */
  probedAt: number = -Infinity
  /** What is in flight, an octet or the FIN, went out beyond the closed window. */
  isProbing = false
  ackAt: number = Infinity
  /** Set by `setKeepAlive` only. */
  keepAlive: KeepAlive | undefined
  keepAliveAt: number = Infinity
  /** Keep-alives in a row that nothing was heard after. */
  keepAliveProbes = 0
  /** The end of TIME-WAIT. */
  waitAt: number = Infinity
  /** When the guest was last heard of. */
  heardAt = 0
  challengeAt: number = -Infinity
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0

  constructor(tcp: Tcp, user: ConnectionUser, key: Int32Array, neighbour: Neighbour) {
    this.tcp = tcp
    this.user = user
    this.key = key
    this.neighbour = neighbour
    this.sendQueue = new OctetQueue(tcp.memory, tcp.pool)
    this.recvQueue = new OctetQueue(tcp.memory, tcp.pool)
    this.inFlight = new RetransmissionQueue(tcp.segments, this.rack)
    this.congestion = new Reno(this.smss)
    this.rcvBuffer = Math.min(OFFERED, tcp.limits.receiveBuffer)
  }
}

/** May text or a FIN still come from the guest? */
export const mayReceive = (state: State): boolean =>
  state === 'ESTABLISHED' || state === 'FIN-WAIT-1' || state === 'FIN-WAIT-2'

/** May text still be sent (first or again)? */
export const maySend = (state: State): boolean =>
  state === 'ESTABLISHED' ||
  state === 'CLOSE-WAIT' ||
  state === 'FIN-WAIT-1' ||
  state === 'CLOSING' ||
  state === 'LAST-ACK'

/** The only writer of `state`. */
export function setState(c: Connection, state: State): void {
  const before = c.state
  c.state = state
  if (state === 'SYN-RECEIVED') c.tcp.halfOpen.add(c)
  else if (before === 'SYN-RECEIVED') c.tcp.halfOpen.delete(c)
  c.tcp.observer?.(c, before)
}

/** Octets out that are not acknowledged (RFC 5681: FlightSize). */
export const flightSize = (c: Connection): number => seq.diff(c.sndNxt, c.sndUna)

/** RCV.WND as the guest knows it. */
export const rcvWnd = (c: Connection): number => Math.max(0, seq.diff(c.rcvAdv, c.rcvNxt))

// --- what the user of a connection calls ---

/** Something is due: the connection is looked at with the next `flush`. */
export function touch(c: Connection): void {
  if (!c.isTouched) c.tcp.touch(c)
}

/** How many octets the send queue takes at the moment. */
export function sendRoom(c: Connection): number {
  return c.finQueued ? 0 : Math.max(0, sendLimit(c) - c.sendQueue.length)
}

/** Adds free places of the send queue to `into`, for `sent` to follow. */
export function reserve(c: Connection, len: number, into: Slices): void {
  c.sendQueue.room(len, into)
}

/** The first `len` octets of the reserved places were filled. */
export function sent(c: Connection, len: number): void {
  c.sendQueue.commit(len)
  if (len > 0) touch(c)
}

/** CLOSE (RFC 9293 §3.10.4): a FIN follows the last octet. Receiving goes on. */
export function close(c: Connection): void {
  if (c.finQueued) return
  c.finQueued = true
  if (c.state === 'ESTABLISHED') setState(c, 'FIN-WAIT-1')
  else if (c.state === 'CLOSE-WAIT') setState(c, 'LAST-ACK')
  touch(c)
}

/** Keep-alives from now on, or none any more. There are none before it is called (MUST-24, MUST-25). */
export function setKeepAlive(c: Connection, keepAlive: KeepAlive | undefined, now: number): void {
  c.keepAlive = keepAlive
  c.keepAliveProbes = 0
  c.keepAliveAt = keepAlive === undefined ? Infinity : now + keepAlive.idle
  touch(c)
}

/** Adds the places of the unread octets to `into`; `consume` follows. */
export function unread(c: Connection, into: Slices): void {
  c.recvQueue.slices(0, c.rcvQueued, into)
}

/** The user took `len` unread octets: the window may open. */
export function consume(c: Connection, len: number): void {
  c.rcvQueued -= len
  c.recvQueue.drop(len)
  c.hasRead = true
  touch(c)
}

/** Nobody will read what is unread. */
export function discard(c: Connection): void {
  c.rcvQueued = 0
  c.recvQueue.clear()
  c.assembler.clear()
}
