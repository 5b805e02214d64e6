/** How long a UDP port of the guest is one of the host's, and what is counted of it. Nothing is sent here. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FlowJournal } from '../../src/nat/flow-journal.ts'
import type { Gate, Passage } from '../../src/nat/gate.ts'
import type { Host } from '../../src/nat/host.ts'
import { Reactor } from '../../src/nat/reactor.ts'
import { UdpBurst } from '../../src/nat/udp-burst.ts'
import { UdpFlows } from '../../src/nat/udp-flow.ts'
import { key4 } from '../../src/stack/flow-table.ts'
import { Datagram } from '../../src/stack/transport.ts'
import { Arena } from '../../src/sys/arena.ts'

const GUEST = 0x0a000264
const OUTSIDE = 0xc0000207 | 0
const SECOND = 1000

let reactor: Reactor
let theHost: { gate: Gate | undefined }
let refused: number
let flows: UdpFlows
let ended: string[]
let counters: { udpOpened: number; udpClosed: number; udpEvicted: number }

beforeEach(() => {
  reactor = new Reactor()
  ended = []
  counters = { udpOpened: 0, udpClosed: 0, udpEvicted: 0 }
  const journal = new FlowJournal()
  journal.listener = {
    flowOpened() {},
    flowClosed: ({ guest, reason }) => ended.push(`${guest.port} ${reason}`),
  }
  const arena = new Arena(8 << 20)
  const host = {
    ...{ arena, reactor, journal, counters },
    options: {
      filtering: 'endpoint-independent',
      gateway: 0x0a000202,
      dnsAddress: 0x0a000203,
      limits: { datagramFlows: 4 },
    },
    errors: { send() {}, tell: () => false },
    gate: undefined as Gate | undefined,
    stack: { counters: { drop: { egressDenied: 0 } }, refuseDatagram: () => refused++ },
  }
  theHost = host
  refused = 0
  flows = new UdpFlows(host as unknown as Host, new UdpBurst(arena))
})

afterEach(() => {
  flows.destroy()
  reactor.close()
})

/** The guest sends from its `port` to that one outside. */
function send(port: number, to: number, host = OUTSIDE): void {
  const datagram = new Datagram()
  key4(datagram.key, GUEST, port, host, to)
  flows.receive(datagram)
}

function pass(ms: number): void {
  reactor.now += ms
  flows.timeout(reactor.now)
}

test('five minutes after it carried something last, it is closed (RFC 4787 REQ-5)', () => {
  send(1, 443)
  pass(299 * SECOND)
  send(1, 443)
  pass(299 * SECOND)
  expect(ended).toEqual([])
  pass(SECOND)
  expect([ended, counters]).toEqual([['1 expired'], { udpOpened: 1, udpClosed: 1, udpEvicted: 0 }])
})

test('one that only asked name servers, after ten seconds (REQ-5 a)', () => {
  send(1, 53)
  send(2, 53)
  pass(9 * SECOND)
  send(2, 53)
  pass(SECOND)
  expect(ended).toEqual(['1 expired'])
  pass(9 * SECOND)
  expect(ended).toEqual(['1 expired', '2 expired'])
})

test('one that has sent to anybody else lives as long as others', () => {
  send(1, 53)
  send(1, 5353)
  send(1, 53)
  pass(299 * SECOND)
  expect(ended).toEqual([])
  pass(SECOND)
  expect(ended).toEqual(['1 expired'])
})

test('at the limit those that ask name servers make room first, and it is counted', () => {
  for (const [port, to] of [
    [1, 443],
    [2, 53],
    [3, 443],
    [4, 443],
    [5, 443],
    [6, 443],
  ] as const) {
    send(port, to)
    pass(1)
  }
  expect(ended).toEqual(['2 evicted', '1 evicted'])
  expect(counters).toEqual({ udpOpened: 6, udpClosed: 2, udpEvicted: 2 })
})

test('65,535 ports are as many flows, of which as many live as there may be (they give their descriptors back)', () => {
  for (let port = 1; port <= 65_535; port++) send(port, 443)
  expect(counters).toEqual({ udpOpened: 65_535, udpClosed: 65_531, udpEvicted: 65_531 })
  expect(ended.length).toBe(65_531)
  pass(300 * SECOND)
  expect([counters.udpClosed, flows.deadline()]).toEqual([65_535, Infinity])
})

test('a gate is asked about the gateway as well, though nobody is there', () => {
  const asked: number[] = []
  let closed = 0
  const passage = { revoke: undefined, closed: () => closed++ } as unknown as Passage
  const admit = (_protocol: string, { key }: Datagram): Passage | undefined => {
    asked.push(key[8]! & 0xffff)
    return asked.length === 1 ? undefined : passage
  }
  theHost.gate = { admit } as unknown as Gate
  for (let i = 0; i < 2; i++) send(1, 9000 + i, 0x0a000202)
  expect([asked, refused, closed]).toEqual([[9000, 9001], 1, 1])
  expect(counters.udpOpened).toBe(0)
})
