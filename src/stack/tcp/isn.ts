/**
 * Initial sequence numbers (RFC 6528 §3): M + F(4-tuple, secret), where M advances every 4 µs and
 * F is HalfSipHash-2-4, a keyed function of 64 secret bits.
 */
import type { Seq } from './seq.ts'

export function isnOf(secret: Int32Array, key: Int32Array, now: number): Seq {
  const m = Math.floor(now * 250) | 0
  return (m + halfSipHash(secret, key)) | 0
}

/** HalfSipHash-2-4 over whole words, with 32 bits of result. */
export function halfSipHash(secret: Int32Array, words: Int32Array): number {
  let v0 = secret[0]!
  let v1 = secret[1]!
  let v2 = 0x6c796765 ^ secret[0]!
  let v3 = 0x74656462 ^ secret[1]!
  const end = words.length
  for (let i = 0; i <= end + 1; i++) {
    // The message, then its length in octets, then the finalization's four rounds.
    const m = i < end ? words[i]! : i === end ? (4 * end) << 24 : 0
    if (i <= end) v3 ^= m
    else v2 ^= 0xff
    for (let round = i <= end ? 2 : 4; round > 0; round--) {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    if (i <= end) v0 ^= m
  }
  return v1 ^ v3
}
