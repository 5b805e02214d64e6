/**
 * RACK (RFC 8985): what was sent a reordering window before something that has arrived is lost, be it
 * sent for the first time or again. So a retransmission that is lost needs no time-out, and segments
 * that overtake each other are not taken for losses.
 *
 *      sent:    A      B      C      D                 the peer has D, sent at xmitTs
 *   ────────────┼──────┼──────┼──────┼──── time
 *               └ lost ┴ lost ┘└ not yet: less than reoWnd before D
 *
 * Numbers of RFC 8985 §5.3; the segments are in retransmission-queue.ts.
 */
import type { Delivery, RetransmissionQueue } from './retransmission-queue.ts'
import { LOST, RETRANSMITTED, SACKED, type Segments } from './segments.ts'
import * as seq from './seq.ts'

/** RFC 8985 §6.2, step 4: recoveries without a D-SACK after which the window is small again. */
const REO_WND_PERSIST = 16
/** Ours: below a ms, our clock and the guest's are no measure of what overtakes what. */
const MIN_REO_WND = 1
/** Ours: RACK.min_RTT is the least of this many ms, and of as many before. */
const MIN_RTT_WINDOW = 30_000

export class Rack implements Delivery {
  /** RACK.xmit_ts, RACK.end_seq: of those that arrived, the one sent last. */
  xmitTs: number = -Infinity
  endSeq: seq.Seq = 0
  #wasRetransmitted = false
  /** RACK.rtt: of that one, ms. */
  rtt = 0
  /** RACK.fack: the end of the highest that arrived. */
  fack: seq.Seq = 0
  /** RACK.reordering_seen. */
  hasReordering = false
  /** RACK.reo_wnd_mult, RACK.reo_wnd_persist. */
  reoWndMult = 1
  reoWndPersist: number = REO_WND_PERSIST
  /** RACK.dsack_round: the window grows at most once a round. */
  isDsackRound = false
  dsackRound: seq.Seq = 0
  /** RACK.min_RTT, in this window of time and in the one before. */
  #minRtt = Infinity
  #minRttBefore = Infinity
  #minRttSince = 0
  /** Of the ACK that is being looked at: its time, and when the segment it echoes was sent. */
  #now = 0
  #echoAt = Infinity

  /** The SYN arrived: nothing before `sndUna` will be told of. */
  begin(sndUna: seq.Seq): void {
    this.fack = sndUna
  }

  /** An ACK arrives. `echoAt`: when what it echoes was sent; Infinity without timestamps. */
  ackArrives(now: number, echoAt: number): void {
    this.#now = now
    this.#echoAt = echoAt
  }

  /** §6.2, steps 1 to 3: a segment arrived over there. */
  delivered(xmitTs: number, end: seq.Seq, flags: number): void {
    if (seq.gt(end, this.fack)) this.fack = end
    else if (seq.lt(end, this.fack) && !(flags & RETRANSMITTED)) this.hasReordering = true
    const rtt = this.#now - xmitTs
    if (flags & RETRANSMITTED) {
      // Step 2: perhaps it is the first transmission that arrived.
      if (this.#echoAt < Math.floor(xmitTs) || rtt < this.#knownMinRtt()) return
    } else this.#noteRtt(rtt)
    this.rtt = rtt
    const wasRetransmitted = (flags & RETRANSMITTED) !== 0
    if (this.#isSentAfter(xmitTs, end, wasRetransmitted)) return
    this.xmitTs = xmitTs
    this.endSeq = end
    this.#wasRetransmitted = wasRetransmitted
  }

  /**
   * RACK_sent_after(): was RACK's segment sent after that one? Of what went out in one turn, first was
   * what went again; and each kind in the order of its numbers.
   */
  #isSentAfter(xmitTs: number, end: seq.Seq, wasRetransmitted: boolean): boolean {
    if (xmitTs !== this.xmitTs) return this.xmitTs > xmitTs
    if (wasRetransmitted !== this.#wasRetransmitted) return wasRetransmitted
    return seq.gt(this.endSeq, end)
  }

  /** Step 1: a windowed minimum. */
  #noteRtt(rtt: number): void {
    if (this.#now - this.#minRttSince > MIN_RTT_WINDOW) {
      this.#minRttBefore = this.#minRtt
      this.#minRtt = Infinity
      this.#minRttSince = this.#now
    }
    if (rtt < this.#minRtt) this.#minRtt = rtt
  }

  /** RACK.min_RTT; Infinity before anything of ours has arrived. */
  minRtt(): number {
    return Math.min(this.#minRtt, this.#minRttBefore)
  }

  #knownMinRtt(): number {
    const rtt = this.minRtt()
    return rtt < Infinity ? rtt : 0
  }

  /** §6.2, step 4: a D-SACK says that something was sent again for nothing. */
  dsackArrives(sndUna: seq.Seq, sndNxt: seq.Seq): void {
    if (this.isDsackRound && seq.lt(sndUna, this.dsackRound)) return
    this.isDsackRound = true
    this.dsackRound = sndNxt
    this.reoWndMult++
    this.reoWndPersist = REO_WND_PERSIST
  }

  /** Step 4: a recovery is over. */
  recoveryEnds(): void {
    if (--this.reoWndPersist <= 0) this.reoWndMult = 1
  }

  /** Step 4: RACK.reo_wnd. Nothing overtakes anything, as far as is known: then there is none. */
  reoWnd(isSure: boolean, srtt: number): number {
    if (!this.hasReordering && isSure) return 0
    const wnd = Math.min((this.reoWndMult * this.#knownMinRtt()) / 4, Math.max(0, srtt))
    return Math.max(MIN_REO_WND, wnd)
  }

  /**
   * §6.2, step 5: marks in `queue` what is lost. Returns the time at which to look again; Infinity when
   * there is no need to.
   */
  detectLoss(
    queue: RetransmissionQueue,
    s: Segments,
    sndUna: seq.Seq,
    reoWnd: number,
    now: number,
  ): number {
    const patience = this.rtt + reoWnd
    let again = -Infinity
    let start = sndUna
    for (let i = queue.head; i >= 0; i = s.next[i]!) {
      const xmitTs = s.xmitTs[i]!
      const end = s.end[i]!
      const flags = s.flags[i]!
      const isOpen = (flags & (SACKED | LOST)) === 0
      if (isOpen && this.#isSentAfter(xmitTs, end, (flags & RETRANSMITTED) !== 0)) {
        if (xmitTs + patience <= now) queue.markLost(i, start)
        else if (xmitTs + patience > again) again = xmitTs + patience
      }
      start = end
    }
    return again === -Infinity ? Infinity : again
  }

  /** §6.3: the retransmission timer went off: the first is lost, and others that are late. */
  markLossesOnTimeout(
    queue: RetransmissionQueue,
    s: Segments,
    sndUna: seq.Seq,
    reoWnd: number,
    now: number,
  ): void {
    let start = sndUna
    for (let i = queue.head; i >= 0; i = s.next[i]!) {
      if (start === sndUna || s.xmitTs[i]! + this.rtt + reoWnd <= now) queue.markLost(i, start)
      start = s.end[i]!
    }
  }
}
