/**
 * The places in which the retransmission queues of all connections keep what they know of a segment: a
 * few arrays, as lists by number. An idle connection has none of them; none is allocated per segment
 * once there are as many as are ever out at a time. Hot.
 */
import type { Seq } from './seq.ts'

/** What is known of a segment, as bits. */
export const SACKED = 1
/** It counts as lost, and has not been sent again since. */
export const LOST = 2
/** It was sent more than once (RFC 8985 §5.2: Segment.retransmitted). */
export const RETRANSMITTED = 4

const FIRST_SIZE = 64
/** Ours: beyond it none is cut any more; 17 octets each. Every connection may have one. */
export const MAX_SEGMENTS: number = 1 << 17

export class Segments {
  /** Segment.end_seq: one past its last octet. Where it begins is where the one before it ends. */
  end: Int32Array = new Int32Array(FIRST_SIZE)
  /** Segment.xmit_ts: when it was sent last, ms. */
  xmitTs: Float64Array = new Float64Array(FIRST_SIZE)
  flags: Uint8Array = new Uint8Array(FIRST_SIZE)
  /** The next in the list, or -1. */
  next: Int32Array = new Int32Array(FIRST_SIZE)
  /** How many are taken. */
  used = 0
  #free = -1
  /** Those from here on were never taken. */
  #fresh = 0

  /** A place, filled. */
  take(end: Seq, xmitTs: number, flags: number, next: number): number {
    let i = this.#free
    if (i >= 0) this.#free = this.next[i]!
    else {
      if (this.#fresh === this.end.length) this.#grow()
      i = this.#fresh++
    }
    this.used++
    this.end[i] = end
    this.xmitTs[i] = xmitTs
    this.flags[i] = flags
    this.next[i] = next
    return i
  }

  give(i: number): void {
    this.next[i] = this.#free
    this.#free = i
    this.used--
  }

  #grow(): void {
    const size = 2 * this.end.length
    const { end, xmitTs, flags, next } = this
    this.end = new Int32Array(size)
    this.end.set(end)
    this.xmitTs = new Float64Array(size)
    this.xmitTs.set(xmitTs)
    this.flags = new Uint8Array(size)
    this.flags.set(flags)
    this.next = new Int32Array(size)
    this.next.set(next)
  }
}
