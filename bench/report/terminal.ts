/** The tables for a terminal: what was found, which goals it meets, and how far it can be trusted. */
import { type Figure, grouped, isDisturbed, isWide, type Row, WIDE } from '../suite/results.ts'
import { ratioOf } from '../suite/statistics.ts'
import {
  formatGoal,
  formatMeasured,
  formatRatio,
  plural,
  qualityOf,
  type Report,
  titleOf,
  verdictOf,
} from './report.ts'

/** Whom ours is compared with in columns of their own. */
const PEERS = ['slirp4netns', 'pasta', 'rootlesskit', 'veth']
const MOST_NAMED = 12

export function tablesOf(report: Report): string {
  const groups = grouped(report.rows, ({ group }) => group)
  const tables = [...groups].map(([group, rows]) => tableOf(group, rows, report.names))
  return [...tables, goalsOf(report), trustOf(report)].filter((text) => text !== '').join('\n\n')
}

function tableOf(group: string, rows: readonly Row[], names: readonly string[]): string {
  const shown = [...names.keys()].filter((i) => rows.some((row) => row.figures[i]))
  const peers = shown.filter((i) => i > 0 && isPeer(names[i]!) && shown[0] === 0)
  const lines = [
    [
      ...[group, 'MTU', 'unit'],
      ...shown.map((i) => names[i]!),
      ...peers.map((i) => `: ${names[i]}`),
    ],
  ]
  let last = ''
  for (const row of rows) {
    if (row.name !== last && row.what !== '') lines.push([row.name])
    last = row.name
    lines.push([
      row.what === '' ? row.name : `  ${row.what}`,
      `${row.mtu ?? ''}`,
      row.unit,
      ...shown.map((i) => written(row.figures[i] ?? null, row.digits)),
      ...peers.map((i) => ratioText(row, i)),
    ])
  }
  return aligned(lines, 3)
}

const isPeer = (name: string): boolean => PEERS.includes(name) || name.startsWith('slipway@')

function ratioText({ figures }: Row, i: number): string {
  const ratio = ratioOf(figures[0]?.samples, figures[i]?.samples)
  return ratio === undefined ? '–' : formatRatio(ratio.value)
}

/** `13.99 ±2 %`; `~`: the rounds did not agree; `!`: disturbed; `*`: tuned. */
function written(figure: Figure | null, digits: number): string {
  if (figure === null) return '–'
  const { median, spread, samples, tuning } = figure
  const range = samples.length > 1 ? ` ±${(100 * spread).toFixed(0)} %` : ''
  const marks = `${isWide(figure) ? '~' : ''}${isDisturbed(figure) ? '!' : ''}${tuning && '*'}`
  return `${median.toFixed(digits)}${range}${marks}`
}

function goalsOf({ goals }: Report): string {
  if (goals.every(({ measured }) => measured === null)) return ''
  const lines = [['goals', 'MTU', 'against', 'measured', 'goal', '']]
  for (const [topic, judgements] of grouped(goals, (one) => one.topic)) {
    if (judgements.every(({ measured }) => measured === null)) continue
    lines.push([topic])
    for (const one of judgements) {
      const text = [formatMeasured(one), formatGoal(one), verdictOf(one)]
      lines.push([`  ${one.what}`, `${one.mtu ?? ''}`, one.against, ...text])
    }
  }
  const count = (test: (met: boolean | null) => boolean): number =>
    goals.filter(({ met, goal }) => goal !== null && test(met)).length
  const met = count((one) => one === true)
  const not = count((one) => one === false)
  const sum = `goals: ${met} met, ${not} not met, ${count((one) => one === null)} not measured`
  return `${aligned(lines, 6)}\n${sum}`
}

function trustOf(report: Report): string {
  const { samples, disturbed, reasons, disturbedRows, wideRows } = qualityOf(report)
  const lines: string[] = []
  if (report.rows.some(({ figures }) => figures.some((figure) => figure?.tuning))) {
    const tunings = report.rows.flatMap(({ figures }) => figures.map((figure) => figure?.tuning))
    lines.push(`* with ${[...new Set(tunings)].filter(Boolean).join(', ')}, which was the better`)
  }
  if (wideRows.length > 0) {
    lines.push(
      `~ rounds that differ by more than ±${100 * WIDE} %: ${plural(wideRows.length, 'row')}`,
    )
  }
  if (disturbed > 0) {
    lines.push(
      `! disturbed: ${disturbed} of ${samples} samples (${reasons.join(', ')} at worst), in`,
      ...disturbedRows.slice(0, MOST_NAMED).map((row) => `    ${titleOf(row)}`),
    )
    const more = disturbedRows.length - MOST_NAMED
    if (more > 0) lines.push(`    and ${plural(more, 'more row')}`)
  }
  return [...lines, ...report.failures.map((failure) => `failed: ${failure}`)].join('\n')
}

/** Columns; the first `left` of them to the left, the others to the right. */
function aligned(lines: readonly string[][], left: number): string {
  const count = Math.max(...lines.map((line) => line.length))
  const width = Array.from({ length: count }, (_, i) =>
    // A heading alone in its line makes no column wider.
    Math.max(0, ...lines.filter((line) => line.length > 1).map((line) => line[i]?.length ?? 0)),
  )
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i < left ? cell.padEnd(width[i]!) : cell.padStart(width[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
