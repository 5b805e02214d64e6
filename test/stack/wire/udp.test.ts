import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as udp from '../../../src/stack/wire/udp.ts'
import { TrapView } from './trap-view.ts'

test('a header reads back as written (RFC 768)', () => {
  const u16 = fc.nat(65_535)
  fc.assert(
    fc.property(u16, u16, u16, u16, (srcPort, dstPort, length, checksum) => {
      const v = new TrapView(new Uint8Array(8))
      expect(udp.emit(v, v.from, srcPort, dstPort, length, checksum)).toBe(v.to)
      expect(udp.srcPort(v, v.from)).toBe(srcPort)
      expect(udp.dstPort(v, v.from)).toBe(dstPort)
      expect(udp.length(v, v.from)).toBe(length)
      expect(udp.checksum(v, v.from)).toBe(checksum)
      expect(v.getUint16(v.from + udp.CHECKSUM)).toBe(checksum)
    }),
  )
})

test('a length below 8 or past the packet is refused, and a shorter one is not', () => {
  const v = new TrapView(new Uint8Array(12))
  const check = (length: number): boolean => {
    udp.emit(v, v.from, 1, 2, length, 0)
    return udp.check(v, v.from, v.to)
  }
  expect([0, 7, 8, 11, 12, 13, 0xffff].map(check)).toEqual([
    ...[false, false, true, true, true, false, false],
  ])
})

test('no octet outside of the datagram is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (octets) => {
      const v = new TrapView(octets)
      if (udp.check(v, v.from, v.to))
        expect(udp.length(v, v.from)).toBeLessThanOrEqual(octets.length)
    }),
  )
  for (let len = 0; len < 20; len++) {
    const v = new TrapView(new Uint8Array(len).fill(0xff))
    expect(udp.check(v, v.from, v.to)).toBe(false)
  }
})
