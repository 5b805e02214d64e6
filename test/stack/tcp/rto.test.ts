import { expect, test } from 'vitest'
import { INITIAL_RTO, MAX_RTO, MIN_RTO, Rto } from '../../../src/stack/tcp/rto.ts'

test('is one second before anything was measured (RFC 6298 §2.1)', () => {
  expect(new Rto().rto).toBe(1000)
  expect(INITIAL_RTO).toBe(1000)
})

test('the first sample sets SRTT to R and RTTVAR to R/2 (RFC 6298 §2.2)', () => {
  const rto = new Rto()
  rto.sample(400)
  expect([rto.srtt, rto.rttvar, rto.rto]).toEqual([400, 200, 400 + 4 * 200])
})

test('further ones are averaged with 1/8 and 1/4, RTTVAR before SRTT (RFC 6298 §2.3)', () => {
  const rto = new Rto()
  rto.sample(400)
  rto.sample(800)
  expect(rto.rttvar).toBe(0.75 * 200 + 0.25 * 400)
  expect(rto.srtt).toBe(0.875 * 400 + 0.125 * 800)
  expect(rto.rto).toBe(450 + 4 * 250)
})

test('is never below 200 ms, as Linux has it, where RFC 6298 §2.4 has a second', () => {
  const rto = new Rto()
  for (let i = 0; i < 50; i++) rto.sample(0)
  expect([rto.rto, MIN_RTO]).toEqual([200, 200])
})

test('is never beyond 60 s (RFC 6298 §2.5)', () => {
  const rto = new Rto()
  rto.sample(1e9)
  expect([rto.rto, MAX_RTO]).toEqual([60_000, 60_000])
  rto.backOff()
  expect(rto.rto).toBe(60_000)
})

test('doubles at each time-out until the next sample (RFC 6298 §5.5, §5.7)', () => {
  const rto = new Rto()
  rto.sample(100)
  expect(rto.rto).toBe(300)
  rto.backOff()
  rto.backOff()
  expect(rto.rto).toBe(1200)
  rto.sample(100)
  expect(rto.rto).toBe(100 + 4 * 37.5)
})

test('is three seconds after a SYN that had to be sent again (RFC 6298 §5.7)', () => {
  const rto = new Rto()
  for (let i = 0; i < 5; i++) rto.backOff()
  rto.restart()
  expect(rto.rto).toBe(3000)
})
