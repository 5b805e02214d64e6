import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { outboundAddress, outboundAddresses } from '../../src/engine/outbound.ts'
import type { NetworkOptions } from '../../src/engine/types.ts'

const options: NetworkOptions = {
  target: { pid: 1 },
  tapName: 'tap0',
  mtu: 1500,
  cidr: { network: 0x0a000200, prefix: 24 },
  configure: true,
  ipv6: false,
  hostLoopback: false,
  dns: true,
}
const LO = networkInterfaces().lo?.find(({ family }) => family === 'IPv4')?.address

test('an address stands for itself, in its own family only', () => {
  expect(outboundAddress('192.0.2.5', 'IPv4')).toEqual(Int32Array.of(0, 0, 0xffff, 0xc0000205 | 0))
  expect(outboundAddress('192.0.2.5', 'IPv6')).toBeUndefined()
  expect(outboundAddress('2001:db8::5', 'IPv6')).toEqual(Int32Array.of(0x20010db8, 0, 0, 5))
  expect(outboundAddress('2001:db8::5', 'IPv4')).toBeUndefined()
  expect(outboundAddress('::ffff:192.0.2.5', 'IPv6')).toBeUndefined()
})

test('what is neither an address nor an interface stands for nothing', () => {
  for (const text of ['', 'nonsense', '192.0.2', 'no-such-if0', '__proto__']) {
    expect(outboundAddress(text, 'IPv4')).toBeUndefined()
    expect(outboundAddress(text, 'IPv6')).toBeUndefined()
  }
})

test.skipIf(LO === undefined)('an interface stands for its address', () => {
  expect(outboundAddress('lo', 'IPv4')).toEqual(outboundAddress(LO!, 'IPv4'))
})

test('without the options the system chooses', () => {
  expect(outboundAddresses(options)).toEqual({})
  expect(outboundAddresses({ ...options, outboundAddr6: '2001:db8::5' })).toEqual({
    ipv6: Int32Array.of(0x20010db8, 0, 0, 5),
  })
})

test('an interface that has gone is an error with its name', () => {
  expect(() => outboundAddresses({ ...options, outboundAddr: 'gone0' })).toThrow(
    'cannot go out from gone0: the interface has no IPv4 address',
  )
})
