/** Who may send to a UDP port of the guest (RFC 4787 §5). */
import { expect, test } from 'vitest'
import { type Filtering, MAX_PEERS, UdpFilter } from '../../src/nat/udp-filter.ts'
import { parse } from '../../src/stack/wire/address.ts'

function peer(address: string, port: number, scope = 0) {
  const words = new Int32Array(4)
  expect(parse(address, words)).toBe(true)
  return { words, port, scope }
}

const KINDS = ['address-dependent', 'address-and-port-dependent'] as const

test.each(KINDS)('%s: nobody, before the guest has sent', (kind) => {
  const filter = new UdpFilter(kind)
  for (const address of ['192.0.2.1', '255.255.255.255', '0.0.0.0', '::', '2001:db8::1']) {
    expect(filter.admits(peer(address, 53))).toBe(false)
  }
})

test.each<[Exclude<Filtering, 'endpoint-independent'>, boolean]>([
  ['address-dependent', true],
  ['address-and-port-dependent', false],
])('%s: of a host that was sent to, its other ports are heard: %s', (kind, isHeard) => {
  for (const [one, other] of [
    ['192.0.2.1', '192.0.2.2'],
    ['255.255.255.255', '127.255.255.255'],
    ['2001:db8::1', '2001:db8::2'],
  ] as const) {
    const filter = new UdpFilter(kind)
    filter.note(peer(one, 53))
    expect(filter.admits(peer(one, 53))).toBe(true)
    expect(filter.admits(peer(one, 54))).toBe(isHeard)
    expect(filter.admits(peer(other, 53))).toBe(false)
    filter.note(peer(other, 65_535))
    expect(filter.admits(peer(other, 65_535))).toBe(true)
    expect(filter.admits(peer(one, 53))).toBe(true)
  }
})

test('the same link-local address on two links is two hosts', () => {
  const filter = new UdpFilter('address-dependent')
  filter.note(peer('fe80::1', 53, 2))
  expect(filter.admits(peer('fe80::1', 53, 2))).toBe(true)
  expect(filter.admits(peer('fe80::1', 53, 3))).toBe(false)
})

test('what is remembered is bounded: who was sent to longest ago is forgotten', () => {
  const filter = new UdpFilter('address-and-port-dependent')
  const first = peer('192.0.2.1', 1)
  filter.note(first)
  for (let port = 2; port <= MAX_PEERS; port++) filter.note(peer('192.0.2.1', port))
  filter.note(first) // sent to again
  filter.note(peer('192.0.2.1', MAX_PEERS + 1))
  expect(filter.admits(first)).toBe(true)
  expect(filter.admits(peer('192.0.2.1', 2))).toBe(false)
  expect(filter.admits(peer('192.0.2.1', 3))).toBe(true)
})
