/** What is lost is sent again: RTO (RFC 6298), fast retransmit with SACK (6675) and without (6582). */
import { describe, expect, test } from 'vitest'
import { outOf } from '../rig/out.ts'
import { closing, established, finWait1, type Joined, LINUX, lastAck } from '../rig/states.ts'
import { assertTcb, tcbOf } from '../rig/tcb.ts'

const SACK = 'mss 1460,sackOK'

/** Full segments of 1,460 octets, by their place. */
const edge = (n: number): number => 1 + 1460 * n
const range = (from: number, to: number): string => `${edge(from)}:${edge(to)}`

/** `count` segments are out, and nothing is behind them. Reno: what halves can be counted. */
function flying(count: number, options = 'mss 1460'): Joined {
  const joined = established({ options, congestion: 'reno' })
  joined.host.sends(1460 * count)
  expect(joined.peer.takeAll().length).toBe(count)
  // What goes again goes later: RACK looks at times.
  if (options === SACK) joined.clock.advance(1)
  return joined
}

/** What has been sent, by the places of full segments. */
function places({ peer }: Joined): number[] {
  return peer.takeAll().map(({ seq, len }) => {
    expect(len).toBe(1460)
    return (seq - 1) / 1460
  })
}

describe('the retransmission timer (RFC 6298 §5)', () => {
  test('the oldest segment is sent again at the RTO, and the RTO doubles (§5.4–§5.5)', () => {
    const { host, peer, clock } = established()
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1')
    clock.advance(199) // a first sample of 0 ms, and Linux' least RTO
    peer.expectsNothing()
    for (const wait of [1, 400, 800, 1600, 3200]) {
      clock.advance(wait - 1)
      peer.expectsNothing()
      clock.advance(1)
      peer.expects('P. 1:6(5) ack 1')
    }
  })

  test('is of the measured round trip (§2)', () => {
    const { host, peer, clock } = established()
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1')
    clock.advance(160)
    peer.sends('. 1:1(0) ack 6')
    // SRTT 20, RTTVAR 40, after a sample of 0 ms from the handshake.
    host.sends(5)
    peer.expects('P. 6:11(5) ack 1')
    clock.advance(199)
    peer.expectsNothing()
    clock.advance(1)
    peer.expects('P. 6:11(5) ack 1')
    expect(host.c.rto.rttvar).toBe(40)
  })

  test('is restarted when something new is acknowledged, stopped when everything is (§5.2, §5.3)', () => {
    const { host, peer, clock } = established()
    host.sends(5)
    clock.advance(150)
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1', 'P. 6:11(5) ack 1')
    peer.sends('. 1:1(0) ack 6')
    clock.advance(host.c.rto.rto - 1)
    peer.expectsNothing()
    clock.advance(1)
    peer.expects('P. 6:11(5) ack 1')
    peer.sends('. 1:1(0) ack 11')
    clock.advance(100_000)
    peer.expectsNothing()
  })

  test('is not restarted by a segment that acknowledges nothing new (§5.3)', () => {
    const { host, peer, clock } = established()
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1')
    clock.advance(199)
    peer.sends('P. 1:11(10) ack 1')
    peer.expects('. 6:6(0) ack 11')
    clock.advance(1)
    peer.expects('P. 1:6(5) ack 11')
  })

  test('what is sent again measures nothing without timestamps (§3, Karn)', () => {
    const { host, peer, clock } = established()
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1')
    clock.advance(200)
    peer.expects('P. 1:6(5) ack 1')
    clock.advance(100)
    peer.sends('. 1:1(0) ack 6')
    expect([host.c.rto.srtt, host.c.rto.rto]).toEqual([0, 400])
    // The backoff stays until something is measured (§5.7).
    host.sends(5)
    peer.expects('P. 6:11(5) ack 1')
    clock.advance(10)
    peer.sends('. 1:1(0) ack 11')
    expect(host.c.rto.rto).toBe(200)
  })

  test('with timestamps, what was sent again measures, by the timestamp that comes back (RFC 7323 §4)', () => {
    const { host, peer, clock } = established({ options: LINUX })
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1 <TS val 0 ecr 1>')
    clock.advance(200)
    peer.expects('P. 1:6(5) ack 1 <TS val 200 ecr 1>')
    clock.advance(80)
    peer.sends('. 1:1(0) ack 6 <TS val 280 ecr 200>')
    expect([host.c.rto.srtt, host.c.rto.rto]).toEqual([10, 200])
  })

  test('a lost ACK is not an RTT: one that echoes what went before the time-out measures nothing', () => {
    const { host, peer, clock } = established({ options: LINUX })
    host.sends(5)
    peer.expects('P. 1:6(5) ack 1')
    clock.advance(200 + 400 + 800)
    expect(peer.takeAll().length).toBe(3)
    peer.sends('. 1:1(0) ack 6 <TS val 1401 ecr 0>')
    expect([host.c.rto.srtt, host.c.rto.rto]).toEqual([0, 1600])
  })

  test('a super-segment goes again in segments, one after a time-out (RFC 5681 §3.1)', () => {
    const joined = flying(10)
    const { clock, peer, rig } = joined
    clock.advance(200)
    expect(places(joined)).toEqual([0])
    // Slow start from there, past nothing that is not known to have arrived.
    peer.sends(`. 1:1(0) ack ${edge(1)}`)
    expect(places(joined)).toEqual([1, 2])
    peer.sends(`. 1:1(0) ack ${edge(3)}`)
    expect(places(joined)).toEqual([3, 4, 5, 6])
    peer.sends(`. 1:1(0) ack ${edge(10)}`)
    expect([tcbOf(joined).recovery, tcbOf(joined).sendQueue, rig.chunksTaken]).toEqual([
      'none',
      0,
      0,
    ])
    expect(rig.stack.counters.tcpRetransmits).toBe(3) // as the link got them
  })

  test('halves the slow start threshold once, however often it goes off (RFC 5681 §3.1)', () => {
    const { host, clock } = flying(10)
    clock.advance(200)
    expect(host.c.congestion).toMatchObject({ cwnd: 1460, ssthresh: 7300 })
    clock.advance(400 + 800)
    expect(host.c.congestion).toMatchObject({ cwnd: 1460, ssthresh: 7300 })
  })

  test('new text goes behind what is sent again', () => {
    const joined = flying(3)
    const { clock, host, peer } = joined
    clock.advance(200)
    expect(places(joined)).toEqual([0])
    host.sends(1460)
    expect(places(joined)).toEqual([])
    peer.sends(`. 1:1(0) ack ${edge(3)}`)
    expect(places(joined)).toEqual([3])
  })

  test('gives up after 15 tries, with a RST (RFC 9293 §3.8.3, R2; Linux’ tcp_retries2)', () => {
    const { host, peer, clock, rig } = established()
    host.sends(5)
    clock.advance(500_000)
    expect(host.state()).toBe('ESTABLISHED') // MUST-20, SHLD-11: 100 s at least
    clock.advance(500_000)
    const sent = peer.takeAll()
    expect(sent.length).toBe(1 + 15 + 1)
    expect(sent.at(-1)).toMatchObject({ ctl: 0x14, seq: 6, ack: 1 })
    expect([host.state(), host.reason]).toEqual(['CLOSED', 'guest-timeout'])
    expect([rig.chunksTaken, rig.stack.deadline()]).toEqual([0, Infinity])
  })

  test('any new ACK makes it begin anew with its tries', () => {
    const { host, peer, clock } = established()
    host.sends(10)
    clock.advance(400_000)
    peer.sends('. 1:1(0) ack 6')
    clock.advance(500_000)
    expect(host.state()).toBe('ESTABLISHED')
    clock.advance(500_000)
    expect(host.reason).toBe('guest-timeout')
  })

  test('a FIN is sent again, alone or with its text', () => {
    for (const make of [finWait1, lastAck, closing]) {
      const { clock, peer } = make()
      const ack = make === finWait1 ? 1 : 2
      clock.advanceToDeadline()
      peer.expects(`F. 1:1(0) ack ${ack}`)
    }
    const { host, peer, clock } = established()
    host.give(100)
    host.closes()
    peer.expects('FP. 1:101(100) ack 1')
    clock.advance(200)
    peer.expects('FP. 1:101(100) ack 1')
    peer.sends('. 1:1(0) ack 101')
    clock.advanceToDeadline()
    peer.expects('F. 101:101(0) ack 1')
    peer.sends('. 1:1(0) ack 102')
    expect(host.state()).toBe('FIN-WAIT-2')
  })
})

describe('fast retransmit without SACK (RFC 5681 §3.2, RFC 6582)', () => {
  test('the third duplicate ACK has the oldest segment sent again', () => {
    const joined = flying(8)
    const { peer, host } = joined
    peer.sends('. 1:1(0) ack 1')
    peer.sends('. 1:1(0) ack 1')
    expect(places(joined)).toEqual([])
    peer.sends('. 1:1(0) ack 1')
    expect(places(joined)).toEqual([0])
    expect(host.c.congestion).toMatchObject({ cwnd: 4 * 1460, ssthresh: 4 * 1460 })
    expect(host.c.recovery).toBe('fast')
    peer.sends('. 1:1(0) ack 1')
    expect(places(joined)).toEqual([])
    peer.sends(`. 1:1(0) ack ${edge(8)}`)
    expect(host.c).toMatchObject({ recovery: 'none', dupAcks: 0, congestion: { cwnd: 4 * 1460 } })
  })

  test('each further duplicate lets new text go, when the window lets it (§3.2, step 4)', () => {
    const joined = flying(8)
    const { peer, host } = joined
    host.sends(1460 * 10)
    expect(places(joined)).toEqual([8, 9]) // an initial window of ten
    const sent: number[][] = []
    for (let i = 0; i < 10; i++) {
      peer.sends('. 1:1(0) ack 1')
      sent.push(places(joined))
    }
    // The first two let a segment go each (RFC 3042). Of the twelve that are out then five may be:
    // the eighth duplicate says that eight have left.
    expect(sent).toEqual([[10], [11], [0], [], [], [], [], [12], [13], [14]])
  })

  test('a partial ACK has the next segment sent again at once (RFC 6582 §3.2, step 3)', () => {
    const joined = flying(8)
    const { peer, host } = joined
    for (let i = 0; i < 6; i++) peer.sends('. 1:1(0) ack 1')
    expect(places(joined)).toEqual([0])
    peer.sends(`. 1:1(0) ack ${edge(3)}`)
    expect(places(joined)).toEqual([3])
    expect(host.c.recovery).toBe('fast')
    peer.sends(`. 1:1(0) ack ${edge(6)}`)
    expect(places(joined)).toEqual([6])
    peer.sends(`. 1:1(0) ack ${edge(8)}`)
    expect(host.c.recovery).toBe('none')
  })

  test('duplicates within an episode do not begin another (RFC 6582 §3.2)', () => {
    const joined = flying(8)
    const { peer, host } = joined
    for (let i = 0; i < 7; i++) peer.sends('. 1:1(0) ack 1')
    peer.sends(`. 1:1(0) ack ${edge(3)}`)
    places(joined)
    for (let i = 0; i < 5; i++) peer.sends(`. 1:1(0) ack ${edge(3)}`)
    expect(places(joined)).toEqual([])
    expect(host.c.congestion).toMatchObject({ cwnd: 4 * 1460 })
  })

  test('duplicates that answer what was sent again after a time-out begin none (RFC 6582 §3.2, step 2)', () => {
    const joined = flying(8)
    const { peer, host, clock } = joined
    clock.advance(200)
    expect(places(joined)).toEqual([0])
    // Only the ACKs were late. What goes again meanwhile is answered with duplicates.
    peer.sends(`. 1:1(0) ack ${edge(2)}`)
    expect(places(joined)).toEqual([2, 3, 4])
    peer.sends(`. 1:1(0) ack ${edge(8)}`)
    host.sends(1460 * 3)
    expect([host.c.recovery, places(joined)]).toEqual(['none', [8, 9, 10]])
    const { cwnd } = host.c.congestion
    for (let i = 0; i < 3; i++) peer.sends(`. 1:1(0) ack ${edge(8)}`)
    expect([host.c.recovery, host.c.congestion.cwnd, places(joined)]).toEqual(['none', cwnd, []])
    // Of what was sent since they count.
    peer.sends(`. 1:1(0) ack ${edge(9)}`)
    for (let i = 0; i < 3; i++) peer.sends(`. 1:1(0) ack ${edge(9)}`)
    expect([host.c.recovery, places(joined)]).toEqual(['fast', [9]])
  })

  test('a recovery of half the numbers ago is none', () => {
    const joined = flying(8)
    const { peer, host } = joined
    host.c.recover = (host.c.sndUna + 2 ** 31 - 5) | 0
    for (let i = 0; i < 3; i++) peer.sends('. 1:1(0) ack 1')
    expect([host.c.recovery, places(joined)]).toEqual(['fast', [0]])
  })

  test('an ACK with text, another window or a FIN is no duplicate (RFC 5681 §2)', () => {
    const { peer, host } = flying(8)
    for (let i = 0; i < 4; i++) {
      peer.sends(`P. ${1 + 10 * i}:${11 + 10 * i}(10) ack 1`)
      peer.sends(`. ${11 + 10 * i}:${11 + 10 * i}(0) ack 1 win ${60_000 + i}`)
    }
    expect([host.c.dupAcks, host.c.recovery]).toEqual([0, 'none'])
  })

  test('nothing is duplicate when nothing is out (RFC 5681 §2)', () => {
    const joined = established()
    const before = tcbOf(joined)
    for (let i = 0; i < 5; i++) joined.peer.sends('. 1:1(0) ack 1')
    assertTcb(joined, before)
  })

  test('is not lost after 2 GiB without a loss', () => {
    // What ended the last episode is 2^31 octets ago then, and looks as if it were to come.
    const joined = established({ options: 'mss 1460' })
    const { host, peer } = joined
    const c = host.c
    // As if so much had been sent and acknowledged.
    const far = 2 ** 31 + 1000
    for (const name of ['sndUna', 'sndNxt', 'sndWl2'] as const) {
      c[name] = (c[name] + far) | 0
    }
    peer.hostIsn = (peer.hostIsn + far) | 0
    host.given = 0
    host.sends(8 * 1460)
    expect(places(joined).length).toBe(8)
    for (let i = 0; i < 3; i++) peer.sends('. 1:1(0) ack 1')
    expect(places(joined)).toEqual([0])
  })

  test('a lost retransmission is sent again at the time-out', () => {
    const joined = flying(8)
    const { peer, clock, host } = joined
    for (let i = 0; i < 7; i++) peer.sends('. 1:1(0) ack 1')
    expect(places(joined)).toEqual([0])
    clock.advance(200)
    expect(places(joined)).toEqual([0])
    peer.sends(`. 1:1(0) ack ${edge(8)}`)
    expect(host.c.recovery).toBe('none')
  })
})

describe('fast retransmit with SACK (RFC 6675)', () => {
  test('what lies below three SACKed ranges or segments is sent again, and nothing else (§5)', () => {
    const joined = flying(10, SACK)
    const { peer, host } = joined
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 2)}>`)
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 3)}>`)
    expect(places(joined)).toEqual([])
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 4)}>`)
    expect(places(joined)).toEqual([0])
    expect(host.c).toMatchObject({ recovery: 'fast', congestion: { cwnd: 5 * 1460 } })
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 9)}>`)
    expect(places(joined)).toEqual([])
    expect(host.c.recovery).toBe('fast')
    peer.sends(`. 1:1(0) ack ${edge(10)}`)
    expect(host.c).toMatchObject({ recovery: 'none', congestion: { cwnd: 5 * 1460 } })
  })

  test('duplicate ACKs without SACK say nothing (§2)', () => {
    const joined = flying(10, SACK)
    for (let i = 0; i < 5; i++) joined.peer.sends('. 1:1(0) ack 1')
    expect([places(joined), joined.host.c.recovery]).toEqual([[], 'none'])
  })

  test('several holes are filled in one round trip, as far as the pipe has room (§5, NextSeg)', () => {
    const joined = flying(10, SACK)
    const { peer } = joined
    // 0, 2, 4 are lost. Each island arrives by itself.
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 2)}>`)
    peer.sends(`. 1:1(0) ack 1 <sack ${range(3, 4)} ${range(1, 2)}>`)
    expect(places(joined)).toEqual([])
    peer.sends(`. 1:1(0) ack 1 <sack ${range(5, 6)} ${range(3, 4)} ${range(1, 2)}>`)
    expect(places(joined)).toEqual([0])
    // 2 and 4 are lost too, but of the five that may be out 0, 6, 7, 8 and 9 are.
    expect(outOf(joined.host.c).filter(({ flags }) => flags.includes('lost')).length).toBe(2)
    peer.sends(`. 1:1(0) ack 1 <sack ${range(5, 7)} ${range(3, 4)} ${range(1, 2)}>`)
    expect(places(joined)).toEqual([2])
    peer.sends(`. 1:1(0) ack 1 <sack ${range(5, 8)} ${range(3, 4)} ${range(1, 2)}>`)
    expect(places(joined)).toEqual([4])
    peer.sends(`. 1:1(0) ack 1 <sack ${range(5, 10)} ${range(3, 4)} ${range(1, 2)}>`)
    expect(places(joined)).toEqual([])
    peer.sends(`. 1:1(0) ack ${edge(10)}`)
    expect(joined.host.c).toMatchObject({
      recovery: 'none',
      inFlight: { sacked: 0, lost: 0, count: 0 },
    })
    expect(joined.rig.stack.counters).toMatchObject({ tcpRetransmits: 3, tcpTimeouts: 0 })
  })

  test('what is SACKed lets new text go before anything counts as lost (RFC 3042)', () => {
    const joined = flying(10, SACK)
    const { peer, host } = joined
    host.sends(5 * 1460)
    expect(places(joined)).toEqual([])
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 2)}>`)
    expect(places(joined)).toEqual([10])
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 3)}>`)
    expect(places(joined)).toEqual([11])
  })

  test('new text goes in an episode when there is room', () => {
    const joined = flying(10, SACK)
    const { peer, host } = joined
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 10)}>`)
    expect(places(joined)).toEqual([0])
    host.sends(10 * 1460)
    expect(places(joined)).toEqual([10, 11, 12, 13]) // of five segments' window, one is out
  })

  test('a second loss behind the first episode begins another', () => {
    const joined = flying(10, SACK)
    const { peer, host } = joined
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 10)}>`)
    expect(places(joined)).toEqual([0])
    host.sends(4 * 1460)
    expect(places(joined)).toEqual([10, 11, 12, 13])
    peer.sends(`. 1:1(0) ack ${edge(10)} <sack ${range(11, 14)}>`)
    expect(places(joined)).toEqual([10])
    expect(host.c.congestion.cwnd).toBe(2 * 1460)
    peer.sends(`. 1:1(0) ack ${edge(14)}`)
    expect(host.c.recovery).toBe('none')
  })

  test('what was SACKed is not sent again after a time-out (RFC 6675 §5.1)', () => {
    const joined = flying(6, SACK)
    const { peer, clock, host } = joined
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 2)}>`)
    clock.advance(1)
    expect(places(joined)).toEqual([0])
    clock.advance(200)
    expect([places(joined), host.c.recovery]).toEqual([[0], 'timeout'])
    expect(host.c.inFlight.sacked).toBe(1460)
    peer.sends(`. 1:1(0) ack ${edge(2)} <sack ${range(3, 4)}>`)
    expect(places(joined)).toEqual([2, 4])
    peer.sends(`. 1:1(0) ack ${edge(4)}`)
    expect(places(joined)).toEqual([5])
    peer.sends(`. 1:1(0) ack ${edge(6)}`)
    expect(host.c.recovery).toBe('none')
  })

  test('a guest that has forgotten what it had SACKed gets it again (RFC 2018 §8)', () => {
    const joined = flying(6, SACK)
    const { peer, clock, host } = joined
    peer.sends(`. 1:1(0) ack 1 <sack ${range(1, 3)}>`)
    clock.advance(1) // the least reordering window
    expect(places(joined)).toEqual([0])
    clock.advance(200)
    expect([places(joined), host.c.recovery]).toEqual([[0], 'timeout'])
    peer.sends(`. 1:1(0) ack ${edge(1)}`)
    expect(host.c.inFlight.sacked).toBe(0)
    expect(places(joined)).toEqual([1, 2])
    peer.sends(`. 1:1(0) ack ${edge(6)}`)
    expect(host.c.recovery).toBe('none')
  })

  test('blocks that cannot be true are not looked at (RFC 2018 §5, RFC 2883)', () => {
    const joined = flying(6, SACK)
    joined.peer.sends(`. 1:1(0) ack ${edge(2)}`)
    const before = tcbOf(joined)
    joined.peer.sends(`. 1:1(0) ack ${edge(2)} <sack ${range(0, 1)}>`) // D-SACK: below
    joined.peer.sends(`. 1:1(0) ack ${edge(2)} <sack ${range(1, 3)}>`) // partly below
    joined.peer.sends(`. 1:1(0) ack ${edge(2)} <sack ${range(4, 7)}>`) // never sent
    joined.peer.sends(`. 1:1(0) ack ${edge(2)} <sack ${range(4, 3)}>`) // the wrong way round
    joined.peer.sends(`. 1:1(0) ack ${edge(2)} <sack ${range(4, 4)}>`) // empty
    joined.peer.sends(`. 1:1(0) ack ${edge(2)} <sack ${range(2, 4)}>`) // what it asks for itself
    joined.peer.sends(`. 1:1(0) ack ${edge(2)} <sack 2136100000:3176500000>`) // half a circle away
    expect([joined.host.c.inFlight.sacked, joined.host.c.recovery]).toEqual([0, 'none'])
    assertTcb(joined, before, { dupAcks: 7 })
  })

  test('the FIN is a part of what is SACKed and lost', () => {
    const { host, peer } = established({ options: SACK })
    host.give(3 * 1460)
    host.closes()
    expect(peer.takeAll().length).toBe(3)
    peer.sends(`. 1:1(0) ack 1 <sack ${edge(1)}:${edge(3) + 1}>`)
    peer.expects('. 1:1461(1460) ack 1')
    peer.sends(`. 1:1(0) ack ${edge(3) + 1}`)
    expect(host.state()).toBe('FIN-WAIT-2')
  })

  test('a retransmission of a super-segment’s worth is one, too (no copy, gsoSize)', () => {
    const joined = established({ options: 'mss 1460,sackOK,wscale 7' })
    const { host, peer, rig } = joined
    host.c.congestion.cwnd = 200_000
    host.sends(60 * 1460)
    expect(peer.takeAll().length).toBe(60)
    rig.departures.length = 0
    peer.sends(`. 1:1(0) ack 1 <sack ${range(20, 60)}>`)
    expect(rig.departures).toEqual([{ text: 20 * 1460, gsoSize: 1460 }])
    expect(places(joined)).toEqual([...Array(20).keys()])
  })
})
