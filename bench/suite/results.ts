/** What was found, sample by sample, and the rows that it makes: medians of each contender, by workload and MTU. Pure. */
import { type Sample, type Summary, summaryOf } from './statistics.ts'
import { type Metric, USAGE_METRICS, type Workload } from './workload.ts'

/** A metric of a workload at one MTU. It is kept as JSON as it is. */
export interface Row {
  /** Their ids, by which goals and charts find the row. */
  workload: string
  metric: string
  group: string
  /** The workload's name. */
  name: string
  /** The metric's; '' where it is what the workload is called. */
  what: string
  /** null where it says nothing. */
  mtu: number | null
  unit: string
  digits: number
  less: boolean
  /** By contender, in their order; null where there is none. */
  figures: (Figure | null)[]
}

export interface Figure extends Summary {
  /** How it was tuned, when it was. */
  tuning: string
  samples: Sample[]
}

/** What one run of a workload found. */
export interface Finding {
  contender: string
  workload: Workload
  mtu: number | null
  tuning: string
  round: number
  disturbed: string | undefined
  values: Readonly<Record<string, number | undefined>>
}

/** More than this is marked: the rounds did not agree. */
export const WIDE = 0.15

export class Results {
  readonly names: readonly string[]
  readonly failures: string[] = []
  readonly #workloads: readonly Workload[]
  readonly #findings: Finding[] = []

  /** `workloads`: in the order of the rows. */
  constructor(names: readonly string[], workloads: readonly Workload[]) {
    this.names = [...new Set(names)]
    this.#workloads = workloads
  }

  add(finding: Finding): void {
    this.#findings.push(finding)
  }

  fail(contender: string, mtu: number, text: string): void {
    this.failures.push(`${contender}, MTU ${mtu}: ${text}`)
  }

  get count(): number {
    return this.#findings.length
  }

  rows(): Row[] {
    return this.#workloads.flatMap((workload) => {
      const findings = this.#findings.filter((finding) => finding.workload === workload)
      const metrics = { ...workload.metrics, ...USAGE_METRICS }
      const mtus = [...new Set(findings.map(({ mtu }) => mtu))].toSorted(
        (a, b) => (a ?? 0) - (b ?? 0),
      )
      return Object.entries(metrics).flatMap(([key, metric]) =>
        mtus.flatMap((mtu) => this.#row(workload, key, metric, mtu, findings)),
      )
    })
  }

  #row(
    workload: Workload,
    key: string,
    metric: Metric,
    mtu: number | null,
    findings: readonly Finding[],
  ): Row[] {
    const figures = this.names.map((name) => {
      const own = findings.filter((one) => one.contender === name && one.mtu === mtu)
      const tuning = bestTuning(workload, own)
      return figureOf(
        key,
        tuning,
        own.filter((one) => one.tuning === tuning),
      )
    })
    if (figures.every((figure) => figure === null)) return []
    const { id, group, name } = workload
    const { name: what, unit, digits, less = false } = metric
    return [{ workload: id, metric: key, group, name, what, mtu, unit, digits, less, figures }]
  }
}

/** The one whose median of the workload's first metric is the best. */
function bestTuning(workload: Workload, findings: readonly Finding[]): string {
  const tunings = [...new Set(findings.map(({ tuning }) => tuning))]
  const [first] = Object.entries(workload.metrics)
  if (tunings.length < 2 || first === undefined) return tunings[0] ?? ''
  const [key, { less = false }] = first
  const medians = tunings.map((tuning) => {
    const own = findings.filter((finding) => finding.tuning === tuning)
    const found = figureOf(key, tuning, own)?.median ?? Number.NaN
    return Number.isNaN(found) ? -Infinity : less ? -found : found
  })
  return tunings[medians.indexOf(Math.max(...medians))]!
}

function figureOf(key: string, tuning: string, findings: readonly Finding[]): Figure | null {
  const samples = findings.flatMap(({ values, round, disturbed }): Sample[] => {
    const value = values[key]
    if (value === undefined || !Number.isFinite(value)) return []
    return [{ round, value, ...(disturbed !== undefined && { disturbed }) }]
  })
  if (samples.length === 0) return null
  return { ...summaryOf(samples.map(({ value }) => value)), tuning, samples }
}

export const isWide = ({ spread }: Summary): boolean => spread > WIDE

/** Were a third of its samples taken while the machine did something else? Then the median may be. */
export function isDisturbed({ samples }: Figure): boolean {
  const disturbed = samples.filter((sample) => sample.disturbed !== undefined).length
  return disturbed * 3 >= samples.length
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
