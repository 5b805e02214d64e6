import { expect, test } from 'vitest'
import { median, quantile, ratioOf, summaryOf } from '../../../bench/suite/statistics.ts'

const samples = (...values: number[]) => values.map((value, i) => ({ round: i + 1, value }))

test('the median of an odd and of an even number of values, in whatever order', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([7])).toBe(7)
  expect(median([])).toBeNaN()
})

test('quantiles lie between the two nearest values', () => {
  const values = [10, 20, 30, 40, 50]
  expect(quantile(values, 0)).toBe(10)
  expect(quantile(values, 0.25)).toBe(20)
  expect(quantile(values, 0.9)).toBeCloseTo(46)
  expect(quantile(values, 1)).toBe(50)
})

test('the spread is half the distance of the quartiles, over the median', () => {
  expect(summaryOf([8, 9, 10, 11, 12])).toEqual({ median: 10, low: 9, high: 11, spread: 0.1 })
  expect(summaryOf([3])).toEqual({ median: 3, low: 3, high: 3, spread: 0 })
  expect(summaryOf([0, 0, 0]).spread).toBe(0)
})

test('a ratio is that of the medians, and its quartiles those of the rounds', () => {
  // The second round was slow for both: the ratios within the rounds do not show it.
  const ratio = ratioOf(samples(20, 10, 24), samples(10, 5, 12))
  expect(ratio).toEqual({ value: 2, low: 2, high: 2 })
})

test('rounds in which one has no sample count for the medians only', () => {
  const theirs = [
    { round: 2, value: 5 },
    { round: 9, value: 5 },
  ]
  expect(ratioOf(samples(10, 20, 10), theirs)).toEqual({ value: 2, low: 4, high: 4 })
})

test('there is no ratio to nothing, nor to 0', () => {
  expect(ratioOf(samples(1), [])).toBeUndefined()
  expect(ratioOf(undefined, samples(1))).toBeUndefined()
  expect(ratioOf(samples(1), samples(0))).toBeUndefined()
})
