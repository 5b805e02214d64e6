import { describe, expect, test } from 'vitest'
import { initialWindow, Reno } from '../../../src/stack/tcp/congestion.ts'

describe('the initial window (RFC 6928 §2)', () => {
  test.each([
    [536, 5360],
    [1460, 14_600],
    [2000, 14_600],
    [9000, 18_000],
    [65_480, 130_960],
  ])('is of SMSS %i: %i octets', (smss, octets) => {
    expect(initialWindow(smss)).toBe(octets)
    expect(new Reno(smss).cwnd).toBe(octets)
  })
})

describe('Reno (RFC 5681)', () => {
  test('grows by what was acknowledged in slow start (§3.1, RFC 3465)', () => {
    const reno = new Reno(1000)
    reno.onAck(1000, 1000)
    reno.onAck(5000, 1000)
    expect(reno.cwnd).toBe(16_000)
  })

  test('leaves slow start at ssthresh, also within one ACK (§3.1)', () => {
    const reno = new Reno(1000)
    reno.ssthresh = 12_000
    reno.onAck(10_000, 1000)
    expect(reno.cwnd).toBeGreaterThanOrEqual(12_000)
    expect(reno.cwnd).toBeLessThan(13_000)
  })

  test('grows by about a segment a round trip in congestion avoidance (§3.1)', () => {
    const reno = new Reno(1000)
    reno.ssthresh = reno.cwnd
    for (let i = 0; i < 10; i++) reno.onAck(1000, 1000)
    expect(reno.cwnd).toBeGreaterThan(10_900)
    expect(reno.cwnd).toBeLessThanOrEqual(11_000)
  })

  test('grows by at least an octet, however large it is', () => {
    const reno = new Reno(1000)
    reno.cwnd = 1e9
    reno.ssthresh = 0
    reno.onAck(1, 1000)
    expect(reno.cwnd).toBe(1e9 + 1)
  })

  test('goes to half of what is in flight at a loss, two segments at least (§3.2, equation 4)', () => {
    const reno = new Reno(1000)
    reno.cwnd = 40_000
    reno.onLoss(20_000, 1000)
    expect([reno.cwnd, reno.ssthresh]).toEqual([10_000, 10_000])
    reno.onLoss(2000, 1000)
    expect([reno.cwnd, reno.ssthresh]).toEqual([2000, 2000])
  })

  test('goes to one segment at a time-out (§3.1)', () => {
    const reno = new Reno(1000)
    reno.cwnd = 20_000
    reno.onTimeout(20_000, 1000)
    expect([reno.cwnd, reno.ssthresh]).toEqual([1000, 10_000])
  })

  test('does not take for the network’s what waits behind a hole, and is more than the window', () => {
    const reno = new Reno(1000)
    reno.cwnd = 20_000
    reno.onLoss(500_000, 1000)
    expect(reno.cwnd).toBe(10_000)
    reno.onTimeout(500_000, 1000)
    expect(reno.ssthresh).toBe(5000)
  })
})
