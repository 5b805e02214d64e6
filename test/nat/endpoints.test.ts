/** What is the program's and what the NAT's: addresses and ports, without a stack. */
import { beforeEach, describe, expect, test } from 'vitest'
import { Endpoints } from '../../src/nat/endpoints.ts'
import type { NatOptions } from '../../src/nat/host.ts'
import type { Datagram, Stack } from '../../src/stack/stack.ts'
import type { SynRequest } from '../../src/stack/tcp/syn-request.ts'
import { format, parse } from '../../src/stack/wire/address.ts'

const words = (text: string): Int32Array => {
  const into = new Int32Array(4)
  if (!parse(text, into)) throw new Error(text)
  return into
}

let log: string[]
let guests: string[]
let endpoints: Endpoints

const options = {
  gateway: words('10.0.2.2')[3],
  dnsAddress: words('10.0.2.3')[3],
  dns: true,
  ipv6: { gateway: words('fd00::2'), dns: words('fd00::3') },
} as unknown as NatOptions

beforeEach(() => {
  log = []
  guests = []
  const stack = {
    claim: (address: Int32Array) => log.push(`claim ${format(address)}`),
    unclaim: (address: Int32Array) => log.push(`unclaim ${format(address)}`),
    neighbours: { isKnown: (address: Int32Array) => guests.includes(format(address)) },
    refuseDatagram: (_: Datagram, why: string) => log.push(why),
  }
  endpoints = new Endpoints(options, stack as unknown as Stack)
})

function keyTo(address: string, port: number): Int32Array {
  const key = new Int32Array(9)
  key.set(words(address.includes(':') ? 'fd00::64' : '10.0.2.100'))
  key.set(words(address), 4)
  key[8] = (40_000 << 16) | port
  return key
}

/** What becomes of a SYN and of a datagram: who took it, or 'nat'. */
function syn(address: string, port: number): string {
  const request = { key: keyTo(address, port), refuse: () => log.push('refused') }
  const whose = endpoints.synArrives(request as unknown as SynRequest)
  if (whose === 'nat') return whose
  const said = log.pop()!
  expect(whose).toBe(said === 'refused' ? 'refused' : 'endpoint')
  return said
}
function udp(address: string, port: number): string {
  const datagram = { key: keyTo(address, port) } as Datagram
  return endpoints.datagramArrives(datagram, 0) ? log.pop()! : 'nat'
}

const listen = (address: string, port: number): number =>
  endpoints.listen(words(address), port, { synArrives: () => log.push(`${address} ${port}`) })
const bind = (address: string, port: number): number =>
  endpoints.bind(words(address), port, { datagramArrives: () => log.push(`${address} ${port}`) })

test('without an endpoint everything is for the NAT', () => {
  expect([syn('10.0.2.2', 80), udp('10.0.2.3', 53), syn('8.8.8.8', 80)]).toEqual(
    Array(3).fill('nat'),
  )
})

describe.each([
  ['IPv4', '10.0.2.2', '10.0.2.3', '169.254.169.254'],
  ['IPv6', 'fd00::2', 'fd00::3', 'fd00:ec2::254'],
])('of %s', (_, gateway, dns, other) => {
  test('an endpoint at a shared address takes one port of one protocol', () => {
    for (const address of [gateway, dns]) {
      expect(listen(address, 80)).toBe(80)
      expect([syn(address, 80), syn(address, 81), udp(address, 80)]).toEqual([
        `${address} 80`,
        'nat',
        'nat',
      ])
    }
    expect(log).toEqual([]) // the addresses are the stack's already
  })

  test('any other address is the program’s with all its ports, until the last one is free', () => {
    listen(other, 80)
    bind(other, 123)
    expect([syn(other, 80), syn(other, 81), udp(other, 123), udp(other, 124)]).toEqual([
      `${other} 80`,
      'refused',
      `${other} 123`,
      'port-unreachable',
    ])
    endpoints.remove('tcp', words(other), 80)
    expect([syn(other, 80), udp(other, 123)]).toEqual(['refused', `${other} 123`])
    endpoints.remove('tcp', words(other), 80) // is nothing the second time
    endpoints.remove('udp', words(other), 123)
    expect([syn(other, 80), udp(other, 123)]).toEqual(['nat', 'nat'])
    expect(log).toEqual([`claim ${other}`, `unclaim ${other}`])
  })

  test('what is taken cannot be had: by another endpoint, by the name server, by a guest', () => {
    listen(gateway, 80)
    expect(() => listen(gateway, 80)).toThrow(`cannot listen on ${gateway} port 80: EADDRINUSE`)
    bind(gateway, 80)
    expect(() => bind(gateway, 80)).toThrow('EADDRINUSE')
    expect(() => listen(dns, 53)).toThrow('EADDRINUSE')
    expect(() => bind(dns, 53)).toThrow('EADDRINUSE')
    guests = [other]
    expect(() => listen(other, 80)).toThrow('EADDRINUSE')
    expect(log).toEqual([])
  })

  test('port 0 is one that is free', () => {
    const ports = [listen(gateway, 0), listen(gateway, 0), bind(gateway, 0)]
    expect(ports).toEqual([49_152, 49_153, 49_152])
  })
})

test('the DHCP server keeps its port (RFC 2131 §4.1)', () => {
  expect(() => bind('10.0.2.2', 67)).toThrow('EADDRINUSE')
  expect(listen('10.0.2.2', 67)).toBe(67)
  expect(bind('169.254.169.254', 67)).toBe(67)
})
