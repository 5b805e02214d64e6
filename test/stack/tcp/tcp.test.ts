/** All connections of a stack: requests and their limits, what is left when they are gone. */
import { describe, expect, test } from 'vitest'
import type { SynRequest } from '../../../src/stack/tcp/syn-request.ts'
import type { Host } from '../rig/host.ts'
import type { Peer } from '../rig/peer.ts'
import { bench, established, LINUX, listening, type StateOptions } from '../rig/states.ts'

const SYN = 'S 0:0(0) win 65535 <mss 1460>'

describe('a SYN whose host', () => {
  test.each([
    ['net-unreachable', '3/0'],
    ['host-unreachable', '3/1'],
    ['prohibited', '3/13'],
  ] as const)('is %s gets an ICMP error with its numbers, and no RST', (reason, code) => {
    const { rig, clock } = listening()
    rig.requests.shift()!.fail(reason, clock.now)
    const [frame] = rig.frames
    const quote = frame!.subarray(42 + 20)
    expect(rig.lines()).toEqual([
      `10.0.2.2 > 10.0.2.100: ICMP ${code} about 10.0.2.100 > 192.0.2.7 protocol 6, 28 quoted`,
    ])
    // Ports and the sequence number, by which a guest knows its SYN (RFC 792).
    expect([...quote]).toEqual([40_000 >> 8, 40_000 & 255, 0, 80, 0xff, 0xff, 0xff, 0xfe])
    expect(rig.stack.tcp.requests.size).toBe(0)
  })

  test('is unreachable is dialled again when the SYN comes again, and told again', () => {
    const { rig, peer, clock } = listening()
    for (let i = 0; i < 3; i++) {
      rig.requests.shift()!.fail('host-unreachable', clock.now)
      expect(rig.lines().length).toBe(1)
      clock.advance(1000)
      peer.sends(SYN)
      expect(rig.requests.length).toBe(1)
    }
  })

  test('is forgotten may be asked for again', () => {
    const { rig, peer } = listening()
    rig.requests.shift()!.forget()
    peer.sends(SYN)
    expect(rig.requests.length).toBe(1)
  })
})

describe('at the most handshakes there may be', () => {
  test('a SYN is dropped and counted, and comes again (the guest’s own retransmission)', () => {
    const { rig } = bench({ limits: { halfOpen: 2 } })
    const peers = [1, 2, 3].map((port) => rig.peer({ port }))
    for (const peer of peers) peer.sends(SYN)
    expect([rig.requests.length, rig.drop.tcpHalfOpen]).toEqual([2, 1])
    peers[2]!.expectsNothing()
    rig.requests.shift()!.refuse()
    peers[0]!.expects('R. 0:0(0) ack 1')
    peers[2]!.sends(SYN)
    expect([rig.requests.length, rig.drop.tcpHalfOpen]).toEqual([2, 1])
  })

  test('those that the host has answered count until the guest has, too', () => {
    const { rig } = bench({ limits: { halfOpen: 2 } })
    const peers = [1, 2, 3].map((port) => rig.peer({ port }))
    const [first, second, third] = peers as [Peer, Peer, Peer]
    first.sends(SYN)
    second.sends(SYN)
    rig.accept()
    rig.accept()
    first.expects('S. 0:0(0) ack 1')
    third.sends(SYN)
    expect([rig.requests.length, rig.drop.tcpHalfOpen]).toEqual([0, 1])
    first.sends('. 1:1(0) ack 1')
    third.sends(SYN)
    expect([rig.requests.length, rig.drop.tcpHalfOpen]).toEqual([1, 1])
    // One that never answers is forgotten in the end, or as soon as its place is wanted.
    rig.requests.shift()!.refuse()
    rig.clock.advance(600_000)
    expect([rig.stack.tcp.halfOpen.size, rig.stack.tcp.connections.size]).toEqual([0, 1])
  })

  test('one that did not answer for a second makes room, and no sooner (RFC 4987 §3.4)', () => {
    const { rig, clock } = bench({ limits: { halfOpen: 2 } })
    const [silent, slow, third] = [1, 2, 3].map((port) => rig.peer({ port })) as [Peer, Peer, Peer]
    silent.sends(SYN)
    slow.sends(SYN)
    const host = rig.accept()
    rig.accept()
    silent.expects('S. 0:0(0) ack 1')
    clock.advance(999)
    third.sends(SYN)
    expect([rig.requests.length, host.reason]).toEqual([0, undefined])
    slow.sends(SYN) // it has not got our answer
    clock.advance(1)
    third.sends(SYN)
    expect([rig.requests.length, host.reason]).toEqual([1, 'guest-timeout'])
    expect(silent.takeAll().at(-1)!.ctl & 4).toBe(4)
    // And the other, which was heard of, stays.
    const fourth = rig.peer({ port: 4 })
    fourth.sends(SYN)
    expect([rig.requests.length, rig.stack.tcp.halfOpen.size]).toEqual([1, 1])
    slow.takeAll()
    slow.sends('. 1:1(0) ack 1')
    expect(rig.stack.tcp.halfOpen.size).toBe(0)
  })

  test('one that repeats its SYN does not stand before those that are silent (RFC 4987 §3.4)', () => {
    const { rig, clock } = bench({ limits: { halfOpen: 2 } })
    const [slow, silent, third] = [1, 2, 3].map((port) => rig.peer({ port })) as [Peer, Peer, Peer]
    slow.sends(SYN)
    silent.sends(SYN)
    const hosts = [rig.accept(), rig.accept()]
    clock.advance(900)
    slow.sends(SYN)
    clock.advance(100)
    third.sends(SYN)
    expect(hosts.map((host) => host.reason)).toEqual([undefined, 'guest-timeout'])
    expect(rig.requests.length).toBe(1)
  })

  test('a dial whose SYN does not come again makes room: nobody waits for it', () => {
    const { rig, clock } = bench({ limits: { halfOpen: 2 } })
    const [gone, alive, third] = [1, 2, 3].map((port) => rig.peer({ port })) as [Peer, Peer, Peer]
    const given: string[] = []
    rig.synArrives = (request) => {
      rig.requests.push(request)
      request.onGivenUp = (why) => given.push(`${request.key[8]! >>> 16} ${why}`)
    }
    alive.sends(SYN)
    gone.sends(SYN)
    clock.advance(1000)
    alive.sends(SYN)
    clock.advance(499)
    third.sends(SYN)
    expect([given, rig.requests.length]).toEqual([[], 2])
    clock.advance(1)
    third.sends(SYN)
    expect(given).toEqual(['1 evicted'])
    expect([rig.requests.length, rig.stack.tcp.requests.size]).toEqual([3, 2])
    third.expectsNothing()
    // The host's answer to the one that stays is still told to the guest.
    clock.advance(1500)
    alive.sends(SYN)
    rig.requests[0]!.fail('host-unreachable', clock.now)
    expect(rig.lines().length).toBe(1)
  })

  test('a dial of ten seconds makes room, though its SYN comes again, and is dialled anew', () => {
    const { rig, clock } = bench({ limits: { halfOpen: 1 } })
    const [patient, other] = [rig.peer({ port: 1 }), rig.peer({ port: 2 })]
    let evicted = 0
    patient.sends(SYN)
    rig.requests[0]!.onGivenUp = () => evicted++
    for (const wait of [1000, 2000, 4000]) {
      clock.advance(wait)
      patient.sends(SYN)
    }
    clock.advance(2999)
    other.sends(SYN)
    expect([evicted, rig.requests.length]).toEqual([0, 1])
    clock.advance(1)
    other.sends(SYN)
    expect([evicted, rig.requests.length]).toEqual([1, 2])
    rig.requests.pop()!.refuse()
    patient.sends(SYN)
    expect(rig.requests.length).toBe(2)
  })

  test('one that waits may still be given up, or take the place of itself', () => {
    const { rig } = bench({ limits: { halfOpen: 1 } })
    const peer = rig.peer()
    peer.sends(SYN)
    peer.sends(SYN)
    peer.begins(77)
    peer.sends(SYN)
    expect([rig.requests.length, rig.stack.tcp.requests.size, rig.drop.tcpHalfOpen]).toEqual([
      2, 1, 0,
    ])
  })
})

describe('at the most connections there may be', () => {
  test('a SYN is refused with a RST and counted; there is room when one has gone', () => {
    const { rig } = bench({ limits: { connections: 2 } })
    const peers = [1, 2, 3].map((port) => rig.peer({ port }))
    for (const peer of peers) peer.sends(SYN)
    peers[2]!.expects('R. 0:0(0) ack 1')
    expect([rig.requests.length, rig.drop.tcpLimit]).toEqual([2, 1])
    const host = rig.accept()
    peers[2]!.sends(SYN)
    peers[2]!.expects('R. 0:0(0) ack 1')
    host.aborts()
    peers[2]!.sends(SYN)
    peers[2]!.expectsNothing()
    expect(rig.requests.length).toBe(2)
  })

  test('those that are there go on', () => {
    const { rig, peer, host } = established({ limits: { connections: 1 } })
    rig.peer({ port: 1 }).sends(SYN)
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1')
  })
})

test('when no chunk is left to send with, a SYN is refused and counted; there is room when some are back', () => {
  const { rig, peer } = bench({ chunks: 16 })
  const { pool } = rig.stack
  const chunks: number[] = []
  while (pool.free > pool.forReceiving) chunks.push(pool.take())
  peer.sends(SYN)
  peer.expects('R. 0:0(0) ack 1')
  expect([rig.requests.length, rig.drop.tcpNoMemory]).toEqual([0, 1])
  pool.give(chunks.pop()!)
  peer.sends(SYN)
  peer.expectsNothing()
  expect([rig.requests.length, rig.drop.tcpNoMemory]).toEqual([1, 1])
})

test('a flood of SYNs is bounded, and nothing of it stays (RFC 4987)', () => {
  const { rig } = bench({ limits: { halfOpen: 50 } })
  for (let i = 0; i < 5000; i++) {
    rig.peer({ port: 1 + (i % 60_000), hostPort: 1 + (i >>> 4) }).sends(SYN)
  }
  expect([rig.stack.tcp.requests.size, rig.drop.tcpHalfOpen]).toEqual([50, 4950])
  for (const request of rig.requests.splice(0)) request.refuse()
  expect([rig.stack.tcp.requests.size, rig.stack.pool.free]).toEqual([0, rig.stack.pool.size])
  expect(rig.stack.deadline()).toBe(Infinity)
})

test('an answer may be given from within the SYN’s arrival', () => {
  const { rig, peer } = bench()
  rig.synArrives = (request: SynRequest) => request.refuse()
  peer.sends(SYN)
  peer.expects('R. 0:0(0) ack 1')
  rig.synArrives = (request: SynRequest) => {
    rig.requests.push(request)
    rig.accept()
  }
  peer.sends(SYN)
  peer.expects('S. 0:0(0) ack 1')
})

test('nobody above: connections are refused, datagrams go nowhere', () => {
  const { rig, peer } = bench()
  rig.stack.upper = {
    synArrives: (request) => request.refuse(),
    datagramArrives: () => {},
    echoArrives: () => {},
  }
  peer.sends(SYN)
  peer.expects('R. 0:0(0) ack 1')
})

describe('five hundred connections', () => {
  const options: StateOptions = { limits: { connections: 1000, halfOpen: 1000 }, chunks: 1100 }

  function open(): { peers: Peer[]; hosts: Host[]; rig: ReturnType<typeof bench>['rig'] } {
    const { rig } = bench(options)
    const peers = Array.from({ length: 500 }, (_, i) => rig.peer({ port: 1000 + i }))
    for (const peer of peers) peer.sends(`S 0:0(0) win 65535 <${LINUX}>`)
    const hosts = peers.map(() => rig.accept())
    for (const peer of peers) {
      peer.hasTimestamps = true
      peer.shift = 7
      peer.expects('S. 0:0(0) ack 1')
    }
    for (const peer of peers) peer.sends('. 1:1(0) ack 1')
    return { peers, hosts, rig }
  }

  test('each have their own text, both ways, and leave nothing', () => {
    const { peers, hosts, rig } = open()
    expect(rig.stack.tcp.connections.size).toBe(500)
    for (const [i, host] of hosts.entries()) host.sends(1000 + i)
    for (const [i, peer] of peers.entries()) {
      const got = peer.takeAll().reduce((sum, { len }) => sum + len, 0)
      expect(got).toBe(1000 + i)
      peer.sends(`P. 1:${1001 + i}(${1000 + i}) ack ${1001 + i}`)
    }
    for (const [i, host] of hosts.entries()) {
      expect([host.received, host.c.sendQueue.length]).toEqual([1000 + i, 0])
    }
    for (const host of hosts) host.closes()
    for (const [i, peer] of peers.entries()) {
      peer.sends(`F. ${1001 + i}:${1001 + i}(0) ack ${1002 + i}`)
    }
    expect(new Set(hosts.map((host) => host.state()))).toEqual(new Set(['TIME-WAIT']))
    rig.clock.advance(60_000)
    expect([rig.stack.tcp.connections.size, rig.chunksTaken]).toEqual([0, 0])
    expect(rig.stack.deadline()).toBe(Infinity)
  })

  test('have their timers apart', () => {
    const { peers, hosts, rig } = open()
    for (const host of hosts) {
      host.sends(10)
      rig.clock.advance(0.25)
    }
    for (const peer of peers) peer.takeAll()
    for (let i = 0; i < 500; i += 2) peers[i]!.sends('. 1:1(0) ack 11')
    rig.clock.advance(300)
    for (const [i, peer] of peers.entries()) expect(peer.takeAll().length).toBe(i % 2)
    rig.clock.advance(2_000_000)
    for (const [i, host] of hosts.entries()) {
      expect(host.reason).toBe(i % 2 === 0 ? undefined : 'guest-timeout')
    }
  })
})

test('an observer sees each transition, from where and to where (one door for all)', () => {
  const { rig, peer } = bench()
  const seen: string[] = []
  rig.stack.tcp.observer = (c, before) => seen.push(`${before} ${c.state}`)
  peer.sends(SYN)
  const host = rig.accept()
  peer.expects('S. 0:0(0) ack 1')
  peer.sends('. 1:1(0) ack 1')
  host.closes()
  peer.sends('. 1:1(0) ack 2')
  peer.sends('F. 1:1(0) ack 2')
  rig.clock.advance(60_000)
  expect(seen).toEqual([
    'CLOSED SYN-RECEIVED',
    'SYN-RECEIVED ESTABLISHED',
    'ESTABLISHED FIN-WAIT-1',
    'FIN-WAIT-1 FIN-WAIT-2',
    'FIN-WAIT-2 TIME-WAIT',
    'TIME-WAIT CLOSED',
  ])
})
