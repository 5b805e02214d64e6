/**
 * The report as one page that needs nothing else: the goals, charts (Chart.js, inlined), the figures in tables, how it was
 * measured and how far it can be trusted.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Judgement } from '../suite/goals.ts'
import { type Figure, grouped, type Row, WIDE } from '../suite/results.ts'
import { ratioOf } from '../suite/statistics.ts'
import { described, type FigureSet, marksOf, type Section, sectionsOf } from './figures.ts'
import {
  formatFigure,
  formatGoal,
  formatMeasured,
  formatRatio,
  plural,
  qualityOf,
  type Report,
  titleOf,
  verdictOf,
} from './report.ts'

const CHART_JS = dirname(createRequire(import.meta.url).resolve('chart.js'))

const own = (file: string): string => readFileSync(new URL(file, import.meta.url), 'utf8')

export function pageOf(report: Report): string {
  const sections = sectionsOf(report)
  const sets = sections.flatMap(({ figures }) => figures)
  const data = JSON.stringify(sets).replace(/</g, '\\u003c')
  const library = readFileSync(join(CHART_JS, 'chart.umd.js'), 'utf8')
  const nav = [...sections.map(({ title }) => title), 'Goals', 'How it was measured']
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>slipway: benchmarks, ${report.date.slice(0, 10)}</title>
<style>${own('page.css')}</style>
<header>
<h1>slipway <small>beside ${escaped(listed(report.names.slice(1)))}</small></h1>
<p class="facts">${factsOf(report)}</p>
${trustOf(report)}
${headlineOf(report)}
${scoreOf(report)}
</header>
<nav>${nav.map((title) => `<a href="#${idOf(title)}">${escaped(title)}</a>`).join('')}</nav>
<main>
${sections.map((section) => sectionOf(section, sets, report.names)).join('\n')}
${goalsOf(report)}
${colophonOf(report)}
</main>
<script>${library.replace(/<\/script/g, '<\\/script')}</script>
<script>const sets = ${data}
${own('page.js')}</script>
</html>
`
}

const idOf = (title: string): string => title.toLowerCase().replace(/\W+/g, '-')

function listed(names: readonly string[]): string {
  if (names.length < 2) return names[0] ?? 'nobody'
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

function factsOf({ date, commit, machine, rounds, seconds }: Report): string {
  const facts = [
    date.slice(0, 10),
    `commit ${commit || '?'}`,
    `${machine.CPU}`,
    `Linux ${machine.Linux}`,
    `Node ${machine.Node}`,
    `${plural(rounds, 'round')} of ${seconds} s, interleaved`,
  ]
  return facts.map((fact) => `<span>${escaped(fact)}</span>`).join('')
}

function trustOf(report: Report): string {
  const { samples, disturbed, reasons, disturbedRows, wideRows } = qualityOf(report)
  const rows = [...new Set([...disturbedRows, ...wideRows])]
  const text =
    disturbed === 0
      ? `The machine had nothing else to do in any of ${samples} samples.`
      : `Disturbed: ${disturbed} of ${samples} samples. At worst ${reasons.join(', ')}.`
  const doubt =
    rows.length === 0
      ? ''
      : `<details><summary>${plural(rows.length, 'row')} with a doubtful figure</summary><ul>${rows
          .map((row) => `<li>${escaped(titleOf(row))}</li>`)
          .join('')}</ul></details>`
  return `<div class="trust ${disturbed === 0 ? 'good' : 'bad'}"><p>${escaped(text)}</p>${doubt}</div>`
}

/** The first thing that one wants to know: bulk TCP against each of the others. */
function headlineOf({ rows, names }: Report): string {
  const wanted = rows.filter(
    ({ workload, metric, mtu }) =>
      /^tcp-(up|down)-1$/.test(workload) && metric === 'rate' && (mtu === 1500 || mtu === 65_520),
  )
  const peers = names.flatMap((name, i) =>
    i > 0 && wanted.some(({ figures }) => figures[i]) ? [{ name, i }] : [],
  )
  if (wanted.length === 0 || peers.length === 0) return ''
  const head = wanted.map((row) => `<th>TCP ${escaped(row.name)}<br>MTU ${row.mtu}</th>`).join('')
  const body = peers.map(({ name, i }) => {
    const cells = wanted.map(({ figures }) => {
      const ratio = ratioOf(figures[0]?.samples, figures[i]?.samples)
      return `<td>${ratio === undefined ? '–' : formatRatio(ratio.value)}</td>`
    })
    return `<tr><th>${keyOf(name)}</th>${cells.join('')}</tr>`
  })
  return `<table class="headline"><caption>slipway’s rate over that of</caption><tr><td></td>${head}</tr>${body.join('')}</table>`
}

const keyOf = (name: string): string =>
  `<i class="key" data-name="${escaped(name)}"></i>${escaped(name)}`

const countOf = (goals: readonly Judgement[], met: boolean | null): number =>
  goals.filter((one) => one.goal !== null && one.met === met).length

function scoreOf({ goals }: Report): string {
  if (goals.every(({ measured }) => measured === null)) return ''
  return `<p class="score"><a href="#goals">Goals</a>: <b class="met">${countOf(goals, true)}</b> met
<b class="not">${countOf(goals, false)}</b> not met <b>${countOf(goals, null)}</b> not measured</p>`
}

/** A line for each thing that is compared, a column for each MTU. */
function goalsOf({ goals }: Report): string {
  if (goals.every(({ measured }) => measured === null)) return ''
  const mtus = [...new Set(goals.flatMap(({ mtu }) => mtu ?? []))].toSorted((a, b) => a - b)
  const head = mtus.map((mtu) => `<th>MTU ${mtu}</th>`).join('')
  const topics = [...grouped(goals, ({ topic }) => topic)].map(([topic, ones]) => {
    const lines = [...grouped(ones, ({ what, against }) => `${what}\n${against}`).values()]
    const rows = lines.map((line) => goalLine(line, mtus)).join('\n')
    return `<tr class="topic"><th colspan="${mtus.length + 2}">${escaped(topic)}</th></tr>${rows}`
  })
  return `<section id="goals"><h2>Goals</h2>
<p>What slipway is to reach beside others in the same run. The dot is what was measured, its line the quartiles of the rounds;
the scale is one of powers, the goal is its middle, and the right side is better.</p>
<div class="scroll"><table class="goals"><tr><th></th><th>against</th>${head}</tr>
${topics.join('\n')}</table></div></section>`
}

function goalLine(line: readonly Judgement[], mtus: readonly number[]): string {
  const [{ what, against }] = line as [Judgement]
  const single = line.find(({ mtu, measured }) => mtu === null && measured !== null)
  const cells =
    single === undefined && mtus.length > 0
      ? mtus.map((mtu) => goalCell(line.find((one) => one.mtu === mtu))).join('')
      : goalCell(single ?? line[0], mtus.length)
  return `<tr><td>${escaped(what)}</td><td>${escaped(against)}</td>${cells}</tr>`
}

function goalCell(one: Judgement | undefined, columns = 1): string {
  const span = columns > 1 ? ` colspan="${columns}"` : ''
  if (one === undefined) return `<td${span}></td>`
  const state = one.met === null ? '' : one.met ? 'met' : 'not'
  const sign = one.met === null ? '' : one.met ? '✓ ' : '✗ '
  const { measured, unit } = one
  const text = measured === null ? 'not measured' : formatFigure(measured.value, unit)
  const title = `${formatMeasured(one)}: ${verdictOf(one)}`
  return `<td${span} class="${state}" title="${escaped(title)}"><b>${sign}${escaped(text)}</b> <small>${escaped(formatGoal(one))}${one.close ? ', close' : ''}</small>${bullet(one)}</td>`
}

/** How far from the goal, from an eighth to eight times, better to the right. */
function bullet({ measured, goal, most }: Judgement): string {
  if (measured === null || goal === null) return ''
  const place = (value: number): number => {
    const times = most ? goal / value : value / goal
    return 75 + Math.max(-3, Math.min(3, Math.log2(times))) * 23
  }
  const [at, from, to] = [measured.value, measured.low, measured.high].map(place)
  return `<svg viewBox="0 0 150 12" width="150" height="12" aria-hidden="true"><path class="axis" d="M4 6H146"/><path class="goal" d="M75 1V11"/><path class="range" d="M${from} 6H${to}"/><circle cx="${at}" cy="6" r="3.5"/></svg>`
}

function sectionOf(section: Section, sets: readonly FigureSet[], names: readonly string[]): string {
  const figures = section.figures.map((set) => {
    const index = sets.indexOf(set)
    const panels = set.panels.map((panel, k) => {
      const height = 34 + 21 * panel.lines.length
      return `<div class="panel"><h4>${escaped(panel.title)}</h4><div class="plot" style="height:${height}px"><canvas data-set="${index}" data-panel="${k}" role="img" aria-label="${escaped(described(set, panel))}"></canvas></div></div>`
    })
    const scale = set.kind === 'marks' ? ', scale of powers' : ''
    const marks = set.marks.length > 1 ? `, ${set.marks.join(' · ')}` : ''
    return `<figure><figcaption>${escaped(set.title)} <span>${escaped(set.unit)}${marks}${scale} · ${set.less ? 'less' : 'more'} is better</span></figcaption>
<div class="panels${set.marks.length > 1 ? ' wide' : ''}">${panels.join('')}</div></figure>`
  })
  return `<section id="${idOf(section.title)}"><h2>${escaped(section.title)}</h2><p>${escaped(section.text)}</p>
${figures.join('\n')}
<details><summary>All figures</summary><div class="scroll">${figureTable(section.rows, names)}</div></details></section>`
}

function figureTable(rows: readonly Row[], names: readonly string[]): string {
  const shown = [...names.keys()].filter((i) => rows.some(({ figures }) => figures[i]))
  const peers = shown.filter((i) => i > 0)
  const head = [
    ...['', 'MTU', 'unit', ...shown.map((i) => names[i]!)],
    ...peers.map((i) => `: ${names[i]}`),
  ]
  const body = rows.map((row) => [
    row.what === '' ? row.name : `${row.name}, ${row.what}`,
    `${row.mtu ?? ''}`,
    row.unit,
    ...shown.map((i) => cell(row.figures[i] ?? null, row.digits)),
    ...peers.map((i) => {
      const ratio = ratioOf(row.figures[0]?.samples, row.figures[i]?.samples)
      return ratio === undefined ? '–' : formatRatio(ratio.value)
    }),
  ])
  const line = (cells: string[], tag: string): string =>
    `<tr>${cells.map((text) => `<${tag}>${escaped(text)}</${tag}>`).join('')}</tr>`
  return `<table class="figures">${line(head, 'th')}${body.map((cells) => line(cells, 'td')).join('')}</table>`
}

function cell(figure: Figure | null, digits: number): string {
  if (figure === null) return '–'
  const { median, spread, samples } = figure
  const range = samples.length > 1 ? ` ±${(100 * spread).toFixed(0)} %` : ''
  return `${median.toFixed(digits)}${range}${marksOf(figure)}`
}

function colophonOf({ machine, versions, command, failures, rounds, seconds }: Report): string {
  const pairs = { ...machine, ...versions }
  const list = Object.entries(pairs)
    .map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`)
    .join('')
  const failed = failures.map((text) => `<li>${escaped(text)}</li>`).join('')
  return `<section id="how-it-was-measured"><h2>How it was measured</h2>
<pre>${escaped(command)}</pre>
<p>Bars and first marks are medians of ${plural(rounds, 'round')} of ${seconds} s; the thin line is from quartile to quartile, each small dot is a round.
In each round every contender has a container and a daemon anew, and each workload goes through all of them, one right after the
other. Only figures of one run compare. <b>~</b>: the rounds differ by more than ±${100 * WIDE} %. <b>!</b>: the machine did
something else meanwhile. <b>*</b>: with a send buffer of 256 KiB, where that one is faster so.</p>
<dl>${list}</dl>
${failed && `<h3>What failed</h3><ul class="failures">${failed}</ul>`}</section>`
}

const escaped = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')
