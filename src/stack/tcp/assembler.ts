/**
 * What has arrived beyond `rcvNxt`: the ranges of the receive queue that are filled, each a
 * half-open interval of sequence numbers, in order, with a hole before each.
 *
 * Bounded: a peer that leaves more holes than MAX_RANGES gets further islands refused, unacknowledged,
 * and sends them again.
 */
import * as seq from './seq.ts'

/** Ours: twice what SACK can report in a header, and enough for a bad link. */
export const MAX_RANGES = 32

export class Assembler {
  /** Left and right edges in turn. */
  readonly edges: number[] = []
  /** The left edge of the range that grew last: it is reported first (RFC 2018 §4). */
  newest = 0

  isEmpty(): boolean {
    return this.edges.length === 0
  }

  clear(): void {
    this.edges.length = 0
  }

  /** Adds [left, right). False when it would be one range too many; then nothing is changed. */
  add(left: seq.Seq, right: seq.Seq): boolean {
    const e = this.edges
    let from = 0
    while (from < e.length && seq.lt(e[from + 1]!, left)) from += 2
    let to = from
    while (to < e.length && seq.le(e[to]!, right)) {
      left = seq.min(left, e[to]!)
      right = seq.max(right, e[to + 1]!)
      to += 2
    }
    if (from === to && e.length >= 2 * MAX_RANGES) return false
    e.splice(from, to - from, left, right)
    this.newest = left
    return true
  }

  /** Is all of [left, right) there? Then that range is the one to be reported first. */
  has(left: seq.Seq, right: seq.Seq): boolean {
    const e = this.edges
    for (let i = 0; i < e.length && seq.le(e[i]!, left); i += 2) {
      if (seq.lt(e[i + 1]!, right)) continue
      this.newest = e[i]!
      return true
    }
    return false
  }

  /** The end of what is in line from `rcvNxt` on; the ranges passed by are taken away. */
  advance(rcvNxt: seq.Seq): seq.Seq {
    const e = this.edges
    while (e.length > 0 && seq.le(e[0]!, rcvNxt)) {
      rcvNxt = seq.max(rcvNxt, e[1]!)
      e.splice(0, 2)
    }
    return rcvNxt
  }

  /**
   * Writes ranges into `blocks` for a SACK option, behind the `count` that are there, up to `most`: the
   * newest first, then the others from the left (RFC 2018 §4). Returns how many there are then.
   */
  blocks(blocks: Int32Array, count: number, most: number): number {
    const e = this.edges
    const first = count
    for (let i = 0; i < e.length && count === first; i += 2) {
      if (e[i] !== this.newest) continue
      blocks[2 * count] = e[i]!
      blocks[2 * count + 1] = e[i + 1]!
      count++
    }
    for (let i = 0; i < e.length && count < most; i += 2) {
      if (count > first && e[i] === this.newest) continue
      blocks[2 * count] = e[i]!
      blocks[2 * count + 1] = e[i + 1]!
      count++
    }
    return count
  }
}
