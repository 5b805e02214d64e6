/** RACK and the tail loss probe (RFC 8985), on a path with a round trip of 20 ms. */
import { describe, expect, test } from 'vitest'
import { outOf } from '../rig/out.ts'
import { established, type Joined, type StateOptions } from '../rig/states.ts'

const SACK = 'mss 1460,sackOK'
const RTT = 20

const edge = (n: number): number => 1 + 1460 * n
const range = (from: number, to: number): string => `${edge(from)}:${edge(to)}`

/** Acknowledges up to segment `n`, with islands of segments. */
function acks({ peer }: Joined, n: number, ...islands: [number, number][]): void {
  const blocks = islands.map(([from, to]) => range(from, to)).join(' ')
  peer.sends(`. 1:1(0) ack ${edge(n)}${blocks ? ` <sack ${blocks}>` : ''}`)
}

/** What has been sent, by the places of full segments. */
function places({ peer }: Joined): number[] {
  return peer.takeAll().map(({ seq }) => (seq - 1) / 1460)
}

/**
 * A connection that has measured its round trip with `warm` segments; then `count` segments went out,
 * numbered from `warm` on, a ms between each two.
 */
function flying(count: number, options: StateOptions = {}): Joined {
  const joined = established({ options: SACK, limits: { sendBuffer: 500_000 }, ...options })
  const { host, clock } = joined
  for (let i = 0; i < WARM; i++) {
    host.sends(1460)
    places(joined)
    clock.advance(RTT)
    acks(joined, i + 1)
  }
  expect(host.c.rto.srtt).toBeCloseTo(RTT, 0)
  for (let i = 0; i < count; i++) {
    host.sends(1460)
    expect(places(joined)).toEqual([WARM + i])
    if (i < count - 1) clock.advance(1)
  }
  return joined
}
const WARM = 30
/** The place of segment `i` of those that fly. */
const at = (i: number): number => WARM + i

describe('what was sent before something that arrived (RFC 8985 §6.2)', () => {
  test('is lost a reordering window of RTT / 4 after its round trip', () => {
    const joined = flying(3)
    joined.clock.advance(RTT - 2)
    acks(joined, at(0), [at(1), at(2)]) // 1 took 19 ms; 0 was sent a ms before it
    expect(places(joined)).toEqual([])
    const { reoAt } = joined.host.c
    expect(reoAt - joined.clock.now).toBeCloseTo(19 / 4 - 1, 0)
    joined.clock.advanceTo(reoAt)
    expect(places(joined)).toEqual([at(0)])
    expect(joined.host.c.recovery).toBe('fast')
    expect(joined.rig.stack.counters.tcpTimeouts).toBe(0)
  })

  test('is not, when it arrives within that window', () => {
    const joined = flying(3)
    const { cwnd } = joined.host.c.congestion
    joined.clock.advance(RTT - 2)
    acks(joined, at(0), [at(1), at(2)])
    joined.clock.advance(3)
    acks(joined, at(3))
    joined.clock.advance(1000)
    expect(places(joined)).toEqual([])
    expect(joined.host.c.congestion.cwnd).toBeGreaterThanOrEqual(cwnd)
    expect(joined.host.c.rack.hasReordering).toBe(true)
  })

  test('is lost at once when three segments behind it are there, and nothing ever overtook (§6.2, step 4)', () => {
    const joined = flying(5)
    joined.clock.advance(RTT - 2)
    acks(joined, at(0), [at(1), at(4)])
    expect(places(joined)).toEqual([at(0)])
  })

  test('has its window, once segments overtook each other, also behind three', () => {
    const joined = flying(5)
    joined.host.c.rack.hasReordering = true
    joined.clock.advance(RTT - 2)
    acks(joined, at(0), [at(1), at(4)])
    expect(places(joined)).toEqual([])
    joined.clock.advance(4)
    expect(places(joined)).toEqual([at(0)])
  })

  test('a retransmission that is lost goes again without a time-out', () => {
    const joined = flying(6)
    const { host, clock, rig } = joined
    clock.advance(RTT - 2)
    acks(joined, at(0), [at(1), at(4)])
    expect(places(joined)).toEqual([at(0)])
    host.sends(4 * 1460) // sent behind it
    acks(joined, at(0), [at(1), at(6)])
    const more = places(joined)
    expect(more.length).toBeGreaterThan(0)
    expect(outOf(host.c)[0]!.flags).toBe('again')
    clock.advance(RTT)
    acks(joined, at(0), [at(1), at(6 + more.length)])
    expect(places(joined)[0]).toBe(at(0))
    expect(rig.stack.counters.tcpTimeouts).toBe(0)
    acks(joined, at(6 + more.length))
    expect(host.c.inFlight.lost).toBe(0)
  })

  test('an ACK of the first transmission says nothing of the second (step 2)', () => {
    const joined = flying(6, { options: 'mss 1472,sackOK,TS val 1 ecr 0', mtu: 1512 })
    const { host, clock, peer } = joined
    clock.advance(RTT - 2)
    const before = peer.hostTsVal
    acks(joined, at(0), [at(1), at(4)])
    expect(places(joined)).toEqual([at(0)])
    clock.advance(2)
    const { xmitTs } = host.c.rack
    // It echoes what was sent before the retransmission.
    const stamp = `TS val ${peer.tsNow()} ecr ${before}`
    peer.sends(`. 1:1(0) ack ${edge(at(1))} <${stamp},sack ${range(at(1), at(4))}>`)
    expect(host.c.rack.xmitTs).toBe(xmitTs)
    expect(host.c.rack.rtt).toBeLessThanOrEqual(RTT)
  })

  test('D-SACKs make the window wider, sixteen recoveries without make it small (§6.2, step 4)', () => {
    const joined = flying(3)
    const { rack } = joined.host.c
    joined.peer.sends(`. 1:1(0) ack ${edge(at(0))} <sack ${range(at(-1), at(0))}>`)
    expect(rack.reoWndMult).toBe(2)
    // Once a round.
    joined.peer.sends(`. 1:1(0) ack ${edge(at(0))} <sack ${range(at(-1), at(0))}>`)
    expect(rack.reoWndMult).toBe(2)
    expect(joined.rig.stack.counters.tcpSpurious).toBe(2)
    acks(joined, at(3))
    joined.peer.sends(`. 1:1(0) ack ${edge(at(3))} <sack ${range(at(2), at(3))}>`)
    expect(rack.reoWndMult).toBe(3)
    for (let i = 0; i < 15; i++) rack.recoveryEnds()
    expect(rack.reoWndMult).toBe(3)
    rack.recoveryEnds()
    expect(rack.reoWndMult).toBe(1)
  })
})

describe('the tail loss probe (RFC 8985 §7)', () => {
  test('is the last segment once more, two round trips after it; its SACK repairs the rest', () => {
    const joined = flying(4)
    const { host, clock, rig } = joined
    clock.advance(2 * RTT - 1)
    expect(places(joined)).toEqual([])
    clock.advance(1)
    expect(places(joined)).toEqual([at(3)])
    expect(rig.stack.counters).toMatchObject({ tcpTailProbes: 1, tcpTimeouts: 0 })
    // All four were lost: the probe tells of three.
    clock.advance(RTT)
    acks(joined, at(0), [at(3), at(4)])
    clock.advance(RTT / 4)
    expect(places(joined)).toEqual([at(0), at(1)]) // as the window, which is smaller now, lets them
    acks(joined, at(2), [at(3), at(4)])
    expect(places(joined)).toEqual([at(2)])
    acks(joined, at(4))
    expect([host.c.recovery, rig.stack.counters.tcpTimeouts]).toEqual(['none', 0])
  })

  test('is new text where there is some, though the congestion window is full (§7.3)', () => {
    const joined = flying(2)
    const { host, clock } = joined
    host.c.congestion.cwnd = 2 * 1460
    host.sends(3 * 1460)
    expect(places(joined)).toEqual([])
    clock.advance(2 * RTT)
    expect(places(joined)).toEqual([at(2)])
    expect(joined.rig.stack.counters).toMatchObject({ tcpTailProbes: 1, tcpRetransmits: 0 })
  })

  test('that repairs the loss itself is taken for a loss (§7.4.2)', () => {
    const joined = flying(4)
    const { host, clock } = joined
    const { cwnd } = host.c.congestion
    clock.advance(2 * RTT)
    expect(places(joined)).toEqual([at(3)])
    acks(joined, at(4))
    expect(host.c.congestion.cwnd).toBe(cwnd)
    host.sends(1460)
    places(joined)
    acks(joined, at(5))
    expect(host.c.congestion.cwnd).toBeLessThan(cwnd)
    expect(host.c.isTlpOut).toBe(false)
  })

  test('that was for nothing costs nothing: a D-SACK, or the same ACK again, tells of it (§7.4.1)', () => {
    for (const dsack of [true, false]) {
      const joined = flying(4)
      const { host, clock, peer } = joined
      clock.advance(2 * RTT)
      expect(places(joined)).toEqual([at(3)])
      acks(joined, at(4))
      const { cwnd } = host.c.congestion
      host.sends(1460)
      places(joined)
      if (dsack) peer.sends(`. 1:1(0) ack ${edge(at(4))} <sack ${range(at(3), at(4))}>`)
      else acks(joined, at(4))
      expect(host.c.isTlpOut).toBe(false)
      acks(joined, at(5))
      expect(host.c.congestion.cwnd).toBeGreaterThanOrEqual(cwnd)
    }
  })

  test('of a lone segment waits for a delayed ACK, and the retransmission timer is first (§7.2)', () => {
    const joined = flying(1)
    joined.clock.advance(199)
    expect(places(joined)).toEqual([])
    joined.clock.advance(2)
    expect(places(joined)).toEqual([at(0)])
    expect(joined.rig.stack.counters).toMatchObject({ tcpTailProbes: 0, tcpTimeouts: 1 })
  })

  test('is followed by the retransmission timer, a whole RTO later', () => {
    const joined = flying(4)
    const { clock, host, rig } = joined
    clock.advance(2 * RTT)
    places(joined)
    clock.advance(host.c.rto.rto - 1)
    expect(places(joined)).toEqual([])
    clock.advance(1)
    expect([places(joined), rig.stack.counters.tcpTimeouts]).toEqual([[at(0)], 1])
  })

  test('is sent once, not in a recovery, not without SACK, and not of a probed window', () => {
    const once = flying(4)
    once.clock.advance(3 * RTT)
    acks(once, at(1)) // goes on
    once.clock.advance(3 * RTT)
    expect(once.rig.stack.counters.tcpTailProbes).toBe(1)

    const without = flying(4, { options: 'mss 1460' })
    without.clock.advance(3 * RTT)
    expect(places(without)).toEqual([])

    const recovering = flying(5)
    recovering.clock.advance(RTT - 2)
    acks(recovering, at(0), [at(1), at(4)])
    expect(recovering.host.c.ptoAt).toBe(Infinity)

    const closed = flying(1)
    closed.peer.sends(`. 1:1(0) ack ${edge(at(1))} win 0`)
    closed.host.sends(3000)
    closed.clock.advance(5000)
    expect(closed.rig.stack.counters.tcpTailProbes).toBe(0)
  })

  test('takes a FIN with it', () => {
    const joined = flying(2)
    const { host, peer, clock } = joined
    host.closes()
    expect(peer.takeAll().length).toBe(1)
    clock.advance(2 * RTT + 1)
    const [probe] = peer.takeAll()
    expect([probe!.ctl & 1, probe!.seq + probe!.len]).toEqual([1, edge(at(2))])
    expect(joined.rig.stack.counters.tcpTailProbes).toBe(1)
  })
})
