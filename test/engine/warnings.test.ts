import { expect, test } from 'vitest'
import type { Stats, Warning } from '../../src/engine/types.ts'
import { Warnings } from '../../src/engine/warnings.ts'
import { createCounters } from '../../src/stack/counters.ts'

/** Counters of which one is as given, all others zero. */
function stats(tcpLimit: number): Pick<Stats, 'drops' | 'socketsFailed'> {
  const { drop } = createCounters()
  const tap = { tapDown: 0, tapFull: 0, tapRefused: 0, tapShort: 0 }
  return { drops: { ...drop, ...tap, tcpLimit }, socketsFailed: 0 }
}

test('a counter that grows is told once a minute, with how much was added', () => {
  const warnings = new Warnings()
  const told: Warning[] = []
  warnings.listener = (warning) => told.push(warning)
  warnings.check(0, () => stats(0))
  expect(told).toEqual([])
  warnings.check(1_000, () => stats(3))
  expect(told).toEqual([
    { code: 'WARN_CONNECTIONS', count: 3, message: expect.stringContaining('3 connections were') },
  ])
  for (let now = 2_000; now < 61_000; now += 1_000) warnings.check(now, () => stats(10))
  expect(told.length).toBe(1)
  warnings.check(61_000, () => stats(10))
  expect(told[1]).toMatchObject({ count: 7 })
  warnings.check(200_000, () => stats(10))
  expect(told.length).toBe(2)
})

test('counters are looked at once a second, and only for somebody', () => {
  const warnings = new Warnings()
  let looks = 0
  const look = (): ReturnType<typeof stats> => {
    looks++
    return stats(0)
  }
  warnings.check(0, look)
  expect(looks).toBe(0)
  warnings.listener = () => {}
  for (let now = 0; now < 3_000; now += 100) warnings.check(now, look)
  expect(looks).toBe(3)
})
