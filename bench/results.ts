/** Samples of each daemon, MTU and metric; their medians, spread, and ours beside the others'. */
import type { Metric } from './workload.ts'
import { median } from './workload.ts'

/** A row of the table. */
export interface Row {
  group: string
  /** What was measured, with the metric's name. */
  label: string
  /** undefined where it says nothing. */
  mtu: number | undefined
  metric: Metric
  /** By contender, in their order; undefined where there is no sample. */
  figures: (Figure | undefined)[]
}

export interface Figure {
  median: number
  /** Half of the distance between the quartiles, over the median. */
  spread: number
  samples: number[]
}

interface Entry {
  group: string
  label: string
  mtu: number | undefined
  metric: Metric
  samples: Map<string, number[]>
}

export class Results {
  readonly failures: string[] = []
  readonly names: readonly string[]
  readonly #entries = new Map<string, Entry>()

  constructor(names: readonly string[]) {
    this.names = names
  }

  add(
    name: string,
    group: string,
    label: string,
    mtu: number | undefined,
    metric: Metric,
    value: number,
  ): void {
    const key = `${group}\n${label}\n${mtu}`
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { group, label, mtu, metric, samples: new Map() }
      this.#entries.set(key, entry)
    }
    entry.samples.set(name, [...(entry.samples.get(name) ?? []), value])
  }

  fail(name: string, mtu: number, text: string): void {
    this.failures.push(`${name}, MTU ${mtu}: ${text}`)
  }

  /** Group by group, and in each what was measured by MTU. */
  rows(): Row[] {
    const groups = [...grouped([...this.#entries.values()], ({ group }) => group).values()]
    return groups
      .flatMap((entries) => [...grouped(entries, ({ label }) => label).values()].flat())
      .map(({ group, label, mtu, metric, samples }) => ({
        ...{ group, label, mtu, metric },
        figures: this.names.map((name) => figureOf(samples.get(name) ?? [])),
      }))
  }
}

/** By key, in the order in which the keys came. */
export function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return groups
}

function figureOf(samples: number[]): Figure | undefined {
  if (samples.length === 0) return undefined
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (part: number): number => sorted[Math.round(part * (sorted.length - 1))]!
  const middle = median(samples)
  const spread = middle === 0 ? 0 : (at(0.75) - at(0.25)) / 2 / middle
  return { median: middle, spread, samples }
}

/** Ours over theirs. */
export function ratio(ours: Figure | undefined, theirs: Figure | undefined): string {
  if (ours === undefined || theirs === undefined || theirs.median === 0) return '–'
  const value = ours.median / theirs.median
  return `${value.toFixed(value < 0.1 ? 3 : 2)}×`
}

/** More than this is marked: the rounds did not agree. */
const WIDE = 0.15

/** The table for a terminal. */
export function tableOf(names: readonly string[], rows: readonly Row[]): string {
  const [first, ...others] = names
  const lines = [
    ['MTU', 'measure', 'unit', ...names, ...others.map((name) => `${first}:${name}`)],
    ...rows.map(({ group, label, mtu, metric, figures }) => [
      `${mtu ?? ''}`,
      `${group}: ${label}`,
      metric.unit,
      ...figures.map((figure) => written(figure, metric)),
      ...figures.slice(1).map((figure) => ratio(figures[0], figure)),
    ]),
  ]
  const widths = lines[0]!.map((_, column) =>
    Math.max(...lines.map((line) => line[column]!.length)),
  )
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function written(figure: Figure | undefined, { digits }: Metric): string {
  if (figure === undefined) return '–'
  return `${figure.median.toFixed(digits)}${figure.spread > WIDE ? '~' : ''}`
}
