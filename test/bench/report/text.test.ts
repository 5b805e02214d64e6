/** What a run says in a terminal and in README.md. */
import { expect, test } from 'vitest'
import { svgOf } from '../../../bench/report/chart.ts'
import { markdownOf, withSection } from '../../../bench/report/markdown.ts'
import { formatGoal, formatMeasured, qualityOf, significant } from '../../../bench/report/report.ts'
import { tablesOf } from '../../../bench/report/terminal.ts'
import type { Judgement } from '../../../bench/suite/goals.ts'
import { madeUp } from '../made-up.ts'

const report = madeUp()

test('a table has only those contenders that have a figure in it, and the ratios to the others', () => {
  const text = tablesOf(report)
  const head = (start: string): string => text.split('\n').find((line) => line.startsWith(start))!
  expect(head('TCP ')).toMatch(
    / MTU +unit +slipway +slirp4netns +pasta +veth +: slirp4netns +: pasta +: veth$/,
  )
  expect(head('Published port spliced')).toMatch(
    / slipway +pasta +rootlesskit +: pasta +: rootlesskit$/,
  )
})

test('figures have their spread, and are marked when tuned or disturbed', () => {
  const lines = tablesOf(report).split('\n')
  const tcp = lines.findIndex((line) => line.startsWith('TCP '))
  const [, at1500, at4000] = lines.slice(tcp)
  expect(at1500).toMatch(/^guest → host +1500 +Gbit\/s +\d+\.\d\d ±\d+ % .*±\d+ %\* /)
  expect(at4000).not.toContain('!') // one round of five
  expect(lines).toContain('* with -w 256K, which was the better')
})

test('all that is disturbed is told with the rows that it may have changed', () => {
  const rows = report.rows.map((row, i) => ({
    ...row,
    figures: row.figures.map(
      (figure) =>
        figure && {
          ...figure,
          samples: figure.samples.map((one) =>
            i < 2
              ? { ...one, disturbed: '9 % stolen by the hypervisor, throttled for heat' }
              : { ...one },
          ),
        },
    ),
  }))
  const { disturbedRows, reasons } = qualityOf({ ...report, rows })
  expect(disturbedRows).toEqual(rows.slice(0, 2))
  expect(reasons).toEqual([
    '9 % stolen by the hypervisor',
    'throttled for heat',
    "24 % of the processors' time for others",
  ])
  const text = tablesOf({ ...report, rows })
  expect(text).toContain('    Life: node -e 0, Node')
})

test('goals: what was measured, what is wanted, and the sum', () => {
  const text = tablesOf(report)
  expect(text).toMatch(
    /guest → host +1500 +slirp4netns +\d+\.\d+× \(.* to .*\) +at least 15× +(not )?met/,
  )
  expect(text).toMatch(/^goals: \d+ met, \d+ not met, \d+ not measured$/m)
})

test('figures are written so that they can be told apart', () => {
  expect([0, 0.01234, 1.234, 123.4, 12_345].map(significant)).toEqual([
    ...['0', '0.0123', '1.23', '123', '12345'],
  ])
  const one = { measured: null, goal: 1 / 12, most: true, unit: '×', aim: null } as Judgement
  expect(formatGoal(one)).toBe('at most 1/12')
  expect(formatMeasured(one)).toBe('not measured')
  expect(formatGoal({ ...one, goal: 3, unit: 'ms' })).toBe('at most 3 ms')
  expect(formatGoal({ ...one, goal: 0.5, most: false, aim: 0.6 })).toBe('at least 0.5×, aim 0.6×')
})

test('the section for README.md has the command, the machine, the versions and the main figures', () => {
  const text = markdownOf(report, 'docs/speed.svg')
  expect(text).toContain('![Throughput beside that of others](docs/speed.svg)')
  expect(text).toContain('`npm run bench -- --json run.json`')
  expect(text).toContain('CPU Made up × 2, Linux 6.18, Node 24.0.0; slipway 1.0, slirp4netns 1.0')
  expect(text).toMatch(/^\| TCP, guest → host \| 1500 \| Gbit\/s \| 1\d\.\d\d \|.* \d+\.\d+× \|/m)
  expect(text).not.toMatch(/\| 4000 \|/)
})

test('a section takes the place of the one before, and the rest of the file stays', () => {
  const first = withSection(undefined, 'one')
  const text = `# Speed\n\n${first}\nmore\n`
  expect(withSection(text, 'two')).toBe(text.replace('one', 'two'))
  expect(() => withSection('# Speed\n', 'one')).toThrow('without the lines <!--')
})

test('the chart is SVG by itself: no script, no address but its namespace', () => {
  const svg = svgOf(report)
  expect(svg).toMatch(/^<svg xmlns="[^"]+" viewBox="0 0 860 \d+"/)
  expect(svg.replace(/xmlns="[^"]+"/, '')).not.toMatch(/https?:|<script|NaN|undefined/)
  // Two directions, four MTUs, four contenders.
  expect(svg.match(/<rect /g)).toHaveLength(32)
})
