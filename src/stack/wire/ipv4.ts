/**
 * IPv4: the header of RFC 791 §3.1.
 *
 *   0         1     2       4    6        8     9       10         12    16    20
 *   | ver ihl | tos | total | id | fragm. | ttl | proto | checksum | src | dst | options
 *
 * `at` is where the header starts in `v`. Hot.
 */
import { finish, fold32, sum } from './checksum.ts'

export const HEADER_LEN = 20
/** What 16 bits of total length can say (RFC 791 §3.1). */
export const MAX_LEN = 65_535
/** Each link must carry packets of this size (RFC 791 §3.2). */
export const MIN_MTU = 68

/** Flags, in the 16 bits they share with the fragment offset. */
export const DF = 0x4000
export const MF = 0x2000
/** The fragment offset, in units of eight octets. */
export const OFFSET = 0x1fff

/** Protocols (IANA). */
export const ICMP = 1
export const TCP = 6
export const UDP = 17

/** RFC 1700; what a packet of ours starts with. */
export const DEFAULT_TTL = 64

export const headerLen = (v: DataView, at: number): number => (v.getUint8(at) & 15) << 2
export const tos = (v: DataView, at: number): number => v.getUint8(at + 1)
export const totalLen = (v: DataView, at: number): number => v.getUint16(at + 2)
export const id = (v: DataView, at: number): number => v.getUint16(at + 4)
/** Flags and offset as they stand. */
export const fragment = (v: DataView, at: number): number => v.getUint16(at + 6)
/** Where the fragment's text lies in the whole, in octets. */
export const fragmentOffset = (v: DataView, at: number): number =>
  (v.getUint16(at + 6) & OFFSET) << 3
export const moreFragments = (v: DataView, at: number): boolean => (v.getUint8(at + 6) & 0x20) !== 0
export const dontFragment = (v: DataView, at: number): boolean => (v.getUint8(at + 6) & 0x40) !== 0
/** Is this a part of a packet only? */
export const isFragment = (v: DataView, at: number): boolean =>
  (v.getUint16(at + 6) & (MF | OFFSET)) !== 0
export const ttl = (v: DataView, at: number): number => v.getUint8(at + 8)
export const protocol = (v: DataView, at: number): number => v.getUint8(at + 9)
export const checksum = (v: DataView, at: number): number => v.getUint16(at + 10)
export const src = (v: DataView, at: number): number => v.getInt32(at + 12)
export const dst = (v: DataView, at: number): number => v.getInt32(at + 16)

/** Is a whole packet in [at, end)? Padding may follow it. The checksum is not looked at. */
export function check(v: DataView, at: number, end: number): boolean {
  if (end - at < HEADER_LEN) return false
  const first = v.getUint8(at)
  const header = (first & 15) << 2
  const total = v.getUint16(at + 2)
  return first >>> 4 === 4 && header >= HEADER_LEN && header <= total && total <= end - at
}

/** Is the header's checksum right? After `check` only. */
export function checksumOk(bytes: Uint8Array, v: DataView, at: number): boolean {
  if (v.getUint8(at) !== 0x45) return sum(bytes, v, at, at + headerLen(v, at)) === 0xffff
  // Without options, which is nearly always, five reads do it.
  const a = v.getInt32(at)
  const b = v.getInt32(at + 4)
  const c = v.getInt32(at + 8)
  const d = v.getInt32(at + 12)
  const e = v.getInt32(at + 16)
  const low = (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff) + (e & 0xffff)
  const high = (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) + (e >>> 16)
  return fold32(low + high) === 0xffff
}

/** Computes the header's checksum anew after a field was changed. */
export function emitChecksum(bytes: Uint8Array, v: DataView, at: number): void {
  v.setUint16(at + 10, 0)
  v.setUint16(at + 10, finish(sum(bytes, v, at, at + headerLen(v, at))))
}

/**
 * Writes a header without options, checksum included; `fragment` is flags and offset. A length that the field cannot
 * tell is written as 0: the frame's says it (Linux' BIG TCP).
 */
export function emit(
  v: DataView,
  at: number,
  totalLen: number,
  id: number,
  fragment: number,
  ttl: number,
  protocol: number,
  src: number,
  dst: number,
): number {
  const hop = (ttl << 8) | protocol
  const lenField = totalLen > MAX_LEN ? 0 : totalLen
  const partial = 0x4500 + lenField + id + fragment + hop
  const addresses = (src >>> 16) + (src & 0xffff) + (dst >>> 16) + (dst & 0xffff)
  v.setInt32(at, 0x45000000 | lenField)
  v.setInt32(at + 4, (id << 16) | fragment)
  v.setInt32(at + 8, (hop << 16) | (~fold32(partial + addresses) & 0xffff))
  v.setInt32(at + 12, src)
  v.setInt32(at + 16, dst)
  return at + HEADER_LEN
}
