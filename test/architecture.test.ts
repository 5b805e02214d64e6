/** Rules of the structure that no compiler holds. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const SOURCES = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: readFileSync(join('src', file), 'utf8') }))

/** What each folder may import, besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'stack/wire': [],
  'stack/tcp': ['stack', 'stack/wire'],
  stack: ['stack/tcp', 'stack/wire'],
  policy: ['policy/evidence', 'stack/wire'],
  'policy/evidence': ['policy'],
  sys: [],
  tap: ['stack', 'stack/wire', 'sys'],
  nat: ['stack', 'stack/tcp', 'stack/wire', 'sys'],
  egress: ['nat', 'policy', 'policy/evidence', 'stack', 'stack/tcp', 'stack/wire', 'sys'],
  engine: ['egress', 'policy', 'nat', 'tap', 'stack', 'stack/tcp', 'stack/wire', 'sys'],
  control: ['policy', 'engine', 'stack/wire', 'sys'],
  library: ['egress', 'policy', 'engine', 'tap', 'stack/wire'],
  lab: ['sys'],
  demo: ['lab'],
  '.': ['control', 'library', 'engine', 'policy'],
}

/** Every `from './x.ts'` and `import('./x.ts')` of a source, as paths below src. */
function imports({ file, text }: (typeof SOURCES)[number]): string[] {
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) =>
    normalize(join(dirname(file), match[1] ?? '')),
  )
}

test('imports go in one direction', () => {
  const wrong: string[] = []
  for (const source of SOURCES) {
    const folder = dirname(source.file)
    for (const imported of imports(source)) {
      const target = dirname(imported)
      if (target !== folder && !MAY_IMPORT[folder]?.includes(target)) {
        wrong.push(`${source.file} imports ${imported}`)
      }
    }
  }
  expect(wrong).toEqual([])
  expect(SOURCES.length).toBeGreaterThan(50)
})

test('there is no cycle of files that import each other at run time, but for TCP within itself', () => {
  const graph = new Map(
    SOURCES.map((source) => {
      const text = source.text.replace(/^import type [^;]*?from '[^']+'$/gms, '')
      return [source.file, imports({ file: source.file, text })]
    }),
  )
  const cycles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) {
      cycles.push([...path.slice(at), file].join(' → '))
      return
    }
    for (const next of graph.get(file) ?? []) visit(next, [...path, file])
  }
  for (const file of graph.keys()) if (!file.startsWith('stack/tcp')) visit(file, [])
  expect(cycles.filter((cycle) => !cycle.startsWith('stack/tcp'))).toEqual([])
})

test('the stack and the policy know neither the time nor chance', () => {
  const wrong = SOURCES.filter(
    ({ file, text }) =>
      /^(stack|policy)/.test(file) &&
      /\b(Date|performance|Math\.random)\b/.test(withoutComments(text)),
  )
  expect(wrong.map(({ file }) => file)).toEqual([])
})

test('sequence numbers are compared by seq.ts only (RFC 9293 §3.4)', () => {
  const names = '(?:sndUna|sndNxt|rcvNxt|rcvAdv|recover|seg\\.seq|seg\\.ack)'
  const comparison = new RegExp(`${names} *[<>]=? |[<>]=? *(?:c\\.)?${names}\\b`)
  const wrong = SOURCES.filter(({ file }) => file.startsWith('stack/tcp')).flatMap(
    ({ file, text }) =>
      withoutComments(text)
        .split('\n')
        .filter((line) => comparison.test(line))
        .map((line) => `${file}: ${line.trim()}`),
  )
  expect(wrong).toEqual([])
})

test('no source has more than 500 lines', () => {
  const long = SOURCES.filter(({ text }) => text.split('\n').length > 500)
  expect(long.map(({ file }) => file)).toEqual([])
})

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '')
}
