/** A whole run, as it is kept as JSON and as every output is made of it. */
import type { Judgement } from '../suite/goals.ts'
import { isDisturbed, isWide, type Row } from '../suite/results.ts'
import type { Ratio } from '../suite/statistics.ts'

export interface Report {
  /** Of this format. */
  format: 1
  /** When it ended, ISO 8601. */
  date: string
  command: string
  commit: string
  machine: Record<string, string>
  /** By contender. */
  versions: Record<string, string>
  rounds: number
  /** Of each transfer. */
  seconds: number
  names: readonly string[]
  rows: readonly Row[]
  goals: readonly Judgement[]
  failures: readonly string[]
}

/** What the machine did besides, over all samples: how many were disturbed, and which rows they make doubtful. */
export interface Quality {
  samples: number
  disturbed: number
  /** The worst, and others, in words. */
  reasons: string[]
  /** Rows in which a contender's median may be the disturbance's. */
  disturbedRows: Row[]
  /** Rows in which the rounds of a contender did not agree. */
  wideRows: Row[]
}

export function qualityOf({ rows }: Report): Quality {
  const figures = rows.flatMap((row) => row.figures.filter((figure) => figure !== null))
  const samples = figures.flatMap((figure) => figure.samples)
  const disturbances = samples.flatMap(({ disturbed }) => disturbed ?? [])
  const has = (test: (figure: NonNullable<Row['figures'][number]>) => boolean): Row[] =>
    rows.filter((row) => row.figures.some((figure) => figure !== null && test(figure)))
  return {
    samples: samples.length,
    disturbed: disturbances.length,
    reasons: mostFrequent(disturbances.flatMap((text) => text.split(', '))),
    disturbedRows: has(isDisturbed),
    wideRows: has(isWide),
  }
}

/** Each kind once, with its largest figure: `24 % of the processors' time for others`. */
function mostFrequent(texts: readonly string[]): string[] {
  const worst = new Map<string, { size: number; text: string }>()
  for (const text of texts) {
    const kind = text.replace(/[\d.]+/g, '')
    const size = Number(/[\d.]+/.exec(text)?.[0] ?? 0)
    if (size >= (worst.get(kind)?.size ?? 0)) worst.set(kind, { size, text })
  }
  return [...worst.values()].map(({ text }) => text)
}

/** The whole of what a row measures, for one line. */
export function titleOf({ group, name, what, mtu }: Row): string {
  return `${group}: ${name}${what && `, ${what}`}${mtu === null ? '' : `, MTU ${mtu}`}`
}

/** `13.1×`, with as many digits as it takes to tell. */
export function formatRatio(value: number): string {
  const digits = value < 0.1 ? 3 : value < 20 ? 2 : 1
  return `${value.toFixed(digits)}×`
}

export function formatMeasured({ measured, unit }: Judgement): string {
  if (measured === null) return 'not measured'
  return formatBounded(measured, unit)
}

function formatBounded({ value, low, high }: Ratio, unit: string): string {
  const text = (figure: number): string => formatFigure(figure, unit)
  return low === high ? text(value) : `${text(value)} (${text(low)} to ${text(high)})`
}

/** `13.1×`, `3.21 ms`. */
export function formatFigure(value: number, unit: string): string {
  return unit === '×' ? formatRatio(value) : `${significant(value)} ${unit}`
}

export function formatGoal({ goal, aim, unit, most }: Judgement): string {
  if (goal === null) return 'reported'
  const text = (figure: number): string => {
    if (unit !== '×') return `${figure} ${unit}`
    return figure < 0.2 ? `1/${Math.round(1 / figure)}` : `${figure}×`
  }
  const bound = `${most ? 'at most' : 'at least'} ${text(goal)}`
  return aim === null ? bound : `${bound}, aim ${text(aim)}`
}

/** Three significant digits, never as a power. */
export function significant(value: number): string {
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(digits, 4))
}

export function verdictOf({ met, close, measured, goal }: Judgement): string {
  if (measured === null) return '–'
  if (goal === null) return 'reported'
  return `${met ? 'met' : 'not met'}${close ? ', close' : ''}`
}

export const plural = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : 's'}`
