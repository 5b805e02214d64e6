import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import { hex, pairSum, TrapView } from './trap-view.ts'

// Wikipedia's worked example of the header checksum: 192.168.0.1 → 192.168.0.199, UDP.
const EXAMPLE = hex('45000073 00004000 4011b861 c0a80001 c0a800c7')
const packet = (header: Uint8Array, total = 0x73): TrapView => {
  const octets = new Uint8Array(total)
  octets.set(header)
  return new TrapView(octets)
}

test('each field of a captured header is read', () => {
  const v = packet(EXAMPLE)
  const at = v.from
  expect(ipv4.check(v, at, v.to)).toBe(true)
  expect(ipv4.checksumOk(v.bytes, v, at)).toBe(true)
  expect(ipv4.headerLen(v, at)).toBe(20)
  expect(ipv4.totalLen(v, at)).toBe(0x73)
  expect(ipv4.id(v, at)).toBe(0)
  expect(ipv4.fragment(v, at)).toBe(ipv4.DF)
  expect(ipv4.dontFragment(v, at)).toBe(true)
  expect(ipv4.moreFragments(v, at)).toBe(false)
  expect(ipv4.isFragment(v, at)).toBe(false)
  expect(ipv4.ttl(v, at)).toBe(64)
  expect(ipv4.protocol(v, at)).toBe(ipv4.UDP)
  expect(ipv4.checksum(v, at)).toBe(0xb861)
  expect(ipv4.src(v, at)).toBe(0xc0a80001 | 0)
  expect(ipv4.dst(v, at)).toBe(0xc0a800c7 | 0)
})

test('what is written reads back, with the right checksum and 20 octets long', () => {
  const u16 = fc.nat(65_535)
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 65_535 }),
      u16,
      u16,
      fc.nat(255),
      fc.nat(255),
      fc.integer(),
      fc.integer(),
      (total, id, fragment, ttl, protocol, src, dst) => {
        const v = new TrapView(new Uint8Array(20).fill(0xff))
        const at = v.from
        expect(ipv4.emit(v, at, total, id, fragment, ttl, protocol, src, dst)).toBe(v.to)
        expect(pairSum(v.bytes.subarray(at, v.to))).toBe(0xffff)
        expect(ipv4.checksumOk(v.bytes, v, at)).toBe(true)
        expect([ipv4.totalLen(v, at), ipv4.id(v, at), ipv4.fragment(v, at)]).toEqual([
          total,
          id,
          fragment,
        ])
        expect(ipv4.fragmentOffset(v, at)).toBe((fragment & 0x1fff) * 8)
        expect(ipv4.moreFragments(v, at)).toBe((fragment & ipv4.MF) !== 0)
        expect([ipv4.ttl(v, at), ipv4.protocol(v, at)]).toEqual([ttl, protocol])
        expect([ipv4.src(v, at), ipv4.dst(v, at)]).toEqual([src, dst])
        expect(ipv4.tos(v, at)).toBe(0)
      },
    ),
  )
})

test('a length that the field cannot tell is written as 0, with the right checksum', () => {
  const v = new TrapView(new Uint8Array(20).fill(0xff))
  for (const total of [65_536, 262_130]) {
    ipv4.emit(v, v.from, total, 7, ipv4.DF, 64, ipv4.TCP, 1, 2)
    expect(ipv4.totalLen(v, v.from)).toBe(0)
    expect(ipv4.checksumOk(v.bytes, v, v.from)).toBe(true)
  }
})

test('one wrong bit of the header is seen by the checksum, with and without options', () => {
  const withOptions = hex('46000073 00004000 40110000 c0a80001 c0a800c7 01010100')
  for (const header of [EXAMPLE, withOptions]) {
    const v = packet(header)
    ipv4.emitChecksum(v.bytes, v, v.from)
    expect(ipv4.checksumOk(v.bytes, v, v.from)).toBe(true)
    for (let bit = 0; bit < 8 * header.length; bit++) {
      if (bit < 8) continue // version and IHL are what `check` judges
      v.bytes[v.from + (bit >>> 3)]! ^= 1 << (bit & 7)
      expect(ipv4.checksumOk(v.bytes, v, v.from)).toBe(false)
      v.bytes[v.from + (bit >>> 3)]! ^= 1 << (bit & 7)
    }
  }
})

test('padding may follow the packet, and a packet cut short is refused', () => {
  const v = packet(EXAMPLE, 0x80)
  expect(ipv4.check(v, v.from, v.from + 0x80)).toBe(true)
  expect(ipv4.check(v, v.from, v.from + 0x73)).toBe(true)
  expect(ipv4.check(v, v.from, v.from + 0x72)).toBe(false)
  expect(ipv4.check(v, v.from, v.from + 19)).toBe(false)
  expect(ipv4.check(v, v.from, v.from)).toBe(false)
})

test.each([
  ['version 6', '65000073'],
  ['a header of 16 octets', '44000073'],
  ['a total length below the header', '45000013'],
  ['a header longer than the packet', '4f00003b'],
  ['zeros', '00000000'],
  ['ones', 'ffffffff'],
])('%s is refused', (_what, first) => {
  const header = EXAMPLE.slice()
  header.set(hex(first))
  const v = packet(header)
  expect(ipv4.check(v, v.from, v.to)).toBe(false)
})

test('no octet outside of the packet is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (octets, isLikely) => {
      if (isLikely && octets.length > 3)
        octets.set([0x40 | (octets[0]! & 15), 0, 0, octets[3]! & 63])
      const v = new TrapView(octets)
      if (ipv4.check(v, v.from, v.to)) ipv4.checksumOk(v.bytes, v, v.from)
    }),
    { numRuns: 1000 },
  )
})
