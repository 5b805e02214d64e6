/** Keep-alives: a guest that has vanished is found, one that lives is never cut (RFC 9293 §3.8.4). */
import { describe, expect, test } from 'vitest'
import { type KeepAlive, setKeepAlive } from '../../../src/stack/tcp/connection.ts'
import { TIME_WAIT } from '../../../src/stack/tcp/tcp.ts'
import { closeWait, established, finWait2, type Joined, LINUX, PLAIN } from '../rig/states.ts'

/** Linux' tcp_keepalive_time, tcp_keepalive_intvl, tcp_keepalive_probes. */
const HOURS = 3_600_000
const DEFAULTS: KeepAlive = { idle: 2 * HOURS, interval: 75_000, probes: 9 }
const BRISK: KeepAlive = { idle: 10_000, interval: 1000, probes: 3 }

function kept(joined: Joined, keepAlive = DEFAULTS): Joined {
  setKeepAlive(joined.host.c, keepAlive, joined.clock.now)
  joined.rig.flush()
  return joined
}

test('there are none, unless they are asked for (MUST-24, MUST-25)', () => {
  const { peer, clock, rig } = established()
  clock.advance(1000 * HOURS)
  peer.expectsNothing()
  expect(rig.stack.deadline()).toBe(Infinity)
})

describe('an idle guest', () => {
  test('is asked after two hours without a segment, with no text (MUST-26, SHLD-12)', () => {
    for (const options of [PLAIN, LINUX]) {
      const { peer, clock, rig } = kept(established({ options }))
      clock.advance(2 * HOURS - 1)
      peer.expectsNothing()
      clock.advance(1)
      peer.expects('. 0:0(0) ack 1')
      peer.expectsNothing()
      expect(rig.stack.counters.tcpKeepAlives).toBe(1)
    }
  })

  test('that answers is asked again two hours later, for years, and never cut', () => {
    const { peer, clock, host } = kept(established())
    for (let i = 0; i < 10_000; i++) {
      clock.advance(2 * HOURS)
      peer.expects('. 0:0(0) ack 1')
      peer.sends('. 1:1(0) ack 1')
      peer.expectsNothing()
    }
    expect([host.state(), host.reason]).toEqual(['ESTABLISHED', undefined])
  })

  test('may leave all but the last of nine unanswered (MUST-29)', () => {
    const { peer, clock, host } = kept(established())
    for (let round = 0; round < 3; round++) {
      clock.advance(2 * HOURS - (round > 0 ? 75_000 : 0))
      for (let i = 0; i < 8; i++) {
        peer.expects('. 0:0(0) ack 1')
        clock.advance(75_000)
      }
      peer.expects('. 0:0(0) ack 1')
      clock.advance(74_999)
      peer.sends('. 1:1(0) ack 1')
      clock.advance(75_000)
      peer.expectsNothing()
    }
    expect(host.state()).toBe('ESTABLISHED')
  })

  test('that answers none of nine is gone: a RST, and the host is told', () => {
    const { peer, clock, host, rig } = kept(established())
    clock.advance(2 * HOURS)
    for (let i = 0; i < 9; i++) {
      peer.expects('. 0:0(0) ack 1')
      peer.expectsNothing()
      expect(host.state()).toBe('ESTABLISHED')
      clock.advance(75_000)
    }
    peer.expects('R. 1:1(0) ack 1')
    expect([host.state(), host.reason]).toEqual(['CLOSED', 'guest-timeout'])
    expect([rig.stack.tcp.connections.size, rig.stack.deadline()]).toEqual([0, Infinity])
  })

  test('that has forgotten the connection answers with a RST, which ends it at once', () => {
    const { peer, clock, host } = kept(established())
    clock.advance(2 * HOURS)
    peer.expects('. 0:0(0) ack 1')
    peer.sends('R 1:1(0)')
    expect(host.reason).toBe('guest-reset')
  })

  test('whose last segment was lost answers with a timestamp and is heard (RFC 7323)', () => {
    const { peer, clock, host } = kept(established({ options: LINUX }))
    host.sends(10)
    peer.expects('P. 1:11(10) ack 1')
    peer.sends('. 1:1(0) ack 11')
    clock.advance(2 * HOURS)
    peer.expects(`. 10:10(0) ack 1 <TS val ${2 * HOURS} ecr 1>`)
    peer.sends('. 1:1(0) ack 11')
    clock.advance(2 * HOURS - 1)
    peer.expectsNothing()
  })
})

describe('what is heard or sent meanwhile', () => {
  test('any segment of the guest sets the time back', () => {
    const { peer, clock } = kept(established(), BRISK)
    for (let i = 0; i < 5; i++) {
      clock.advance(9999)
      peer.sends('P. 1:1(0) ack 1')
      peer.takeAll()
    }
    clock.advance(9999)
    peer.expectsNothing()
    clock.advance(1)
    peer.expects('. 0:0(0) ack 1')
  })

  test('while something is out the retransmission timer decides (MUST-26)', () => {
    const { peer, clock, host, rig } = kept(established(), BRISK)
    host.sends(5)
    clock.advance(500_000)
    for (const { seq, len } of peer.takeAll()) expect([seq, len]).toEqual([1, 5])
    expect([rig.stack.counters.tcpKeepAlives, host.state()]).toEqual([0, 'ESTABLISHED'])
    clock.advance(100_000)
    expect(host.reason).toBe('guest-timeout')
  })

  test('a closed window of a guest that answers stays closed for ever (MUST-37)', () => {
    const { peer, clock, host, rig } = kept(established({ win: 0 }), BRISK)
    host.sends(5)
    for (let i = 0; i < 1000; i++) {
      clock.advance(60_000)
      for (const { seq } of peer.takeAll()) peer.sends(`. 1:1(0) ack ${seq} win 0`)
    }
    expect([rig.stack.counters.tcpKeepAlives, host.state()]).toEqual([0, 'ESTABLISHED'])
  })

  test('and when everything is acknowledged, it begins anew', () => {
    const { peer, clock, host } = kept(established(), BRISK)
    clock.advance(9000)
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1')
    peer.sends('. 1:1(0) ack 6')
    clock.advance(9999)
    peer.expectsNothing()
    clock.advance(1)
    peer.expects('. 5:5(0) ack 1')
  })
})

describe('a connection that is half closed', () => {
  test('by the guest is looked after (CLOSE-WAIT)', () => {
    const { peer, clock, host } = kept(closeWait(), BRISK)
    clock.advance(10_000)
    peer.expects('. 0:0(0) ack 2')
    clock.advance(3000)
    expect(host.reason).toBe('guest-timeout')
  })

  test('by the host is looked after: none stays in FIN-WAIT-2 for ever', () => {
    const { peer, clock, host } = kept(finWait2(), BRISK)
    clock.advance(10_000)
    peer.expects('. 1:1(0) ack 1') // the FIN's own number
    peer.sends('. 1:1(0) ack 2')
    clock.advance(9999)
    expect(host.state()).toBe('FIN-WAIT-2')
    clock.advance(4000)
    expect(host.reason).toBe('guest-timeout')
  })

  test('and then closed by both is not any more', () => {
    const { peer, clock, host, rig } = kept(finWait2(), BRISK)
    peer.sends('F. 1:1(0) ack 2')
    peer.expects('. 2:2(0) ack 2')
    clock.advance(TIME_WAIT - 1)
    peer.expectsNothing()
    expect(host.state()).toBe('TIME-WAIT')
    clock.advance(1)
    expect(rig.stack.deadline()).toBe(Infinity)
  })
})

test('they can be turned off again (MUST-24)', () => {
  const { peer, clock, host, rig } = kept(established(), BRISK)
  clock.advance(5000)
  setKeepAlive(host.c, undefined, clock.now)
  rig.flush()
  clock.advance(HOURS)
  peer.expectsNothing()
  expect(rig.stack.deadline()).toBe(Infinity)
})

test('a thousand idle connections have theirs each, and cost no memory of the pool', () => {
  const joined = established({ limits: { connections: 2000, halfOpen: 2000 } })
  const { rig, clock } = joined
  for (let port = 1; port <= 1000; port++) {
    const peer = rig.peer({ port: 1000 + port, hostPort: 81 })
    peer.sends('S 0:0(0) win 65535 <mss 1460>')
    const host = rig.accept()
    peer.take()
    peer.sends('. 1:1(0) ack 1')
    setKeepAlive(host.c, BRISK, clock.now)
  }
  rig.flush()
  rig.frames.length = 0
  clock.advance(13_000)
  expect(rig.stack.counters.tcpKeepAlives).toBe(3000)
  expect([rig.stack.tcp.connections.size, rig.chunksTaken]).toEqual([1, 0])
})
