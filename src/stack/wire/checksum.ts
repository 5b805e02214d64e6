/**
 * The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
 *
 * A **sum** here is a non-negative number, congruent to that sum modulo 0xffff; sums of parts are
 * added with `+`, in any order, as long as each part but the last has an even length. What `sum`
 * returns is folded to 16 bits, so some thousand of them can be added before anything overflows.
 *
 * Hot. The octets are added as little-endian 32-bit words, whose halves are separated only then: the
 * sum does not depend on the order of octets but for one swap at the end (RFC 1071 §2 B).
 */

/** The most octets that one round may add to 32-bit accumulators; ours: see `addWords`. */
const ROUND = 0x4000

/** The sum of the octets in [at, end), added to `initial`. An odd last octet is padded with zero. */
export function sum(_bytes: Uint8Array, v: DataView, at: number, end: number, initial = 0): number {
  let swapped = 0
  while (end - at > ROUND) {
    swapped += addWords(v, at, at + ROUND)
    at += ROUND
  }
  swapped = fold(swapped + addWords(v, at, end))
  return fold((((swapped & 0xff) << 8) | (swapped >>> 8)) + fold(initial))
}

/** The sum of [at, end) in little-endian words, at most 32 bits. */
function addWords(v: DataView, at: number, end: number): number {
  let low = 0
  let high = 0
  for (const last = end - 16; at <= last; at += 16) {
    const a = v.getInt32(at, true)
    const b = v.getInt32(at + 4, true)
    const c = v.getInt32(at + 8, true)
    const d = v.getInt32(at + 12, true)
    low += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)
    high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)
  }
  for (; at + 2 <= end; at += 2) low += v.getUint16(at, true)
  if (at < end) low += v.getUint8(at)
  return low + high
}

/** The sum in 16 bits. Zero only when the sum is. */
export function fold(partial: number): number {
  // A sum beyond 32 bits is a float: take the part above 2^32 off first, which has weight one.
  if (partial > 0xffffffff) partial = (partial % 0x100000000) + Math.floor(partial / 0x100000000)
  partial = (partial & 0xffff) + (partial >>> 16)
  return (partial & 0xffff) + (partial >>> 16)
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
