import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as checksum from '../../../src/stack/wire/checksum.ts'
import { hex, pairSum, TrapView } from './trap-view.ts'

const random = fc.sample(fc.uint8Array({ minLength: 9100, maxLength: 9100, size: 'max' }), {
  numRuns: 1,
  seed: 4711,
})[0]!
const view = new DataView(random.buffer)

const sum = (octets: Uint8Array): number => {
  const v = new TrapView(octets)
  return checksum.sum(v.bytes, v, v.from, v.to)
}

describe('the sum is that of byte pairs', () => {
  // Each length up to 300, then in steps that are prime to every unrolling.
  const lengths = [...Array(301).keys()]
  for (let len = 301; len < 9001; len += 61) lengths.push(len)
  lengths.push(1479, 1480, 1481, 8999, 9000, 9001)

  test.each([0, 1, 2, 3, 4, 5, 6, 7])('at alignment %i, for lengths 0 to 9001', (at) => {
    for (const len of lengths) {
      const twin = pairSum(random.subarray(at, at + len))
      expect(checksum.sum(random, view, at, at + len), `${len} octets`).toBe(twin)
    }
  })

  test('for any octets, reading none beyond them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
        expect(sum(octets)).toBe(pairSum(octets))
      }),
    )
  })

  test('for 65,535 octets of ones', () => {
    const ones = new Uint8Array(65_535).fill(0xff)
    expect(sum(ones)).toBe(pairSum(ones))
  })

  test('for a mebioctet of ones', () => {
    const ones = new Uint8Array(1 << 20).fill(0xff)
    expect(sum(ones)).toBe(0xffff)
  })
})

test('the example of RFC 1071 §3 comes out', () => {
  const octets = hex('00 01 f2 03 f4 f5 f6 f7')
  expect(sum(octets)).toBe(0xddf2)
  expect(checksum.finish(sum(octets))).toBe(0x220d)
})

test('the sum of zeros is zero, and no other sum folds to zero', () => {
  expect(sum(new Uint8Array(40))).toBe(0)
  expect(sum(hex('ffff'))).toBe(0xffff)
  expect(sum(hex('0001 fffe'))).toBe(0xffff)
  expect(checksum.fold(0xffff_ffff)).toBe(0xffff)
  expect(checksum.fold(0xffff * 0x1_0000_0000)).toBe(0xffff)
})

test('sums of parts of even length add up to the sum of the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(150), (octets, half) => {
      const cut = Math.min(2 * half, octets.length & ~1)
      const head = checksum.sum(octets, new DataView(octets.buffer), 0, cut)
      const both = checksum.sum(octets, new DataView(octets.buffer), cut, octets.length, head)
      expect(both).toBe(pairSum(octets))
    }),
  )
})

test('the sum of a part at an odd place is swapped', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (octets, at) => {
      const cut = Math.min(at, octets.length)
      const head = sum(octets.slice(0, cut))
      const tail = sum(octets.slice(cut))
      const whole = head + (cut & 1 ? checksum.swap(tail) : tail)
      expect(checksum.fold(whole)).toBe(pairSum(octets))
    }),
  )
})

test('fold is the remainder modulo 0xffff, up to 2^52', () => {
  fc.assert(
    fc.property(
      fc.maxSafeNat().map((n) => Math.floor(n / 2)),
      (n) => {
        expect(checksum.fold(n)).toBe(n === 0 ? 0 : n % 0xffff || 0xffff)
        expect(checksum.finish(n)).toBe(0xffff - checksum.fold(n))
      },
    ),
  )
})

test('the IPv4 pseudo-header is addresses, protocol and length (RFC 9293 §3.1)', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.nat(255), fc.nat(65_535), (src, dst, proto, len) => {
      const v = new DataView(new ArrayBuffer(12))
      v.setInt32(0, src)
      v.setInt32(4, dst)
      v.setUint8(9, proto)
      v.setUint16(10, len)
      const twin = pairSum(new Uint8Array(v.buffer))
      expect(checksum.fold(checksum.pseudo4(src, dst, proto, len))).toBe(twin)
    }),
  )
})

test('the IPv6 pseudo-header has 32 bits of length (RFC 8200 §8.1)', () => {
  const octets = fc.uint8Array({ minLength: 40, maxLength: 40 })
  fc.assert(
    fc.property(octets, fc.nat(255), fc.nat(), (header, proto, len) => {
      const v = new DataView(header.buffer)
      v.setUint32(32, len)
      v.setUint32(36, proto)
      const partial = checksum.pseudo6(header, v, 0, 16, proto, len)
      expect(checksum.fold(partial)).toBe(pairSum(header))
    }),
  )
})
