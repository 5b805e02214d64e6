/**
 * The retransmission queue (RFC 9293 §3.3.1): all that is sent and not acknowledged, as a list of
 * segments in the order of their numbers, with what is known of each: SACKed, lost, sent again, when.
 * It is RFC 6675's scoreboard and the segments of RFC 8985 in one.
 *
 *      sndUna                                               sndNxt
 *   ─────┼──────────┬────────────────┬──────┬─────────────────┼────
 *        │   lost   │     SACKed     │ lost │      sent       │
 *
 * The octets are in the send queue; here are numbers only. What goes out in one turn is one segment,
 * of any length; it is cut where the peer, or what is sent again, tells its parts from each other. Hot.
 */
import { LOST, MAX_SEGMENTS, RETRANSMITTED, SACKED, type Segments } from './segments.ts'
import * as seq from './seq.ts'

/** RFC 6675 §2: DupThresh. */
export const DUP_THRESH = 3
/** Ours: a peer that cuts what is out into more segments is not believed about further cuts. */
export const MAX_CUT = 2048

/** Who is told that a segment arrived over there: rack.ts. */
export interface Delivery {
  /** `end`: Segment.end_seq; `flags`: of segments.ts. */
  delivered(xmitTs: number, end: seq.Seq, flags: number): void
}

export class RetransmissionQueue {
  /** Octets that are SACKed. */
  sacked = 0
  /** Octets that are lost, and not sent again yet. */
  lost = 0
  /** Octets that arrived over there, ever: acknowledged, or SACKed. */
  delivered = 0
  /** Segments. */
  count = 0
  /** The first of them, or -1; they begin at `sndUna`. */
  head = -1
  #tail = -1
  readonly #segments: Segments
  readonly #delivery: Delivery

  constructor(segments: Segments, delivery: Delivery) {
    this.#segments = segments
    this.#delivery = delivery
  }

  /** [sndNxt, end) went out for the first time. What goes out at the same time is one segment. */
  append(end: seq.Seq, now: number): void {
    const s = this.#segments
    const tail = this.#tail
    if (tail >= 0 && s.flags[tail] === 0 && (s.xmitTs[tail] === now || this.#isFull())) {
      s.end[tail] = end
      s.xmitTs[tail] = now
      return
    }
    const i = s.take(end, now, 0, -1)
    if (tail >= 0) s.next[tail] = i
    else this.head = i
    this.#tail = i
    this.count++
  }

  #isFull(): boolean {
    return this.count >= MAX_CUT || this.#segments.used >= MAX_SEGMENTS
  }

  /** [before, una) is acknowledged. */
  acknowledge(before: seq.Seq, una: seq.Seq): void {
    const s = this.#segments
    let start = before
    for (let i = this.head; i >= 0 && seq.lt(start, una); ) {
      const end = s.end[i]!
      const flags = s.flags[i]!
      const to = seq.min(end, una)
      const len = seq.diff(to, start)
      this.#uncount(flags, len)
      if ((flags & SACKED) === 0) {
        this.delivered += len
        this.#delivery.delivered(s.xmitTs[i]!, to, flags)
      }
      if (seq.gt(end, una)) return
      start = end
      this.head = s.next[i]!
      s.give(i)
      this.count--
      i = this.head
    }
    if (this.head < 0) this.#tail = -1
  }

  /** The peer has [left, right), which lies in what is out from `sndUna` on. */
  sack(sndUna: seq.Seq, left: seq.Seq, right: seq.Seq): void {
    if (this.#isSacked(left, right)) return
    if (!this.#cutAt(sndUna, left) || !this.#cutAt(sndUna, right)) return
    const s = this.#segments
    let start = sndUna
    let island = -1 // the SACKed segment just before, if it is one
    for (let i = this.head; i >= 0 && seq.le(start, right); ) {
      const end = s.end[i]!
      if (seq.ge(start, left) && seq.le(end, right)) this.#sackWhole(i, start)
      const isSacked = (s.flags[i]! & SACKED) !== 0
      if (isSacked && island >= 0) this.#join(island, i)
      else island = isSacked ? i : -1
      start = end
      i = island >= 0 ? s.next[island]! : s.next[i]!
    }
  }

  /** Is that known? Peers say it again and again. */
  #isSacked(left: seq.Seq, right: seq.Seq): boolean {
    const s = this.#segments
    for (let i = this.head; i >= 0; i = s.next[i]!) {
      if (seq.gt(s.end[i]!, left)) return (s.flags[i]! & SACKED) !== 0 && seq.ge(s.end[i]!, right)
    }
    return false
  }

  #sackWhole(i: number, start: seq.Seq): void {
    const s = this.#segments
    const flags = s.flags[i]!
    if (flags & SACKED) return
    const end = s.end[i]!
    const len = seq.diff(end, start)
    this.#uncount(flags, len)
    this.sacked += len
    this.delivered += len
    s.flags[i] = SACKED
    this.#delivery.delivered(s.xmitTs[i]!, end, flags)
  }

  /** Whether the segment at `sndUna` is said to be over there already: it is not, then. */
  isReneged(): boolean {
    return this.head >= 0 && (this.#segments.flags[this.head]! & SACKED) !== 0
  }

  /** The peer has forgotten what it SACKed (RFC 2018 §8): that is lost, then. */
  forgetSacks(): void {
    const s = this.#segments
    for (let i = this.head; i >= 0; i = s.next[i]!) if (s.flags[i]! & SACKED) s.flags[i] = LOST
    this.delivered -= this.sacked
    this.lost += this.sacked
    this.sacked = 0
  }

  /** RFC 6675 §4: do DupThresh islands, or more than DupThresh - 1 segments, lie above a hole? */
  hasDupThresh(smss: number): boolean {
    if (this.sacked > (DUP_THRESH - 1) * smss) return true
    const s = this.#segments
    let islands = 0
    for (let i = this.head; i >= 0 && islands < DUP_THRESH; i = s.next[i]!) {
      if (s.flags[i]! & SACKED) islands++
    }
    return islands >= DUP_THRESH
  }

  /** Segment `i`, which begins at `start`, is lost. */
  markLost(i: number, start: seq.Seq): void {
    const s = this.#segments
    if (s.flags[i]! & (SACKED | LOST)) return
    s.flags[i] = s.flags[i]! | LOST
    this.lost += seq.diff(s.end[i]!, start)
  }

  /** The first `len` octets, or what is sent of them, are lost. */
  markFirstLost(sndUna: seq.Seq, len: number): void {
    const i = this.head
    if (i < 0) return
    const end = seq.add(sndUna, len)
    if (seq.gt(this.#segments.end[i]!, end)) this.#cut(i, end)
    this.markLost(i, sndUna)
  }

  /** All that is not SACKed is lost. */
  markAllLost(sndUna: seq.Seq): void {
    const s = this.#segments
    let start = sndUna
    for (let i = this.head; i >= 0; i = s.next[i]!) {
      this.markLost(i, start)
      start = s.end[i]!
    }
  }

  /** Where the first octets that are lost begin; there are some. */
  lostStart(sndUna: seq.Seq): seq.Seq {
    const s = this.#segments
    let start = sndUna
    for (let i = this.head; i >= 0 && !(s.flags[i]! & LOST); i = s.next[i]!) start = s.end[i]!
    return start
  }

  /** Where the octets from `from` on, which are lost, end to be lost. */
  lostEnd(sndUna: seq.Seq, from: seq.Seq): seq.Seq {
    const s = this.#segments
    let end = sndUna
    for (let i = this.head; i >= 0; i = s.next[i]!) {
      if (seq.gt(s.end[i]!, from) && !(s.flags[i]! & LOST)) return end
      end = s.end[i]!
    }
    return end
  }

  /** [from, to) was sent again. */
  sentAgain(sndUna: seq.Seq, from: seq.Seq, to: seq.Seq, now: number): void {
    this.#cutAt(sndUna, from)
    this.#cutAt(sndUna, to)
    const s = this.#segments
    let start = sndUna
    for (let i = this.head; i >= 0 && seq.lt(start, to); i = s.next[i]!) {
      const end = s.end[i]!
      if (seq.gt(end, from)) {
        this.#uncount(s.flags[i]! & LOST, seq.diff(end, start))
        s.flags[i] = (s.flags[i]! & ~LOST) | RETRANSMITTED
        s.xmitTs[i] = now
      }
      start = end
    }
  }

  /** Nothing is out any more, or nobody cares. */
  clear(): void {
    for (let i = this.head; i >= 0; ) {
      const next = this.#segments.next[i]!
      this.#segments.give(i)
      i = next
    }
    this.head = this.#tail = -1
    this.sacked = this.lost = this.count = 0
  }

  #uncount(flags: number, len: number): void {
    if (flags & SACKED) this.sacked -= len
    if (flags & LOST) this.lost -= len
  }

  /** Has a segment end at `at`; false when that would be one too many. */
  #cutAt(sndUna: seq.Seq, at: seq.Seq): boolean {
    if (at === sndUna) return true
    const s = this.#segments
    let i = this.head
    while (i >= 0 && seq.lt(s.end[i]!, at)) i = s.next[i]!
    return i < 0 || s.end[i] === at || this.#cut(i, at)
  }

  #cut(i: number, at: seq.Seq): boolean {
    if (this.#isFull()) return false
    const s = this.#segments
    const second = s.take(s.end[i]!, s.xmitTs[i]!, s.flags[i]!, s.next[i]!)
    s.end[i] = at
    s.next[i] = second
    if (this.#tail === i) this.#tail = second
    this.count++
    return true
  }

  /** Segment `i` becomes a part of the one before it. */
  #join(before: number, i: number): void {
    const s = this.#segments
    s.end[before] = s.end[i]!
    s.next[before] = s.next[i]!
    if (this.#tail === i) this.#tail = before
    s.give(i)
    this.count--
  }
}
