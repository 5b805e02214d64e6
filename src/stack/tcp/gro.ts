/**
 * Generic receive offload, as Linux calls it: segments of a connection that follow one another within a batch of frames are
 * one segment to TCP. What a segment costs is paid once, and the host is written to once.
 *
 *   frames         | headers | text |  | headers | text |  | headers | text |
 *                                │                  │                  │
 *   one segment    headers of the first, and text in three parts
 *
 * Nothing but their text tells them apart (what Linux' tcp_gro_receive asks for), and they lie in line within the window: one
 * after the other they would have done the same. The text stays in the frames, which the link keeps for as long (link.ts:
 * `Arrival.more`).
 */
import { Slices } from '../slices.ts'
import * as wire from '../wire/tcp.ts'
import { type Connection, rcvWnd } from './connection.ts'
import * as seq from './seq.ts'

/** Ours: parts of one segment. */
const MOST = 32

export class Gro {
  /** Whose segment waits for more; undefined: none does. */
  connection: Connection | undefined
  #seg = new wire.Segment()
  readonly #parts = new Slices(MOST)
  readonly #whole = new Slices(1)

  /**
   * Takes a segment of the connection, which nothing waits for, to wait for more. Returns the record that the next one is read
   * into, and undefined when it has to be handed on as it is.
   */
  begin(c: Connection, seg: wire.Segment): wire.Segment | undefined {
    if (!isPlain(seg) || c.state !== 'ESTABLISHED' || c.finAhead) return undefined
    if (seg.seq !== c.rcvNxt || seg.textLen > rcvWnd(c)) return undefined
    const spare = this.#seg
    this.#seg = seg
    this.connection = c
    this.#parts.clear()
    this.#parts.push(seg.text, seg.textLen)
    return spare
  }

  /** Makes the segment part of the one that waits, when it goes on with it. */
  append(c: Connection, seg: wire.Segment): boolean {
    const first = this.#seg
    if (c !== this.connection || !isPlain(seg) || !isAlike(first, seg)) return false
    if (seg.seq !== seq.add(first.seq, first.textLen)) return false
    if (first.textLen + seg.textLen > rcvWnd(c) || this.#parts.count === MOST) return false
    first.ctl |= seg.ctl
    first.textLen += seg.textLen
    first.len += seg.textLen
    this.#parts.push(seg.text, seg.textLen)
    return true
  }

  /** The segment that waited. */
  end(): wire.Segment {
    this.connection = undefined
    return this.#seg
  }

  /** Where the text of a segment is that arrives: that of one that waited, and has its parts, or as it came. */
  textOf(seg: wire.Segment): Slices {
    if (seg === this.#seg) return this.#parts
    this.#whole.clear()
    this.#whole.push(seg.text, seg.textLen)
    return this.#whole
  }
}

/** Nothing but text and what each segment has. */
function isPlain({ ctl, textLen, sackCount }: wire.Segment): boolean {
  return (ctl & ~wire.PSH) === wire.ACK && textLen > 0 && sackCount === 0
}

function isAlike(a: wire.Segment, b: wire.Segment): boolean {
  if (a.ack !== b.ack || a.wnd !== b.wnd || a.hasTimestamp !== b.hasTimestamp) return false
  return !a.hasTimestamp || (a.tsVal === b.tsVal && a.tsEcr === b.tsEcr)
}
