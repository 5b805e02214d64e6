/** Which forwards there may be, and what each asks of the NAT. */
import { beforeEach, expect, test } from 'vitest'
import { addressesOf, slaacAddress } from '../../src/engine/addresses.ts'
import { ForwardTable, type GuestAddresses } from '../../src/engine/forward-table.ts'
import type { Forward, ForwardRequest } from '../../src/engine/types.ts'
import type { Forwarder, ForwardPlan } from '../../src/nat/forwards.ts'
import type { Nat } from '../../src/nat/nat.ts'
import { format, parse, parseMac } from '../../src/stack/wire/address.ts'

const words = (text: string): Int32Array => {
  const into = new Int32Array(4)
  if (!parse(text, into)) throw new Error(text)
  return into
}

const TAKEN = 9000
const MAC = parseMac('02:11:aa:bb:cc:dd')!
let plans: [proto: string, plan: ForwardPlan][] = []
/** Ports of the host that are published. */
let open: number[] = []
beforeEach(() => {
  plans = []
  open = []
})

function table(guests: Partial<GuestAddresses> = {}): ForwardTable {
  const nat = {
    forward(proto: 'tcp' | 'udp', plan: ForwardPlan) {
      if (plan.at.port === TAKEN) throw new Error(`port ${TAKEN} is taken`)
      plans.push([proto, plan])
      const bound = { words: plan.at.words, port: plan.at.port || 40_000 }
      open.push(bound.port)
      return { bound }
    },
    unforward({ bound }: Forwarder) {
      open = open.filter((port) => port !== bound.port)
    },
  }
  const ipv4 = addressesOf(0x0a000200, 24)
  const prefix6 = words('fd00::')
  const guest6 = () => slaacAddress(prefix6, MAC)
  return new ForwardTable(nat as unknown as Nat, { ipv4, prefix6, guest6, ...guests })
}

const wanted = (more: Partial<Forward>): ForwardRequest => ({
  proto: 'tcp',
  hostAddr: '0.0.0.0',
  hostPort: 8080,
  guestAddr: '',
  guestPort: 80,
  ...more,
})

test('an address of a MAC is its modified EUI-64 (RFC 4291 appendix A)', () => {
  expect(format(slaacAddress(words('fd00::'), MAC))).toBe('fd00::11:aaff:febb:ccdd')
  expect(format(slaacAddress(words('fd00::'), parseMac('fc:ff:ff:ff:ff:ff')!))).toBe(
    'fd00::feff:ffff:feff:ffff',
  )
})

test('tcp6 and udp6 lead to the address that the guest makes itself', () => {
  const forwards = table()
  expect(forwards.add(wanted({ proto: 'tcp6', hostAddr: '::' }))).toMatchObject({
    id: 1,
    proto: 'tcp6',
    hostAddr: '::',
    guestAddr: 'fd00::11:aaff:febb:ccdd',
  })
  forwards.add(wanted({ proto: 'udp6', hostAddr: '::1', guestAddr: 'fd00::7' }))
  expect(
    plans.map(([proto, { guest, ipv6Only }]) => [proto, format(guest.words), ipv6Only]),
  ).toEqual([
    ['tcp', 'fd00::11:aaff:febb:ccdd', true],
    ['udp', 'fd00::7', true],
  ])
})

test('tcp takes any addresses, and clients of both versions at ::', () => {
  table().add(wanted({ hostAddr: '::', hostPort: 0 }))
  table().add(wanted({ guestAddr: 'fd00::7' }))
  expect(plans.map(([, { guest, ipv6Only }]) => [format(guest.words), ipv6Only])).toEqual([
    ['10.0.2.100', false],
    ['fd00::7', false],
  ])
})

test.each<[string, Partial<Forward>, RegExp]>([
  ['no address at the host', { hostAddr: 'x' }, /not an IP address: x/],
  ['no address at the guest', { guestAddr: 'x' }, /not an IP address: x/],
  ['one elsewhere', { guestAddr: '10.0.3.1' }, /not in the subnet: 10.0.3.1/],
  ['one of IPv6 elsewhere', { guestAddr: 'fd01::1' }, /not in the subnet: fd01::1/],
  [
    'all of the subnet, for TCP',
    { guestAddr: '10.0.2.255' },
    /not the address of a host: 10.0.2.2/,
  ],
  ['the subnet itself, for TCP', { guestAddr: '10.0.2.0' }, /not the address of a host: 10.0.2.0/],
  ['IPv6 for tcp4', { proto: 'tcp4', hostAddr: '::1' }, /not an address for tcp4: ::1/],
  ['IPv4 for udp6', { proto: 'udp6' }, /not an address for udp6: 0.0.0.0/],
  [
    'IPv4 at the guest for udp6',
    { proto: 'udp6', hostAddr: '::', guestAddr: '10.0.2.100' },
    /not an address for udp6: 10.0.2.100/,
  ],
])('%s is refused', (_, more, says) => {
  expect(() => table().add(wanted(more))).toThrow(says)
  expect(plans).toEqual([])
})

test('without IPv6, or without a MAC that is known, there is no address to lead to', () => {
  const tcp6 = wanted({ proto: 'tcp6', hostAddr: '::' })
  const without = { prefix6: undefined }
  expect(() => table(without).add(tcp6)).toThrow('IPv6 is not enabled')
  expect(() => table(without).add(wanted({ guestAddr: 'fd00::7' }))).toThrow('not in the subnet')
  expect(() => table({ guest6: () => undefined }).add(tcp6)).toThrow('MAC address is not known')
})

test('a row of ports is one forward, each port leads to its own, and all are removed together', () => {
  const forwards = table()
  const row = forwards.add(wanted({ hostPort: 8000, guestPort: 80, count: 3 }))
  expect(row).toMatchObject({ id: 1, hostPort: 8000, guestPort: 80, count: 3 })
  const ports = plans.map(([, { at, guest }]) => [at.port, guest.port])
  expect(ports).toEqual([
    [8000, 80],
    [8001, 81],
    [8002, 82],
  ])
  expect(forwards.list()).toEqual([row])
  expect(forwards.remove(1)).toBe(true)
  expect(open).toEqual([])
})

test('of a row in which one port is taken, none is published', () => {
  const forwards = table()
  const row = wanted({ hostPort: TAKEN - 2, count: 5 })
  expect(() => forwards.add(row)).toThrow(`port ${TAKEN} is taken`)
  expect([open, forwards.list()]).toEqual([[], []])
  expect(forwards.add(wanted({}))).toMatchObject({ id: 1, count: 1 })
})

test('a row of any free ports cannot be had', () => {
  expect(() => table().add(wanted({ hostPort: 0, count: 2 }))).toThrow(
    'a row of ports needs its first',
  )
  expect(table().add(wanted({ hostPort: 0, count: 1 })).hostPort).toBe(40_000)
})
