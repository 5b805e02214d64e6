/** A guest, or somebody on its network, that means no good: each thing that is known to be tried. */
import { describe, expect, test } from 'vitest'
import { MAX_RANGES } from '../../src/stack/tcp/assembler.ts'
import { MAX_CUT } from '../../src/stack/tcp/retransmission-queue.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import { type Octets, TRANSPORT, viewOf } from './rig/frames.ts'
import { datagram, packet } from './rig/packets.ts'
import { seededRandom } from './rig/random.ts'
import { GATEWAY, GUEST, ip, Rig } from './rig/rig.ts'
import { established, LINUX, synReceived } from './rig/states.ts'

const SACK = 'mss 1460,sackOK'

describe('blind injection: whoever knows the 4-tuple, and no number', () => {
  const random = seededRandom(1)
  /** Numbers that somebody guesses, none of which is near. */
  const guesses = Array.from({ length: 2000 }, random).filter((n) => Math.abs(n) > 100_000)

  test('a RST resets nothing, and is answered twice a second at most (RFC 5961 §3)', () => {
    const { peer, host } = established()
    for (const guess of guesses) peer.sends(`R ${guess}:${guess}(0)`)
    expect(host.state()).toBe('ESTABLISHED')
    expect(peer.takeAll().length).toBeLessThanOrEqual(1)
  })

  test('a SYN changes nothing, and is answered twice a second at most (RFC 5961 §4)', () => {
    const { peer, host, rig } = established()
    for (const guess of guesses) peer.sends(`S ${guess}:${guess}(0) win 65535 <mss 1460>`)
    expect([host.state(), rig.stack.tcp.connections.size]).toEqual(['ESTABLISHED', 1])
    expect(peer.takeAll().length).toBeLessThanOrEqual(1)
    expect(rig.requests.length).toBe(0)
  })

  test('text needs an acknowledgment that can be true (RFC 5961 §5)', () => {
    const { peer, host } = established()
    for (const guess of guesses) peer.sendsText(`P. 1:5(4) ack ${guess}`, [66, 65, 68, 33])
    expect([host.received, host.c.recvQueue.length]).toEqual([0, 0])
    peer.sends('P. 1:5(4) ack 1')
    expect(host.received).toBe(4)
  })
})

describe('overlapping segments', () => {
  test('what was received first stays, in line and out of it', () => {
    const { peer, host } = established()
    // Each takes part of the one before it, with other octets; the host checks those it gets.
    peer.sends('P. 101:201(100) ack 1')
    const lie = (line: string, len: number): void => peer.sendsText(line, new Uint8Array(len))
    lie('P. 121:141(20) ack 1', 20)
    peer.sends('P. 1:101(100) ack 1')
    expect(host.received).toBe(200)
    lie('P. 1:201(200) ack 1', 200)
    peer.sends('P. 201:211(10) ack 1')
    expect(host.received).toBe(210)
  })

  test('islands without end hold no more than so many, and all memory comes back', () => {
    const { peer, host, rig } = established({ options: SACK })
    for (let i = 0; i < 5000; i++) peer.sends(`P. ${3 + 2 * i}:${4 + 2 * i}(1) ack 1`)
    expect(host.c.assembler.edges.length).toBeLessThanOrEqual(2 * MAX_RANGES)
    peer.sends('R 1:1(0)')
    expect(rig.chunksTaken).toBe(0)
  })
})

describe('overlapping fragments', () => {
  const whole = datagram(new Uint8Array(160).fill(7)).subarray(TRANSPORT)
  const piece = (from: number, to: number, more: boolean, id = 1): Octets =>
    packet(ipv4.UDP, whole.subarray(from, to), { id, fragment: (more ? ipv4.MF : 0) | (from / 8) })

  test('discard the datagram, in any order (RFC 5722, RFC 8200 §4.5)', () => {
    const pieces = [piece(0, 80, true), piece(72, 120, true), piece(120, 168, false)]
    for (const [a, b, c] of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ] as const) {
      const rig = new Rig()
      for (const i of [a, b, c]) rig.receive(pieces[i]!)
      expect([rig.datagrams.length, rig.drop.fragmentOverlap > 0]).toEqual([0, true])
    }
  })

  // What ends slirp4netns 1.2.0 by SIGBUS, each one packet or a few.
  test('a last fragment on its own, fragments in reverse, a datagram beyond 65,535 octets: nothing happens', () => {
    const rig = new Rig()
    const alone = packet(ipv4.UDP, new Uint8Array(8), { id: 9, fragment: 2416 / 8 })
    rig.receive(alone)
    rig.receive(packet(ipv4.UDP, new Uint8Array(64), { id: 10, fragment: 0x1fff }))
    for (const from of [120, 80, 40, 0]) rig.receive(piece(from, from + 48, from < 120, 11))
    for (let at = 65_504; at >= 0; at -= 736) {
      rig.receive(packet(ipv4.UDP, new Uint8Array(736), { id: 12, fragment: ipv4.MF | (at / 8) }))
    }
    rig.receive(packet(ipv4.UDP, new Uint8Array(736), { id: 12, fragment: 65_504 / 8 }))
    expect(rig.datagrams.length).toBe(0)
    // And the stack goes on.
    rig.receive(datagram([1, 2, 3]))
    expect(rig.datagrams.length).toBe(1)
  })
})

describe('a receiver that lies', () => {
  test('an acknowledgment for each octet makes the window no larger than one for all (RFC 3465)', () => {
    const honest = established()
    const { host, peer } = established()
    for (const each of [honest, { host, peer }]) each.host.sends(14_600)
    for (let at = 2; at <= 14_601; at++) peer.sends(`. 1:1(0) ack ${at}`)
    honest.peer.sends('. 1:1(0) ack 14601')
    expect(host.c.congestion.cwnd).toBeLessThanOrEqual(honest.host.c.congestion.cwnd)
  })

  test('an acknowledgment of what was never sent has no effect (RFC 5961 §5.2)', () => {
    const { host, peer } = established()
    host.sends(14_600)
    const { cwnd } = host.c.congestion
    for (let i = 1; i < 1000; i++) peer.sends(`. 1:1(0) ack ${14_601 + i}`)
    expect([host.c.congestion.cwnd, host.c.sndUna - host.c.iss]).toEqual([cwnd, 1])
  })

  test('an acknowledgment of what has not arrived yet gets it no more than its buffer at a time', () => {
    const { host, peer, rig } = established({ options: LINUX, limits: { sendBuffer: 200_000 } })
    let most = 0
    for (let i = 0; i < 40; i++) {
      host.sendsUpTo(200_000)
      const sent = peer.takeAll()
      most = Math.max(
        most,
        sent.reduce((sum, { len }) => sum + len, 0),
      )
      const { seq, len } = sent.at(-1)!
      peer.sends(`. 1:1(0) ack ${seq + len}`) // whatever was lost of it
    }
    expect(most).toBeLessThanOrEqual(200_000)
    expect(rig.chunksTaken).toBeLessThanOrEqual(200_000 / 16_384 + 2)
    expect(host.c.rto.rto).toBeGreaterThanOrEqual(200)
  })

  test('SACKs of pieces, of what was never sent and of what is acknowledged cost a bounded list', () => {
    const { host, peer, clock } = established({ options: `${SACK},wscale 7` })
    host.c.congestion.cwnd = 1_000_000
    host.sends(100_000)
    peer.takeAll()
    clock.advance(1)
    for (let at = 3; at < 30_000; at += 8) {
      const blocks = [at, at + 2, at + 4, at + 6].map((from) => `${from}:${from + 1}`)
      peer.sends(`. 1:1(0) ack 1 <sack ${blocks.join(' ')}>`)
    }
    peer.sends('. 1:1(0) ack 1 <sack 100001:900000 -5000:-1 50000:20>')
    expect(host.c.inFlight.count).toBeLessThanOrEqual(MAX_CUT + 1)
    clock.advance(60_000)
    peer.takeAll()
    peer.sends('. 1:1(0) ack 100001')
    expect([host.c.inFlight.count, host.c.sendQueue.length]).toEqual([0, 0])
  })

  test('a window that shrinks takes back what it offered: nothing is lost (RFC 9293 §3.8.6, SHLD-15 … MUST-34)', () => {
    const { host, peer, clock } = established({ win: 5000 })
    host.sends(20_000)
    let end = peer.takeAll().reduce((most, { seq, len }) => Math.max(most, seq + len), 0)
    expect(end).toBeGreaterThan(4000)
    peer.sends('. 1:1(0) ack 1461 win 0')
    clock.advance(30_000) // goes on asking
    for (const { seq, len } of peer.takeAll()) expect(seq + len).toBeLessThanOrEqual(end)
    for (let round = 0; end < 20_001 && round < 100; round++) {
      peer.sends(`. 1:1(0) ack ${end} win 3000`)
      clock.advance(1000)
      for (const { seq, len } of peer.takeAll()) end = Math.max(end, seq + len)
    }
    expect([end, host.state()]).toEqual([20_001, 'ESTABLISHED'])
  })

  test('an MSS of one octet is one of 48 with its options (Linux’ TCP_MIN_SND_MSS)', () => {
    for (const mss of [0, 1, 10, 47]) {
      const { host, peer } = established({ options: `mss ${mss}` })
      host.sends(500)
      const sent = peer.takeAll()
      expect(Math.max(...sent.map(({ len }) => len))).toBe(mss === 0 ? 500 : 48)
      expect(sent.length).toBeLessThanOrEqual(12)
    }
  })
})

describe('options', () => {
  /** A segment whose options are these octets. */
  const withOptions = (
    octets: number[],
    line: string,
  ): [ReturnType<typeof established>, Octets] => {
    const joined = established({ options: 'mss 1460,nop,nop,sackOK,nop,nop' })
    const bare = joined.peer.frame(`${line} <nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop,nop>`)
    bare.set(octets, TRANSPORT + 20)
    const v = viewOf(bare)
    v.setUint16(TRANSPORT + 16, 0)
    return [joined, bare]
  }

  test('of length zero or one, beyond the header, or nothing but NOPs, end the walk; the text counts', () => {
    const bombs = [
      [8, 0],
      [5, 1],
      [254, 0],
      [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8, 10],
      [5, 255],
      [2, 200, 0, 0],
      [3, 3],
      [0, 8, 0],
      new Array<number>(12).fill(1),
      new Array<number>(12).fill(0),
      new Array<number>(12).fill(255),
    ]
    for (const bomb of bombs) {
      const [{ rig, host }, frame] = withOptions(bomb, 'P. 1:11(10) ack 1')
      rig.receive(frame, true)
      rig.flush()
      expect([host.received, host.state()]).toEqual([10, 'ESTABLISHED'])
    }
  })
})

test('LAND: a SYN that says it comes from whom it goes to reaches nobody', () => {
  const rig = new Rig()
  const land = (addr: number): void => {
    const peer = rig.peer({ addr, hostAddr: addr, port: 80, hostPort: 80 })
    rig.receive(peer.frame('S 0:0(0) win 65535 <mss 1460>'))
    rig.flush()
  }
  for (const addr of [GATEWAY, ip('10.0.2.3'), ip('192.0.2.7')]) land(addr)
  expect([rig.requests.length, rig.frames.length]).toEqual([0, 0])
  land(GUEST) // who is told that there is nobody
  expect(rig.requests.length).toBe(0)
  expect(rig.lines()).toEqual([
    '10.0.2.2 > 10.0.2.100: ICMP 3/1 about 10.0.2.100 > 10.0.2.100 protocol 6, 44 quoted',
  ])
})

describe('100,000 SYNs', () => {
  test('hold as many requests as there may be; then one that is meant works', () => {
    const rig = new Rig({ limits: { halfOpen: 64, connections: 1000 } })
    const random = seededRandom(3)
    const peer = rig.peer()
    const frame = peer.frame('S 0:0(0) win 65535 <mss 1460>')
    const v = viewOf(frame)
    for (let i = 0; i < 100_000; i++) {
      v.setUint32(TRANSPORT, random() >>> 0)
      v.setUint32(TRANSPORT + 4, random() >>> 0)
      rig.receive(frame, true)
      if (i % 1000 === 0) rig.frames.length = 0
    }
    rig.flush()
    expect([rig.requests.length, rig.stack.tcp.requests.size]).toEqual([64, 64])
    expect(rig.drop.tcpHalfOpen).toBeGreaterThan(99_000)
    expect(rig.stack.tcp.connections.size).toBe(0)
    // The host's connects come back, one way or the other.
    for (const request of rig.requests.splice(0)) request.refuse()
    rig.frames.length = 0
    const meant = rig.peer({ port: 50_001, hostPort: 81 })
    meant.sends('S 0:0(0) win 65535 <mss 1460>')
    rig.accept()
    meant.expects('S. 0:0(0) ack 1')
  })

  test('that are all answered leave half-open connections, which end by themselves', () => {
    const rig = new Rig({ limits: { halfOpen: 64, connections: 100 } })
    for (let i = 0; i < 1000; i++) {
      const peer = rig.peer({ port: 10_000 + i })
      peer.sends('S 0:0(0) win 65535 <mss 1460>')
      if (rig.requests.length > 0) rig.accept()
      rig.frames.length = 0
    }
    expect(rig.stack.tcp.connections.size).toBeLessThanOrEqual(100)
    rig.clock.advance(600_000)
    rig.frames.length = 0
    expect([rig.stack.tcp.connections.size, rig.stack.deadline()]).toEqual([0, Infinity])
  })
})

test('65,535 ports of UDP are 65,535 datagrams, and nothing is kept of them here', () => {
  const rig = new Rig()
  let seen = 0
  rig.onDatagram = () => {
    seen++
    rig.datagrams.length = 0
  }
  const frame = datagram([1, 2, 3])
  const v = viewOf(frame)
  for (let port = 1; port <= 65_535; port++) {
    v.setUint16(TRANSPORT, port)
    v.setUint16(TRANSPORT + 6, 0) // no checksum
    rig.receive(frame)
  }
  expect(seen).toBe(65_535)
  expect([rig.chunksTaken, rig.stack.deadline()]).toEqual([0, Infinity])
})

test('a stray RST is answered by nothing; slirp4netns answers with a RST', () => {
  const rig = new Rig()
  const peer = rig.peer()
  for (const line of ['R 5:5(0)', 'R. 5:5(0) ack 7', 'R 1:11(10)']) peer.sends(line)
  peer.expectsNothing()
  expect(rig.drop.tcpNoConnection).toBe(3)
})

test('the MSS of the guest’s SYN holds however long the dial takes; slirp4netns forgets it', () => {
  const { host, peer, rig } = synReceived({ options: 'mss 300' })
  peer.sends('. 1:1(0) ack 1')
  host.sends(1000)
  expect(peer.takeAll().map(({ len }) => len)).toEqual([300, 300, 300, 100])
  const late = rig.peer({ port: 40_001 })
  late.sends('S 0:0(0) win 65535 <mss 300>')
  rig.clock.advance(30_000)
  const second = rig.accept()
  late.expects('S. 0:0(0) ack 1')
  late.sends('. 1:1(0) ack 1')
  second.sends(1000)
  expect(late.takeAll().map(({ len }) => len)).toEqual([300, 300, 300, 100])
})
