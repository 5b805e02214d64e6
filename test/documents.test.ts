/** What the documents list is what there is. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { statsOf } from '../src/engine/stats.ts'
import { createCounters } from '../src/stack/counters.ts'

test('docs/counters.md has each reason to drop, in its order, and no other', () => {
  const table = readFileSync('docs/counters.md', 'utf8').matchAll(/^\| `(\w+)`/gm)
  const counted = statsOf(
    { counters: createCounters() } as never,
    { counters: {} } as never,
    {} as never,
    undefined,
  )
  expect([...table].map((row) => row[1])).toEqual(Object.keys(counted.drops))
})

test('each reason is said what it is, where the type is', () => {
  const source = readFileSync('src/stack/counters.ts', 'utf8')
  const [, body = ''] = /export interface Drops \{\n(.*?)\n\}/s.exec(source) ?? []
  const names = [...body.matchAll(/^ {2}(\w+): number$/gm)].map((match) => match[1]!)
  expect(names).toEqual(Object.keys(createCounters().drop))
  // A checksum is wrong, or it is not.
  const bare = [...body.matchAll(/(?<!\*\/\n) {2}(\w+): number/g)].map((match) => match[1]!)
  expect(bare.filter((name) => !/Checksum$/.test(name))).toEqual([])
})
