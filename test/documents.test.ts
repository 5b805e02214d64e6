/** What the documents list is what there is. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { statsOf } from '../src/engine/stats.ts'
import { createCounters } from '../src/stack/counters.ts'
import { Segment } from '../src/stack/wire/tcp.ts'
import { established } from './stack/rig/states.ts'

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

describe('docs/conformance.md', () => {
  const text = readFileSync('docs/conformance.md', 'utf8')
  const rows = [...text.matchAll(/^\| (.+) \| (.+) \| (.+) \| (.+) \|$/gm)]
    .map(([, label = '', what = '', met = '', shown = '']) => ({ label, what, met, shown }))
    .filter(({ met }) => met !== 'met' && met !== '---')
  const tests = (shown: string): [file: string, title: string][] =>
    [...shown.matchAll(/`([\w/-]+)`: \*(.+?)\*(?=[,;.]| |$)/g)].map((m) => [m[1]!, m[2]!])

  test('has each label of RFC 9293, Appendix B', () => {
    const upTo = (kind: string, most: number): string[] =>
      Array.from({ length: most }, (_, i) => `${kind}-${i + 1}`)
    const labels = [...upTo('MUST', 69), ...upTo('SHLD', 31), ...upTo('MAY', 18), 'REC-1']
    const found = rows
      .map(({ label }) => label)
      .filter((label) => /^(MUST|SHLD|MAY|REC)/.test(label))
    expect(found.toSorted()).toEqual(labels.toSorted())
  })

  test('says yes, no, part or – of each, and how that is known, or why not', () => {
    expect(rows.length).toBeGreaterThan(200)
    for (const { label, what, met, shown } of rows) {
      expect(['yes', 'no', 'part', '–'], label).toContain(met)
      if (met === 'yes') expect(tests(shown), `${label}: ${what}`).not.toEqual([])
    }
  })

  test('names tests that are there', () => {
    const named = rows.flatMap(({ shown }) => tests(shown))
    const missing = named.filter(([file, title]) => !isTest(file, title))
    expect(missing).toEqual([])
    expect(named.length).toBeGreaterThan(200)
  })

  test('names variables that are there', () => {
    const names = new Set([...Object.keys(established().host.c), ...Object.keys(new Segment())])
    const [, table = ''] = /^\| variable \| field \|\n(.*?)\n\n/ms.exec(text) ?? []
    const named = [...table.matchAll(/`(\w+)`/g)].map((match) => match[1]!)
    expect(named.filter((name) => !names.has(name))).toEqual([])
    expect(named.length).toBeGreaterThan(25)
  })
})

/** A title is a string in the file, which may be that of a table's row. */
function isTest(file: string, title: string): boolean {
  const path = `test/${file}.test.ts`
  const source = existsSync(path) ? readFileSync(path, 'utf8') : ''
  return ["'", '"', '`'].some((quote) => source.includes(quote + title))
}
