/**
 * The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
 *
 * A **sum** here is a non-negative number, congruent to that sum modulo 0xffff; sums of parts are
 * added with `+`, in any order, as long as each part but the last has an even length. What `sum`
 * returns is folded to 16 bits, so some thousand of them can be added before anything overflows.
 *
 * Hot. The octets are added as little-endian 32-bit words: the sum does not depend on the order of
 * octets but for one swap at the end (RFC 1071 §2 B), and a double holds the sum of two million such
 * words exactly. Adding doubles in a tree of eight is what V8 makes fastest (bench/wire.ts).
 */

/** The sum of the octets in [at, end), added to `initial`. An odd last octet is padded with zero. */
export function sum(_bytes: Uint8Array, v: DataView, at: number, end: number, initial = 0): number {
  let words = 0
  for (const last = end - 32; at <= last; at += 32) {
    const a = v.getUint32(at, true) + v.getUint32(at + 4, true)
    const b = v.getUint32(at + 8, true) + v.getUint32(at + 12, true)
    const c = v.getUint32(at + 16, true) + v.getUint32(at + 20, true)
    const d = v.getUint32(at + 24, true) + v.getUint32(at + 28, true)
    words += a + b + (c + d)
  }
  for (const last = end - 4; at <= last; at += 4) words += v.getUint32(at, true)
  if (at + 2 <= end) {
    words += v.getUint16(at, true)
    at += 2
  }
  if (at < end) words += v.getUint8(at)
  return fold(swap(words) + initial)
}

/** The sum in 16 bits. Zero only when the sum is. */
export function fold(partial: number): number {
  const over = (partial / 0x1_0000_0000) | 0 // 2^32 is congruent to one
  const low = partial >>> 0
  const folded = (low & 0xffff) + (low >>> 16) + (over & 0xffff) + (over >>> 16)
  return fold32(folded)
}

/** `fold` for a sum below 2^32. */
export function fold32(partial: number): number {
  const folded = (partial & 0xffff) + (partial >>> 16)
  return (folded & 0xffff) + (folded >>> 16)
}

/** The checksum field for a sum over all octets, with the field itself counted as zero. */
export function finish(partial: number): number {
  return ~fold(partial) & 0xffff
}

/** The sum of a part that starts at an odd place of the whole: each word has its octets swapped. */
export function swap(partial: number): number {
  const folded = fold(partial)
  return ((folded & 0xff) << 8) | (folded >>> 8)
}

/** The sum of the pseudo-header of TCP and UDP over IPv4 (RFC 9293 §3.1); `len` with the header. */
export function pseudo4(src: number, dst: number, protocol: number, len: number): number {
  return (src >>> 16) + (src & 0xffff) + (dst >>> 16) + (dst & 0xffff) + protocol + len
}

/** The same over IPv6 (RFC 8200 §8.1); the addresses are 16 octets each at `src` and `dst`. */
export function pseudo6(
  bytes: Uint8Array,
  v: DataView,
  src: number,
  dst: number,
  protocol: number,
  len: number,
): number {
  return sum(bytes, v, src, src + 16) + sum(bytes, v, dst, dst + 16) + protocol + fold(len)
}
