/**
 * TCP segments: the header of RFC 9293 §3.1.
 *
 *   0     2     4          8          12   13   14    16         18       20
 *   | src | dst | sequence | acknowl. | off | ctl | wnd | checksum | urgent | options, text
 *
 * `at` is where the header starts in `v`. A DataView reads big-endian, which is network order. Hot.
 * The checksum is the caller's: it needs the pseudo-header, and the link may have done it.
 */
export const HEADER_LEN = 20
/** The data offset is four bits of words. */
export const MAX_HEADER_LEN = 60
/** Where the checksum field is, from the header's start. */
export const CHECKSUM = 16

export const FIN = 0x01
export const SYN = 0x02
export const RST = 0x04
export const PSH = 0x08
export const ACK = 0x10
export const URG = 0x20
export const ECE = 0x40
export const CWR = 0x80

/** Options by kind: RFC 9293 §3.2, RFC 7323 §2.2 and §3.2, RFC 2018 §2 and §3. */
const END = 0
const NOP = 1
const MSS = 2
const WINDOW_SCALE = 3
const SACK_PERMITTED = 4
const SACK = 5
const TIMESTAMP = 8

/** NOP, NOP, TIMESTAMP, length 10: RFC 7323 appendix A, what nearly every segment has. */
const TIMESTAMP_BLOCK = 0x0101080a
/** A larger shift is taken as this one (RFC 7323 §2.3). */
export const MAX_WIND_SHIFT = 14
/** What 40 octets of options hold (RFC 2018 §3). */
export const MAX_SACK_BLOCKS = 4

export const srcPort = (v: DataView, at: number): number => v.getUint16(at)
export const dstPort = (v: DataView, at: number): number => v.getUint16(at + 2)
export const seq = (v: DataView, at: number): number => v.getInt32(at + 4)
export const ack = (v: DataView, at: number): number => v.getInt32(at + 8)
export const headerLen = (v: DataView, at: number): number => (v.getUint8(at + 12) >>> 4) << 2
export const ctl = (v: DataView, at: number): number => v.getUint8(at + 13)
export const wnd = (v: DataView, at: number): number => v.getUint16(at + 14)
export const checksum = (v: DataView, at: number): number => v.getUint16(at + 16)
export const urg = (v: DataView, at: number): number => v.getUint16(at + 18)

/** Reads the segment in [at, end) into `seg`. False when it is malformed; never throws. */
export function parse(v: DataView, at: number, end: number, seg: Segment): boolean {
  if (end - at < HEADER_LEN) return false
  const word = v.getInt32(at + 12)
  const text = at + ((word >>> 28) << 2)
  if (text < at + HEADER_LEN || text > end) return false
  const ctl = (word >>> 16) & 0xff
  seg.srcPort = v.getUint16(at)
  seg.dstPort = v.getUint16(at + 2)
  seg.seq = v.getInt32(at + 4)
  seg.ack = v.getInt32(at + 8)
  seg.ctl = ctl
  seg.wnd = word & 0xffff
  seg.urg = v.getUint16(at + 18)
  seg.text = text
  seg.textLen = end - text
  seg.len = end - text + ((ctl >>> 1) & 1) + (ctl & 1) // SYN and FIN count (RFC 9293 §3.4)
  seg.mss = 0
  seg.windShift = -1
  seg.sackPermitted = false
  seg.hasTimestamp = false
  seg.sackCount = 0
  at += HEADER_LEN
  if (text - at === 12 && v.getInt32(at) === TIMESTAMP_BLOCK) {
    seg.hasTimestamp = true
    seg.tsVal = v.getInt32(at + 4)
    seg.tsEcr = v.getInt32(at + 8)
  } else if (at < text) parseOptions(v, at, text, seg)
  return true
}

/**
 * Walks the options in [at, end). One whose length is below two or past the end ends the walk and
 * leaves the segment valid; a known one of the wrong length is passed over; as Linux does.
 */
function parseOptions(v: DataView, at: number, end: number, seg: Segment): void {
  while (at < end) {
    const kind = v.getUint8(at)
    if (kind === END) return
    let len = 1
    if (kind !== NOP) {
      if (end - at < 2) return
      len = v.getUint8(at + 1)
      if (len < 2 || len > end - at) return
      parseOption(v, at, kind, len, seg)
    }
    at += len
  }
}

function parseOption(v: DataView, at: number, kind: number, len: number, seg: Segment): void {
  if (kind === TIMESTAMP && len === 10) {
    seg.hasTimestamp = true
    seg.tsVal = v.getInt32(at + 2)
    seg.tsEcr = v.getInt32(at + 6)
  } else if (kind === SACK && len >= 10 && (len - 2) % 8 === 0) {
    seg.sackCount = (len - 2) >>> 3
    for (let i = 0; i < 2 * seg.sackCount; i++) seg.sack[i] = v.getInt32(at + 2 + 4 * i)
  } else if (kind === MSS && len === 4) {
    seg.mss = v.getUint16(at + 2)
  } else if (kind === WINDOW_SCALE && len === 3) {
    seg.windShift = Math.min(v.getUint8(at + 2), MAX_WIND_SHIFT)
  } else if (kind === SACK_PERMITTED && len === 2) {
    seg.sackPermitted = true
  }
}

/** A segment as read: made once, overwritten by each `parse`. */
export class Segment {
  srcPort = 0
  dstPort = 0
  seq = 0
  ack = 0
  ctl = 0
  /** SEG.WND as it stands, not scaled. */
  wnd = 0
  /** The urgent pointer; it means something with URG only. */
  urg = 0
  /** Where the text starts in the view. */
  text = 0
  textLen = 0
  /** SEG.LEN: the text, and one each for SYN and FIN. */
  len = 0
  /** Maximum segment size; 0 when the option is absent. */
  mss = 0
  /** Snd.Wind.Shift that the peer offers; -1 when the option is absent. */
  windShift = -1
  sackPermitted = false
  hasTimestamp = false
  /** TSval and TSecr, as signed 32 bits like sequence numbers; stale without `hasTimestamp`. */
  tsVal = 0
  tsEcr = 0
  /** How many blocks `sack` holds: left and right edge of each, in the order of the option. */
  sackCount = 0
  readonly sack: Int32Array = new Int32Array(2 * MAX_SACK_BLOCKS)
}

/** Writes the fixed part, with checksum and urgent pointer 0; `headerLen` counts the options. */
export function emitHeader(
  v: DataView,
  at: number,
  srcPort: number,
  dstPort: number,
  seq: number,
  ack: number,
  ctl: number,
  wnd: number,
  headerLen: number,
): number {
  v.setInt32(at, (srcPort << 16) | dstPort)
  v.setInt32(at + 4, seq)
  v.setInt32(at + 8, ack)
  v.setInt32(at + 12, (headerLen << 26) | (ctl << 16) | wnd)
  v.setInt32(at + 16, 0)
  return at + HEADER_LEN
}

/** Four octets. */
export function emitMss(v: DataView, at: number, mss: number): number {
  v.setInt32(at, (MSS << 24) | (4 << 16) | mss)
  return at + 4
}

/** Four octets: a NOP first. */
export function emitWindShift(v: DataView, at: number, shift: number): number {
  v.setInt32(at, (NOP << 24) | (WINDOW_SCALE << 16) | (3 << 8) | shift)
  return at + 4
}

/** Four octets: two NOPs first. */
export function emitSackPermitted(v: DataView, at: number): number {
  v.setInt32(at, (NOP << 24) | (NOP << 16) | (SACK_PERMITTED << 8) | 2)
  return at + 4
}

/** Twelve octets: two NOPs first. */
export function emitTimestamp(v: DataView, at: number, val: number, ecr: number): number {
  v.setInt32(at, TIMESTAMP_BLOCK)
  v.setInt32(at + 4, val)
  v.setInt32(at + 8, ecr)
  return at + 12
}

/** Four octets, two NOPs first, and eight for each block: `count` pairs of left and right edge. */
export function emitSack(v: DataView, at: number, blocks: Int32Array, count: number): number {
  v.setInt32(at, (NOP << 24) | (NOP << 16) | (SACK << 8) | (2 + 8 * count))
  at += 4
  for (let i = 0; i < 2 * count; i++, at += 4) v.setInt32(at, blocks[i]!)
  return at
}
