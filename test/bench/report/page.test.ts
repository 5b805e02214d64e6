/** The page of a run: all of it in one file, and drawn by a browser without an error. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sectionsOf } from '../../../bench/report/figures.ts'
import { pageOf } from '../../../bench/report/page.ts'
import { execute } from '../../../src/lab/program.ts'
import { has } from '../../e2e/lab.ts'
import { MTUS, madeUp } from '../made-up.ts'

const report = madeUp()
const page = pageOf(report)

test('it asks no one for anything: no address, no other file', () => {
  const own = page.replace(/<script>[\s\S]*?<\/script>/g, '')
  expect(own).not.toMatch(/https?:|src=|@import|url\(/)
  expect(page.match(/<script[ >]/g)).toEqual(['<script>', '<script>'])
})

test('it tells with what, by which command and from which commit it was measured', () => {
  for (const text of ['npm run bench -- --json run.json', 'abc1234', 'Made up × 2', '24.0.0']) {
    expect(page).toContain(text)
  }
})

test('what failed is told, and cannot be taken for markup', () => {
  expect(page).toContain('the daemon has ended &lt;here>')
})

test('every row of the run is in a table, and every throughput in a panel of its MTU', () => {
  const sections = sectionsOf(report)
  const rows = sections.flatMap((section) => section.rows)
  expect(new Set(rows)).toEqual(new Set(report.rows))
  const [tcp] = sections
  const [one] = tcp!.figures
  expect(one!.panels.map(({ title }) => title)).toEqual(MTUS.map((mtu) => `MTU ${mtu}`))
  expect(one!.panels[0]!.lines.filter(({ name }) => name === 'slipway')).toHaveLength(3)
})

test('a run of a few workloads has a page, too', () => {
  const rows = report.rows.filter(({ workload }) => workload === 'tcp-crr')
  const small = pageOf({ ...report, rows, goals: [] })
  expect(sectionsOf({ ...report, rows }).map(({ title }) => title)).toEqual(['Connections'])
  expect(small).not.toContain('id="goals"')
})

test.skipIf(!has('chromium'))('Chromium draws every panel', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'slipway-page-'))
  try {
    const file = join(directory, 'page.html')
    const errors = 'onerror = (message) => { document.documentElement.dataset.error = message }'
    writeFileSync(file, page.replace('<header>', `<script>${errors}</script><header>`))
    const { status, stdout, stderr } = await execute([
      'chromium',
      '--headless',
      '--no-sandbox', // we may be root; the page is ours
      '--disable-gpu',
      '--disable-background-networking',
      `--user-data-dir=${join(directory, 'profile')}`,
      '--dump-dom',
      `file://${file}`,
    ])
    expect(status, stderr).toBe(0)
    const html = /<html[^>]*>/.exec(stdout)?.[0]
    const panels = sectionsOf(report).flatMap(({ figures }) => figures.flatMap((set) => set.panels))
    expect(html).toBe(`<html lang="en" data-drawn="${panels.length}">`)
    expect(panels.length).toBeGreaterThan(40)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
