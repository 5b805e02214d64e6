import { expect, test } from 'vitest'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import { hex, TrapView } from './trap-view.ts'

const GATEWAY = hex('52550a000202')
const GUEST = hex('0211aabbccdd')

test('a header reads back as written (RFC 894)', () => {
  const v = new TrapView(new Uint8Array(14))
  expect(ethernet.emit(v, v.from, GUEST, GATEWAY, ethernet.IPV4)).toBe(v.to)
  expect(v.bytes.slice(v.from, v.to)).toEqual(hex('0211aabbccdd 52550a000202 0800'))
  expect(ethernet.type(v, v.from)).toBe(ethernet.IPV4)
  expect(ethernet.isTo(v, v.from, GUEST)).toBe(true)
  expect(ethernet.isTo(v, v.from, GATEWAY)).toBe(false)
  expect(ethernet.isGroup(v, v.from)).toBe(false)
})

test('broadcast and multicast are group addresses', () => {
  const v = new TrapView(new Uint8Array(14))
  ethernet.emit(v, v.from, ethernet.BROADCAST, GUEST, ethernet.ARP)
  expect(ethernet.isGroup(v, v.from)).toBe(true)
  ethernet.emit(v, v.from, hex('333300000001'), GUEST, ethernet.IPV6)
  expect(ethernet.isGroup(v, v.from)).toBe(true)
})

test('a frame needs 14 octets', () => {
  expect(ethernet.check(100, 114)).toBe(true)
  expect(ethernet.check(100, 113)).toBe(false)
})
