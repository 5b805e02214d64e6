/**
 * What the peer has selectively acknowledged above `sndUna`, and what follows from it (RFC 6675).
 *
 * `edges` are the SACKed ranges from the left to the right. All octets below `lostBelow` that are
 * not SACKed count as lost; those below `highRxt` have been sent again.
 */
import * as seq from './seq.ts'

/** RFC 6675 §2: DupThresh. */
export const DUP_THRESH = 3
/** Ours: a peer that reports more islands than this is not believed about the further ones. */
const MAX_RANGES = 128

export class Scoreboard {
  /** Left and right edges in turn. */
  readonly edges: number[] = []
  /** Octets in all ranges. */
  octets = 0

  clear(): void {
    this.edges.length = 0
    this.octets = 0
  }

  /** The peer reported [left, right); the caller has seen that it lies in what is outstanding. */
  add(left: seq.Seq, right: seq.Seq): void {
    const e = this.edges
    let from = 0
    while (from < e.length && seq.lt(e[from + 1]!, left)) from += 2
    let to = from
    while (to < e.length && seq.le(e[to]!, right)) {
      left = seq.min(left, e[to]!)
      right = seq.max(right, e[to + 1]!)
      this.octets -= seq.diff(e[to + 1]!, e[to]!)
      to += 2
    }
    if (from === to && e.length >= 2 * MAX_RANGES) return
    e.splice(from, to - from, left, right)
    this.octets += seq.diff(right, left)
  }

  /** Everything before `sndUna` is acknowledged for good. */
  acknowledge(sndUna: seq.Seq): void {
    const e = this.edges
    while (e.length > 0 && seq.le(e[1]!, sndUna)) {
      this.octets -= seq.diff(e[1]!, e[0]!)
      e.splice(0, 2)
    }
    if (e.length > 0 && seq.lt(e[0]!, sndUna)) {
      this.octets -= seq.diff(sndUna, e[0]!)
      e[0] = sndUna
    }
  }

  /**
   * IsLost() as an edge: whatever is not SACKed before it is lost, since DupThresh ranges, or more
   * than DupThresh - 1 segments' worth of octets, lie above. `sndUna` when nothing is.
   */
  lostEdge(sndUna: seq.Seq, smss: number): seq.Seq {
    const e = this.edges
    let octets = 0
    for (let i = e.length - 2, ranges = 1; i >= 0; i -= 2, ranges++) {
      octets += seq.diff(e[i + 1]!, e[i]!)
      if (ranges >= DUP_THRESH || octets > (DUP_THRESH - 1) * smss) return e[i]!
    }
    return sndUna
  }

  /** How many octets of [from, to) are not SACKed. */
  holes(from: seq.Seq, to: seq.Seq): number {
    if (seq.ge(from, to)) return 0
    const e = this.edges
    let octets = seq.diff(to, from)
    for (let i = 0; i < e.length && seq.lt(e[i]!, to); i += 2) {
      const left = seq.max(e[i]!, from)
      const right = seq.min(e[i + 1]!, to)
      if (seq.lt(left, right)) octets -= seq.diff(right, left)
    }
    return octets
  }

  /** The first octet from `from` on that is not SACKed. */
  nextHole(from: seq.Seq): seq.Seq {
    const e = this.edges
    for (let i = 0; i < e.length && seq.le(e[i]!, from); i += 2) {
      if (seq.lt(from, e[i + 1]!)) from = e[i + 1]!
    }
    return from
  }

  /** Where the hole that holds `from` ends: at the next SACKed range, or at `to`. */
  holeEnd(from: seq.Seq, to: seq.Seq): seq.Seq {
    const e = this.edges
    for (let i = 0; i < e.length; i += 2) {
      if (seq.gt(e[i]!, from)) return seq.min(e[i]!, to)
    }
    return to
  }
}
