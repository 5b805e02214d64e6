import { expect, test } from 'vitest'
import {
  compare,
  type Figure,
  failuresOf,
  figuresOf,
  tableOf,
} from '../../../bench/micro/compare.ts'

const ns = (name: string, ...values: number[]): Figure => ({ name, unit: 'ns', less: true, values })
const rate = (name: string, ...values: number[]): Figure => ({
  ...{ name, unit: 'Gbit/s', less: false, values },
})
const line = (name: string, value: number) => ({ name, value, unit: 'ns', less: true })

test('rounds are gathered by name, in the order of the first', () => {
  const rounds = [
    [line('a', 1), line('b', 2)],
    [line('b', 4), line('a', 3), line('c', 5)],
  ]
  expect(figuresOf(rounds)).toEqual([ns('a', 1, 3), ns('b', 2, 4), ns('c', 5)])
})

test('what failed in every round is told once, and the rest has figures', () => {
  const failed = { name: 'demux', error: 'it has no such function' }
  const rounds = [
    [line('a', 1), failed],
    [line('a', 1), failed],
  ]
  expect(failuresOf(rounds)).toEqual(['demux: it has no such function'])
  expect(figuresOf(rounds)).toEqual([ns('a', 1, 1)])
})

test('fewer ns are better, more Gbit/s are', () => {
  const now = [ns('a', 50, 51, 52, 50), rate('b', 5, 5.1, 5.2, 5)]
  const before = [ns('a', 100, 101, 99, 100), rate('b', 10, 10, 11, 10)]
  expect(compare(now, before).map(({ verdict, gain }) => [verdict, gain?.toFixed(2)])).toEqual([
    ['better', '1.98'],
    ['worse', '0.51'],
  ])
})

test.each([
  ['rounds that overlap', [90, 100, 110, 120], [115, 125, 135, 145]],
  ['less than three percent', [100, 100, 100, 100], [102, 102, 102, 102]],
  ['three rounds', [100, 100, 100], [200, 200, 200]],
])('%s are no change', (_, before, now) => {
  expect(compare([ns('a', ...now)], [ns('a', ...before)])[0]?.verdict).toBe('')
})

test('what was not there before, or in another unit, has no ratio', () => {
  const rows = compare([ns('new', 1), rate('a', 2)], [ns('a', 1)])
  expect(rows.map(({ before, gain }) => ({ before, gain }))).toEqual([{}, {}])
  expect(tableOf(compare([ns('a', 1, 1)], undefined))).toMatch(/a +ns +1\.00 ±0 %$/)
})

test('the table has before, now, and how many times as good', () => {
  const text = tableOf(compare([ns('a', 50, 50, 50, 50)], [ns('a', 100, 100, 100, 100)]))
  expect(text).toMatch(/^ +unit +before +now\n/)
  expect(text).toMatch(/a +ns +100 ±0 % +50\.00 ±0 % +2\.00× +better$/)
})
