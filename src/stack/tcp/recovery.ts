/**
 * What an ACK says of what was sent: how long it took, what is lost, and how much may be out from now
 * on (RFC 5681 §3, RFC 6582 without SACK, RFC 6675 and RFC 8985 with it). Nothing is sent here.
 */
import * as wire from '../wire/tcp.ts'
import { type Connection, flightSize } from './connection.ts'
import { timestamp } from './output.ts'
import { DUP_THRESH } from './retransmission-queue.ts'
import * as seq from './seq.ts'

/** Ours: a probe of the tail waits this long at least, ms: hosts do other things between two ACKs. */
const MIN_PTO = 10
/** RFC 8985 §7.2: TLP.max_ack_delay; Linux' TCP_DELACK_MAX. */
const MAX_ACK_DELAY = 200
/** RFC 8985 §7.2: before a round trip was measured. */
const INITIAL_PTO = 1000

/** RACK has to know of which ACK the deliveries are that follow. */
export function beginAck(c: Connection, seg: wire.Segment, now: number): void {
  const isStamped = c.hasTimestamps && seg.hasTimestamp
  const age = isStamped ? seq.diff(timestamp(c, now), seg.tsEcr) : 0
  c.rack.ackArrives(now, isStamped ? Math.floor(now) - age : Infinity)
}

/** RTTM (RFC 7323 §4.1), or the one segment that is timed (RFC 6298 §3: Karn). */
export function measure(c: Connection, seg: wire.Segment, now: number): void {
  if (c.hasTimestamps) {
    if (!seg.hasTimestamp || seg.tsEcr === 0) return
    // What echoes an older transmission than the last tells when an ACK was lost, not an RTT: so
    // the rule of Karn holds here too (RFC 7323 §4.1: MAY). See 'a lost ACK is not an RTT'.
    if (c.recovery === 'timeout' && seq.lt(seg.tsEcr, c.timeoutVal)) return
    const rtt = seq.diff(timestamp(c, now), seg.tsEcr)
    if (rtt >= 0) c.rto.sample(rtt)
  } else if (c.rttAt >= 0 && seq.ge(seg.ack, c.rttSeq)) {
    c.rto.sample(now - c.rttAt)
    c.rttAt = -1
  }
}

/**
 * `acked` octets are acknowledged, of which `delivered` were not known to be there: the congestion
 * window, and the end of recovery (RFC 5681 §3, RFC 6582 §3.2, RFC 6675 §5).
 */
export function grow(
  c: Connection,
  acked: number,
  delivered: number,
  flightBefore: number,
  now: number,
): void {
  const { congestion } = c
  if (c.recovery === 'none') {
    if (c.isCwndLimited || flightBefore >= congestion.cwnd / 2) {
      congestion.onAck(acked, c.smss, now, c.rto.srtt)
    } else congestion.onUnused(now)
    c.dupAcks = 0
    return
  }
  if (seq.ge(c.sndUna, c.recover)) {
    c.recovery = 'none'
    c.dupAcks = 0
    c.rack.recoveryEnds()
    if (c.inFlight.lost > 0) enterRecovery(c) // of what was sent meanwhile
    return
  }
  if (c.recovery === 'timeout') congestion.onAck(delivered, c.smss, now, c.rto.srtt)
  if (!c.hasSack && c.recovery === 'fast') {
    // A partial ACK: the next segment is lost as well (RFC 6582 §3.2, step 3 B).
    c.dupAcks = Math.max(0, c.dupAcks - Math.ceil(acked / c.smss))
    c.inFlight.markFirstLost(c.sndUna, c.smss)
  }
}

/** RFC 5681 §2, (a) to (e). What answers a probe is none: nothing but the probe is out. */
export const isDuplicateAck = (c: Connection, seg: wire.Segment, wnd: number): boolean =>
  seg.ack === c.sndUna &&
  seg.textLen === 0 &&
  wnd === c.sndWnd &&
  (seg.ctl & wire.FIN) === 0 &&
  flightSize(c) > 0 &&
  !c.isProbing

export function duplicateAck(c: Connection): void {
  c.dupAcks++
  if (c.hasSack || c.recovery !== 'none' || c.dupAcks < DUP_THRESH) return
  if (isOfEarlier(c)) return
  enterRecovery(c)
  c.inFlight.markFirstLost(c.sndUna, c.smss)
}

/**
 * Nothing beyond the last recovery is acknowledged: what was sent again for nothing is answered like that (RFC 6582 §3.2,
 * step 2). `recover` is of long ago when it is not among what is out.
 */
const isOfEarlier = ({ recover, sndUna, sndNxt }: Connection): boolean =>
  seq.ge(recover, sndUna) && seq.le(recover, sndNxt)

/**
 * Takes the SACK blocks that lie in what is outstanding (RFC 2018 §5). True when the first tells of
 * what came twice (D-SACK, RFC 2883 §4): it is below the ACK, or within the second.
 */
export function takeSack(c: Connection, seg: wire.Segment): boolean {
  const { sack, sackCount } = seg
  const floor = seq.max(c.sndUna, seg.ack)
  for (let i = 0; i < sackCount; i++) {
    const left = sack[2 * i]!
    const right = sack[2 * i + 1]!
    // Both edges are looked at from within: numbers half a circle apart are before each other.
    if (seq.le(left, floor) || seq.ge(left, c.sndNxt)) continue
    if (seq.le(right, left) || seq.gt(right, c.sndNxt)) continue
    c.inFlight.sack(c.sndUna, left, right)
  }
  const left = sack[0]!
  const right = sack[1]!
  // One that is older than any window is a lie, or of another connection.
  if (seq.ge(left, right) || seq.lt(left, seq.add(c.sndUna, -c.maxSndWnd))) return false
  if (seq.le(right, seg.ack)) return seq.lt(left, seg.ack)
  return sackCount > 1 && seq.ge(left, sack[2]!) && seq.le(right, sack[3]!)
}

/** What arrived says what has not (RFC 8985 §6.2, step 5). Called again when `reoAt` is here. */
export function detectLoss(c: Connection, now: number): void {
  const { inFlight, rack } = c
  c.reoAt = Infinity
  if (inFlight.sacked === 0 && c.recovery === 'none') return
  const before = inFlight.lost
  const isSure = c.recovery !== 'none' || inFlight.hasDupThresh(c.smss)
  const reoWnd = rack.reoWnd(isSure, c.rto.srtt)
  c.reoAt = rack.detectLoss(inFlight, c.tcp.segments, c.sndUna, reoWnd, now)
  if (inFlight.lost > before && c.recovery === 'none') enterRecovery(c)
}

function enterRecovery(c: Connection): void {
  c.recovery = 'fast'
  c.recover = c.sndNxt
  c.congestion.onLoss(flightSize(c), c.smss)
}

/** The retransmission timer went off: the congestion window, and what counts as lost. */
export function enterTimeoutRecovery(c: Connection, now: number): void {
  if (c.recovery !== 'timeout' || seq.ge(c.sndUna, c.recover)) {
    c.congestion.onTimeout(flightSize(c), c.smss)
  } else {
    c.congestion.cwnd = c.smss
  }
  // What is SACKed was kept. Deviates from RFC 2018 §8, which forgets it: `newAck` notices a guest
  // that has (RFC 6675 §5.1). See 'what was SACKed is not sent again after a time-out'.
  if (c.hasSack) {
    const { inFlight, rack } = c
    const reoWnd = rack.reoWnd(true, c.rto.srtt)
    rack.markLossesOnTimeout(inFlight, c.tcp.segments, c.sndUna, reoWnd, now)
  } else c.inFlight.markAllLost(c.sndUna)
  c.recovery = 'timeout'
  c.recover = c.sndNxt
  c.dupAcks = 0
  c.reoAt = c.ptoAt = Infinity
  c.isTlpOut = false
}

/**
 * TLP_calc_PTO() and its conditions (RFC 8985 §7.2): when the last segment is sent once more, so that
 * its SACK tells of a loss at the end. Deviates where that would be no sooner than the retransmission
 * timer: that goes off, then.
 */
export function armTailProbe(c: Connection, now: number): void {
  const { inFlight } = c
  const isQuiet = c.recovery === 'none' && inFlight.sacked === 0 && inFlight.lost === 0
  if (!isQuiet || c.isTlpOut || c.isProbing) {
    c.ptoAt = Infinity
    return
  }
  if (c.ptoAt < Infinity) return
  const flight = flightSize(c)
  const { srtt } = c.rto
  let pto = srtt < 0 ? INITIAL_PTO : Math.max(MIN_PTO, 2 * srtt)
  if (flight <= c.smss) pto += MAX_ACK_DELAY
  if (now + pto < c.rtoAt) c.ptoAt = now + pto
}

/** TLP_process_ack() (RFC 8985 §7.4): was it the probe that repaired a loss? */
export function tailProbeAnswered(c: Connection, seg: wire.Segment, isDsack: boolean): void {
  if (!c.isTlpOut || seq.lt(seg.ack, c.tlpEndSeq)) return
  if (!c.isTlpRetrans || (isDsack && seg.sack[1] === c.tlpEndSeq)) c.isTlpOut = false
  else if (seq.gt(seg.ack, c.tlpEndSeq)) {
    c.isTlpOut = false
    // It was, and only the network's load can have been the cause.
    if (c.recovery === 'none') c.congestion.onLoss(flightSize(c), c.smss)
  } else if (c.dupAcks > 0 && seg.sackCount === 0) c.isTlpOut = false
}
