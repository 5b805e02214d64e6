/** CUBIC against the equations of RFC 9438, which stand here once more, in segments and seconds. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Cubic } from '../../../src/stack/tcp/cubic.ts'

const SMSS = 1000
const BETA = 0.7
const C = 0.4
const ALPHA = (3 * (1 - BETA)) / (1 + BETA) // §4.3: 0.53

/** §4.2, equations (1) and (2). */
const wCubic = (t: number, k: number, wMax: number): number => C * (t - k) ** 3 + wMax
const kOf = (wMax: number, cwndEpoch: number): number => Math.cbrt((wMax - cwndEpoch) / C)

/** A connection that lost at a window of `segments`, and is in congestion avoidance since `at` ms. */
function lost(segments: number): Cubic {
  const cubic = new Cubic(SMSS)
  cubic.cwnd = segments * SMSS
  cubic.onLoss(segments * SMSS, SMSS)
  return cubic
}

/** Acknowledges a whole window, segment by segment, in each round trip; the window after each. */
function roundTrips(cubic: Cubic, count: number, rtt: number, start = 0): number[] {
  const windows: number[] = []
  for (let i = 0; i < count; i++) {
    const segments = Math.floor(cubic.cwnd / SMSS)
    for (let n = 0; n < segments; n++) {
      cubic.onAck(SMSS, SMSS, start + rtt * (i + n / segments), rtt)
    }
    windows.push(cubic.cwnd / SMSS)
  }
  return windows
}

describe('a loss', () => {
  test('leaves 0.7 of what is in flight, two segments at least (§4.6)', () => {
    const cubic = lost(100)
    expect(cubic.cwnd).toBeCloseTo(70 * SMSS)
    expect(cubic.ssthresh).toBe(cubic.cwnd)
    cubic.onLoss(2 * SMSS, SMSS)
    expect([cubic.cwnd, cubic.ssthresh]).toEqual([2 * SMSS, 2 * SMSS])
  })

  test('does not take for the network’s what waits behind a hole, and is more than the window', () => {
    const cubic = new Cubic(SMSS)
    cubic.cwnd = 20 * SMSS
    cubic.onLoss(500 * SMSS, SMSS)
    expect(cubic.cwnd).toBeCloseTo(14 * SMSS)
  })

  test('is remembered as W_max; a second one below it leaves more room to others (§4.7)', () => {
    const cubic = lost(100)
    expect(cubic.wMax).toBe(100 * SMSS)
    cubic.onLoss(cubic.cwnd, SMSS)
    expect(cubic.wMax).toBeCloseTo((70 * SMSS * (1 + BETA)) / 2)
    cubic.cwnd = 200 * SMSS
    cubic.onLoss(cubic.cwnd, SMSS)
    expect(cubic.wMax).toBe(200 * SMSS)
  })
})

describe('a time-out (§4.8)', () => {
  test('leaves one segment, and slow start up to 0.7 of what was in flight', () => {
    const cubic = new Cubic(SMSS)
    cubic.cwnd = 100 * SMSS
    cubic.onTimeout(100 * SMSS, SMSS)
    expect([cubic.cwnd, cubic.ssthresh]).toEqual([SMSS, 70 * SMSS])
    cubic.onAck(SMSS, SMSS, 0, 100)
    cubic.onAck(2 * SMSS, SMSS, 100, 100)
    expect(cubic.cwnd).toBe(4 * SMSS)
  })

  test('has the next epoch begin with K = 0 where slow start ends', () => {
    const cubic = new Cubic(SMSS)
    cubic.cwnd = 100 * SMSS
    cubic.onTimeout(100 * SMSS, SMSS)
    cubic.onAck(69 * SMSS, SMSS, 0, 100)
    cubic.onAck(2 * SMSS, SMSS, 5000, 100) // one for slow start, one that begins the epoch
    expect([cubic.k, cubic.epochAt, cubic.wMax]).toEqual([0, 5000, 70 * SMSS])
    expect(cubic.cwnd).toBeGreaterThanOrEqual(70 * SMSS)
    expect(cubic.cwnd).toBeLessThan(70.1 * SMSS)
  })
})

describe('slow start (§4.10, RFC 5681 §3.1)', () => {
  test('grows by what was acknowledged', () => {
    const cubic = new Cubic(SMSS)
    cubic.onAck(SMSS, SMSS, 0, 100)
    cubic.onAck(5 * SMSS, SMSS, 1, 100)
    expect(cubic.cwnd).toBe(16 * SMSS)
    expect(cubic.epochAt).toBe(-1)
  })

  test('ends at ssthresh, also within one ACK', () => {
    const cubic = new Cubic(SMSS)
    cubic.ssthresh = 12 * SMSS
    cubic.onAck(10 * SMSS, SMSS, 0, 100)
    expect(cubic.cwnd).toBeGreaterThanOrEqual(12 * SMSS)
    expect(cubic.cwnd).toBeLessThan(13 * SMSS)
  })
})

describe('congestion avoidance', () => {
  test('follows W_cubic where that is above Reno’s window: concave, then convex (§4.4, §4.5)', () => {
    const rtt = 200
    const cubic = lost(1000)
    const k = kOf(1000, 700)
    expect(k).toBeCloseTo(9.09, 2)
    const windows = roundTrips(cubic, 90, rtt)
    expect(cubic.k / 1000).toBeCloseTo(k)
    for (const [i, window] of windows.entries()) {
      // The window is for the round trip to come (§4.2: target is of t + RTT).
      const t = ((i + 1) * rtt) / 1000
      const [least, most] = [wCubic(t - 0.2, k, 1000), wCubic(t + 0.2, k, 1000)]
      expect(window, `after ${t} s`).toBeGreaterThan(least - 1)
      expect(window, `after ${t} s`).toBeLessThan(most + 1)
    }
    const at = (t: number): number => windows[Math.round((t * 1000) / rtt) - 1]!
    expect(at(k)).toBeGreaterThan(999)
    expect(at(k)).toBeLessThan(1002)
    expect(at(4) - at(2)).toBeGreaterThan(3 * (at(8) - at(6))) // concave before K
    expect(at(18) - at(16)).toBeGreaterThan(3 * (at(12) - at(10))) // convex behind it
  })

  test('is not slower than Reno on short and slow paths (§4.3)', () => {
    const rtt = 10
    const cubic = lost(20)
    const cwndPrior = 20
    let est = 14
    const windows = roundTrips(cubic, 60, rtt)
    for (const window of windows) {
      // One round trip: W_est grows by α segments, and by one from cwnd_prior on.
      est += est < cwndPrior ? ALPHA : 1
      expect(window).toBeGreaterThan(est - 1.5)
      expect(window).toBeLessThan(est + 1.5)
    }
    expect(windows.at(-1)).toBeGreaterThan(60)
  })

  test('never grows by more than half in a round trip (§4.2)', () => {
    const cubic = lost(10)
    cubic.onAck(SMSS, SMSS, 0, 100)
    // A minute later W_cubic is far away.
    let before = cubic.cwnd
    for (const window of roundTrips(cubic, 10, 100, 60_000)) {
      expect((window * SMSS) / before).toBeLessThanOrEqual(Math.E ** 0.5 + 0.01)
      before = window * SMSS
    }
  })

  test('time in which the window was not used does not count (§5.8)', () => {
    const used = lost(1000)
    const unused = lost(1000)
    roundTrips(used, 10, 100)
    roundTrips(unused, 10, 100)
    unused.onUnused(500_000)
    roundTrips(used, 10, 100, 1000)
    roundTrips(unused, 10, 100, 500_000)
    expect(unused.cwnd / used.cwnd).toBeCloseTo(1, 2)
  })

  test('after idleness slow start leads back to three quarters, then a new epoch begins', () => {
    const cubic = lost(1000)
    roundTrips(cubic, 10, 100)
    cubic.cwnd = 2000 * SMSS
    cubic.onIdle(SMSS)
    expect([cubic.cwnd, cubic.ssthresh, cubic.epochAt]).toEqual([10 * SMSS, 1500 * SMSS, -1])
  })
})

test('whatever happens, the window is a number, a segment at least, and no ACK makes it smaller', () => {
  const event = fc.record({
    kind: fc.constantFrom('ack', 'ack', 'ack', 'ack', 'loss', 'timeout', 'unused', 'idle'),
    octets: fc.integer({ min: 1, max: 1_000_000 }),
    ms: fc.oneof(fc.double({ min: 0, max: 100, noNaN: true }), fc.constant(86_400_000)),
    rtt: fc.constantFrom(-1, 0, 0.01, 20, 60_000),
    smss: fc.constantFrom(36, 1448, 65_468),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const cubic = new Cubic(1448)
      let now = 0.5
      for (const { kind, octets, ms, rtt, smss } of events) {
        now += ms
        const before = cubic.cwnd
        if (kind === 'ack') cubic.onAck(octets, smss, now, rtt)
        else if (kind === 'loss') cubic.onLoss(octets, smss)
        else if (kind === 'timeout') cubic.onTimeout(octets, smss)
        else if (kind === 'unused') cubic.onUnused(now)
        else cubic.onIdle(smss)
        if (kind === 'ack') expect(cubic.cwnd).toBeGreaterThanOrEqual(before)
        expect(Number.isFinite(cubic.cwnd)).toBe(true)
        expect(cubic.cwnd).toBeGreaterThanOrEqual(36)
        expect(Number.isNaN(cubic.k) || Number.isNaN(cubic.wEst)).toBe(false)
      }
    }),
  )
})
