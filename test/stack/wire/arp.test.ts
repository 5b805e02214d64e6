import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readMac } from '../../../src/stack/wire/address.ts'
import * as arp from '../../../src/stack/wire/arp.ts'
import { hex, TrapView } from './trap-view.ts'

const GATEWAY = hex('52550a000202')
const GUEST = hex('0211aabbccdd')
const REPLY = '0001 0800 06 04 0002 52550a000202 0a000202 0211aabbccdd 0a000264'

test('a reply is written octet for octet (RFC 826)', () => {
  const v = new TrapView(new Uint8Array(28).fill(0xff))
  expect(arp.emit(v, v.from, arp.REPLY, GATEWAY, 0x0a000202, GUEST, 0x0a000264)).toBe(v.to)
  expect(v.bytes.slice(v.from, v.to)).toEqual(hex(REPLY))
})

test('each field is read', () => {
  const v = new TrapView(hex(REPLY))
  expect(arp.check(v, v.from, v.to)).toBe(true)
  expect(arp.op(v, v.from)).toBe(arp.REPLY)
  expect(arp.spa(v, v.from)).toBe(0x0a000202)
  expect(arp.tpa(v, v.from)).toBe(0x0a000264)
  const mac = new Uint8Array(6)
  readMac(v, v.from + arp.SHA, mac)
  expect(mac).toEqual(GATEWAY)
  readMac(v, v.from + arp.THA, mac)
  expect(mac).toEqual(GUEST)
})

test('other hardware, protocols and lengths are refused', () => {
  for (const at of [0, 1, 2, 3, 4, 5]) {
    const v = new TrapView(hex(REPLY))
    v.bytes[v.from + at]! ^= 0x10
    expect(arp.check(v, v.from, v.to)).toBe(false)
  }
})

test('a packet cut short is refused, and padding is not', () => {
  const v = new TrapView(new Uint8Array([...hex(REPLY), ...new Uint8Array(18)]))
  expect(arp.check(v, v.from, v.to)).toBe(true)
  for (let len = 0; len < 28; len++) expect(arp.check(v, v.from, v.from + len)).toBe(false)
})

test('no octet outside of the packet is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
      const v = new TrapView(octets)
      arp.check(v, v.from, v.to)
    }),
  )
})
