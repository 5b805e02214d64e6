/** The report as one page that needs nothing else: charts (Chart.js, inlined), a table behind each, how it was made. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type Figure, grouped, type Row, ratio } from './results.ts'

export interface Report {
  machine: Record<string, string>
  versions: Record<string, string>
  command: string
  rounds: number
  seconds: number
  complaint: string | null
  names: readonly string[]
  rows: readonly Row[]
  failures: readonly string[]
}

const CHART_JS = dirname(createRequire(import.meta.url).resolve('chart.js'))

/** Ours stands out; the kernel's, which is no contender, stands back. */
const COLOURS: Record<string, string> = {
  slipway: '#0b6bcb',
  slirp4netns: '#d98e04',
  pasta: '#3a8f5c',
  veth: '#9aa3ad',
}

interface Chart {
  title: string
  unit: string
  less: boolean
  labels: string[]
  sets: { name: string; colour: string; values: (number | null)[]; notes: string[] }[]
  rows: readonly Row[]
}

export function htmlOf(report: Report): string {
  const groups = grouped(report.rows, ({ group }) => group)
  const charts: Chart[] = []
  const sections = [...groups].map(([group, rows]) => {
    const figures = [...grouped(rows, ({ label }) => label)].map(([label, rows]) => {
      charts.push(chartOf(label, rows, report.names))
      return figureOf(charts.at(-1)!, charts.length - 1, report.names)
    })
    return `<section><h2>${escaped(group)}</h2><div class="grid">${figures.join('')}</div></section>`
  })
  const data = JSON.stringify(charts.map(({ rows: _, ...chart }) => chart)).replace(/</g, '\\u003c')
  const library = readFileSync(join(CHART_JS, 'chart.umd.js'), 'utf8')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>slipway: benchmarks</title>
<style>${STYLE}</style>
<header>
<h1>slipway <small>beside ${escaped(report.names.slice(1).join(', '))}</small></h1>
<p class="legend">${report.names.map(keyOf).join('')}</p>
${headline(report)}
</header>
<main>${sections.join('\n')}</main>
<footer><h2>How this was measured</h2>${colophon(report)}</footer>
<script>${library.replace(/<\/script/g, '<\\/script')}</script>
<script>const charts = ${data}
${SCRIPT}</script>
</html>
`
}

function chartOf(label: string, rows: readonly Row[], names: readonly string[]): Chart {
  const [{ metric }] = rows as [Row]
  return {
    title: label,
    unit: metric.unit,
    less: metric.less === true,
    labels: rows.map(({ mtu }) => (mtu === undefined ? '' : `MTU ${mtu}`)),
    sets: names
      .map((name, i) => ({
        name,
        colour: COLOURS[name] ?? '#7a5cc2',
        values: rows.map(({ figures }) => figures[i]?.median ?? null),
        notes: rows.map(({ figures }) => noteOf(figures[i], metric.digits)),
      }))
      .filter(({ values }) => values.some((value) => value !== null)),
    rows,
  }
}

function noteOf(figure: Figure | undefined, digits: number): string {
  if (figure === undefined) return ''
  const { samples, spread } = figure
  const range = [Math.min(...samples), Math.max(...samples)].map((value) => value.toFixed(digits))
  return `${range.join(' to ')} in ${samples.length}, ± ${(100 * spread).toFixed(0)} %`
}

function figureOf(chart: Chart, index: number, names: readonly string[]): string {
  const { title, unit, less, rows, labels } = chart
  const others = names.slice(1)
  const head = ['', ...names, ...others.map((name) => `slipway : ${name}`)]
  const body = rows.map(({ figures, metric }, i) => [
    labels[i]!,
    ...figures.map((figure) => figure?.median.toFixed(metric.digits) ?? '–'),
    ...others.map((_, k) => ratio(figures[0], figures[k + 1])),
  ])
  const line = (cells: string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  const height = 46 + labels.length * (14 + 15 * chart.sets.length)
  return `<figure>
<figcaption>${escaped(title)} <span>${escaped(unit)} · ${less ? 'less' : 'more'} is better</span></figcaption>
<div class="plot" style="height:${height}px"><canvas data-chart="${index}"></canvas></div>
<details><summary>figures</summary><table>${line(head, 'th')}${body.map((cells) => line(cells, 'td')).join('')}</table></details>
</figure>`
}

const keyOf = (name: string): string =>
  `<span><i style="background:${COLOURS[name] ?? '#7a5cc2'}"></i>${escaped(name)}</span>`

/** The first thing that one wants to know: bulk TCP against each of the others. */
function headline({ rows, names }: Report): string {
  const wanted = rows.filter(({ group, label }) => group === 'TCP' && /^\S+ → \S+$/.test(label))
  const cards = wanted.flatMap(({ label, mtu, figures }) =>
    names.slice(1).flatMap((name, i) => {
      const value = ratio(figures[0], figures[i + 1])
      return value === '–' || name === 'veth'
        ? []
        : [`<li><b>${value}</b> ${escaped(name)}<small>${escaped(label)}, MTU ${mtu}</small></li>`]
    }),
  )
  return cards.length === 0 ? '' : `<ul class="cards">${cards.join('')}</ul>`
}

function colophon({
  machine,
  versions,
  command,
  rounds,
  seconds,
  complaint,
  failures,
}: Report): string {
  const pairs = { ...machine, ...versions, command }
  const rowsOf = Object.entries(pairs)
    .map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`)
    .join('')
  const trouble = [...(complaint === null ? [] : [complaint]), ...failures]
  return `<p>Bars are medians of ${rounds} rounds of ${seconds} s, in which all took turns. Only figures of one run compare.</p>
<dl>${rowsOf}</dl>
${trouble.map((text) => `<p class="trouble">${escaped(text)}</p>`).join('')}`
}

const escaped = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')

const STYLE = `
:root { --ink: #1b2430; --soft: #5d6875; --line: #dfe4ea; --paper: #fbfcfd; --card: #fff; color-scheme: light dark }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf1; --soft: #9aa7b4; --line: #303a45; --paper: #12171d; --card: #1a2129 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2.5rem 1.5rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { margin: 0; font-size: 2.2rem; letter-spacing: -0.02em }
h1 small { font-weight: 400; font-size: 1.1rem; color: var(--soft); letter-spacing: 0 }
h2 { margin: 2.5rem 0 1rem; font-size: 1.15rem; border-bottom: 1px solid var(--line); padding-bottom: .4rem }
.legend span { margin-right: 1.2rem; color: var(--soft) }
.legend i { display: inline-block; width: .75rem; height: .75rem; border-radius: 2px; margin-right: .4rem }
.cards { list-style: none; display: flex; flex-wrap: wrap; gap: .8rem; padding: 0 }
.cards li { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem 1rem; color: var(--soft) }
.cards b { font-size: 1.5rem; color: var(--ink); margin-right: .3rem; font-variant-numeric: tabular-nums }
.cards small { display: block }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem; align-items: start }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem }
figcaption { font-weight: 600 }
figcaption span { display: block; font-weight: 400; font-size: .85rem; color: var(--soft) }
.plot { position: relative }
details { font-size: .85rem; overflow-x: auto }
summary { color: var(--soft); cursor: pointer }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .15rem .5rem; white-space: nowrap }
th { font-weight: 500; color: var(--soft) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem }
dt { color: var(--soft) } dd { margin: 0 }
.trouble { color: #c0392b }
`

const SCRIPT = `
const ink = getComputedStyle(document.documentElement).getPropertyValue('--soft').trim()
const line = getComputedStyle(document.documentElement).getPropertyValue('--line').trim()
Chart.defaults.font.family = 'system-ui, sans-serif'
Chart.defaults.color = ink
for (const canvas of document.querySelectorAll('canvas')) {
  const { labels, sets } = charts[canvas.dataset.chart]
  new Chart(canvas, {
    type: 'bar',
    data: { labels, datasets: sets.map(({ name, colour, values }) => ({
      label: name, data: values, backgroundColor: colour, borderRadius: 3, maxBarThickness: 14 })) },
    options: {
      indexAxis: 'y', animation: false, maintainAspectRatio: false,
      plugins: { legend: { display: false }, tooltip: { callbacks: {
        afterLabel: ({ datasetIndex, dataIndex }) => sets[datasetIndex].notes[dataIndex] } } },
      scales: { x: { beginAtZero: true, grid: { color: line }, border: { display: false } },
        y: { grid: { display: false }, border: { display: false } } },
    },
  })
}
`
