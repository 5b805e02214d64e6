/** Samples by daemon, MTU and measure; their medians and the ratios of ours to the others, as a table or as JSON. */
import { type MeasureName, measures } from './measures.ts'

type Samples = Partial<Record<MeasureName, number>>

const NAMES = Object.keys(measures) as MeasureName[]

export class Results {
  readonly failures: string[] = []
  readonly #names: readonly string[]
  readonly #samples = new Map<string, number[]>()

  constructor(names: readonly string[]) {
    this.#names = names
  }

  add(name: string, mtu: number, samples: Samples): void {
    for (const [measure, value] of Object.entries(samples)) {
      const key = `${name} ${mtu} ${measure}`
      this.#samples.set(key, [...(this.#samples.get(key) ?? []), value])
    }
  }

  fail(name: string, mtu: number, text: string): void {
    this.failures.push(`${name}, MTU ${mtu}: ${text}`)
  }

  table(mtus: readonly number[]): string {
    const [first, ...others] = this.#names
    const rows = [
      ['MTU', 'measure', 'unit', ...this.#names, ...others.map((name) => `${first}:${name}`)],
    ]
    for (const mtu of mtus) {
      for (const measure of NAMES) {
        const { name, unit, digits } = measures[measure]
        const medians = this.#names.map((one) => this.median(one, mtu, measure))
        if (medians.every((value) => value === undefined)) continue
        rows.push([
          `${mtu}`,
          name,
          unit,
          ...medians.map((value) => value?.toFixed(digits) ?? '–'),
          ...medians.slice(1).map((value) => ratio(medians[0], value)),
        ])
      }
    }
    return align(rows)
  }

  report(mtus: readonly number[]): { results: object[]; failures: string[] } {
    const results = mtus.flatMap((mtu) =>
      NAMES.flatMap((measure) =>
        this.#names.map((name) => ({
          name,
          mtu,
          measure,
          unit: measures[measure].unit,
          median: this.median(name, mtu, measure) ?? null,
          samples: this.#of(name, mtu, measure),
        })),
      ),
    )
    return { results, failures: this.failures }
  }

  median(name: string, mtu: number, measure: MeasureName): number | undefined {
    const sorted = this.#of(name, mtu, measure).toSorted((a, b) => a - b)
    const middle = sorted.length >> 1
    if (sorted.length % 2 === 1) return sorted[middle]
    return sorted.length === 0 ? undefined : (sorted[middle - 1]! + sorted[middle]!) / 2
  }

  #of(name: string, mtu: number, measure: MeasureName): number[] {
    return this.#samples.get(`${name} ${mtu} ${measure}`) ?? []
  }
}

function ratio(ours: number | undefined, theirs: number | undefined): string {
  if (ours === undefined || theirs === undefined) return '–'
  return `${(ours / theirs).toFixed(2)}×`
}

/** Columns of text; from the fourth on, numbers, flush right. */
function align(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
