/** Where a UDP or ICMP flow may send to: the gate is asked once for each destination. */
import { beforeEach, describe, expect, test } from 'vitest'
import { Destinations } from '../../src/nat/destinations.ts'
import type { Gate, Passage } from '../../src/nat/gate.ts'
import { key4 } from '../../src/stack/flow-table.ts'
import type { Neighbour } from '../../src/stack/neighbours.ts'
import { Datagram } from '../../src/stack/transport.ts'

const GUEST = 0x0a000264
let asked: string[]
let passages: Passage[]
let ended: string[]
let denied: number[]
let gate: Gate

beforeEach(() => {
  asked = []
  passages = []
  ended = []
  denied = []
  gate = {
    admit: (protocol: string, { key }: Datagram) => {
      const port = key[8]! & 0xffff
      asked.push(`${protocol} ${key[7]} ${port}`)
      if (denied.includes(port)) return undefined
      const passage: Passage = {
        revoke: undefined,
        closed: (from, to) => ended.push(`${key[7]} ${port} ${from} ${to}`),
      }
      passages.push(passage)
      return passage
    },
    admitsReply: (_protocol: string, key: Int32Array) => (key[8]! & 0xffff) === 99,
  } as unknown as Gate
})

function datagram(host: number, port: number, len = 10, guestPort = 5000): Datagram {
  const made = new Datagram()
  key4(made.key, GUEST, guestPort, host, port)
  made.len = len
  return made
}
const neighbour = {} as Neighbour

describe('UDP', () => {
  test('is asked about each destination once', () => {
    const destinations = new Destinations('udp')
    for (const port of [1, 1, 2, 1, 2])
      expect(destinations.admits(gate, datagram(7, port))).toBe(true)
    expect(destinations.admits(gate, datagram(8, 1))).toBe(true)
    expect(asked).toEqual(['udp 7 1', 'udp 7 2', 'udp 8 1'])
  })

  test('that is denied is asked about each time, and does not open others', () => {
    const destinations = new Destinations('udp')
    denied = [2]
    expect([1, 2, 2, 1].map((port) => destinations.admits(gate, datagram(7, port)))).toEqual([
      true,
      false,
      false,
      true,
    ])
    expect(asked).toEqual(['udp 7 1', 'udp 7 2', 'udp 7 2'])
  })

  test('comes back from where it was sent to, and else from where the gate says', () => {
    const destinations = new Destinations('udp')
    destinations.admits(gate, datagram(7, 1))
    const replies = [datagram(7, 1), datagram(7, 2), datagram(8, 1), datagram(8, 99)]
    expect(replies.map(({ key }) => destinations.admitsReply(gate, key, neighbour, 5))).toEqual([
      true,
      false,
      false,
      true,
    ])
  })

  test('counts octets of each, and tells them at its end', () => {
    const destinations = new Destinations('udp')
    destinations.admits(gate, datagram(7, 1, 10))
    destinations.admits(gate, datagram(7, 1, 20))
    destinations.admitsReply(gate, datagram(7, 1).key, neighbour, 5)
    destinations.admits(gate, datagram(7, 2, 1))
    destinations.close()
    expect(ended).toEqual(['7 1 30 5', '7 2 1 0'])
    destinations.close()
    expect(ended).toHaveLength(2)
  })

  test('is asked anew when its passage was revoked', () => {
    const destinations = new Destinations('udp')
    destinations.admits(gate, datagram(7, 1))
    passages[0]!.revoke!()
    expect(ended).toEqual(['7 1 10 0'])
    expect(destinations.admitsReply(gate, datagram(7, 1).key, neighbour, 5)).toBe(false)
    destinations.admits(gate, datagram(7, 1))
    expect(asked).toEqual(['udp 7 1', 'udp 7 1'])
  })

  test('has so many destinations, of which the oldest ends for another', () => {
    const destinations = new Destinations('udp')
    for (let port = 1; port <= 300; port++) destinations.admits(gate, datagram(7, port))
    expect(ended).toHaveLength(44)
    expect(ended[0]).toBe('7 1 10 0')
    destinations.close()
    expect(ended).toHaveLength(300)
  })

  test('over IPv6 is told apart by all of the address', () => {
    const destinations = new Destinations('udp')
    const one = datagram(7, 1)
    one.key.set([0xfd000000 | 0, 0, 0, 5, 0x20010db8, 0, 0, 7])
    const other = datagram(7, 1)
    other.key.set([0xfd000000 | 0, 0, 0, 5, 0x20010db8, 0, 1, 7])
    for (const each of [one, other, one, datagram(7, 1)]) destinations.admits(gate, each)
    expect(asked).toHaveLength(3)
  })
})

test('ICMP has no ports: an identifier is not one', () => {
  const destinations = new Destinations('icmp')
  for (const guestPort of [1, 2, 1]) destinations.admits(gate, datagram(7, 0, 10, guestPort))
  expect(destinations.admitsReply(gate, datagram(7, 1234).key, neighbour, 5)).toBe(true)
  expect(asked).toEqual(['icmp 7 0'])
})
