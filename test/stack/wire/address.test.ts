import { isIP } from 'node:net'
import fc from 'fast-check'
import { Address6 } from 'ip-address'
import { describe, expect, test } from 'vitest'
import * as address from '../../../src/stack/wire/address.ts'

const words = (text: string): Int32Array => {
  const into = new Int32Array(4)
  if (!address.parse(text, into)) throw new Error(`no address: ${text}`)
  return into
}
const v4 = (text: string): number => address.parseIpv4(text)!

describe('IPv4', () => {
  test('text and number are the same address', () => {
    fc.assert(
      fc.property(fc.integer(), (addr) => {
        expect(address.parseIpv4(address.formatIpv4(addr))).toBe(addr)
      }),
    )
    expect(v4('10.0.2.100')).toBe(0x0a000264)
    expect(v4('255.255.255.255')).toBe(-1)
  })

  test.each(['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', '1.2.3.-4', '1..3.4'])(
    '%j is no address',
    (text) => expect(address.parseIpv4(text)).toBeUndefined(),
  )

  test('an address is known by its block (RFC 6890)', () => {
    expect(address.isLoopback(v4('127.255.0.1'))).toBe(true)
    expect(address.isLoopback(v4('128.0.0.1'))).toBe(false)
    expect(address.isMulticast(v4('224.0.0.1'))).toBe(true)
    expect(address.isMulticast(v4('239.255.255.255'))).toBe(true)
    expect(address.isMulticast(v4('240.0.0.0'))).toBe(false)
    expect(address.isReserved(v4('240.0.0.0'))).toBe(true)
    expect(address.isBroadcast(v4('255.255.255.255'))).toBe(true)
    expect(address.isBroadcast(v4('255.255.255.254'))).toBe(false)
    expect(address.isLinkLocal(v4('169.254.9.9'))).toBe(true)
    expect(address.isThisNetwork(v4('0.1.2.3'))).toBe(true)
    expect(address.isUnspecified(0)).toBe(true)
  })

  test('a prefix is 0 to 32 leading ones', () => {
    expect([0, 1, 24, 31, 32].map(address.mask).map(address.formatIpv4)).toEqual([
      '0.0.0.0',
      '128.0.0.0',
      '255.255.255.0',
      '255.255.255.254',
      '255.255.255.255',
    ])
    expect(address.isIn(v4('10.0.2.15'), v4('10.0.2.0'), 24)).toBe(true)
    expect(address.isIn(v4('10.0.3.15'), v4('10.0.2.0'), 24)).toBe(false)
    expect(address.isIn(v4('10.0.3.15'), 0, 0)).toBe(true)
  })
})

describe('IPv6', () => {
  test.each([
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8::0:1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['fe80::1.2.3.4', 'fe80::102:304'],
    ['::ffff:10.0.2.2', '10.0.2.2'],
    ['::ffff:a00:202', '10.0.2.2'],
    ['fd00::3', 'fd00::3'],
  ])('%s is written %s (RFC 5952 §4)', (text, canonical) => {
    expect(address.format(words(text))).toBe(canonical)
  })

  test('text of any address reads back as the same words, and Node and ip-address agree', () => {
    const word = fc.oneof(fc.constant(0), fc.integer(), fc.nat(0xffff))
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), (four) => {
        const some = Int32Array.from(four)
        const text = address.format(some)
        expect(words(text)).toEqual(some)
        if (address.isMapped(some)) return
        expect(isIP(text)).toBe(6)
        expect(new Address6(text).correctForm()).toBe(text)
      }),
    )
  })

  test('what is an address is what Node says is one', () => {
    const part = fc.constantFrom('', '0', '1', 'ffff', '12345', 'g', ':', '::', '1.2.3.4', '1.2')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 10 }), fc.constantFrom('', ':'), (parts, by) => {
        const text = parts.join(by)
        expect(address.parse(text, new Int32Array(4)), text).toBe(isIP(text) !== 0)
      }),
      { numRuns: 2000 },
    )
  })

  test('a text that is no address leaves the words untouched', () => {
    const into = Int32Array.of(1, 2, 3, 4)
    expect(address.parse('1:2:3:4:5:6:7', into)).toBe(false)
    expect(address.parse('fe80::1%eth0', into)).toBe(false)
    expect([...into]).toEqual([1, 2, 3, 4])
  })
})

test('an IPv4 address is mapped into words, and equal ones are equal', () => {
  const into = Int32Array.of(1, 2, 3, 4)
  address.mapped(v4('10.0.2.2'), into)
  expect([...into]).toEqual([0, 0, 0xffff, 0x0a000202])
  expect(address.isMapped(into)).toBe(true)
  expect(address.isMapped(words('::1'))).toBe(false)
  expect(address.equals(into, words('10.0.2.2'))).toBe(true)
  expect(address.equals(into, words('10.0.2.3'))).toBe(false)
})

describe('MAC', () => {
  test('text and octets are the same address', () => {
    expect(address.parseMac('52:55:0A:00:02:02')).toEqual(Uint8Array.of(0x52, 0x55, 10, 0, 2, 2))
    expect(address.formatMac(Uint8Array.of(9, 0x52, 0x55, 10, 0, 2, 2), 1)).toBe(
      '52:55:0a:00:02:02',
    )
  })

  test.each(['', '52:55:0a:00:02', '52-55-0a-00-02-02', '52:55:0a:00:02:02:00', '5:5:a:0:2:2'])(
    '%j is no address',
    (text) => expect(address.parseMac(text)).toBeUndefined(),
  )

  test('an address is written, compared and read in place', () => {
    const view = new DataView(new ArrayBuffer(8))
    const mac = address.parseMac('52:55:0a:00:02:02')!
    expect(address.emitMac(view, 1, mac)).toBe(7)
    expect(address.isMac(view, 1, mac)).toBe(true)
    expect(address.isMac(view, 2, mac)).toBe(false)
    const into = new Uint8Array(6)
    address.readMac(view, 1, into)
    expect(into).toEqual(mac)
  })
})

test.each([
  ['10.0.2.100', 4],
  ['fd00::2', 6],
  ['::ffff:10.0.2.100', 6],
  ['fe80::1%eth0', 0],
  ['010.0.2.1', 0],
  ['', 0],
  ['eth0', 0],
])('%j is an address of IP version %i, as Node has it but for zones', (text, version) => {
  expect(address.versionOf(text)).toBe(version)
  if (!text.includes('%')) expect(isIP(text)).toBe(version)
})
