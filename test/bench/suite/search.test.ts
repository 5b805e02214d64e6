import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Attempt, highestBorne } from '../../../bench/suite/search.ts'

const search = (limit: number, steps: number, tried: number[] = []) =>
  highestBorne({
    low: 10,
    high: 10_000,
    steps,
    async attempt(rate): Promise<Attempt> {
      tried.push(rate)
      return rate < limit ? 'borne' : 'refused'
    },
  })

test('what is found is borne, and nearly what is not', async () => {
  await fc.assert(
    fc.asyncProperty(fc.double({ min: 20, max: 9_000, noNaN: true }), async (limit) => {
      const steps = 12
      const found = await search(limit, steps)
      const precision = 1000 ** (1 / 2 ** steps)
      expect(found).toBeLessThan(limit)
      expect(found * precision * 1.001).toBeGreaterThanOrEqual(limit)
    }),
  )
})

test('it tries as often as it is told, each time in the middle of the powers', async () => {
  const tried: number[] = []
  await search(1e9, 3, tried)
  expect(tried.map(Math.round)).toEqual([316, 1778, 4217])
})

test('0 where nothing is borne', async () => {
  expect(await search(0, 8)).toBe(0)
})

test('who cannot offer more ends the search with what was offered', async () => {
  let tries = 0
  const found = await highestBorne({
    low: 10,
    high: 10_000,
    steps: 8,
    async attempt(rate) {
      tries++
      return rate > 1000 ? { most: 900 } : 'borne'
    },
  })
  expect({ found, tries }).toEqual({ found: 900, tries: 2 })
})
