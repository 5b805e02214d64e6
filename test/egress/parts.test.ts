/** Addresses that are made up, names that the program allowed, messages of DNS in a stream, addresses of the host. */

import { networkInterfaces } from 'node:os'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { Framing, framed } from '../../src/egress/dns-over-tcp.ts'
import { HookedNames, hookedBy } from '../../src/egress/hooked-names.ts'
import { HostAddresses } from '../../src/egress/host-addresses.ts'
import { MadeUpAddresses } from '../../src/egress/made-up-addresses.ts'
import { Surroundings } from '../../src/policy/addresses.ts'
import * as address from '../../src/stack/wire/address.ts'

vi.mock('node:os', { spy: true })

function words(text: string): Int32Array {
  const into = new Int32Array(4)
  address.parse(text, into)
  return into
}

describe('a made-up address', () => {
  test('is of 198.18.0.0/15, the same for a name, and another for another', () => {
    const given = new MadeUpAddresses()
    const one = given.addressFor(1, 'a.example')
    expect(address.formatIpv4(one)).toBe('198.18.0.1')
    expect(given.addressFor(1, 'a.example')).toBe(one)
    expect(address.formatIpv4(given.addressFor(1, 'b.example'))).toBe('198.18.0.2')
    expect([given.nameOf(1, one), given.nameOf(2, one), given.nameOf(1, 7)]).toEqual([
      'a.example',
      undefined,
      undefined,
    ])
  })

  test('of another container is another', () => {
    const given = new MadeUpAddresses()
    const [one, two] = [given.addressFor(1, 'a.example'), given.addressFor(2, 'a.example')]
    expect(two).not.toBe(one)
    expect(given.nameOf(1, two)).toBeUndefined()
  })

  test('is given again when there are too many: the oldest name has none any more', () => {
    const given = new MadeUpAddresses()
    const first = given.addressFor(1, 'n0')
    for (let i = 1; i < 1024; i++) given.addressFor(1, `n${i}`)
    expect(given.nameOf(1, first)).toBe('n0')
    expect(given.addressFor(1, 'more')).toBe(first)
    expect(given.nameOf(1, first)).toBe('more')
    expect(given.addressFor(1, 'n0')).toBe(first + 1)
  })

  test('is always of that prefix, however many containers there are', () => {
    const given = new MadeUpAddresses()
    for (let guest = 0; guest < 200; guest++) {
      for (let i = 0; i < 3; i++) {
        const addr = given.addressFor(guest, `n${i}`)
        expect(address.isIn(addr, 0xc6120000 | 0, 15)).toBe(true)
        expect(given.nameOf(guest, addr)).toBe(`n${i}`)
      }
    }
  })
})

test('a name that the program allowed is for its container, and for its time', () => {
  const names = new HookedNames()
  names.allow(1, 'a.example', 100)
  expect([
    names.has(1, 'a.example', 99),
    names.has(1, 'a.example', 100),
    names.has(2, 'a.example', 1),
  ]).toEqual([true, false, false])
  for (let i = 0; i < 5000; i++) names.allow(1, `n${i}`, 100)
  expect([names.has(1, 'n0', 1), names.has(1, 'n4999', 1)]).toEqual([false, true])
})

test('what goes by such a name is checked by its port, and goes to the Internet only', () => {
  const by = hookedBy(['a.example'], 'tcp')
  const surroundings = new Surroundings()
  const admit = (text: string, port: number): string => {
    const { action, check } = by.admit(
      { protocol: 'tcp', port, address: surroundings.judge(words(text)) },
      ['a.example'],
    )
    return `${action} ${check}`
  }
  expect([admit('1.1.1.1', 443), admit('1.1.1.1', 22), admit('10.0.0.1', 22)]).toEqual([
    'allow tls',
    'allow none',
    'deny none',
  ])
})

test('messages in a stream come out whole, however it is cut (RFC 7766 §8)', () => {
  const message = fc.uint8Array({ maxLength: 700 })
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.integer({ min: 1, max: 900 }),
      (messages, size) => {
        const stream = Buffer.concat(messages.map(framed))
        const framing = new Framing()
        const came: Uint8Array[] = []
        for (let at = 0; at < stream.length; at += size) {
          framing.take(stream.subarray(at, at + size), (whole) => came.push(whole))
        }
        expect(came).toEqual(messages)
      },
    ),
  )
})

test('the addresses of the host are looked at once in a second', () => {
  const own = new HostAddresses(['10.0.2.2'])
  const told: string[][] = []
  const surroundings = {
    setHostAddresses: (all: string[]) => told.push(all),
  } as unknown as Surroundings
  for (const now of [0, 999, 1000, 1500]) own.update(surroundings, now)
  expect(told).toHaveLength(2)
  expect(told[0]).toEqual(expect.arrayContaining(['10.0.2.2', '127.0.0.1']))
  own.forget()
  own.update(surroundings, 1501)
  expect(told).toHaveLength(3)
})

test('the addresses of the host stay as they were where they cannot be read', () => {
  const own = new HostAddresses([])
  const surroundings = new Surroundings()
  const readings = vi.mocked(networkInterfaces).mockImplementation(() => {
    throw new Error('uv_interface_addresses returned Unknown system error 24')
  })
  own.update(surroundings, 0)
  // What is the host's is never looked at as if there were nothing of it.
  const fresh = { told: [] as string[], setHostAddresses: (all: string[]) => (fresh.told = all) }
  own.forget()
  own.update(fresh as unknown as Surroundings, 1)
  expect(fresh.told).toContain('127.0.0.1')
  expect(readings).toHaveBeenCalled()
  expect(() => new HostAddresses([])).toThrow('24')
  readings.mockRestore()
})
