/** SEGMENT ARRIVES, the checks in their order (RFC 9293 §3.10.7.4, RFC 5961, RFC 7323 §5). */
import { describe, expect, test } from 'vitest'
import { DELAYED_ACK } from '../../../src/stack/tcp/output.ts'
import { SYN } from '../../../src/stack/wire/tcp.ts'
import { established, FACTORIES, type Joined, LINUX, synReceived } from '../rig/states.ts'
import { assertTcb, tcbOf } from '../rig/tcb.ts'

const { 'SYN-SENT': _, ...SYNCHRONIZED } = FACTORIES
type Synchronized = keyof typeof SYNCHRONIZED
const states = Object.keys(SYNCHRONIZED) as Synchronized[]
const { 'SYN-RECEIVED': __, ...LATER } = SYNCHRONIZED
const later = Object.keys(LATER) as (keyof typeof LATER)[]

/** The numbers at which the next segments of the guest, and of the host, are. */
function numbers(joined: Joined): { rcvNxt: number; sndNxt: number } {
  const { rcvNxt, sndNxt } = tcbOf(joined)
  return { rcvNxt: rcvNxt as number, sndNxt: sndNxt as number }
}

/** A pure ACK that says where the host is. */
function expectAck({ peer }: Joined, sndNxt: number, rcvNxt: number): void {
  peer.expects(`. ${sndNxt}:${sndNxt}(0) ack ${rcvNxt}`)
  peer.expectsNothing()
}

/** What a segment may change though nothing of it is taken. */
function times(joined: Joined): { heardAt: number } {
  return { heardAt: joined.clock.now - joined.clock.start }
}

describe.each(states)('in %s', (state) => {
  const make = (): Joined => FACTORIES[state]()

  test('text before or beyond the window is answered with an ACK and dropped (RFC 9293 §3.10.7.4, first)', () => {
    for (const offset of [-10, 65_535, 100_000, 2 ** 31 - 20]) {
      const joined = make()
      const { rcvNxt, sndNxt } = numbers(joined)
      const before = tcbOf(joined)
      const from = (rcvNxt + offset) | 0
      joined.peer.sendsText(`P. ${from}:${from + 5}(5) ack ${sndNxt}`, [1, 2, 3, 4, 5])
      expectAck(joined, sndNxt, rcvNxt)
      assertTcb(joined, before)
      expect(joined.rig.drop.tcpUnacceptable).toBe(1)
    }
  })

  test('a RST outside the window is dropped without a reply (RFC 5961 §3.2)', () => {
    for (const offset of [-1, 65_537, 100_000, -(2 ** 31) + 10]) {
      const joined = make()
      const before = tcbOf(joined)
      const from = (numbers(joined).rcvNxt + offset) | 0
      joined.peer.sends(`R ${from}:${from}(0)`, `R. ${from}:${from}(0) ack 1`)
      joined.peer.expectsNothing()
      assertTcb(joined, before)
    }
  })

  test('a RST in the window, but not at RCV.NXT, is challenged (RFC 5961 §3.2)', () => {
    for (const offset of [1, 1000, 65_000]) {
      const joined = make()
      const { rcvNxt, sndNxt } = numbers(joined)
      const before = tcbOf(joined)
      joined.peer.sends(`R ${rcvNxt + offset}:${rcvNxt + offset}(0)`)
      expectAck(joined, sndNxt, rcvNxt)
      const challengeAt = joined.clock.now
      assertTcb(joined, before, { challengeAt })
      expect(joined.rig.stack.counters.tcpChallengeAcks).toBe(1)
    }
  })

  test('a RST at RCV.NXT ends it, TIME-WAIT excepted (RFC 9293 §3.10.7.4, second; RFC 1337)', () => {
    const joined = make()
    const { rig, peer, host } = joined
    const { rcvNxt } = numbers(joined)
    peer.sends(`R ${rcvNxt}:${rcvNxt}(0)`)
    peer.expectsNothing()
    if (state === 'TIME-WAIT') return expect(host.state()).toBe('TIME-WAIT')
    expect([host.state(), host.reason]).toEqual(['CLOSED', 'guest-reset'])
    expect([rig.stack.tcp.connections.size, rig.chunksTaken]).toEqual([0, 0])
    expect(rig.stack.deadline()).toBe(Infinity)
  })

  test('a RST with text resets, and its text is nobody’s (RFC 9293 §3.5.3, SHLD-2)', () => {
    const joined = make()
    const { rcvNxt } = numbers(joined)
    const { received } = joined.host
    joined.peer.sends(`R ${rcvNxt}:${rcvNxt + 10}(10)`)
    joined.peer.expectsNothing()
    const end = state === 'TIME-WAIT' ? 'TIME-WAIT' : 'CLOSED'
    expect([joined.host.state(), joined.host.received]).toEqual([end, received])
  })

  test('a SYN in the window is challenged, and changes nothing (RFC 5961 §4.2)', () => {
    const joined = make()
    const { rcvNxt, sndNxt } = numbers(joined)
    const before = tcbOf(joined)
    const text =
      state === 'TIME-WAIT' ? `S. ${rcvNxt}:${rcvNxt}(0) ack ${sndNxt}` : `S ${rcvNxt}:${rcvNxt}(0)`
    joined.peer.sends(text)
    expectAck(joined, sndNxt, rcvNxt)
    assertTcb(joined, before, { challengeAt: joined.clock.now })
  })

  test('what has no ACK is dropped (RFC 9293 §3.10.7.4, fifth)', () => {
    const joined = make()
    const { rcvNxt } = numbers(joined)
    const before = tcbOf(joined)
    joined.peer.sendsText(`P ${rcvNxt}:${rcvNxt + 3}(3)`, [1, 2, 3])
    joined.peer.sends(`F ${rcvNxt}:${rcvNxt}(0)`, `- ${rcvNxt}:${rcvNxt}(0)`)
    joined.peer.expectsNothing()
    assertTcb(joined, before)
  })
})

describe.each(later)('in %s', (state) => {
  const make = (): Joined => FACTORIES[state]()

  test('an ACK of what was never sent is challenged, and its text not taken (RFC 5961 §5.2)', () => {
    const joined = make()
    const { rcvNxt, sndNxt } = numbers(joined)
    const before = tcbOf(joined)
    joined.peer.sendsText(`P. ${rcvNxt}:${rcvNxt + 3}(3) ack ${sndNxt + 1}`, [1, 2, 3])
    expectAck(joined, sndNxt, rcvNxt)
    assertTcb(joined, before, { challengeAt: joined.clock.now })
  })

  test('an ACK older than the largest window is challenged too (RFC 5961 §5.2)', () => {
    const joined = make()
    const { rcvNxt, sndNxt } = numbers(joined)
    const una = tcbOf(joined).sndUna as number
    const before = tcbOf(joined)
    joined.peer.sendsText(`P. ${rcvNxt}:${rcvNxt + 3}(3) ack ${una - 65_536}`, [1, 2, 3])
    expectAck(joined, sndNxt, rcvNxt)
    assertTcb(joined, before, { challengeAt: joined.clock.now })
  })

  test('an old segment that answers nothing new changes nothing of the send side', () => {
    const joined = make()
    const { rcvNxt, sndNxt } = numbers(joined)
    const before = tcbOf(joined)
    joined.peer.sends(`. ${rcvNxt - 100}:${rcvNxt - 100}(0) ack ${sndNxt} win 5`)
    expectAck(joined, sndNxt, rcvNxt)
    assertTcb(joined, before, { challengeAt: joined.clock.now })
  })

  test('a keep-alive of the guest’s is answered each time (RFC 9293 §3.8.4)', () => {
    const joined = make()
    const { rcvNxt, sndNxt } = numbers(joined)
    const una = tcbOf(joined).sndUna as number
    const before = tcbOf(joined)
    for (let i = 0; i < 3; i++) {
      joined.peer.sends(`. ${rcvNxt - 1}:${rcvNxt - 1}(0) ack ${una}`)
      expectAck(joined, sndNxt, rcvNxt)
      joined.peer.sendsText(`. ${rcvNxt - 1}:${rcvNxt}(1) ack ${una}`, [0])
      expectAck(joined, sndNxt, rcvNxt)
    }
    assertTcb(joined, before)
  })
})

test('challenge ACKs are sent twice a second at most (RFC 5961 §7)', () => {
  const { peer, clock, rig } = established()
  for (let i = 0; i < 100; i++) peer.sends('R 100:100(0)', 'S 200:200(0)', '. 1:1(0) ack 50')
  peer.expects('. 1:1(0) ack 1')
  peer.expectsNothing()
  clock.advance(499)
  peer.sends('R 100:100(0)')
  peer.expectsNothing()
  clock.advance(1)
  peer.sends('R 100:100(0)')
  peer.expects('. 1:1(0) ack 1')
  expect(rig.stack.counters.tcpChallengeAcks).toBe(2)
})

test('two that disagree about numbers do not answer each other’s ACKs for ever', () => {
  const { peer } = established()
  for (let i = 0; i < 100; i++) peer.sends('. -5000:-5000(0) ack 1')
  peer.expects('. 1:1(0) ack 1')
  peer.expectsNothing()
})

test('the guest that forgot the connection learns of it by its SYN (RFC 9293 §3.5.1, figure 9)', () => {
  const { peer, host, rig } = established()
  const old = peer.isn
  peer.begins(12_345_678)
  peer.sends('S 0:0(0) win 65535 <mss 1460>')
  const [challenge] = peer.takeAll()
  expect([challenge!.ctl & SYN, challenge!.seq, challenge!.ack]).toEqual([0, 1, old + 1 - peer.isn])
  // It answers with the RST that the ACK asks for, and its next SYN finds nobody.
  peer.isn = old
  peer.sends('R 1:1(0)')
  expect(host.reason).toBe('guest-reset')
  peer.begins(12_345_678)
  peer.sends('S 0:0(0) win 65535 <mss 1460>')
  expect(rig.requests.length).toBe(1)
})

test('a segment that begins before RCV.NXT gives what is new of it (RFC 9293 §3.10.7.4)', () => {
  const { peer, host } = established()
  peer.sends('P. 1:11(10) ack 1')
  peer.expects('. 1:1(0) ack 11')
  peer.sends('P. 1:16(15) ack 1')
  peer.expects('. 1:1(0) ack 16')
  peer.sends('FP. 11:21(10) ack 1')
  peer.expects('. 1:1(0) ack 22')
  expect([host.received, host.state()]).toEqual([20, 'CLOSE-WAIT'])
})

test('of a segment that ends beyond the window, what is in it is taken, and no FIN', () => {
  const { peer, host } = established({ limits: { receiveBuffer: 3000 } })
  host.isReading = false
  peer.sends('P. 1:1461(1460) ack 1', '. 1461:2921(1460) ack 1')
  peer.expects('. 1:1(0) ack 2921 win 80')
  peer.sends('FP. 2921:3021(100) ack 1')
  peer.expects('. 1:1(0) ack 3001 win 0')
  expect([host.c.rcvQueued, host.state()]).toEqual([3000, 'ESTABLISHED'])
  host.reads()
  peer.expects('. 1:1(0) ack 3001 win 3000')
  peer.sends('FP. 2921:3021(100) ack 1')
  expect([host.state(), host.c.rcvQueued, host.received]).toEqual(['CLOSE-WAIT', 20, 3000])
})

describe('at the right edge of the window', () => {
  /** The guest has filled it, and the first of it is lost. */
  function filled(): Joined {
    const joined = established({ limits: { receiveBuffer: 3000 } })
    joined.host.sends(100)
    joined.peer.expects('P. 1:101(100) ack 1')
    joined.peer.sends('. 1001:2001(1000) ack 1', 'P. 2001:3001(1000) ack 1')
    joined.peer.expects('. 101:101(0) ack 1', '. 101:101(0) ack 1')
    return joined
  }

  test('an ACK is taken, and the window that it tells: a guest that has filled it has no other', () => {
    const { host, peer, clock, rig } = filled()
    peer.sends('. 3001:3001(0) ack 101 win 777')
    peer.expectsNothing()
    expect([host.c.sndWnd, host.c.sendQueue.length]).toEqual([777, 0])
    expect(rig.drop.tcpUnacceptable).toBe(0)
    clock.advance(10_000)
    peer.expectsNothing()
    expect(rig.stack.counters.tcpTimeouts).toBe(0)
  })

  test('a RST is challenged: the guest answers with one at RCV.NXT (RFC 5961 §3.2)', () => {
    const { host, peer } = filled()
    peer.sends('R 3001:3001(0)')
    peer.expects('. 101:101(0) ack 1')
    expect(host.state()).toBe('ESTABLISHED')
    peer.sends('R 1:1(0)')
    expect(host.reason).toBe('guest-reset')
  })

  test('text is not taken, nor anything one further', () => {
    const { host, peer, rig } = filled()
    peer.sendsText('P. 3001:3004(3) ack 101 win 777', [1, 2, 3])
    peer.expects('. 101:101(0) ack 1')
    peer.sends('. 3002:3002(0) ack 101 win 777', 'R 3002:3002(0)')
    expect([host.c.sndUna === host.c.sndNxt, rig.drop.tcpUnacceptable]).toEqual([false, 3])
    expect(host.state()).toBe('ESTABLISHED')
  })
})

describe('while our window is closed', () => {
  function closed(options = ''): Joined {
    const joined = established({ limits: { receiveBuffer: 2000 }, options: `mss 1460${options}` })
    joined.host.isReading = false
    joined.host.sends(100)
    joined.peer.expects('P. 1:101(100) ack 1')
    joined.peer.sends('P. 1:1001(1000) ack 1', 'P. 1001:2001(1000) ack 1')
    joined.peer.expects('. 101:101(0) ack 2001 win 0')
    return joined
  }

  test('an ACK is taken all the same, and what it says of a window (RFC 9293 §3.10.7.4)', () => {
    for (const seq of [2000, 2001, 2002]) {
      const { peer, host } = closed()
      peer.sends(`. ${seq}:${seq}(0) ack 101 win 777`)
      expect([host.c.sndWnd, host.c.sendQueue.length]).toEqual([777, 0])
    }
  })

  test('a probe of the guest’s is answered, its octet not taken (RFC 9293 §3.8.6.1)', () => {
    const { peer, host } = closed()
    peer.sends('. 2001:2002(1) ack 101')
    peer.expects('. 101:101(0) ack 2001 win 0')
    expect(host.c.sendQueue.length).toBe(0)
    peer.sends('. 2000:2000(0) ack 101') // as Linux probes
    peer.expects('. 101:101(0) ack 2001 win 0')
    host.reads()
    peer.expects('. 101:101(0) ack 2001 win 2000')
    peer.sends('. 2001:2002(1) ack 101')
    peer.expects('. 101:101(0) ack 2002')
    expect(host.c.rcvQueued).toBe(1)
  })

  test.each(['R 2001:2001(0)', 'R 2001:2011(10)'])(
    'a RST at RCV.NXT is taken, with text or without (RFC 9293 MUST-66): %s',
    (reset) => {
      const { peer, host } = closed()
      peer.sends(reset)
      expect(host.reason).toBe('guest-reset')
    },
  )
})

describe('PAWS (RFC 7323 §5.3)', () => {
  test('what is older than TS.Recent is answered with an ACK and dropped (R1)', () => {
    const { peer, host } = established({ options: LINUX })
    peer.sends('P. 1:11(10) ack 1 <TS val 50 ecr 0>')
    peer.expects('. 1:1(0) ack 11 <TS val 0 ecr 50>')
    peer.sends('P. 11:21(10) ack 1 <TS val 49 ecr 0>')
    peer.expects('. 1:1(0) ack 11 <TS val 0 ecr 50>')
    expect(host.received).toBe(10)
    peer.sends('P. 11:21(10) ack 1 <TS val 50 ecr 0>')
    peer.expects('. 1:1(0) ack 21')
  })

  test('what it acknowledges is not taken either', () => {
    const { peer, host } = established({ options: LINUX })
    host.sends(10)
    peer.expects('P. 1:11(10) ack 1')
    peer.sends('P. 1:11(10) ack 1 <TS val 50 ecr 0>')
    peer.expects('. 11:11(0) ack 11')
    peer.sends('. 1:1(0) ack 11 <TS val 49 ecr 0>')
    expect(host.c.sendQueue.length).toBe(10)
  })

  test('timestamps wrap as sequence numbers do (§5.2)', () => {
    const { peer, host } = established({ options: LINUX })
    peer.tsBase = 2 ** 31 - 10
    peer.sends('P. 1:11(10) ack 1 <TS val 5 ecr 0>')
    expect(host.received).toBe(10)
    peer.sends('P. 11:21(10) ack 1 <TS val 15 ecr 0>')
    expect(host.received).toBe(20)
    peer.sends('P. 21:31(10) ack 1 <TS val 9 ecr 0>')
    expect(host.received).toBe(20)
  })

  test('a RST is never too old (§5.2)', () => {
    const { peer, host } = established({ options: LINUX })
    peer.sends('R 1:1(0) <TS val -100 ecr 0>')
    expect(host.reason).toBe('guest-reset')
  })

  test('TS.Recent says nothing after 24 days (§5.5)', () => {
    const { peer, host, clock } = established({ options: LINUX })
    peer.sends('P. 1:11(10) ack 1 <TS val 50 ecr 0>')
    clock.advance(24 * 24 * 3600 * 1000)
    peer.sends('P. 11:21(10) ack 1 <TS val -100 ecr 0>')
    expect(host.received).toBe(10)
    clock.advance(1)
    peer.sends('P. 11:21(10) ack 1 <TS val -100 ecr 0>')
    expect([host.received, host.c.tsRecent]).toEqual([20, peer.tsBase - 100])
  })

  test('a segment without a timestamp is taken, as Linux does (§3.2: SHOULD drop)', () => {
    const { peer, host } = established({ options: LINUX })
    peer.sends('P. 1:11(10) ack 1 <>')
    expect(host.received).toBe(10)
  })
})

describe('TS.Recent (RFC 7323 §4.3)', () => {
  test('is of the first segment that an ACK is for: delays are measured', () => {
    const { peer } = established({ options: LINUX })
    peer.sends('P. 1:11(10) ack 1 <TS val 10 ecr 0>', 'P. 11:21(10) ack 1 <TS val 20 ecr 0>')
    peer.expects('. 1:1(0) ack 21 <TS val 0 ecr 10>')
  })

  test('is not of a segment beyond a hole', () => {
    const { peer } = established({ options: 'mss 1460,TS val 1 ecr 0' })
    peer.sends('P. 1:11(10) ack 1 <TS val 10 ecr 0>')
    peer.expects('. 1:1(0) ack 11 <TS val 0 ecr 10>')
    peer.sends('P. 21:31(10) ack 1 <TS val 20 ecr 0>')
    peer.expects('. 1:1(0) ack 11 <TS val 0 ecr 10>')
    peer.sends('P. 11:21(10) ack 1 <TS val 30 ecr 0>')
    peer.expects('. 1:1(0) ack 31 <TS val 0 ecr 30>')
  })

  test('what is sent again is acknowledged with its own timestamp, as Linux does', () => {
    const { peer } = established({ options: LINUX })
    peer.sends('P. 1:11(10) ack 1 <TS val 10 ecr 0>')
    peer.expects('. 1:1(0) ack 11 <TS val 0 ecr 10>')
    peer.sends('P. 1:11(10) ack 1 <TS val 500 ecr 0>')
    peer.expects('. 1:1(0) ack 11 <TS val 0 ecr 500,sack 1:11>')
  })
})

describe('the window (RFC 9293 §3.10.7.4, fifth)', () => {
  test('is taken from the newest segment, by sequence number and then by ACK (SND.WL1, SND.WL2)', () => {
    const { peer, host } = established()
    host.sends(20)
    peer.expects('P. 1:21(20) ack 1')
    peer.sends('P. 1:11(10) ack 1 win 500')
    expect(host.c.sndWnd).toBe(500)
    peer.sends('. 11:11(0) ack 11 win 600')
    expect(host.c.sndWnd).toBe(600)
    peer.sends('. 11:11(0) ack 5 win 700') // overtaken
    expect(host.c.sndWnd).toBe(600)
    peer.sends('. 11:11(0) ack 11 win 800')
    expect(host.c.sndWnd).toBe(800)
  })

  test('the window is taken from what fills a hole', () => {
    const { peer, host } = established()
    host.sends(20)
    peer.expects('P. 1:21(20) ack 1')
    peer.sends('. 101:111(10) ack 1 win 5000')
    expect(host.c.sndWnd).toBe(5000)
    peer.sends('. 1:11(10) ack 21 win 4000')
    expect(host.c.sndWnd).toBe(4000)
  })

  test('is not taken from an old ACK', () => {
    const { peer, host } = established()
    host.sends(20)
    peer.expects('P. 1:21(20) ack 1')
    peer.sends('. 1:1(0) ack 21 win 5000')
    peer.sends('P. 1:11(10) ack 10 win 9000')
    expect([host.c.sndWnd, host.received]).toEqual([5000, 10])
  })
})

test('urgent text is left in line (RFC 6093 §6, RFC 9293 MUST-60 with no signal)', () => {
  const { peer, host } = established()
  peer.sends('UP. 1:11(10) ack 1 urg 5')
  peer.expects('. 1:1(0) ack 11')
  expect(host.received).toBe(10)
})

test('ECE and CWR are not looked at: ECN was not negotiated (RFC 3168 §6.1)', () => {
  const { peer, host } = established()
  peer.sends('PEW. 1:11(10) ack 1')
  peer.expects('. 1:1(0) ack 11')
  expect(host.received).toBe(10)
})

test('the checks do not depend on where the numbers are', () => {
  for (const isn of [0, 1, 2 ** 31 - 1, -(2 ** 31), -1000]) {
    const joined = synReceived()
    const peer = joined.rig.peer({ port: 1, isn })
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    const host = joined.rig.accept()
    peer.expects('S. 0:0(0) ack 1')
    peer.sends('. 1:1(0) ack 1', 'P. 1:1001(1000) ack 1', 'P. 1001:2001(1000) ack 1')
    peer.expects('. 1:1(0) ack 2001')
    host.sends(2000)
    peer.expects('. 1:1461(1460) ack 2001', 'P. 1461:2001(540) ack 2001')
    peer.sends('F. 2001:2001(0) ack 2001')
    joined.clock.advance(DELAYED_ACK)
    peer.expects('. 2001:2001(0) ack 2002')
    expect([host.received, host.state()]).toEqual([2000, 'CLOSE-WAIT'])
  }
})

test('whoever is heard of is known to live', () => {
  const joined = established()
  joined.clock.advance(1000)
  const before = tcbOf(joined)
  joined.peer.sends('. 1:1(0) ack 1')
  assertTcb(joined, before, times(joined))
})
