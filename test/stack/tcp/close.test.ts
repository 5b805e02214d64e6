/** Closing: FIN in every order, half-close, RST, TIME-WAIT (RFC 9293 §3.6, §3.10.4, §3.10.7.4). */
import { describe, expect, test } from 'vitest'
import { TIME_WAIT } from '../../../src/stack/tcp/tcp.ts'
import {
  bench,
  closeWait,
  closing,
  established,
  FACTORIES,
  finWait1,
  finWait2,
  type Joined,
  LINUX,
  lastAck,
  timeWait,
} from '../rig/states.ts'
import { assertTcb, tcbOf } from '../rig/tcb.ts'

/** Nothing of the connection is left in the stack. */
function expectGone({ rig }: Joined): void {
  expect(rig.stack.tcp.connections.size).toBe(0)
  expect(rig.stack.pool.free).toBe(rig.stack.pool.size)
  expect(rig.stack.deadline()).toBe(Infinity)
}

describe('the host closes first', () => {
  test('FIN, its ACK, the guest’s FIN: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT (RFC 9293 §3.6, figure 12)', () => {
    const { host, peer } = established()
    host.closes()
    expect(host.state()).toBe('FIN-WAIT-1')
    peer.expects('F. 1:1(0) ack 1')
    peer.sends('. 1:1(0) ack 2')
    expect(host.state()).toBe('FIN-WAIT-2')
    peer.sends('F. 1:1(0) ack 2')
    peer.expects('. 2:2(0) ack 2')
    expect([host.state(), host.events.slice(1)]).toEqual(['TIME-WAIT', ['fin', 'finished']])
  })

  test('the guest’s FIN may acknowledge ours: FIN-WAIT-1, TIME-WAIT (RFC 9293 §3.10.7.4, eighth)', () => {
    const { host, peer } = finWait1()
    peer.sends('F. 1:1(0) ack 2')
    peer.expects('. 2:2(0) ack 2')
    peer.expectsNothing()
    expect(host.state()).toBe('TIME-WAIT')
  })

  test('the FIN goes behind the last octet, with it when it can (RFC 9293 §3.10.4)', () => {
    const { host, peer } = established()
    host.sends(2000)
    peer.expects('. 1:1461(1460) ack 1', 'P. 1461:2001(540) ack 1')
    host.give(3000)
    host.closes()
    peer.expects('. 2001:3461(1460) ack 1', '. 3461:4921(1460) ack 1', 'FP. 4921:5001(80) ack 1')
    peer.sends('. 1:1(0) ack 5001')
    expect(host.state()).toBe('FIN-WAIT-1') // all but the FIN
    peer.sends('. 1:1(0) ack 5002')
    expect(host.state()).toBe('FIN-WAIT-2')
  })

  test('what waits for the window goes first, then the FIN', () => {
    const { host, peer } = established({ win: 100 })
    host.sends(250)
    host.closes()
    peer.expects('. 1:101(100) ack 1')
    peer.expectsNothing()
    expect(host.state()).toBe('FIN-WAIT-1')
    peer.sends('. 1:1(0) ack 101')
    peer.expects('. 101:201(100) ack 1')
    peer.sends('. 1:1(0) ack 201')
    peer.expects('FP. 201:251(50) ack 1')
  })

  test('half-close: the guest’s text still arrives (RFC 9293 §3.6.1)', () => {
    const { host, peer } = finWait2()
    peer.sends('P. 1:1001(1000) ack 2')
    peer.expects('. 2:2(0) ack 1001')
    expect([host.received, host.state()]).toEqual([1000, 'FIN-WAIT-2'])
    const first = finWait1()
    first.peer.sends('P. 1:1001(1000) ack 1')
    first.peer.expects('. 2:2(0) ack 1001')
    expect([first.host.received, first.host.state()]).toEqual([1000, 'FIN-WAIT-1'])
  })

  test('nothing more can be given after CLOSE', () => {
    const { host, peer } = finWait1()
    expect(host.sendsUpTo(10)).toBe(0)
    host.closes()
    peer.expectsNothing()
  })
})

describe('the guest closes first', () => {
  test('FIN, our FIN, its ACK: CLOSE-WAIT, LAST-ACK, CLOSED (RFC 9293 §3.6, figure 12)', () => {
    const joined = established()
    const { host, peer } = joined
    peer.sends('F. 1:1(0) ack 1')
    peer.expects('. 1:1(0) ack 2')
    expect([host.state(), host.events.slice(1)]).toEqual(['CLOSE-WAIT', ['fin']])
    host.closes()
    peer.expects('F. 1:1(0) ack 2')
    expect(host.state()).toBe('LAST-ACK')
    peer.sends('. 2:2(0) ack 2')
    peer.expectsNothing()
    expect([host.state(), host.reason]).toEqual(['CLOSED', 'finished'])
    expectGone(joined)
  })

  test('half-close: the host’s text still goes (RFC 9293 §3.6.1)', () => {
    const { host, peer } = closeWait()
    host.sends(3000)
    peer.expects('. 1:1461(1460) ack 2', '. 1461:2921(1460) ack 2', 'P. 2921:3001(80) ack 2')
    peer.sends('. 2:2(0) ack 3001')
    host.give(10)
    host.closes()
    peer.expects('FP. 3001:3011(10) ack 2')
    peer.sends('. 2:2(0) ack 3012')
    expect(host.reason).toBe('finished')
  })

  test('a FIN with text comes behind it', () => {
    const { host, peer } = established()
    host.on.fin = () => expect(host.received).toBe(100)
    peer.sends('FP. 1:101(100) ack 1')
    peer.expects('. 1:1(0) ack 102')
    expect(host.state()).toBe('CLOSE-WAIT')
  })

  test('a FIN that overtakes its text waits for it', () => {
    const { host, peer } = established()
    peer.sends('F. 101:101(0) ack 1')
    peer.expects('. 1:1(0) ack 1')
    peer.sends('FP. 51:101(50) ack 1')
    peer.expects('. 1:1(0) ack 1')
    expect([host.state(), host.received]).toEqual(['ESTABLISHED', 0])
    peer.sends('. 1:51(50) ack 1')
    peer.expects('. 1:1(0) ack 102')
    expect([host.state(), host.received]).toEqual(['CLOSE-WAIT', 100])
  })

  test('a FIN before text that has come already has that text dropped', () => {
    const { host, peer, rig } = established()
    peer.sends('P. 101:201(100) ack 1')
    peer.expects('. 1:1(0) ack 1')
    peer.sends('F. 1:1(0) ack 1')
    peer.expects('. 1:1(0) ack 2')
    expect([host.state(), rig.chunksTaken]).toEqual(['CLOSE-WAIT', 0])
    peer.sends('P. 2:101(99) ack 1')
    expect(host.received).toBe(0)
  })

  test('a FIN that comes again is acknowledged again', () => {
    for (const joined of [closeWait(), lastAck()]) {
      const before = tcbOf(joined)
      const next = before.sndNxt as number
      joined.peer.sends('F. 1:1(0) ack 1')
      joined.peer.expects(`. ${next}:${next}(0) ack 2`)
      assertTcb(joined, before)
    }
  })

  test('text behind a FIN is not taken', () => {
    const { host, peer } = closeWait()
    peer.sends('P. 2:12(10) ack 1')
    expect([host.received, host.c.rcvQueued]).toEqual([0, 0])
  })

  test('the host may have closed already when it is told: FIN goes with the ACK', () => {
    const { host, peer } = established()
    host.on.fin = () => host.closes()
    peer.sends('F. 1:1(0) ack 1')
    peer.expects('F. 1:1(0) ack 2')
    peer.expectsNothing()
    expect(host.state()).toBe('LAST-ACK')
  })
})

describe('both close at once (RFC 9293 §3.6, figure 13)', () => {
  test('FIN-WAIT-1, CLOSING, TIME-WAIT', () => {
    const { host, peer } = finWait1()
    peer.sends('F. 1:1(0) ack 1')
    peer.expects('. 2:2(0) ack 2')
    expect([host.state(), host.events.slice(1)]).toEqual(['CLOSING', ['fin']])
    peer.sends('. 2:2(0) ack 2')
    peer.expectsNothing()
    expect([host.state(), host.reason]).toEqual(['TIME-WAIT', 'finished'])
  })

  test('with text of both still out', () => {
    const { host, peer } = established({ win: 100 })
    host.sends(150)
    host.closes()
    peer.expects('. 1:101(100) ack 1')
    peer.sends('FP. 1:51(50) ack 1')
    peer.expects('. 101:101(0) ack 52')
    expect([host.state(), host.received]).toEqual(['CLOSING', 50])
    peer.sends('. 52:52(0) ack 101')
    peer.expects('FP. 101:151(50) ack 52')
    peer.sends('. 52:52(0) ack 152')
    expect(host.state()).toBe('TIME-WAIT')
  })

  test('our FIN is sent again in CLOSING and LAST-ACK until it is acknowledged', () => {
    for (const { host, peer, clock } of [closing(), lastAck()]) {
      clock.advance(1000)
      peer.expects('F. 1:1(0) ack 2')
      clock.advance(2000)
      peer.expects('F. 1:1(0) ack 2')
      peer.sends('. 2:2(0) ack 2')
      expect(host.reason).toBe('finished')
    }
  })
})

describe('TIME-WAIT', () => {
  test('lasts 60 s, as Linux has it, and is forgotten (RFC 9293 §3.6.1)', () => {
    const joined = timeWait()
    const { clock, host, peer } = joined
    clock.advance(TIME_WAIT - 1)
    expect(host.state()).toBe('TIME-WAIT')
    clock.advance(1)
    expect(host.state()).toBe('CLOSED')
    peer.expectsNothing()
    expectGone(joined)
  })

  test('the guest’s FIN that comes again is acknowledged, and it starts anew (RFC 9293 §3.10.7.4)', () => {
    const { clock, host, peer } = timeWait()
    clock.advance(50_000)
    peer.sends('F. 1:1(0) ack 2')
    peer.expects('. 2:2(0) ack 2')
    clock.advance(59_999)
    expect(host.state()).toBe('TIME-WAIT')
    clock.advance(1)
    expect(host.state()).toBe('CLOSED')
  })

  test('a RST does not end it (RFC 1337 §3)', () => {
    const joined = timeWait()
    const before = tcbOf(joined)
    joined.peer.sends('R 2:2(0)')
    joined.peer.expectsNothing()
    assertTcb(joined, before)
  })

  test('a plain ACK changes nothing', () => {
    const joined = timeWait()
    const before = tcbOf(joined)
    joined.peer.sends('. 2:2(0) ack 2')
    joined.peer.expectsNothing()
    assertTcb(joined, before, { sndWl1: 2 })
  })

  test('a newer SYN opens the connection anew (RFC 9293 §3.6.1, MAY-2)', () => {
    const { rig, peer, host } = timeWait()
    peer.begins(peer.isn + 2) // not beyond the last sequence number
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    expect([rig.requests.length, host.state()]).toEqual([0, 'TIME-WAIT'])
    peer.takeAll()
    peer.begins(peer.isn + 1)
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    expect([rig.requests.length, host.state()]).toEqual([1, 'CLOSED'])
    const next = rig.accept()
    peer.expects('S. 0:0(0) ack 1')
    peer.sends('. 1:1(0) ack 1')
    expect(next.state()).toBe('ESTABLISHED')
  })

  test('a connection that is opened anew numbers its octets from above what was sent (RFC 9293 §3.6.1)', () => {
    const { rig, peer, host } = established()
    // Faster than the clock of the ISNs goes, which counts 250 a ms.
    for (let at = 1; at < 200_000; at += 5000) {
      host.sends(5000)
      peer.takeAll()
      peer.sends(`. 1:1(0) ack ${at + 5000}`)
    }
    host.closes()
    peer.expects('F. 200001:200001(0) ack 1')
    peer.sends('F. 1:1(0) ack 200002')
    peer.expects('. 200002:200002(0) ack 2')
    const before = peer.hostIsn
    peer.begins(peer.isn + 100)
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    rig.accept()
    peer.expects('S. 0:0(0) ack 1')
    expect((peer.hostIsn - before) | 0).toBe(200_002 + 65_537)
    // It is so no longer when that is over, and the clock has gone on.
    peer.sends('R 1:1(0)')
    rig.clock.advance(10_000)
    peer.begins(peer.isn + 100)
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    rig.accept()
    peer.expects('S. 0:0(0) ack 1')
    expect((peer.hostIsn - before) | 0).toBe(250 * 10_000)
  })

  test('with timestamps, what counts is the timestamp; the number when it is the same (RFC 6191)', () => {
    const reopens = (tsVal: number, isn: number): boolean => {
      const { rig, peer } = timeWait({ options: LINUX })
      peer.begins(peer.isn + isn)
      peer.sends(`S 0:0(0) win 65535 <mss 1460,TS val ${tsVal} ecr 0>`)
      return rig.requests.length === 1
    }
    expect(reopens(2, -1000)).toBe(true)
    expect(reopens(0, 1000)).toBe(false)
    expect(reopens(1, 1000)).toBe(true)
    expect(reopens(1, -1000)).toBe(false)
  })

  test('there are not more than 4,096 of them: the oldest gives way', () => {
    const limits = { connections: 10_000, halfOpen: 10_000 }
    const { rig } = bench({ limits })
    for (let port = 1; port <= 4100; port++) {
      const peer = rig.peer({ port })
      peer.sends('S 0:0(0) win 65535 <mss 1460>')
      const host = rig.accept()
      peer.take()
      peer.sends('. 1:1(0) ack 1')
      host.closes()
      peer.sends('F. 1:1(0) ack 2')
      rig.frames.length = 0
      expect(host.state()).toBe('TIME-WAIT')
    }
    expect(rig.stack.tcp.connections.size).toBe(4096)
    rig.clock.advance(TIME_WAIT)
    expect(rig.stack.tcp.connections.size).toBe(0)
    expect(rig.stack.deadline()).toBe(Infinity)
  })

  test('they do not count against the most connections there may be', () => {
    const { rig } = timeWait({ limits: { connections: 1 } })
    const next = rig.peer({ port: 2 })
    next.sends('S 0:0(0) win 65535 <mss 1460>')
    rig.accept()
    next.expects('S. 0:0(0) ack 1')
  })
})

describe('the host aborts (RFC 9293 §3.10.5)', () => {
  test.each([
    'ESTABLISHED',
    'FIN-WAIT-1',
    'FIN-WAIT-2',
    'CLOSE-WAIT',
    'CLOSING',
    'LAST-ACK',
  ] as const)('in %s: a RST, and the end', (state) => {
    const joined = FACTORIES[state]()
    const { host, peer } = joined
    const next = (tcbOf(joined).sndNxt as number) | 0
    const ack = tcbOf(joined).rcvNxt as number
    host.aborts()
    peer.expects(`R. ${next}:${next}(0) ack ${ack} win 0`)
    expect([host.state(), host.reason]).toEqual(['CLOSED', 'aborted'])
    expectGone(joined)
  })

  test('what was queued is dropped, and a segment of the guest’s gets a RST', () => {
    const joined = established({ win: 100 })
    joined.host.isReading = false
    joined.host.sends(5000)
    joined.peer.expects('. 1:101(100) ack 1')
    joined.peer.sends('P. 1:11(10) ack 1')
    joined.peer.expects('. 101:101(0) ack 11')
    joined.host.aborts()
    joined.peer.expects('R. 101:101(0) ack 11')
    expectGone(joined)
    joined.peer.sends('. 11:11(0) ack 101')
    joined.peer.expects('R 101:101(0)')
  })

  test.each(['text', 'fin', 'established', 'readable', 'writable'] as const)(
    'from within %s: nothing else happens to it',
    (event) => {
      const joined = established()
      const { host, peer, rig } = joined
      const abort = (): void => rig.stack.tcp.abort(host.c, 'aborted')
      host.sends(10)
      peer.expects('P. 1:11(10) ack 1')
      if (event === 'established') return
      host.on[event] = abort
      if (event === 'text') host.isReading = false
      if (event === 'readable') host.isReading = false
      if (event === 'readable') peer.sends('. 2:101(99) ack 1')
      peer.sends(event === 'readable' ? '. 1:2(1) ack 1' : 'F. 1:101(100) ack 11')
      const sent = peer.takeAll()
      expect(sent.at(-1)!.ctl & 4).toBe(4)
      expect([host.state(), host.reason]).toEqual(['CLOSED', 'aborted'])
      expectGone(joined)
    },
  )
})

describe('what the host has not read when everything is over', () => {
  test('stays until it is read, when the guest had closed (DESIGN §4)', () => {
    for (const make of [established, finWait1]) {
      const { host, peer, rig, clock } = make()
      host.isReading = false
      const ours = make === established ? 1 : 2
      peer.sends(`FP. 1:5001(5000) ack ${ours}`)
      peer.takeAll()
      if (make === established) {
        host.closes()
        peer.expects('F. 1:1(0) ack 5002')
        peer.sends('. 5002:5002(0) ack 2')
      }
      expect([host.reason, host.c.rcvQueued]).toEqual(['finished', 5000])
      host.reads(1000)
      clock.advance(TIME_WAIT)
      expect([rig.stack.tcp.connections.size, rig.chunksTaken]).toEqual([0, 1])
      host.reads(4000)
      expect([host.received, rig.chunksTaken]).toEqual([5000, 0])
      peer.expectsNothing()
    }
  })

  test('is gone when the guest resets', () => {
    const { host, peer, rig } = established()
    host.isReading = false
    peer.sends('P. 1:5001(5000) ack 1')
    peer.sends('R 5001:5001(0)')
    expect([host.reason, rig.chunksTaken]).toEqual(['guest-reset', 0])
  })
})
