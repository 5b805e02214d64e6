/**
 * What a connection sends: one ladder of reasons, and the segments themselves.
 *
 * Text goes out as super-segments straight from the send queue, of up to 64 KiB or what the link takes: the link cuts
 * them (`gsoSize`), nothing is copied here. The queue keeps the octets until they are acknowledged, so
 * a retransmission is the same call with an older sequence number.
 */

import { isIpv4 } from '../flow-table.ts'
import { GSO_TCPV4, GSO_TCPV6 } from '../link.ts'
import type { Neighbour } from '../neighbours.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as wire from '../wire/tcp.ts'
import { type Connection, flightSize, maySend, rcvWnd } from './connection.ts'
import { armTailProbe } from './recovery.ts'
import * as seq from './seq.ts'
import type { Tcp } from './tcp.ts'

/** IP's header, and TCP's with all options. */
const MAX_HEADERS = ipv4.HEADER_LEN + 60

/**
 * Ours: RFC 9293 §3.8.6.3 allows 500 ms for an ACK that waits for text to go with it. Only a guest
 * whose last text was answered within this time has its ACKs delayed, and by no more than this.
 */
export const DELAYED_ACK = 10
/** Ours: the answer to a first request is often there before this; it carries the ACK then. */
export const FIRST_ACK = 1

/** Sends what is due, in the order of this list, and sets the timers for the rest. */
export function output(c: Connection, now: number): void {
  if (c.synDue) return sendSyn(c, now)
  if (c.state === 'SYN-SENT' || c.state === 'SYN-RECEIVED') return
  if (maySend(c.state)) {
    while (sendLost(c, now)) {} //         what was lost, while the network has room
    while (sendNew(c, now)) {} //          new text, and the FIN behind it
  }
  if (c.ackNow || (c.hasRead && windowReopens(c))) emitAck(c, now)
  c.hasRead = false
  if (c.hasSack && flightSize(c) > 0) armTailProbe(c, now)
  armPersist(c, now)
}

/** SYN, or SYN-ACK when the guest's SYN is known. */
function sendSyn(c: Connection, now: number): void {
  c.synDue = false
  c.ackNow = false
  c.rttAt = c.sndNxt === c.iss ? now : -1 // Karn: timed when it goes for the first time
  c.sndNxt = seq.add(c.iss, 1)
  if (c.rtoAt === Infinity) c.rtoAt = now + c.rto.rto
  const isAnswer = c.state !== 'SYN-SENT'
  const wnd = Math.min(65535, c.tcp.limits.receiveBuffer)
  if (isAnswer) c.rcvAdv = seq.add(c.rcvNxt, wnd)

  const { transmitter: out, memory } = c.tcp.options
  const withScale = isAnswer ? c.hasWindScale : true
  const withStamp = isAnswer ? c.hasTimestamps : true
  const withSack = isAnswer ? c.hasSack : true
  const optionsLen = 4 + (withScale ? 4 : 0) + (withStamp ? 12 : 0) + (withSack ? 4 : 0)
  const headerLen = wire.HEADER_LEN + optionsLen
  const v = memory.view
  const at = out.begin(c.key, c.neighbour, ipv4.TCP, headerLen)
  const ctl = isAnswer ? wire.SYN | wire.ACK : wire.SYN
  const ports = c.key[8]!
  const ack = isAnswer ? c.rcvNxt : 0
  let end = wire.emitHeader(v, at, ports & 0xffff, ports >>> 16, c.iss, ack, ctl, wnd, headerLen)
  end = wire.emitMss(v, end, c.tcp.linkMss(c.key))
  if (withSack) end = wire.emitSackPermitted(v, end)
  if (withStamp) end = wire.emitTimestamp(v, end, timestamp(c, now), isAnswer ? c.tsRecent : 0)
  if (withScale) end = wire.emitWindShift(v, end, isAnswer ? c.rcvWindShift : c.tcp.windShift())
  if (isAnswer) c.lastAckSent = c.rcvNxt
  out.sendTransport(c.key, c.neighbour, ipv4.TCP, end, headerLen, 16, now)
}

/** NextSeg() rule 1 (RFC 6675 §4): the oldest octets that are lost and not sent again yet. */
function sendLost(c: Connection, now: number): boolean {
  const { inFlight } = c
  if (inFlight.lost === 0) return false
  const from = inFlight.lostStart(c.sndUna)
  const room = c.congestion.cwnd - pipe(c)
  // The oldest octet goes in any case (RFC 6675 §5, step 4.3).
  if (room < c.smss && from !== c.sndUna) return false
  const hole = seq.diff(inFlight.lostEnd(c.sndUna, from), from)
  const fit = Math.max(c.smss, Math.floor(room / c.smss) * c.smss)
  sendAgain(c, from, Math.min(hole, fit), now)
  if (from === c.sndUna && c.recovery === 'fast') c.rtoAt = now + c.rto.rto
  return true
}

/** Sends up to `len` octets from `from` on once more; a FIN has a number of its own, behind the text. */
function sendAgain(c: Connection, from: seq.Seq, len: number, now: number): void {
  const text = Math.min(len, mostText(c), textBehind(c, from))
  const withFin = c.finSent && text < len && seq.add(from, text) === seq.add(c.sndNxt, -1)
  c.tcp.counters.tcpRetransmits++
  if (c.rtoAt === Infinity) c.rtoAt = now + c.rto.rto
  if (c.rttAt >= 0 && seq.gt(c.rttSeq, from)) c.rttAt = -1 // Karn
  emitText(c, from, text, withFin, now)
  c.inFlight.sentAgain(c.sndUna, from, seq.add(from, withFin ? text + 1 : text), now)
}

/** TLP_send_probe() (RFC 8985 §7.3): new text if there is some, else the last segment once more. */
export function sendTailProbe(c: Connection, now: number): void {
  const before = c.sndNxt
  sendNew(c, now, c.smss)
  c.isTlpRetrans = c.sndNxt === before
  if (c.isTlpRetrans) {
    const len = Math.min(c.smss, flightSize(c))
    sendAgain(c, seq.add(c.sndNxt, -len), len, now)
  }
  c.isTlpOut = true
  c.tlpEndSeq = c.sndNxt
  c.rtoAt = now + c.rto.rto
}

/**
 * New text, as far as both windows go (RFC 9293 §3.8.6.2.1), and the FIN. `least`: octets that go
 * whatever the congestion window says.
 */
function sendNew(c: Connection, now: number, least = 0): boolean {
  if (c.finSent) return false
  const available = textBehind(c, c.sndNxt)
  if (available > 0 && flightSize(c) === 0) resume(c, now)
  const offered = Math.max(0, seq.diff(seq.add(c.sndUna, c.sndWnd), c.sndNxt))
  const room = Math.max(least, Math.floor(c.congestion.cwnd - pipe(c)))
  let text = Math.min(available, offered, mostText(c))
  c.isCwndLimited = text > room
  if (text > room) text = room
  if (text > 0 && text < available) {
    // The silly window: whole segments, or half of the largest window there ever was, or all.
    if (text >= c.smss) text -= text % c.smss
    else if (!(text >= c.maxSndWnd / 2 && offered <= room) && !c.isForced) text = 0
  }
  const withFin = c.finQueued && text === available && (text > 0 || available === 0)
  if (text <= 0 && !withFin) return false
  c.isForced = false
  if (c.rttAt < 0 && !c.hasTimestamps && text > 0) {
    c.rttAt = now
    c.rttSeq = seq.add(c.sndNxt, text)
  }
  if (c.rtoAt === Infinity) c.rtoAt = now + c.rto.rto
  c.sentAt = now
  emitText(c, c.sndNxt, text, withFin, now)
  c.sndNxt = seq.add(c.sndNxt, withFin ? text + 1 : text)
  c.inFlight.append(c.sndNxt, now)
  c.ptoAt = Infinity // armed anew below
  if (withFin) {
    c.finSent = true
    // A lone FIN does not wait for a window; if it is not taken there, it goes again with the next.
    if (offered === 0) c.isProbing = true
  }
  return !withFin
}

/** The first text after a time in which nothing was out (RFC 5681 §4.1, RFC 9438 §5.8). */
function resume(c: Connection, now: number): void {
  c.congestion.onUnused(now)
  if (now - c.sentAt > c.rto.rto) c.congestion.onIdle(c.smss)
}

/** Octets of the send queue from `from` on. */
function textBehind(c: Connection, from: seq.Seq): number {
  return Math.max(0, c.sendQueue.length - seq.diff(from, c.sndUna))
}

/** Whole segments, as many as an IP packet may carry to the link. */
function mostText(c: Connection): number {
  const packet = isIpv4(c.key) ? c.tcp.options.gsoIpv4MaxSize : ipv4.MAX_LEN
  const text = packet - MAX_HEADERS
  return Math.max(c.smss, text - (text % c.smss))
}

/** SetPipe() (RFC 6675 §4): the octets that are thought to be in the network. */
function pipe(c: Connection): number {
  const { sacked, lost } = c.inFlight
  const outstanding = flightSize(c) - sacked - lost
  if (c.hasSack || c.recovery === 'timeout') return outstanding
  // Without SACK each duplicate ACK says that one segment has left (RFC 6582); before an episode, the
  // first two do (RFC 3042).
  const left = c.recovery === 'fast' ? c.dupAcks : Math.min(2, c.dupAcks)
  return Math.max(0, outstanding - left * c.smss)
}

/** One segment, or one super-segment, of text from the send queue. */
export function emitText(
  c: Connection,
  from: seq.Seq,
  text: number,
  fin: boolean,
  now: number,
): void {
  const { transmitter: out, memory } = c.tcp.options
  const headerLen = wire.HEADER_LEN + (c.hasTimestamps ? 12 : 0)
  const at = out.begin(c.key, c.neighbour, ipv4.TCP, headerLen + text)
  const offset = seq.diff(from, c.sndUna)
  const isLast = offset + text === c.sendQueue.length
  const ctl = wire.ACK | (isLast && text > 0 ? wire.PSH : 0) | (fin ? wire.FIN : 0)
  const end = emitSegmentHeader(c, memory.view, at, from, ctl, headerLen, now)
  const { departure } = out
  if (text > 0) {
    c.sendQueue.slices(offset, text, departure.slices)
    if (now - c.textAt < DELAYED_ACK) c.isInteractive = true
  }
  if (text > c.smss) {
    departure.gsoType = isIpv4(c.key) ? GSO_TCPV4 : GSO_TCPV6
    departure.gsoSize = c.smss
  }
  acknowledged(c)
  out.sendTransport(c.key, c.neighbour, ipv4.TCP, end, headerLen + text, 16, now)
}

/** An ACK without text: with the SACK blocks that are to be reported (RFC 2018 §4). */
export function emitAck(c: Connection, now: number): void {
  emitAckFrom(c, c.sndNxt, now)
}

/** SEG.SEQ = SND.NXT - 1 and no text (RFC 9293 §3.8.4, SHLD-12): who lives answers with an ACK. */
export function emitKeepAlive(c: Connection, now: number): void {
  emitAckFrom(c, seq.add(c.sndNxt, -1), now)
}

function emitAckFrom(c: Connection, from: seq.Seq, now: number): void {
  const { transmitter: out, memory } = c.tcp.options
  const most = c.hasTimestamps ? 3 : 4
  const blocks = c.hasSack ? fillBlocks(c, most) : 0
  const optionsLen = (c.hasTimestamps ? 12 : 0) + (blocks > 0 ? 4 + 8 * blocks : 0)
  const headerLen = wire.HEADER_LEN + optionsLen
  const at = out.begin(c.key, c.neighbour, ipv4.TCP, headerLen)
  let end = emitSegmentHeader(c, memory.view, at, from, wire.ACK, headerLen, now)
  if (blocks > 0) end = wire.emitSack(memory.view, end, sackBlocks, blocks)
  acknowledged(c)
  out.sendTransport(c.key, c.neighbour, ipv4.TCP, end, headerLen, 16, now)
}

/** What came twice first (RFC 2883 §4), then what is ahead. */
function fillBlocks(c: Connection, most: number): number {
  if (!c.hasDsack) return c.assembler.isEmpty() ? 0 : c.assembler.blocks(sackBlocks, 0, most)
  sackBlocks[0] = c.dsackLeft
  sackBlocks[1] = c.dsackRight
  return c.assembler.blocks(sackBlocks, 1, most)
}

const sackBlocks = new Int32Array(8)

function emitSegmentHeader(
  c: Connection,
  v: DataView,
  at: number,
  from: seq.Seq,
  ctl: number,
  headerLen: number,
  now: number,
): number {
  const ports = c.key[8]!
  const wnd = offerWindow(c)
  const src = ports & 0xffff
  const end = wire.emitHeader(v, at, src, ports >>> 16, from, c.rcvNxt, ctl, wnd, headerLen)
  return c.hasTimestamps ? wire.emitTimestamp(v, end, timestamp(c, now), c.tsRecent) : end
}

/** TSval: milliseconds, from a start that only we know. */
export const timestamp = (c: Connection, now: number): number => (Math.floor(now) + c.tsOffset) | 0

function acknowledged(c: Connection): void {
  c.ackNow = false
  c.hasDsack = false
  c.ackPending = 0
  c.ackAt = Infinity
  c.lastAckSent = c.rcvNxt
}

/**
 * How much the window would be if it were offered now. The right edge never moves to the left; it
 * moves to the right by the silly-window rule (RFC 9293 §3.8.6.2.2): by a segment's or half of the
 * buffer's worth. When the pool runs low, less is promised: a promise may have to be kept.
 */
function nextWindow(c: Connection): number {
  const most = c.tcp.pool.share(c.rcvBuffer)
  const offered = rcvWnd(c)
  const free = Math.min(most - c.rcvQueued, 65535 << c.rcvWindShift)
  return free - offered >= Math.min(most / 2, c.smss) ? free : offered
}

/** The window field, and the promise it makes: `rcvAdv`. */
function offerWindow(c: Connection): number {
  const shift = c.rcvWindShift
  const unit = 1 << shift
  const wnd = nextWindow(c)
  // Rounded up by less than the scale's unit, so that the edge that was promised stays; but down
  // when a peer of small segments would push it out with each of them (RFC 7323 §2.4).
  const isOver = c.rcvQueued + wnd > c.rcvBuffer
  const field = Math.min(65535, isOver ? Math.floor(wnd / unit) : Math.ceil(wnd / unit))
  c.rcvAdv = seq.max(c.rcvAdv, seq.add(c.rcvNxt, field << shift))
  return field
}

/** The user has read, and a window that was closed or nearly may be opened: that is told at once. */
function windowReopens(c: Connection): boolean {
  if (c.finReceived) return false
  const offered = rcvWnd(c)
  const gain = nextWindow(c) - offered
  return gain > 0 && (offered < 2 * c.smss || gain >= c.rcvBuffer / 2)
}

/** RFC 9293 §3.8.6.1: text waits, only a probe is out, and the window lets nothing through. */
function armPersist(c: Connection, now: number): void {
  const isWaiting =
    maySend(c.state) && c.sendQueue.length > 0 && (flightSize(c) === 0 || c.isProbing)
  if (!isWaiting) c.persistAt = Infinity
  else if (c.persistAt === Infinity) c.persistAt = now + persistInterval(c)
}

/** The RTO with its own backoff, from 200 ms to 60 s. */
export function persistInterval(c: Connection): number {
  return Math.min(60_000, c.rto.rto * 2 ** c.persistBackoff)
}

/** The RST for a segment that belongs to nothing (RFC 9293 §3.10.7.1). */
export function emitReset(
  tcp: Tcp,
  key: Int32Array,
  neighbour: Neighbour,
  seg: wire.Segment,
): void {
  if (seg.ctl & wire.RST) return
  if (seg.ctl & wire.ACK) emitResetFor(tcp, key, neighbour, seg.ack, 0, false)
  else emitResetFor(tcp, key, neighbour, 0, seq.add(seg.seq, seg.len), true)
}

export function emitResetFor(
  tcp: Tcp,
  key: Int32Array,
  neighbour: Neighbour,
  from: seq.Seq,
  ack: seq.Seq,
  withAck: boolean,
): void {
  const { transmitter: out, memory } = tcp.options
  const at = out.begin(key, neighbour, ipv4.TCP, wire.HEADER_LEN)
  const ctl = withAck ? wire.RST | wire.ACK : wire.RST
  const ports = key[8]!
  const v = memory.view
  const len = wire.HEADER_LEN
  const end = wire.emitHeader(v, at, ports & 0xffff, ports >>> 16, from, ack, ctl, 0, len)
  out.sendTransport(key, neighbour, ipv4.TCP, end, len, 16, 0)
}
