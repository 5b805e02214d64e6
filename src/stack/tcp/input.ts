/**
 * SEGMENT ARRIVES (RFC 9293 §3.10.7): what a segment of the guest does to its connection.
 *
 * The functions stand in the order in which the RFC has the checks. A segment never makes the
 * stack answer on the spot, duplicate and challenge ACKs excepted: what is due is noted on the
 * connection, and `flush` sends it once per batch.
 */
import type { Slices } from '../slices.ts'
import * as wire from '../wire/tcp.ts'
import { agreeOnOptions, defaultMss } from './agreement.ts'
import { tuneReceiveBuffer } from './buffers.ts'
import { type Connection, flightSize, mayReceive, rcvWnd, setState, touch } from './connection.ts'
import { DELAYED_ACK, emitAck, emitReset, FIRST_ACK } from './output.ts'
import {
  beginAck,
  detectLoss,
  duplicateAck,
  grow,
  isDuplicateAck,
  measure,
  tailProbeAnswered,
  takeSack,
} from './recovery.ts'
import * as seq from './seq.ts'

/** RFC 5961 §7: at most one challenge ACK per connection and this many ms. */
const CHALLENGE_INTERVAL = 500
/** RFC 7323 §5.5: a TS.Recent older than 24 days says nothing. */
const TS_RECENT_LIFE = 24 * 24 * 3600 * 1000

export function segmentArrives(c: Connection, seg: wire.Segment, now: number): void {
  c.heardAt = now
  touch(c)
  if (c.state === 'SYN-RECEIVED') c.tcp.halfOpenLives(c)
  if (c.state === 'SYN-SENT') return arrivesInSynSent(c, seg, now) //  §3.10.7.3
  if (!isRecent(c, seg, now)) return unacceptable(c, seg, now) //      PAWS (RFC 7323 §5.3, R1)
  if (!isAcceptable(c, seg)) return arrivesOutside(c, seg, now) //     first, the sequence number
  if (seg.ctl & wire.RST) return resetArrives(c, seg, now) //          second, RST (RFC 5961 §3.2)
  //                                                                   third, security: not used
  if (seg.ctl & wire.SYN) return challenge(c, now) //                  fourth, SYN (RFC 5961 §4.2)
  if (!(seg.ctl & wire.ACK)) return useless(c) //                      fifth, ACK
  updateTsRecent(c, seg, now)
  trim(c, seg)
  if (!acknowledge(c, seg, now)) return
  //                                                                   sixth, URG: in line (RFC 6093)
  if (seg.textLen > 0) receiveText(c, seg, now) //                     seventh, the text
  if (seg.ctl & wire.FIN) noteFin(c, seg)
  if (c.finAhead && c.finAt === c.rcvNxt) receiveFin(c, now) //        eighth, FIN
}

/** §3.10.7.3. Only a forwarded port is here: the guest's answer to our SYN. */
function arrivesInSynSent(c: Connection, seg: wire.Segment, now: number): void {
  const hasAck = (seg.ctl & wire.ACK) !== 0
  if (hasAck && !acknowledgesSyn(c, seg)) {
    if (!(seg.ctl & wire.RST)) emitReset(c.tcp, c.key, c.neighbour, seg)
    return useless(c)
  }
  if (seg.ctl & wire.RST) return hasAck ? c.tcp.end(c, 'refused') : useless(c)
  if (!(seg.ctl & wire.SYN)) return useless(c)
  c.irs = seg.seq
  c.rcvNxt = seq.add(seg.seq, 1)
  c.rcvAdv = seq.add(c.rcvNxt, Math.min(65535, c.tcp.limits.receiveBuffer))
  c.hasSack = seg.sackPermitted
  const mss = seg.mss === 0 ? defaultMss(c.key) : seg.mss
  agreeOnOptions(c, mss, seg.windShift, seg.hasTimestamp, seg.tsVal, now)
  c.sndWnd = c.maxSndWnd = seg.wnd // not scaled in a SYN (RFC 7323 §2.2)
  c.sndWl1 = seg.seq
  c.sndWl2 = seg.ack
  c.ackNow = true
  if (!hasAck) {
    // Simultaneous open (RFC 9293 §3.5): our SYN goes again, as a SYN-ACK.
    setState(c, 'SYN-RECEIVED')
    c.synDue = true
    return
  }
  synAcknowledged(c, now)
}

/** Is SEG.ACK for our SYN? One that has not gone yet has nothing to be acknowledged: SND.NXT is the ISS. */
function acknowledgesSyn(c: Connection, seg: wire.Segment): boolean {
  return seq.gt(seg.ack, c.iss) && seq.le(seg.ack, c.sndNxt)
}

/** Our SYN is acknowledged: octets of the send queue start at `sndUna` from now on. */
function synAcknowledged(c: Connection, now: number): void {
  c.sndUna = seq.add(c.iss, 1) // recover stays at the ISS (RFC 6582 §3.2, step 1)
  c.rack.begin(c.sndUna)
  if (seq.lt(c.sndNxt, c.sndUna)) c.sndNxt = c.sndUna
  c.synDue = false
  c.rtoAt = Infinity
  if (c.retransmits > 0) {
    // Karn: a SYN that was sent again times nothing. And where one was lost, one segment is enough (RFC 5681 §3.1).
    c.rto.restart()
    c.congestion.cwnd = c.smss
  } else if (c.rttAt >= 0) c.rto.sample(now - c.rttAt)
  c.rttAt = -1
  c.retransmits = 0
  setState(c, c.finQueued ? 'FIN-WAIT-1' : 'ESTABLISHED')
  c.user.established(c)
}

/** PAWS (RFC 7323 §5.3, R1): is the timestamp not older than the last one in line? */
function isRecent(c: Connection, seg: wire.Segment, now: number): boolean {
  if (!c.hasTimestamps || !seg.hasTimestamp || (seg.ctl & wire.RST) !== 0) return true
  if (seq.ge(seg.tsVal, c.tsRecent)) return true
  if (now - c.tsRecentAt <= TS_RECENT_LIFE) return false
  c.tsRecent = seg.tsVal
  return true
}

/**
 * Does any octet of the segment fall within the receive window? (§3.10.7.4, first check) Of a RST it is its number that
 * counts: text with it is words about the cause (§3.5.3, SHLD-2), which no window has to have room for (MUST-66).
 * Deviates from §3.10.7.4 for what has no text: it may be at the right edge, as Linux has it (`tcp_sequence`). All ACKs of
 * a guest that has filled the window are there, and its RST, when not all of what it sent has been taken. See 'at the
 * right edge of the window'.
 */
function isAcceptable(c: Connection, seg: wire.Segment): boolean {
  const wnd = rcvWnd(c)
  if (seg.len === 0 || (seg.ctl & wire.RST) !== 0) return inWindow(c, seg.seq, wnd + 1)
  return wnd > 0 && (inWindow(c, seg.seq, wnd) || inWindow(c, seq.add(seg.seq, seg.len - 1), wnd))
}

function inWindow(c: Connection, s: seq.Seq, wnd: number): boolean {
  const offset = seq.diff(s, c.rcvNxt)
  return offset >= 0 && offset < wnd
}

/** Outside of the window: nothing of it is taken but what repeats the handshake, or is an ACK. */
function arrivesOutside(c: Connection, seg: wire.Segment, now: number): void {
  if (c.state === 'SYN-RECEIVED') {
    if ((seg.ctl & wire.SYN) !== 0 && seg.seq === c.irs) return synAgain(c, seg, now)
  } else if ((seg.ctl & (wire.ACK | wire.SYN | wire.RST)) === wire.ACK && mayTell(c, seg)) {
    updateTsRecent(c, seg, now)
    acknowledge(c, seg, now)
  }
  if (c.state === 'TIME-WAIT' && (seg.ctl & wire.FIN) !== 0) c.tcp.enterTimeWait(c, now)
  if (c.state !== 'CLOSED') unacceptable(c, seg, now)
}

/** In SYN-RECEIVED, the guest's SYN once more: our SYN-ACK was lost, or both sides opened. */
function synAgain(c: Connection, seg: wire.Segment, now: number): void {
  if ((seg.ctl & wire.ACK) === 0 || !acknowledgesSyn(c, seg)) {
    c.synDue = true
    return
  }
  // Simultaneous open (§3.5, figure 8): the SYN-ACK that answers our SYN. Deviates from §3.10.7.4,
  // whose first check drops it; see 'both sides open at once'.
  c.sndWnd = c.maxSndWnd = seg.wnd
  c.sndWl2 = seg.ack
  c.ackNow = true
  synAcknowledged(c, now)
}

/**
 * Is what an unacceptable segment acknowledges still taken? While our window is closed it is
 * (§3.10.7.4). Deviates for text that was just received and is sent again, whose ACK was lost: it
 * is taken as well, and its timestamp, or the guest's RTT comes to include its time-out; as Linux
 * does (`tcp_sequence`). See 'what is sent again is acknowledged with its own timestamp'.
 */
function mayTell(c: Connection, seg: wire.Segment): boolean {
  if (rcvWnd(c) === 0) return Math.abs(seq.diff(seg.seq, c.rcvNxt)) <= 1
  return seq.lt(seg.seq, c.rcvNxt) && seq.ge(seq.add(seg.seq, seg.len), c.lastAckSent)
}

/**
 * An unacceptable segment is answered with an ACK (§3.10.7.4): at once when it has text or probes
 * (RFC 9293 §3.8.4); an ACK that is one only now and then, or two that disagree about a sequence
 * number would answer each other for ever.
 */
function unacceptable(c: Connection, seg: wire.Segment, now: number): void {
  c.tcp.counters.drop.tcpUnacceptable++
  if (seg.ctl & wire.RST) return
  if (seg.textLen > 0 && seq.lt(seg.seq, c.rcvNxt)) {
    cameTwice(c, seg.seq, seq.min(seq.add(seg.seq, seg.textLen), c.rcvNxt))
  }
  if (seg.textLen > 0 || seg.seq === seq.add(c.rcvNxt, -1)) emitAck(c, now)
  else challenge(c, now)
}

/** Nothing follows from a segment. */
function useless(c: Connection): void {
  c.tcp.counters.drop.tcpUnacceptable++
}

/** RFC 5961 §3.2: only a RST at exactly RCV.NXT resets; one in the window is challenged. */
function resetArrives(c: Connection, seg: wire.Segment, now: number): void {
  if (seg.seq !== c.rcvNxt) return challenge(c, now)
  if (c.state === 'TIME-WAIT') return // RFC 1337
  c.tcp.end(c, 'guest-reset')
}

/** RFC 5961 §7: an ACK that shows where we are, but not more often than the interval. */
function challenge(c: Connection, now: number): void {
  if (now - c.challengeAt < CHALLENGE_INTERVAL) return
  c.challengeAt = now
  c.tcp.counters.tcpChallengeAcks++
  emitAck(c, now)
}

/** RFC 7323 §4.3 (2): the timestamp of the segment that the next ACK is for. */
function updateTsRecent(c: Connection, seg: wire.Segment, now: number): void {
  if (!c.hasTimestamps || !seg.hasTimestamp) return
  if (seq.lt(seg.tsVal, c.tsRecent) || seq.gt(seg.seq, c.lastAckSent)) return
  c.tsRecent = seg.tsVal
  c.tsRecentAt = now
}

/** Cuts off what was received before, and what is beyond the window (§3.10.7.4). */
function trim(c: Connection, seg: wire.Segment): void {
  const old = seq.diff(c.rcvNxt, seg.seq)
  if (old > 0) {
    const n = Math.min(old, seg.textLen)
    if (n > 0) cameTwice(c, seg.seq, seq.add(seg.seq, n))
    seg.text += n
    seg.textLen -= n
    seg.seq = seq.add(seg.seq, old)
    c.ackNow = true
    if (old > n) seg.ctl &= ~wire.FIN // the FIN was before RCV.NXT as well
  }
  const beyond = seq.diff(seq.add(seg.seq, seg.textLen), c.rcvAdv)
  if (beyond > 0) {
    seg.textLen = Math.max(0, seg.textLen - beyond)
    seg.ctl &= ~wire.FIN
  }
}

/** [left, right) was here before (RFC 2883 §4). */
function cameTwice(c: Connection, left: seq.Seq, right: seq.Seq): void {
  if (!c.hasSack) return
  c.dsackLeft = left
  c.dsackRight = right
  c.hasDsack = true
}

/** Fifth, the ACK field. False when the segment is of no further use. */
function acknowledge(c: Connection, seg: wire.Segment, now: number): boolean {
  if (c.state === 'SYN-RECEIVED') {
    if (!acknowledgesSyn(c, seg)) {
      emitReset(c.tcp, c.key, c.neighbour, seg)
      useless(c)
      return false
    }
    c.sndWnd = c.maxSndWnd = seg.wnd << c.sndWindShift
    c.sndWl1 = seg.seq
    c.sndWl2 = seg.ack
    synAcknowledged(c, now)
  }
  // RFC 5961 §5.2: neither what was never sent, nor what is older than any window.
  if (seq.gt(seg.ack, c.sndNxt) || seq.lt(seg.ack, seq.add(c.sndUna, -c.maxSndWnd))) {
    c.tcp.counters.drop.tcpUnacceptable++
    challenge(c, now)
    return false
  }
  const wnd = seg.wnd << c.sndWindShift
  const isNew = seq.gt(seg.ack, c.sndUna)
  if (isNew || (c.hasSack && seg.sackCount > 0)) beginAck(c, seg, now)
  if (isNew) newAck(c, seg, now)
  else if (isDuplicateAck(c, seg, wnd)) duplicateAck(c)
  if (c.state === 'CLOSED') return false
  // Nothing is missing as far as anybody knows: that is the rule.
  const isQuiet = seg.sackCount === 0 && c.inFlight.sacked === 0 && c.recovery === 'none'
  if (c.hasSack && (!isQuiet || c.isTlpOut)) sackArrives(c, seg, now)
  updateWindow(c, seg, wnd, isNew)
  if (c.state === 'TIME-WAIT') {
    if (seg.ctl & wire.FIN) c.tcp.enterTimeWait(c, now) // restarts 2 MSL
    return false
  }
  return true
}

/** What an ACK says beside the acknowledgment: what arrived out of order, or twice. */
function sackArrives(c: Connection, seg: wire.Segment, now: number): void {
  const isDsack = seg.sackCount > 0 && takeSack(c, seg)
  if (isDsack) {
    c.tcp.counters.tcpSpurious++
    c.rack.dsackArrives(c.sndUna, c.sndNxt)
  }
  tailProbeAnswered(c, seg, isDsack)
  detectLoss(c, now)
}

/** SND.UNA < SEG.ACK =< SND.NXT. */
function newAck(c: Connection, seg: wire.Segment, now: number): void {
  const before = c.sndUna
  const flightBefore = flightSize(c)
  let acked = seq.diff(seg.ack, c.sndUna)
  c.sndUna = seg.ack
  c.isProbing = false
  const isFinAcked = c.finSent && seg.ack === c.sndNxt
  if (isFinAcked) acked--
  c.sendQueue.drop(Math.min(acked, c.sendQueue.length))
  const known = c.inFlight.delivered
  c.inFlight.acknowledge(before, c.sndUna)
  const delivered = c.inFlight.delivered - known
  // It asks for what it had SACKed: it has forgotten that, as RFC 2018 §8 lets it.
  if (c.inFlight.isReneged()) c.inFlight.forgetSacks()
  measure(c, seg, now)
  c.retransmits = 0
  grow(c, acked, delivered, flightBefore, now)
  c.rtoAt = flightSize(c) > 0 ? now + c.rto.rto : Infinity // RFC 6298 §5.2, §5.3
  c.ptoAt = Infinity // `output` arms it anew
  if (isFinAcked) finAcknowledged(c, now)
  else if (acked > 0) c.user.writable(c)
}

/**
 * SND.WND <- SEG.WND, unless the segment is older than the last update. Deviates from §3.10.7.4
 * for one that acknowledges something new: it is taken though its text is older, as Linux does
 * (`tcp_may_update_window`), or SND.UNA would move on with a window that was measured before. See
 * 'the window is taken from what fills a hole'.
 */
function updateWindow(c: Connection, seg: wire.Segment, wnd: number, isNewAck: boolean): void {
  if (seq.lt(seg.ack, c.sndUna)) return
  const isNewer = seq.lt(c.sndWl1, seg.seq) || (c.sndWl1 === seg.seq && seq.le(c.sndWl2, seg.ack))
  if (!isNewer && !isNewAck) return
  c.sndWnd = wnd
  c.sndWl1 = seg.seq
  c.sndWl2 = seg.ack
  if (wnd > c.maxSndWnd) c.maxSndWnd = wnd
  if (wnd === 0) return
  c.persistAt = Infinity
  c.persistBackoff = 0
  if (!c.isProbing) return
  c.isProbing = false
  c.inFlight.markAllLost(c.sndUna) // what went beyond the closed window goes again
}

function finAcknowledged(c: Connection, now: number): void {
  if (c.state === 'FIN-WAIT-1') setState(c, 'FIN-WAIT-2')
  else if (c.state === 'CLOSING') c.tcp.enterTimeWait(c, now)
  else if (c.state === 'LAST-ACK') c.tcp.end(c, 'finished')
}

/** Seventh, the text. Trimmed already: it lies in the window, and starts at RCV.NXT or beyond. */
function receiveText(c: Connection, seg: wire.Segment, now: number): void {
  if (!mayReceive(c.state)) return
  if (seg.seq !== c.rcvNxt) return receiveAhead(c, seg, now)
  const queued = c.recvQueue
  const waiting = c.rcvQueued
  let taken = 0
  const text = c.tcp.gro.textOf(seg)
  if (waiting === 0) {
    taken = c.user.text(c, text)
    // After `closed` the user has gone; nothing is kept.
    if ((c.state as string) === 'CLOSED') return
    if (queued.length > 0) queued.drop(Math.min(taken, queued.length))
  }
  const left = seg.textLen - taken
  if (left > 0) {
    const kept = queued.grow(c.rcvQueued, c.rcvQueued + left) - c.rcvQueued
    enqueue(c, text, taken, kept)
    if (kept < left) {
      // The guest sends the rest again, and the FIN behind it.
      c.tcp.counters.drop.tcpNoMemory++
      seg.ctl &= ~wire.FIN
      seg.textLen = taken + kept
    }
  }
  c.rcvNxt = seq.add(c.rcvNxt, seg.textLen)
  if (now >= c.tuneAt) tuneReceiveBuffer(c, now)
  noteAck(c, seg, now)
  if (!c.assembler.isEmpty()) {
    const end = c.assembler.advance(c.rcvNxt)
    const gained = seq.diff(end, c.rcvNxt)
    c.rcvNxt = end
    c.rcvQueued += gained
    c.ackNow = true // RFC 5681 §4.2: a gap is filled
    if (gained > 0) return c.user.readable(c)
  }
  if (waiting > 0 && c.rcvQueued > waiting) c.user.readable(c)
}

/** Puts `len` octets of the text, from the one at `from`, behind those that are unread. */
function enqueue(c: Connection, text: Slices, from: number, len: number): void {
  let skip = from
  for (let i = 0; len > 0; i++) {
    const n = Math.min(len, text.len[i]! - skip)
    if (n > 0) {
      c.recvQueue.write(c.rcvQueued, text.at[i]! + skip, n)
      c.rcvQueued += n
      len -= n
    }
    skip = Math.max(0, skip - text.len[i]!)
  }
}

/** RFC 9293 §3.8.6.3: at least every second full segment at once, else with what goes out soon. */
function noteAck(c: Connection, seg: wire.Segment, now: number): void {
  c.ackPending += seg.textLen
  c.textAt = now
  const isFirst = c.sentAt === Infinity && c.ackPending < c.smss
  if (c.ackPending >= 2 * c.smss || (seg.ctl & wire.FIN) !== 0) c.ackNow = true
  else if (c.isInteractive) delayAck(c, now + DELAYED_ACK)
  else if (isFirst) delayAck(c, now + FIRST_ACK)
  else c.ackNow = true
}

function delayAck(c: Connection, until: number): void {
  if (c.ackAt === Infinity) c.ackAt = until
}

/** Text beyond a hole: kept, and reported at once (RFC 5681 §4.2). */
function receiveAhead(c: Connection, seg: wire.Segment, now: number): void {
  const right = seq.add(seg.seq, seg.textLen)
  if (c.assembler.has(seg.seq, right)) {
    cameTwice(c, seg.seq, right)
    return emitAck(c, now)
  }
  const { pool, counters } = c.tcp
  const offset = c.rcvQueued + seq.diff(seg.seq, c.rcvNxt)
  // What fills the hole must find a chunk, however much is ahead.
  const end = c.recvQueue.grow(offset, offset + seg.textLen, pool.forReceiving >> 1)
  const kept = end - offset
  if (kept < seg.textLen) counters.drop.tcpNoMemory++
  if (kept > 0 && c.assembler.add(seg.seq, seq.add(seg.seq, kept))) {
    c.recvQueue.write(offset, seg.text, kept)
  } else {
    c.recvQueue.commit(0)
  }
  emitAck(c, now)
}

/** A FIN counts when what precedes it has arrived. */
function noteFin(c: Connection, seg: wire.Segment): void {
  if (!mayReceive(c.state)) return
  c.finAhead = true
  c.finAt = seq.add(seg.seq, seg.textLen)
  if (seg.textLen === 0 && c.finAt !== c.rcvNxt) c.ackNow = true // reported, as text would be
}

/** Eighth, the FIN. */
function receiveFin(c: Connection, now: number): void {
  c.finAhead = false
  if (!mayReceive(c.state)) return
  c.rcvNxt = seq.add(c.rcvNxt, 1)
  c.finReceived = true
  if (!c.assembler.isEmpty()) {
    // Text beyond the FIN: it contradicts it, and nobody would ever take it.
    c.assembler.clear()
    c.recvQueue.truncate(c.rcvQueued)
  }
  // The host's FIN often follows, and carries the acknowledgment; as Linux has it (`tcp_fin`).
  if (c.state === 'ESTABLISHED' && c.isInteractive) delayAck(c, now + DELAYED_ACK)
  else c.ackNow = true
  if (c.state === 'ESTABLISHED') setState(c, 'CLOSE-WAIT')
  else if (c.state === 'FIN-WAIT-1') setState(c, 'CLOSING')
  c.user.finArrived(c)
  if (c.state === 'FIN-WAIT-2') {
    emitAck(c, now)
    c.tcp.enterTimeWait(c, now)
  }
}
