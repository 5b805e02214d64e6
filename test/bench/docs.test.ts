/** docs/benchmarks.md and README.md say what the benches are. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { withSection } from '../../bench/report/markdown.ts'
import { contenders } from '../../bench/suite/contenders/all.ts'
import { USAGE } from '../../bench/suite/options.ts'
import { suiteOf } from '../../bench/suite/suite.ts'

const text = readFileSync('docs/benchmarks.md', 'utf8')

test('each contender and each group of workloads is in docs/benchmarks.md', () => {
  const lines = text.split('\n').filter((line) => line.startsWith('| '))
  const isMissing = (name: string): boolean =>
    !lines.some((line) => line.split(' | ')[0]!.includes(name))
  const names = [...contenders.map(({ name }) => name), ...suiteOf([]).map(({ group }) => group)]
  expect([...new Set(names)].filter(isMissing)).toEqual([])
})

test('each option of the suite that is in the usage text is in docs/benchmarks.md', () => {
  const options = [...USAGE.matchAll(/--[a-z]+/g)].map(([option]) => option)
  expect(options.length).toBeGreaterThan(10)
  expect(options.filter((option) => !text.includes(option) && option !== '--smoke')).toEqual([])
})

test('every npm script that a document names is there', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
  for (const file of ['docs/benchmarks.md', 'README.md', 'CHANGELOG.md']) {
    const named = readFileSync(file, 'utf8').matchAll(/npm run ([\w:]*\w)/g)
    expect([...named].map(([, name]) => name!).filter((name) => !(name in scripts))).toEqual([])
  }
})

test("README.md has a place for a run's figures", () => {
  const readme = readFileSync('README.md', 'utf8')
  const changed = withSection(readme, 'of another run')
  expect(changed).toContain('of another run')
  expect(changed).toContain('## Security')
  expect(withSection(changed, 'x')).toBe(withSection(readme, 'x'))
})
