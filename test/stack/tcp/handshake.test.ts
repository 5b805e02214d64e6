/** Opening: the guest's SYN, and ours to the guest (RFC 9293 §3.5, §3.10.7.2–§3.10.7.4). */
import { describe, expect, test } from 'vitest'
import { rcvWnd } from '../../../src/stack/tcp/connection.ts'
import { HOST } from '../rig/rig.ts'
import { bench, established, LINUX, listening, PLAIN, synReceived, synSent } from '../rig/states.ts'
import { assertTcb, tcbOf } from '../rig/tcb.ts'

describe('the guest’s SYN', () => {
  test('waits without an answer until the host has answered, then is acknowledged (RFC 9293 §3.5)', () => {
    const { peer, rig, clock } = bench()
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    clock.advance(5000)
    peer.expectsNothing()
    const host = rig.accept()
    peer.expects('S. 0:0(0) ack 1 win 65535 <mss 1460>')
    expect(host.state()).toBe('SYN-RECEIVED')
    peer.sends('. 1:1(0) ack 1')
    peer.expectsNothing()
    expect([host.state(), host.events]).toEqual(['ESTABLISHED', ['established']])
  })

  test('that comes again while the host is dialled makes no second request', () => {
    const { peer, rig } = listening()
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    expect(rig.requests.length).toBe(1)
    peer.expectsNothing()
  })

  test('with another ISN takes the place of the first, whose dial is given up', () => {
    const { peer, rig } = listening()
    let givenUp = 0
    rig.requests[0]!.onGivenUp = () => givenUp++
    peer.isn += 1000
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    expect([givenUp, rig.requests.length, rig.stack.tcp.requests.size]).toEqual([1, 2, 1])
    rig.requests.shift()
    rig.accept()
    peer.expects('S. 0:0(0) ack 1')
  })

  test('is given up by a RST behind it, and by no other', () => {
    const { peer, rig } = listening()
    let givenUp = 0
    rig.requests[0]!.onGivenUp = () => givenUp++
    peer.sends('R 7:7(0)')
    expect(givenUp).toBe(0)
    peer.sends('R 1:1(0)')
    expect([givenUp, rig.stack.tcp.requests.size]).toEqual([1, 0])
    peer.expectsNothing()
  })

  test('that is refused gets a RST which acknowledges it (RFC 9293 §3.10.7.1)', () => {
    const { peer, rig } = listening()
    rig.requests.shift()!.refuse()
    peer.expects('R. 0:0(0) ack 1 win 0 <>')
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    expect(rig.requests.length).toBe(1) // a new dial
  })

  test('may carry text, which is not acknowledged, and comes again (RFC 9293 §3.10.7.2)', () => {
    const { peer, rig } = bench()
    peer.sends('S 0:10(10) win 65535 <mss 1460>')
    const host = rig.accept()
    peer.expects('S. 0:0(0) ack 1')
    peer.isn -= 1 // the text of a SYN starts behind its own number
    peer.isn += 1
    peer.sends('P. 1:11(10) ack 1')
    expect(host.received).toBe(10)
  })

  test.each(['SF 0:0(0) win 9', 'SR 0:0(0) win 9', 'S. 0:0(0) ack 1 win 9'])(
    'is none when it comes as %s',
    (line) => {
      const { peer, rig } = bench()
      peer.sends(line)
      expect(rig.requests.length).toBe(0)
      expect(rig.drop.tcpNoConnection).toBe(1)
    },
  )
})

describe('what belongs to no connection', () => {
  test('is answered with a RST from its ACK field (RFC 9293 §3.10.7.1)', () => {
    const { peer, rig } = bench()
    peer.sends('. 5:5(0) ack 77')
    peer.expects('R 77:77(0) win 0 <>')
    peer.sends('S. 5:5(0) ack 78')
    peer.expects('R 78:78(0)')
    expect(rig.drop.tcpNoConnection).toBe(2)
  })

  test('and acknowledges nothing is acknowledged by it (RFC 9293 §3.10.7.1)', () => {
    const { peer } = bench()
    peer.sends('P 5:10(5)')
    peer.expects('R. 0:0(0) ack 10')
    peer.sends('F 10:10(0)')
    peer.expects('R. 0:0(0) ack 11')
    peer.sends('- 10:10(0)')
    peer.expects('R. 0:0(0) ack 10')
  })

  test('and is a RST is answered with nothing (RFC 9293 §3.10.7.1)', () => {
    const { peer, rig } = bench()
    peer.sends('R 5:5(0)', 'R. 5:5(0) ack 9')
    peer.expectsNothing()
    expect(rig.drop.tcpNoConnection).toBe(2)
  })
})

describe('our SYN-ACK', () => {
  test('answers each option with its own (RFC 9293 §3.7.1, RFC 7323 §2.2, §3.2, RFC 2018 §2)', () => {
    const { peer, rig } = listening({ options: LINUX })
    rig.accept()
    peer.expects('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 0 ecr 1,wscale 3>')
  })

  test.each([
    ['mss 1460', 'mss 1460'],
    ['', 'mss 1460'],
    ['mss 1460,sackOK', 'mss 1460,sackOK'],
    ['mss 1460,TS val 9 ecr 0', 'mss 1460,TS val 0 ecr 9'],
    ['mss 1460,wscale 0', 'mss 1460,wscale 3'],
    ['wscale 14,sackOK', 'mss 1460,sackOK,wscale 3'],
  ])('to <%s> has <%s>', (asked, answered) => {
    const { peer, rig } = listening({ options: asked })
    rig.accept()
    peer.expects(`S. 0:0(0) ack 1 win 65535 <${answered}>`)
  })

  test('has a window scale though ours is 0, for else the guest’s would not hold (RFC 7323 §2.2)', () => {
    const limits = { receiveBuffer: 30_000 }
    const { peer, rig } = listening({ options: 'mss 1460,wscale 7', limits })
    const host = rig.accept()
    peer.expects('S. 0:0(0) ack 1 win 30000 <mss 1460,wscale 0>')
    peer.sends('. 1:1(0) ack 1 win 10')
    expect(host.c.sndWnd).toBe(1280)
  })

  test('offers the MSS that the link’s MTU leaves (RFC 9293 §3.7.1)', () => {
    for (const mtu of [576, 9000, 65_520]) {
      const { peer, rig } = listening({ mtu })
      rig.accept()
      peer.expects(`S. 0:0(0) ack 1 win 65535 <mss ${mtu - 40}>`)
    }
  })

  test('is sent again after 1, 3 and 7 s, and then every time later (RFC 6298 §5.5)', () => {
    const { peer, clock, rig, host } = synReceived()
    for (const wait of [1000, 2000, 4000, 8000]) {
      clock.advance(wait - 1)
      peer.expectsNothing()
      clock.advance(1)
      peer.expects('S. 0:0(0) ack 1 win 65535 <mss 1460>')
    }
    clock.advance(600_000)
    peer.takeAll()
    expect([host.reason, rig.stack.tcp.connections.size]).toEqual(['guest-timeout', 0])
  })

  test('is sent again when the guest’s SYN is', () => {
    const { peer, host } = synReceived()
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    peer.expects('S. 0:0(0) ack 1 win 65535 <mss 1460>')
    peer.sends('. 1:1(0) ack 1')
    expect(host.state()).toBe('ESTABLISHED')
  })
})

describe('what the SYNs agree on', () => {
  test('a window is not scaled in a SYN, and is in all that follows (RFC 7323 §2.2)', () => {
    const { peer, rig } = bench()
    peer.sends('S 0:0(0) win 1000 <mss 1460,wscale 2>')
    const host = rig.accept()
    peer.expects('S. 0:0(0) ack 1')
    expect(host.c.sndWnd).toBe(1000)
    peer.shift = 2
    peer.sends('. 1:1(0) ack 1 win 1000')
    expect(host.c.sndWnd).toBe(4000)
  })

  test('a shift beyond 14 is taken for 14 (RFC 7323 §2.3)', () => {
    const { host } = established({ options: 'mss 1460,wscale 15', win: 1 })
    expect([host.c.sndWindShift, host.c.sndWnd]).toEqual([14, 16_384])
  })

  test('nothing is scaled when one side does not offer it (RFC 7323 §2.2)', () => {
    const { host, peer } = established({ win: 1000 })
    expect([host.c.sndWnd, host.c.sndWindShift, host.c.rcvWindShift]).toEqual([1000, 0, 0])
    peer.sends('P. 1:101(100) ack 1')
    // The edge waits for a segment's worth of room (RFC 9293 §3.8.6.2.2).
    peer.expects('. 1:1(0) ack 101 win 65435')
  })

  test.each([
    ['', 536], // RFC 9293 MUST-15
    ['mss 536', 536],
    ['mss 1000', 1000],
    ['mss 9000', 1460], // what the link carries
    ['mss 1460,TS val 1 ecr 0', 1448],
    ['mss 1', 48], // ours: no segments of one octet
    ['mss 0', 536],
    ['mss 1,TS val 1 ecr 0', 36],
  ])('of <%s> the text of a segment is at most %i octets (RFC 9293 §3.7.1)', (options, smss) => {
    const { host, peer } = established({ options })
    expect(host.c.smss).toBe(smss)
    host.sends(3 * smss)
    for (let i = 0; i < 3; i++) {
      const from = 1 + i * smss
      peer.expects(`${i === 2 ? 'P' : ''}. ${from}:${from + smss}(${smss}) ack 1`)
    }
  })

  test('timestamps are on every segment then (RFC 7323 §3.2)', () => {
    const { host, peer, clock } = established({ options: LINUX })
    clock.advance(10)
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1 <TS val 10 ecr 1>')
    peer.sends('P. 1:6(5) ack 6 <TS val 12 ecr 10>')
    peer.expects('. 6:6(0) ack 6 <TS val 10 ecr 12>')
    host.closes()
    peer.expects('F. 6:6(0) ack 6 <TS val 10 ecr 12>')
  })
})

test('text and a FIN may come with the ACK of our SYN (RFC 9293 §3.10.7.4)', () => {
  const { host, peer } = synReceived()
  peer.sends('FP. 1:6(5) ack 1')
  peer.expects('. 1:1(0) ack 7')
  expect([host.state(), host.received, host.events]).toEqual([
    ...['CLOSE-WAIT', 5, ['established', 'fin']],
  ])
})

test('text may come before the ACK of our SYN, and then again', () => {
  const { host, peer } = synReceived()
  peer.sends('P 1:6(5)') // without ACK: dropped (RFC 9293 §3.10.7.4, fifth)
  expect(host.received).toBe(0)
  peer.sends('P. 1:6(5) ack 1')
  peer.expects('. 1:1(0) ack 6')
  expect(host.received).toBe(5)
})

describe('in SYN-RECEIVED', () => {
  test('an ACK of what was not sent is answered with a RST (RFC 9293 §3.10.7.4)', () => {
    const joined = synReceived()
    const before = tcbOf(joined)
    joined.peer.sends('. 1:1(0) ack 2')
    joined.peer.expects('R 2:2(0)')
    joined.peer.sends('. 1:1(0) ack 0')
    joined.peer.expects('R 0:0(0)')
    assertTcb(joined, before)
  })

  test('a RST at RCV.NXT ends it, one in the window is challenged (RFC 5961 §3.2)', () => {
    const { host, peer } = synReceived()
    peer.sends('R 100:100(0)')
    peer.expects('. 1:1(0) ack 1')
    peer.sends('R 1:1(0)')
    peer.expectsNothing()
    expect([host.state(), host.reason]).toEqual(['CLOSED', 'guest-reset'])
  })

  test('the host may close: its FIN follows the handshake (RFC 9293 §3.10.4)', () => {
    const { host, peer } = synReceived()
    host.closes()
    peer.expectsNothing()
    peer.sends('. 1:1(0) ack 1')
    peer.expects('F. 1:1(0) ack 1')
    expect(host.state()).toBe('FIN-WAIT-1')
  })

  test('the host may abort: a RST (RFC 9293 §3.10.5)', () => {
    const { host, peer } = synReceived()
    host.aborts()
    peer.expects('R. 1:1(0) ack 1')
    expect([host.state(), host.reason]).toEqual(['CLOSED', 'aborted'])
  })
})

test('the host may send with the handshake: text follows the ACK of our SYN', () => {
  const { rig, peer } = listening()
  const host = rig.accept()
  host.on.established = () => host.give(5)
  peer.expects('S. 0:0(0) ack 1')
  peer.sends('. 1:1(0) ack 1')
  peer.expects('P. 1:6(5) ack 1')
})

describe('our SYN to the guest', () => {
  test('offers everything (RFC 7323 §2.2, §3.2, RFC 2018 §2)', () => {
    const { peer, rig } = bench()
    peer.sends('R 0:0(0)')
    rig.connect(peer)
    peer.expects('S 0:0(0) win 65535 <mss 1460,sackOK,TS val 0 ecr 0,wscale 3>')
  })

  test('is answered, and the answer acknowledged (RFC 9293 §3.5, figure 6)', () => {
    const { peer, host } = synSent()
    expect(host.state()).toBe('SYN-SENT')
    peer.sends('S. 0:0(0) ack 1 win 5000 <mss 1000,sackOK,TS val 7 ecr 0,wscale 2>')
    peer.shift = 2
    peer.expects('. 1:1(0) ack 1 <TS val 0 ecr 7>')
    const { sndWnd, sndWindShift, rcvWindShift, smss, hasSack } = host.c
    expect([host.state(), host.events]).toEqual(['ESTABLISHED', ['established']])
    expect([sndWnd, sndWindShift, rcvWindShift, smss, hasSack]).toEqual([5000, 2, 3, 988, true])
  })

  test('may be answered without options', () => {
    const { peer, host } = synSent()
    peer.sends('S. 0:0(0) ack 1 win 5000')
    peer.expects('. 1:1(0) ack 1 win 65535 <>')
    const { sndWindShift, rcvWindShift, smss, hasSack, hasTimestamps } = host.c
    expect([sndWindShift, rcvWindShift, smss, hasSack, hasTimestamps]).toEqual([
      ...[0, 0, 536, false, false],
    ])
  })

  test('is followed by text at once when there is some', () => {
    const { peer, host } = synSent()
    host.sends(5)
    peer.expectsNothing()
    peer.sends('S. 0:0(0) ack 1 win 5000 <mss 1460>')
    peer.expects('P. 1:6(5) ack 1')
    peer.expectsNothing()
  })

  test('is sent again after 1, 3 and 7 s; then it is given up (RFC 9293 §3.8.3, MUST-23)', () => {
    const { peer, clock, host, rig } = synSent()
    for (const wait of [1000, 2000, 4000]) {
      clock.advance(wait - 1)
      peer.expectsNothing()
      clock.advance(1)
      peer.expects('S 0:0(0)')
    }
    clock.advance(173_000)
    expect(host.state()).toBe('SYN-SENT') // for three minutes at least
    clock.advance(200_000)
    for (const drill of peer.takeAll()) expect(drill.seq).toBe(0)
    expect([host.reason, rig.stack.tcp.connections.size]).toEqual(['guest-timeout', 0])
    expect(rig.stack.deadline()).toBe(Infinity)
  })

  test('that was answered late starts with an RTO of 3 s (RFC 6298 §5.7)', () => {
    const { peer, clock, host } = synSent()
    clock.advance(1000)
    peer.expects('S 0:0(0)')
    peer.sends('S. 0:0(0) ack 1 win 5000 <mss 1460>')
    peer.expects('. 1:1(0) ack 1')
    expect(host.c.rto.rto).toBe(3000)
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1')
    clock.advance(2999)
    peer.expectsNothing()
    clock.advance(1)
    peer.expects('P. 1:6(5) ack 1')
  })

  test('that was answered late, as a SYN-ACK, starts with a window of one segment (RFC 5681 §3.1)', () => {
    const late = synSent()
    late.clock.advance(1000)
    late.peer.expects('S 0:0(0)')
    late.peer.sends('S. 0:0(0) ack 1 win 50000 <mss 1460>')
    late.peer.expects('. 1:1(0) ack 1')
    const answered = synReceived({ options: LINUX })
    answered.clock.advance(1000)
    answered.peer.expects('S. 0:0(0) ack 1')
    answered.peer.sends('. 1:1(0) ack 1')
    for (const { host, peer } of [late, answered]) {
      const { smss } = host.c
      host.sends(10 * smss)
      peer.expects(`. 1:${1 + smss}(${smss}) ack 1`)
      peer.expectsNothing()
      peer.sends(`. 1:1(0) ack ${1 + smss}`)
      expect(peer.takeAll().length).toBe(2) // slow start
    }
  })

  test('is refused by a RST that acknowledges it (RFC 9293 §3.10.7.3)', () => {
    const { peer, host, rig } = synSent()
    peer.sends('R. 0:0(0) ack 1')
    peer.expectsNothing()
    expect([host.reason, rig.stack.tcp.connections.size]).toEqual(['refused', 0])
  })

  test('is not refused by any other RST (RFC 9293 §3.10.7.3)', () => {
    const joined = synSent()
    const before = tcbOf(joined)
    joined.peer.sends('R 0:0(0)', 'R. 0:0(0) ack 2', 'R. 0:0(0) ack 0', 'SR 0:0(0)')
    joined.peer.expectsNothing()
    assertTcb(joined, before)
  })

  test('an ACK of something else is answered with a RST (RFC 9293 §3.10.7.3)', () => {
    const joined = synSent()
    const before = tcbOf(joined)
    joined.peer.sends('. 0:0(0) ack 2')
    joined.peer.expects('R 2:2(0)')
    joined.peer.sends('S. 0:0(0) ack 0')
    joined.peer.expects('R 0:0(0)')
    joined.peer.sends('. 5:5(0) ack 1') // ours, but no SYN: nothing
    joined.peer.expectsNothing()
    assertTcb(joined, before)
  })

  test('the SYN-ACK that comes again is acknowledged again (RFC 9293 §3.10.7.4)', () => {
    const { peer, host } = synSent()
    peer.sends('S. 0:0(0) ack 1 win 5000 <mss 1460>')
    peer.expects('. 1:1(0) ack 1')
    peer.sends('S. 0:0(0) ack 1 win 5000 <mss 1460>')
    peer.expects('. 1:1(0) ack 1')
    expect(host.state()).toBe('ESTABLISHED')
  })

  test('is given up without a word when the host aborts (RFC 9293 §3.10.5)', () => {
    const { peer, host, rig } = synSent()
    host.aborts()
    peer.expectsNothing()
    expect([host.reason, rig.stack.tcp.connections.size]).toEqual(['aborted', 0])
    peer.sends('S. 0:0(0) ack 1')
    peer.expects('R 1:1(0)') // nobody is there any more
  })
})

describe('both sides open at once (RFC 9293 §3.5, figure 8)', () => {
  test('and each answers the other’s SYN: the guest’s SYN-ACK completes it', () => {
    const { peer, host } = synSent()
    peer.sends('S 0:0(0) win 5000 <mss 1460>')
    peer.expects('S. 0:0(0) ack 1 win 65535 <mss 1460>')
    expect(host.state()).toBe('SYN-RECEIVED')
    peer.sends('S. 0:0(0) ack 1 win 6000 <mss 1460>')
    peer.expects('. 1:1(0) ack 1')
    expect([host.state(), host.events, host.c.sndWnd]).toEqual([
      ...['ESTABLISHED', ['established'], 6000],
    ])
    peer.sends('P. 1:6(5) ack 1')
    peer.expects('. 1:1(0) ack 6')
    host.sends(5)
    peer.expects('P. 1:6(5) ack 6')
  })

  test('and an ACK of our SYN-ACK completes it as well', () => {
    const { peer, host } = synSent()
    peer.sends('S 0:0(0) win 5000 <mss 1460>')
    peer.expects('S. 0:0(0) ack 1')
    peer.sends('. 1:1(0) ack 1')
    peer.expectsNothing()
    expect(host.state()).toBe('ESTABLISHED')
  })

  test('and the options of both SYNs hold', () => {
    const { peer, host } = synSent()
    peer.sends(`S 0:0(0) win 5000 <${LINUX}>`)
    peer.expects('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 0 ecr 1,wscale 3>')
    expect([host.c.hasSack, host.c.hasTimestamps, host.c.sndWindShift]).toEqual([true, true, 7])
  })

  test('and the guest’s SYN that comes again is answered again', () => {
    const { peer } = synSent()
    peer.sends('S 0:0(0) win 5000 <mss 1460>')
    peer.expects('S. 0:0(0) ack 1')
    peer.sends('S 0:0(0) win 5000 <mss 1460>')
    peer.expects('S. 0:0(0) ack 1')
  })

  test('but a SYN-ACK that acknowledges ours before it has gone completes nothing', () => {
    const { peer, rig } = listening()
    const host = rig.answer()
    peer.hostIsn = host.c.iss
    peer.sends('S. 0:0(0) ack 1')
    expect([host.state(), host.events]).toEqual(['SYN-RECEIVED', []])
    peer.expects('S. 0:0(0) ack 1 win 65535')
    peer.sends('P. 1:6(5) ack 1')
    expect([host.state(), host.received]).toEqual(['ESTABLISHED', 5])
  })
})

test('no text is in a window that no SYN-ACK has offered', () => {
  const { peer, rig } = listening()
  const host = rig.answer()
  expect(rcvWnd(host.c)).toBe(0)
  peer.hostIsn = host.c.iss
  peer.sends('P. 1:6(5) ack 1')
  expect([host.state(), host.received]).toEqual(['SYN-RECEIVED', 0])
})

test('a SYN and its answer leave the same block as the other way round', () => {
  const passive = established({ options: PLAIN })
  const active = synSent()
  active.peer.sends('S. 0:0(0) ack 1 win 65535 <mss 1460>')
  active.peer.expects('. 1:1(0) ack 1')
  // SND.WL1 is the last segment's number: there the SYN's own, here the ACK's that followed it.
  assertTcb(active, tcbOf(passive), { sndWl1: 0 })
})

test('each connection’s timestamps have an offset of their own (RFC 7323 §7.1)', () => {
  const { rig } = bench()
  const offsets = [40_000, 40_001, 40_002].map((port) => {
    rig.peer({ port }).sends('S 0:0(0) win 65535 <mss 1460,TS val 1 ecr 0>')
    return rig.accept().c.tsOffset
  })
  expect(new Set(offsets).size).toBe(3)
  for (const offset of offsets) expect(Math.abs(offset)).toBeGreaterThan(1000)
})

test('each connection is its own, by any part of the 4-tuple', () => {
  const { rig, peer } = bench()
  const peers = [
    peer,
    rig.peer({ port: 40_001 }),
    rig.peer({ hostPort: 81 }),
    rig.peer({ hostAddr: HOST + 1 }),
    rig.peer({ addr: peer.addr + 1 }),
  ]
  for (const each of peers) each.sends('S 0:0(0) win 65535 <mss 1460>')
  const hosts = peers.map(() => rig.accept())
  for (const each of peers) each.expects('S. 0:0(0) ack 1')
  for (const each of peers) each.sends('. 1:1(0) ack 1')
  expect(new Set(peers.map((each) => each.hostIsn)).size).toBe(5)
  for (const [i, each] of peers.entries()) each.sends(`P. 1:${2 + i}(${1 + i}) ack 1`)
  expect(hosts.map((host) => host.received)).toEqual([1, 2, 3, 4, 5])
})
