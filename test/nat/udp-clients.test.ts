import { expect, test } from 'vitest'
import { UdpClients } from '../../src/nat/udp-clients.ts'
import { KEY_WORDS, key4 } from '../../src/stack/flow-table.ts'

const GUEST = 0x0a000264
const GATEWAY = 0x0a000202
const LAN = 0xc0000200 | 0

const at = (addr: number, port: number) => ({ words: Int32Array.of(0, 0, 0xffff, addr), port })
const shownAs = (addr: number, port: number): Int32Array => {
  const key = new Int32Array(KEY_WORDS)
  key4(key, GUEST, 80, addr, port)
  return key
}
const portOf = (key: Int32Array): number => key[8]! & 0xffff

/** Lets the client be heard, seen at its own address; answers the port as which it is seen. */
function heard(clients: UdpClients, addr: number, port: number, seenAt = addr): number {
  const key = shownAs(seenAt, port)
  clients.hear(at(addr, port), key)
  expect(key[8]! >>> 16).toBe(80)
  return portOf(key)
}

test('a client keeps its address and port, and is found by them', () => {
  const clients = new UdpClients(4)
  expect([heard(clients, LAN, 5000), heard(clients, LAN, 5000)]).toEqual([5000, 5000])
  expect(clients.find(shownAs(LAN, 5000))).toMatchObject(at(LAN, 5000))
  expect(clients.find(shownAs(LAN, 5001))).toBeUndefined()
  expect(clients.find(shownAs(GATEWAY, 5000))).toBeUndefined()
})

test('two that look alike get different ports, and each keeps its own', () => {
  const clients = new UdpClients(4)
  const [one, other] = [0x7f000001, 0x7f000002]
  expect(heard(clients, one, 5000, GATEWAY)).toBe(5000)
  const port = heard(clients, other, 5000, GATEWAY)
  expect(port).not.toBe(5000)
  expect(heard(clients, one, 5000, GATEWAY)).toBe(5000)
  expect(heard(clients, other, 5000, GATEWAY)).toBe(port)
  expect(clients.find(shownAs(GATEWAY, port))).toMatchObject(at(other, 5000))
})

test('at the limit the one that was silent longest is forgotten, and nobody else', () => {
  const clients = new UdpClients(3)
  for (const port of [1, 2, 3]) heard(clients, LAN, port)
  heard(clients, LAN, 1)
  // A flood of others, between which the first goes on.
  for (let port = 1000; port < 2000; port++) {
    heard(clients, LAN, port)
    heard(clients, LAN, 1)
  }
  const known = [1, 2, 3, 1998, 1999].filter((port) => clients.find(shownAs(LAN, port)))
  expect(known).toEqual([1, 1998, 1999])
})

test('clients of IPv6 are told apart by address, port and interface', () => {
  const clients = new UdpClients(4)
  const key = new Int32Array(KEY_WORDS)
  const words = Int32Array.of(0xfe800000 | 0, 0, 0, 1)
  const ports = [1, 2].map((scope) => {
    key.set([0xfd000000 | 0, 0, 0, 2], 4)
    key[8] = (80 << 16) | 5000
    clients.hear({ words, port: 5000, scope }, key)
    return [portOf(key), clients.find(key)!.scope]
  })
  expect(ports[0]).toEqual([5000, 1])
  expect(ports[1]![0]).not.toBe(5000)
  expect(ports[1]![1]).toBe(2)
})

test('a client is answered from the address that it asked last', () => {
  const clients = new UdpClients(4)
  const key = () => shownAs(LAN, 5000)
  const [first, second] = [Int32Array.of(0, 0, 0xffff, 1), Int32Array.of(0, 0, 0xffff, 2)]
  const from = first.slice()
  clients.hear({ ...at(LAN, 5000), from }, key())
  from.fill(0)
  expect(clients.find(key())?.from).toEqual(first)
  clients.hear({ ...at(LAN, 5000), from: second }, key())
  expect(clients.find(key())?.from).toEqual(second)
  clients.hear(at(LAN, 5001), shownAs(LAN, 5001))
  expect(clients.find(shownAs(LAN, 5001))?.from).toBeUndefined()
})
