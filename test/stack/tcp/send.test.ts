/** Text of the host: segments, super-segments, the guest's window, probes (RFC 9293 §3.8.6). */
import { describe, expect, test } from 'vitest'
import { CHUNK } from '../../../src/stack/pool.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as wire from '../../../src/stack/wire/tcp.ts'
import { IP, TRANSPORT } from '../rig/frames.ts'
import { closeWait, established, type Joined, LINUX } from '../rig/states.ts'
import { assertTcb, tcbOf } from '../rig/tcb.ts'

describe('text of the host', () => {
  test('goes at once, however small: nothing waits for an ACK (TCP_NODELAY; RFC 9293 MUST-17)', () => {
    const { host, peer } = established()
    host.sends(1)
    peer.expects('P. 1:2(1) ack 1')
    host.sends(2)
    peer.expects('P. 2:4(2) ack 1')
    host.sends(1500)
    peer.expects('. 4:1464(1460) ack 1', 'P. 1464:1504(40) ack 1')
  })

  test('of one batch goes together', () => {
    const { host, peer, rig } = established()
    for (let i = 0; i < 10; i++) host.give(100)
    rig.flush()
    peer.expects('P. 1:1001(1000) ack 1')
  })

  test('carries the acknowledgment of what has arrived', () => {
    const { host, peer } = established()
    host.on.text = () => host.give(100)
    peer.sends('P. 1:11(10) ack 1')
    peer.expects('P. 1:101(100) ack 11')
    peer.expectsNothing()
  })

  test('makes room when it is acknowledged, and the host is told', () => {
    const { host, peer, rig } = established({ limits: { sendBuffer: 5000 } })
    let told = 0
    host.on.writable = () => told++
    expect(host.sendsUpTo(8000)).toBe(5000)
    expect(host.sendsUpTo(1)).toBe(0)
    peer.takeAll()
    peer.sends('. 1:1(0) ack 1461')
    expect(told).toBe(1)
    expect(host.sendsUpTo(8000)).toBe(1460)
    peer.sends('. 1:1(0) ack 5001')
    expect(told).toBe(2)
    peer.expects('P. 5001:6461(1460) ack 1')
    peer.sends('. 1:1(0) ack 6461')
    expect([rig.chunksTaken, told]).toEqual([0, 3])
  })

  test('has PSH where the queue ends (RFC 9293 §3.9.1, MUST-61)', () => {
    const { host, peer } = established({ win: 2000 })
    host.sends(3000)
    peer.expects('. 1:1461(1460) ack 1')
    peer.sends('. 1:1(0) ack 1461')
    peer.expects('. 1461:2921(1460) ack 1')
    peer.sends('. 1:1(0) ack 2921')
    peer.expects('P. 2921:3001(80) ack 1')
  })

  test('may come in CLOSE-WAIT', () => {
    const { host, peer } = closeWait()
    host.sends(10)
    peer.expects('P. 1:11(10) ack 2')
  })
})

test('no segment of ours is urgent, or has ECN’s bits, or a class of its own (RFC 9293 SHLD-13, SHLD-23)', () => {
  const { host, peer, rig } = established({ options: LINUX })
  peer.sends('P.UEW 1:11(10) ack 1 urg 5 <TS val 2 ecr 0>')
  host.sends(100_000)
  host.closes()
  host.aborts()
  expect(rig.frames.length).toBeGreaterThan(10)
  for (const frame of rig.frames) {
    expect(frame[TRANSPORT + 13]! & (wire.URG | wire.ECE | wire.CWR)).toBe(0)
    expect(frame[IP + 1]).toBe(0)
  }
})

describe('a super-segment', () => {
  /** A connection whose congestion window is far open. */
  function opened(options: string, mtu = 1500, gsoIpv4MaxSize = ipv4.MAX_LEN): Joined {
    const limits = { sendBuffer: 1024 * 1024 }
    const joined = established({ options, mtu, limits, chunks: 128, gsoIpv4MaxSize })
    joined.host.c.congestion.cwnd = 1024 * 1024
    joined.rig.departures.length = 0
    return joined
  }

  test('is cut by the link to the MSS, less the options of each segment (RFC 9293 §3.7.1)', () => {
    const plain = opened('mss 1460,wscale 7')
    plain.host.sends(30_000)
    expect(plain.rig.departures).toEqual([{ text: 30_000, gsoSize: 1460 }])
    const stamped = opened(LINUX)
    stamped.host.sends(30_000)
    expect(stamped.rig.departures).toEqual([{ text: 30_000, gsoSize: 1448 }])
    let next = 1
    for (const { seq, len } of stamped.peer.takeAll()) {
      expect([seq, len]).toEqual([next, Math.min(1448, 30_001 - next)])
      next += len
    }
    expect(next).toBe(30_001)
  })

  test('carries what an IP packet holds, in whole segments', () => {
    const { host, rig, peer } = opened(LINUX)
    host.sends(200_000)
    const sizes = rig.departures.map(({ text }) => text)
    expect(sizes.slice(0, 3)).toEqual([45 * 1448, 45 * 1448, 45 * 1448])
    expect(sizes.reduce((a, b) => a + b)).toBe(200_000)
    expect(peer.takeAll().length).toBe(139)
  })

  test('carries more than that where the link takes it (Linux’ BIG TCP)', () => {
    const { host, rig, peer } = opened(LINUX, 1500, 256 * 1024)
    host.sends(400_000)
    expect(rig.departures.map(({ text }) => text)).toEqual([260_640, 139_360])
    expect(peer.takeAll().length).toBe(277)
  })

  test('is none when a segment holds everything', () => {
    const { host, rig } = opened(LINUX)
    host.sends(1448)
    expect(rig.departures).toEqual([{ text: 1448, gsoSize: 0 }])
  })

  test('has PSH and FIN in its last segment only (looked at as a kernel cuts it)', () => {
    const { host, peer } = opened('mss 1000,wscale 7')
    host.give(2500)
    host.closes()
    peer.expects('. 1:1001(1000) ack 1', '. 1001:2001(1000) ack 1', 'FP. 2001:2501(500) ack 1')
  })

  test('gathers its text from chunks that begin anywhere', () => {
    const { host, peer, rig } = opened(LINUX)
    host.sends(10_000)
    let { seq, len } = peer.takeAll().at(-1)!
    peer.sends(`. 1:1(0) ack ${seq + len} win 60000`)
    host.sends(8 * CHUNK)
    ;({ seq, len } = peer.takeAll().at(-1)!)
    expect(seq + len).toBe(10_001 + 8 * CHUNK)
    peer.sends(`. 1:1(0) ack ${seq + len} win 60000`)
    expect(rig.chunksTaken).toBe(0)
  })

  test('at MTU 65520 a segment is as long as a packet', () => {
    const { host, peer, rig } = opened('mss 65480,sackOK,TS val 1 ecr 0,wscale 7', 65_520)
    host.sends(200_000)
    expect(rig.departures.map(({ text }) => text)).toEqual([65_468, 65_468, 65_468, 3596])
    expect(rig.departures.every(({ gsoSize }) => gsoSize === 0)).toBe(true)
    peer.expects('. 1:65469(65468) ack 1')
  })
})

describe('the guest’s window', () => {
  test('holds back what is beyond it (RFC 9293 §3.8.6)', () => {
    const { host, peer } = established({ win: 4000 })
    host.sends(10_000)
    peer.expects('. 1:1461(1460) ack 1', '. 1461:2921(1460) ack 1')
    peer.expectsNothing()
    peer.sends('. 1:1(0) ack 1461')
    peer.expects('. 2921:4381(1460) ack 1')
    peer.sends('. 1:1(0) ack 4381')
    peer.expects('. 4381:5841(1460) ack 1', '. 5841:7301(1460) ack 1')
    peer.expectsNothing()
  })

  test('may grow without an ACK', () => {
    const { host, peer } = established({ win: 1460 })
    host.sends(4380)
    peer.expects('. 1:1461(1460) ack 1')
    peer.sends('. 1:1(0) ack 1 win 4380')
    peer.expects('. 1461:2921(1460) ack 1', 'P. 2921:4381(1460) ack 1')
  })

  test('that shrinks takes nothing back, and lets nothing more through (RFC 9293 §3.8.6, SHLD-15)', () => {
    const { host, peer, clock } = established({ win: 5840 })
    host.sends(10_000)
    expect(peer.takeAll().length).toBe(4)
    peer.sends('. 1:1(0) ack 1 win 1000')
    peer.expectsNothing()
    peer.sends('. 1:1(0) ack 2921 win 1000')
    peer.expectsNothing()
    peer.sends('. 1:1(0) ack 5841 win 1000')
    peer.expectsNothing()
    clock.advanceToDeadline()
    peer.expects('. 5841:6841(1000) ack 1') // see the silly window
    peer.sends('. 1:1(0) ack 6841 win 10000')
    expect(peer.takeAll().map(({ len }) => len)).toEqual([1460, 1460, 240])
  })

  test('of octets counts the FIN, but a lone FIN does not wait for it', () => {
    const { host, peer } = established({ win: 10 })
    host.sends(10)
    peer.expects('P. 1:11(10) ack 1')
    peer.sends('. 1:1(0) ack 11 win 0')
    host.closes()
    peer.expects('F. 11:11(0) ack 1')
    peer.sends('. 1:1(0) ack 11 win 0') // no room for it
    peer.expectsNothing()
    peer.sends('. 1:1(0) ack 11 win 10')
    peer.expects('F. 11:11(0) ack 1')
    peer.sends('. 1:1(0) ack 12')
    expect(host.state()).toBe('FIN-WAIT-2')
  })

  test('less than nothing does not hold back a FIN', () => {
    const { host, peer } = established({ win: 100 })
    host.sends(100)
    peer.expects('P. 1:101(100) ack 1')
    peer.sends('. 1:1(0) ack 1 win 10')
    host.closes()
    peer.expects('F. 101:101(0) ack 1')
  })
})

describe('the silly window (RFC 9293 §3.8.6.2.1)', () => {
  test('a part of a segment waits while it is less than half of the largest window', () => {
    const { host, peer } = established({ win: 4000 })
    host.sends(10_000)
    peer.expects('. 1:1461(1460) ack 1', '. 1461:2921(1460) ack 1')
    peer.sends('. 1:1(0) ack 2921 win 1459')
    peer.expectsNothing()
    peer.sends('. 1:1(0) ack 2921 win 1460')
    peer.expects('. 2921:4381(1460) ack 1')
  })

  test('half of the largest window is sent', () => {
    const { host, peer } = established({ win: 1000 })
    host.sends(3000)
    peer.expects('. 1:1001(1000) ack 1')
    peer.sends('. 1:1(0) ack 1001 win 499')
    peer.expectsNothing()
    peer.sends('. 1:1(0) ack 1001 win 500')
    peer.expects('. 1001:1501(500) ack 1')
  })

  test('all that there is goes, however little', () => {
    const { host, peer } = established({ win: 4000 })
    host.sends(2920)
    peer.takeAll()
    peer.sends('. 1:1(0) ack 2921 win 50')
    host.sends(50)
    peer.expects('P. 2921:2971(50) ack 1')
  })

  test('what waits goes when nothing has come for the override time-out', () => {
    const { host, peer, clock } = established({ win: 4000 })
    host.sends(10_000)
    peer.takeAll()
    peer.sends('. 1:1(0) ack 2921 win 100')
    clock.advanceToDeadline()
    peer.expects('. 2921:3021(100) ack 1')
    expect(clock.now - clock.start).toBe(200)
  })
})

describe('a closed window (RFC 9293 §3.8.6.1)', () => {
  function closed(options = {}): Joined {
    const joined = established({ win: 100, ...options })
    joined.host.sends(100)
    joined.peer.expects('P. 1:101(100) ack 1')
    joined.peer.sends('. 1:1(0) ack 101 win 0')
    joined.host.sends(50)
    joined.peer.expectsNothing()
    return joined
  }

  test('is probed with an octet after the RTO, then ever more seldom, up to a minute (MUST-35, -36)', () => {
    const { peer, clock, host, rig } = closed()
    for (const wait of [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]) {
      clock.advance(wait - 1)
      peer.expectsNothing()
      clock.advance(1)
      peer.expects('. 101:102(1) ack 1')
      peer.sends('. 1:1(0) ack 101 win 0')
      peer.expectsNothing()
    }
    expect([host.state(), rig.stack.counters.tcpTimeouts]).toEqual(['ESTABLISHED', 0])
  })

  test('stays a window of a living guest as long as it answers (MUST-37)', () => {
    const { peer, clock, host } = closed()
    for (let i = 0; i < 100; i++) {
      clock.advanceToDeadline()
      peer.expects('. 101:102(1) ack 1')
      peer.sends('. 1:1(0) ack 101 win 0')
    }
    expect(clock.now - clock.start).toBeGreaterThan(3600_000)
    peer.sends('. 1:1(0) ack 101 win 100')
    peer.expects('. 101:102(1) ack 1', 'P. 102:151(49) ack 1')
    expect(host.state()).toBe('ESTABLISHED')
  })

  test('of a guest that is never heard of again ends it', () => {
    const { clock, host, rig, peer } = closed()
    clock.advance(3600_000)
    expect(host.reason).toBe('guest-timeout')
    expect(rig.stack.deadline()).toBe(Infinity)
    expect(peer.takeAll().at(-1)!.ctl & 4).toBe(4)
  })

  test('that opens lets go at once what waits, the probe’s octet again', () => {
    const { peer, clock, host } = closed()
    clock.advance(200)
    peer.expects('. 101:102(1) ack 1')
    peer.sends('. 1:1(0) ack 101 win 1000')
    peer.expects('. 101:102(1) ack 1', 'P. 102:151(49) ack 1')
    peer.sends('. 1:1(0) ack 151')
    expect([host.c.sendQueue.length, host.c.recovery, host.c.isProbing]).toEqual([0, 'none', false])
    clock.advance(100_000)
    peer.expectsNothing()
  })

  test('that opens before a probe lets go at once what waits', () => {
    const { peer, clock } = closed()
    clock.advance(100)
    peer.sends('. 1:1(0) ack 101 win 1000')
    peer.expects('P. 101:151(50) ack 1')
  })

  test('may take the probe’s octet, and stay closed', () => {
    const { peer, clock, host } = closed()
    clock.advance(200)
    peer.expects('. 101:102(1) ack 1')
    peer.sends('. 1:1(0) ack 102 win 0')
    clock.advance(399)
    peer.expectsNothing()
    clock.advance(1)
    peer.expects('. 102:103(1) ack 1')
    peer.sends('. 1:1(0) ack 103 win 50')
    peer.expects('P. 103:151(48) ack 1')
    peer.sends('. 1:1(0) ack 151')
    expect(host.c.sendQueue.length).toBe(0)
  })

  test('and its probes’ answers are no duplicate ACKs (RFC 5681 §2)', () => {
    const joined = closed()
    const { peer, clock } = joined
    const { congestion } = tcbOf(joined)
    for (let i = 0; i < 5; i++) {
      clock.advanceToDeadline()
      peer.expects('. 101:102(1) ack 1')
      peer.sends('. 1:1(0) ack 101 win 0')
      peer.sends('. 1:1(0) ack 101 win 0')
      peer.expectsNothing()
    }
    expect([tcbOf(joined).congestion, tcbOf(joined).recovery]).toEqual([congestion, 'none'])
  })

  test('while text is out: the RTO goes on, and does not count while the guest answers', () => {
    const { peer, clock, host } = established({ win: 1000 })
    host.sends(500)
    peer.expects('P. 1:501(500) ack 1')
    peer.sends('. 1:1(0) ack 1 win 0')
    for (let i = 0; i < 40; i++) {
      clock.advanceToDeadline()
      peer.expects('P. 1:501(500) ack 1')
      peer.sends('. 1:1(0) ack 1 win 0')
    }
    expect(host.state()).toBe('ESTABLISHED')
    peer.sends('. 1:1(0) ack 501 win 1000')
    expect(host.c.sendQueue.length).toBe(0)
  })

  test('with a FIN behind what waits: both go when it opens', () => {
    const { peer, clock, host } = closed()
    host.closes()
    clock.advance(200)
    peer.expects('. 101:102(1) ack 1')
    peer.sends('. 1:1(0) ack 101 win 1000')
    peer.expects('. 101:102(1) ack 1', 'FP. 102:151(49) ack 1')
    peer.sends('. 1:1(0) ack 152')
    expect(host.state()).toBe('FIN-WAIT-2')
  })

  test('and one octet that waits: the probe is all there is', () => {
    const { peer, clock, host } = established({ win: 100 })
    host.sends(100)
    peer.takeAll()
    peer.sends('. 1:1(0) ack 101 win 0')
    host.sends(1)
    clock.advance(200)
    peer.expects('P. 101:102(1) ack 1')
    peer.sends('. 1:1(0) ack 102 win 0')
    expect([host.c.sendQueue.length, host.c.persistAt]).toEqual([0, Infinity])
    clock.advance(1000)
    peer.expectsNothing()
    host.closes()
    peer.expects('F. 102:102(0) ack 1')
  })

  test('on both sides: each learns of the other’s opening', () => {
    const { peer, clock, host } = closed({ limits: { receiveBuffer: 1000 } })
    host.isReading = false
    peer.sends('. 1:1001(1000) ack 101 win 0')
    peer.expects('. 101:101(0) ack 1001 win 0')
    clock.advance(200)
    peer.expects('. 101:102(1) ack 1001 win 0')
    peer.sends('. 1000:1000(0) ack 101 win 0') // its probe, and the answer to ours
    peer.expects('. 102:102(0) ack 1001 win 0')
    peer.sends('. 1001:1001(0) ack 101 win 500')
    peer.expects('. 101:102(1) ack 1001 win 0', 'P. 102:151(49) ack 1001 win 0')
    host.reads()
    peer.expects('. 151:151(0) ack 1001 win 1000')
  })
})

describe('the congestion window (RFC 5681 §3.1, RFC 6928)', () => {
  test('lets ten segments go at first, then two more for each that is acknowledged', () => {
    const { host, peer } = established()
    host.sends(100_000)
    expect(peer.takeAll().length).toBe(10)
    peer.sends('. 1:1(0) ack 1461')
    expect(peer.takeAll().length).toBe(2)
    peer.sends('. 1:1(0) ack 4381')
    expect(peer.takeAll().length).toBe(4)
  })

  test('does not grow when it was not what held text back (RFC 7661 §4.2)', () => {
    const joined = established()
    const { host, peer } = joined
    const before = tcbOf(joined).congestion
    for (let at = 1; at < 2000; at += 100) {
      host.sends(100)
      peer.takeAll()
      peer.sends(`. 1:1(0) ack ${at + 100}`)
    }
    expect(tcbOf(joined).congestion).toEqual(before)
  })

  test.each(['cubic', 'reno'] as const)(
    'is the initial one again after an idle RTO (%s; RFC 5681 §4.1)',
    (congestion) => {
      const { host, peer, clock } = established({ congestion, limits: { sendBuffer: 300_000 } })
      let said = 0
      const sends = (len: number): number => {
        host.sends(len)
        said += len
        const { length } = peer.takeAll()
        peer.sends(`. 1:1(0) ack ${said + 1}`)
        peer.takeAll()
        return length
      }
      host.c.congestion.cwnd = 40 * 1460
      expect(sends(40 * 1460)).toBe(40)
      clock.advance(200) // an RTO, and not longer
      expect(sends(40 * 1460)).toBe(40)
      clock.advance(201)
      expect(sends(40 * 1460)).toBe(10)
      const { ssthresh } = host.c.congestion
      expect(ssthresh).toBeGreaterThanOrEqual(30 * 1460) // RFC 7661 §4.3: slow start leads back
    },
  )
})

test('an ACK for everything leaves the block as it was, but for the numbers and the RTT', () => {
  const joined = established()
  const { host, peer, clock } = joined
  const before = tcbOf(joined)
  host.sends(1000)
  peer.expects('P. 1:1001(1000) ack 1')
  clock.advance(40)
  peer.sends('. 1:1(0) ack 1001')
  assertTcb(joined, before, {
    ...{ sndUna: 1001, sndNxt: 1001, sndWl2: 1001, rttSeq: 1001 },
    rto: { srtt: 5, rttvar: 10, rto: 200 }, // after a first sample of 0 from the handshake
    ...{ heardAt: 40, sentAt: 0 },
  })
})
