import { expect, test } from 'vitest'
import { KEY_WORDS, key4 } from '../../../src/stack/flow-table.ts'
import { halfSipHash, isnOf } from '../../../src/stack/tcp/isn.ts'
import * as seq from '../../../src/stack/tcp/seq.ts'

const SECRET = Int32Array.of(0x0123_4567, 0x76543210)

function key(port: number): Int32Array {
  const words = new Int32Array(KEY_WORDS)
  key4(words, 0x0a000264, port, 0x0a000202, 80)
  return words
}

test('ISNs of one 4-tuple advance by one every 4 µs (RFC 9293 §3.4.1, RFC 6528 §3)', () => {
  const at = (now: number): number => isnOf(SECRET, key(1), now)
  expect(seq.diff(at(1001), at(1000))).toBe(250)
  expect(seq.diff(at(1000.004), at(1000))).toBe(1)
  // Also when 32 bits of them have gone by, after 4.77 hours.
  const round = 2 ** 32 / 250
  expect(seq.diff(at(round + 1001), at(1000))).toBeCloseTo(250, -1)
})

test('those of different 4-tuples and secrets tell nothing of each other (RFC 6528 §3)', () => {
  const seen = new Set<number>()
  for (let port = 0; port < 5000; port++) seen.add(isnOf(SECRET, key(port), 0))
  expect(seen.size).toBe(5000)
  expect(isnOf(Int32Array.of(0x0123_4567, 0x76543211), key(1), 0)).not.toBe(
    isnOf(SECRET, key(1), 0),
  )
})

test('HalfSipHash-2-4 gives what its authors’ reference gives', () => {
  // vectors_hsip32 of github.com/veorg/SipHash: key 00 01 … 07, message 00 01 … of whole words.
  const secret = Int32Array.of(0x03020100, 0x07060504)
  const words = Int32Array.of(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c)
  const octets = (n: number): string => {
    const hash = halfSipHash(secret, words.subarray(0, n)) >>> 0
    return [0, 8, 16, 24].map((s) => ((hash >>> s) & 255).toString(16).padStart(2, '0')).join('')
  }
  expect([0, 1, 2, 3, 4].map(octets)).toEqual([
    ...['a9359f5b', '2a6e4689', 'd0b8848f', '57f0872f', 'd9b5ac84'],
  ])
})
