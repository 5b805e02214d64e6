/** Rounds of micro benches as medians, and two sets of them beside one another. Pure. */
import { type Summary, summaryOf } from '../suite/statistics.ts'
import type { Line } from './run.ts'

/** A set of figures as it is kept with --save. */
export interface Saved {
  format: 1
  /** From what: Node, the processor, the commit. */
  of: Record<string, string>
  figures: Figure[]
}

export interface Figure {
  name: string
  unit: string
  less: boolean
  values: number[]
}

/** What was found in all rounds, by name, in the order in which it came first. */
export function figuresOf(rounds: readonly (readonly Line[])[]): Figure[] {
  const figures = new Map<string, Figure>()
  for (const line of rounds.flat()) {
    if ('error' in line) continue
    const { name, unit, less, value } = line
    const figure = figures.get(name) ?? { name, unit, less, values: [] }
    figures.set(name, figure)
    figure.values.push(value)
  }
  return [...figures.values()]
}

/** What failed, once each. */
export function failuresOf(rounds: readonly (readonly Line[])[]): string[] {
  const texts = rounds
    .flat()
    .flatMap((line) => ('error' in line ? `${line.name}: ${line.error}` : []))
  return [...new Set(texts)]
}

export interface Row {
  name: string
  unit: string
  now: Summary
  /** Absent: it is not known what it was. */
  before?: Summary
  /** How many times as good as before. */
  gain?: number
  verdict: '' | 'better' | 'worse'
}

/** Ours: less may be the alignment of code, and other chance. */
export const LEAST_CHANGE = 0.03
/** That no round of one side is among those of the other is chance in 1 of 35, with so many. */
export const LEAST_ROUNDS = 4

/** A change counts where it is large enough, and the rounds of before and of now, of which there are some, lie apart. */
export function compare(now: readonly Figure[], before: readonly Figure[] | undefined): Row[] {
  return now.map(({ name, unit, less, values }) => {
    const row = { name, unit, now: summaryOf(values) }
    const old = before?.find((one) => one.name === name && one.unit === unit)
    if (old === undefined || old.values.length === 0) return { ...row, verdict: '' }
    const was = summaryOf(old.values)
    const gain = less ? was.median / row.now.median : row.now.median / was.median
    const isApart =
      Math.min(...values) > Math.max(...old.values) || Math.max(...values) < Math.min(...old.values)
    const isLarge = Math.abs(Math.log(gain)) > Math.log(1 + LEAST_CHANGE)
    const isKnown = Math.min(values.length, old.values.length) >= LEAST_ROUNDS
    const verdict = isKnown && isApart && isLarge ? (gain > 1 ? 'better' : 'worse') : ''
    return { ...row, before: was, gain, verdict }
  })
}

export function tableOf(rows: readonly Row[]): string {
  const hasBefore = rows.some(({ before }) => before !== undefined)
  const head = [
    '',
    'unit',
    ...(hasBefore ? ['before'] : []),
    hasBefore ? 'now' : '',
    ...(hasBefore ? ['', ''] : []),
  ]
  const body = rows.map(({ name, unit, now, before, gain, verdict }) => [
    ...[name, unit, ...(hasBefore ? [written(before)] : []), written(now)],
    ...(hasBefore ? [gain === undefined ? '' : `${gain.toFixed(2)}×`, verdict] : []),
  ])
  const lines = [head, ...body]
  const widths = head.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i < 2 || i === 5 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function written(summary: Summary | undefined): string {
  if (summary === undefined) return '–'
  const { median, spread } = summary
  return `${median.toFixed(median < 100 ? 2 : 0)} ±${(100 * spread).toFixed(0)} %`
}
