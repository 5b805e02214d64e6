import { expect, test } from 'vitest'
import { isDisturbed, isWide, Results } from '../../../bench/suite/results.ts'
import { GBIT, type Workload } from '../../../bench/suite/workload.ts'

const workload: Workload = {
  id: 'tcp-up-1',
  group: 'TCP',
  name: 'guest → host',
  needs: 'gateway',
  metrics: { rate: GBIT, loss: { name: 'lost', unit: '%', digits: 1, less: true } },
  run: async () => ({ values: {} }),
}

function add(
  results: Results,
  contender: string,
  values: Record<string, number | undefined>,
  more: { round?: number; tuning?: string; mtu?: number | null; disturbed?: string } = {},
): void {
  const { round = 1, tuning = '', mtu = 1500, disturbed } = more
  results.add({ contender, workload, mtu, tuning, round, disturbed, values })
}

test('a row for each metric and MTU, a figure for each contender', () => {
  const results = new Results(['a', 'b'], [workload])
  add(results, 'b', { rate: 2, loss: 5 }, { mtu: 65_520 })
  for (const [round, rate] of [3, 1, 2].entries()) add(results, 'a', { rate }, { round })
  const rows = results.rows()
  expect(rows.map(({ metric, mtu }) => [metric, mtu])).toEqual([
    ['rate', 1500],
    ['rate', 65_520],
    ['loss', 65_520],
  ])
  expect(rows[0]).toMatchObject({
    ...{ group: 'TCP', name: 'guest → host', what: '', unit: 'Gbit/s', less: false },
    figures: [{ median: 2, low: 1.5, high: 2.5 }, null],
  })
  expect(rows[2]).toMatchObject({ what: 'lost', less: true })
})

test('two contenders of one name share a column', () => {
  expect(new Results(['slipway', 'slipway', 'pasta'], []).names).toEqual(['slipway', 'pasta'])
})

test('the figures are those of the better tuning, of its other metrics as well', () => {
  const results = new Results(['pasta'], [workload])
  for (const [tuning, rates] of [
    ['', [1, 9, 1]],
    ['-w 256K', [4, 4, 4]],
  ] as const) {
    for (const [round, rate] of rates.entries()) {
      add(results, 'pasta', { rate, loss: rate * 10, peak: rate * 100 }, { round, tuning })
    }
  }
  const figures = results.rows().map(({ metric, figures }) => [metric, figures[0]?.median])
  expect(figures).toEqual([
    ['rate', 4],
    ['loss', 40],
    ['peak', 400],
  ])
  expect(results.rows()[0]!.figures[0]!.tuning).toBe('-w 256K')
})

test('a tuning with which nothing was found is not the better one', () => {
  const results = new Results(['pasta'], [workload])
  add(results, 'pasta', { rate: undefined }, { tuning: '' })
  add(results, 'pasta', { rate: 1 }, { tuning: '-w 256K' })
  expect(results.rows()[0]!.figures[0]).toMatchObject({ median: 1, tuning: '-w 256K' })
})

test('what is no number is no sample', () => {
  const results = new Results(['a'], [workload])
  add(results, 'a', { rate: Number.NaN, loss: Infinity })
  expect(results.rows()).toEqual([])
})

test('a median is disturbed when a third of its samples is', () => {
  const results = new Results(['a'], [workload])
  for (let round = 1; round <= 4; round++) add(results, 'a', { rate: 1 }, { round })
  const before = results.rows()[0]!.figures[0]!
  expect(isDisturbed(before)).toBe(false)
  for (let round = 5; round <= 6; round++) {
    add(results, 'a', { rate: 1 }, { round, disturbed: 'the neighbours' })
  }
  const after = results.rows()[0]!.figures[0]!
  expect(isDisturbed(after)).toBe(true)
  expect(after.samples.at(-1)).toEqual({ round: 6, value: 1, disturbed: 'the neighbours' })
})

test('rounds that do not agree are told', () => {
  expect(isWide({ median: 1, low: 0.8, high: 1.2, spread: 0.2 })).toBe(true)
  expect(isWide({ median: 1, low: 0.95, high: 1.05, spread: 0.05 })).toBe(false)
})
