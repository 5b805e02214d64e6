/**
 * Which charts the page has: sections of figures, each a row of panels (small multiples, mostly one for each MTU) that
 * share a scale, so that they can be compared. Pure; page.js draws them.
 */
import { type Figure, isDisturbed, isWide, type Row } from '../suite/results.ts'
import { type Report, significant } from './report.ts'

export interface Section {
  title: string
  /** What is seen, in a sentence or two. */
  text: string
  figures: FigureSet[]
  /** The rows whose figures stand in the table below. */
  rows: Row[]
}

export interface FigureSet {
  title: string
  unit: string
  less: boolean
  /** Bars of one value each from 0 on, or marks (up to three, joined) on a scale of powers. */
  kind: 'bars' | 'marks'
  /** What the marks of a line are, in turn. */
  marks: readonly string[]
  min: number
  max: number
  panels: Panel[]
}

export interface Panel {
  title: string
  lines: Line[]
}

/** A heading, or a contender. */
export interface Line {
  label: string
  /** Absent: it is a heading. */
  name?: string
  /** A value for each mark. */
  values?: number[]
  /** Of the first value: the quartiles, and each round's. */
  low?: number
  high?: number
  samples?: number[]
  /** What is written beside it. */
  text?: string
  doubtful?: boolean
}

interface Wanted {
  title: string
  kind: FigureSet['kind']
  /** Panel by panel: what it is called, which rows it has, by workload and metrics. */
  categories: readonly Category[]
  marks?: readonly string[]
}

interface Category {
  label: string
  workload: string
  /** The metric of each mark. */
  metrics: readonly string[]
  /** One whose figure is written behind the contender's name. */
  beside?: string
  /** In a panel of this title; without it in one for each MTU. */
  panel?: string
}

const UP = 'guest → host'
const DOWN = 'host → guest'
const QUANTILES = ['p50', 'p99', 'p99.9'] as const

const tcp = (streams: number, metric: string): Category[] => [
  { label: UP, workload: `tcp-up-${streams}`, metrics: [metric] },
  { label: DOWN, workload: `tcp-down-${streams}`, metrics: [metric] },
  { label: 'both at once', workload: `tcp-both-${streams}`, metrics: [metric] },
]

const udp = (metric: string): Category[] =>
  [64, 512, 1400, 8192].flatMap((size) => {
    const panel = `${size.toLocaleString('en')} octets`
    return [
      { label: UP, workload: `udp-up-${size}`, metrics: [metric], panel },
      { label: DOWN, workload: `udp-down-${size}`, metrics: [metric], panel },
    ]
  })

const loaded = (what: string, metrics: string[]): Category[] => [
  { label: `${what} beside ${UP}`, workload: 'loaded-up', metrics, beside: 'bulk' },
  { label: `${what} beside ${DOWN}`, workload: 'loaded-down', metrics, beside: 'bulk' },
]

/** By heading, the groups of the suite whose rows belong to it, and the charts. */
const PLAN: readonly { title: string; text: string; groups: string[]; wanted: Wanted[] }[] = [
  {
    title: 'TCP',
    groups: ['TCP'],
    text: 'iperf3 between the container and the host, through the gateway’s address. veth is a pair of devices with no daemon between: what the kernel can do.',
    wanted: [
      { title: 'One stream', kind: 'bars', categories: tcp(1, 'rate') },
      { title: 'Eight streams', kind: 'bars', categories: tcp(8, 'rate') },
      {
        title: 'Processor time of the daemon for each GB, one stream',
        kind: 'marks',
        categories: tcp(1, 'cpuPerGigabyte'),
      },
      { title: 'Most memory of the daemon, one stream', kind: 'marks', categories: tcp(1, 'peak') },
    ],
  },
  {
    title: 'Published ports',
    groups: ['Published port through the TAP', 'Published port spliced past the TAP'],
    text: 'iperf3 from the host to a port of the container. Through the TAP the container sees the client’s address; spliced past it, it sees its own loopback, and the kernel moves the octets.',
    wanted: [
      {
        title: 'Through the TAP',
        kind: 'bars',
        categories: [
          { label: DOWN, workload: 'forward-down', metrics: ['rate'] },
          { label: UP, workload: 'forward-up', metrics: ['rate'] },
        ],
      },
      {
        title: 'Spliced past the TAP',
        kind: 'bars',
        categories: [
          { label: DOWN, workload: 'spliced-down', metrics: ['rate'], panel: 'at any MTU' },
          { label: UP, workload: 'spliced-up', metrics: ['rate'], panel: 'at any MTU' },
        ],
      },
    ],
  },
  {
    title: 'Latency',
    groups: ['Latency'],
    text: 'One octet there and back, nothing else on the way. Each line reaches from the median over the 99th to the 99.9th percentile.',
    wanted: [
      {
        title: 'TCP',
        kind: 'marks',
        marks: QUANTILES,
        categories: [{ label: '', workload: 'tcp-rr', metrics: ['p50', 'p99', 'p999'] }],
      },
      {
        title: 'UDP',
        kind: 'marks',
        marks: QUANTILES,
        categories: [{ label: '', workload: 'udp-rr', metrics: ['p50', 'p99', 'p999'] }],
      },
    ],
  },
  {
    title: 'Latency beside a transfer',
    groups: ['Latency beside a transfer'],
    text: 'The same while iperf3 carries as much as this daemon can: its rate stands behind the name. A queue that nobody bounds shows here.',
    wanted: [
      {
        title: 'TCP',
        kind: 'marks',
        marks: QUANTILES,
        categories: loaded('TCP', ['p50', 'p99', 'p999']),
      },
      {
        title: 'UDP',
        kind: 'marks',
        marks: QUANTILES,
        categories: loaded('UDP', ['udp50', 'udp99', 'udp999']),
      },
    ],
  },
  {
    title: 'UDP',
    groups: ['UDP as fast as it goes', 'UDP with less than 1 % lost'],
    text: 'iperf3 with no limit to its rate: what arrives, and what part is lost. Then the highest rate of which 99 % arrive.',
    wanted: [
      { title: 'Datagrams that arrive', kind: 'bars', categories: udp('packets') },
      { title: 'Datagrams that are lost', kind: 'bars', categories: udp('loss') },
      {
        title: 'The highest rate with less than 1 % lost',
        kind: 'bars',
        categories: [
          { label: UP, workload: 'udp-lossless', metrics: ['rate'], panel: '1,400 octets' },
        ],
      },
    ],
  },
  {
    title: 'Connections',
    groups: ['Connections'],
    text: 'A connection for each request, one after the other; and many that say nothing.',
    wanted: [
      {
        title: 'Connect, request, response, close',
        kind: 'bars',
        categories: [{ label: '', workload: 'tcp-crr', metrics: ['rate'] }],
      },
      {
        title: 'Memory of the daemon with idle connections',
        kind: 'marks',
        categories: [
          { label: '', workload: 'resident', metrics: ['rss'], panel: 'none yet' },
          { label: '', workload: 'idle', metrics: ['few'], panel: '1,000' },
          { label: '', workload: 'idle', metrics: ['many'], panel: '10,000' },
        ],
      },
      {
        title: 'Processor of the daemon with 1,000 idle connections',
        kind: 'bars',
        categories: [{ label: '', workload: 'idle', metrics: ['cpu'], panel: 'of one processor' }],
      },
    ],
  },
  {
    title: 'Start',
    groups: ['Life'],
    text: 'From the start of the process until it says that it is ready, and what Node needs to start and to end with nothing to do.',
    wanted: [],
  },
]

export function sectionsOf(report: Report): Section[] {
  return PLAN.map(({ title, text, groups, wanted }) => {
    const rows = report.rows.filter(({ group }) => groups.includes(group))
    const all = title === 'Start' ? [startsOf(rows)] : wanted
    const figures = all.map((one) => figureSet(one, report))
    return { title, text, rows, figures: figures.filter(({ panels }) => panels.length > 0) }
  }).filter(({ rows }) => rows.length > 0)
}

/** A panel for each Node that was tried. */
function startsOf(rows: readonly Row[]): Wanted {
  const names = { node: 'node -e 0', start: 'to ready', 'start-podman': 'as Podman starts it' }
  const workloads = [...new Set(rows.map(({ workload }) => workload))]
  const categories = workloads.flatMap((workload) => {
    const [kind = '', version] = workload.split(':')
    const label = names[kind as keyof typeof names]
    if (version === undefined || label === undefined) return []
    return [{ label, workload, metrics: ['time'], panel: `Node ${version}` }]
  })
  return { title: 'Start to ready', kind: 'bars', categories }
}

function figureSet({ title, kind, categories, marks = [] }: Wanted, report: Report): FigureSet {
  const panels = new Map<string, Panel>()
  let row: Row | undefined
  for (const category of categories) {
    const { workload, metrics } = category
    const found = report.rows.filter(
      (one) => one.workload === workload && one.metric === metrics[0],
    )
    for (const first of found) {
      row ??= first
      const name = category.panel ?? (first.mtu === null ? '' : `MTU ${first.mtu}`)
      const panel = panels.get(name) ?? { title: name, lines: [] }
      panels.set(name, panel)
      if (category.label !== '') panel.lines.push({ label: category.label })
      panel.lines.push(...linesOf(category, first, report))
    }
  }
  const all = [...panels.values()].flatMap(({ lines }) => lines)
  const values = all.flatMap(({ values = [], samples = [] }) => [...values, ...samples])
  const { unit = '', less = false } = row ?? {}
  const positive = values.filter((value) => value > 0)
  return {
    ...{ title, unit, less, kind, marks, panels: [...panels.values()] },
    min: kind === 'bars' ? 0 : Math.min(...positive) / 1.5,
    // Room for what is written beside the longest.
    max: Math.max(...values) * (kind === 'bars' ? 1.35 : marks.length > 1 ? 1.3 : 4) || 1,
  }
}

/** A line for each contender that has a figure. */
function linesOf({ metrics, beside }: Category, first: Row, { rows, names }: Report): Line[] {
  const other = (metric: string): Row | undefined =>
    rows.find(
      (row) => row.workload === first.workload && row.mtu === first.mtu && row.metric === metric,
    )
  return names.flatMap((name, i) => {
    const figure = first.figures[i]
    if (!figure) return []
    const values = metrics.flatMap((metric) => other(metric)?.figures[i]?.median ?? [])
    const rate = beside === undefined ? undefined : other(beside)?.figures[i]?.median
    return [
      {
        label: rate === undefined ? name : `${name} · ${significant(rate)} G`,
        name,
        values,
        low: figure.low,
        high: figure.high,
        samples: figure.samples.map(({ value }) => value),
        text: values.map(values.length > 1 ? brief : significant).join(' · ') + marksOf(figure),
        doubtful: isWide(figure) || isDisturbed(figure),
      },
    ]
  })
}

/** `92`, `1.3 k`: there is little room for three. */
function brief(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(0)} k`
  return value >= 1000 ? `${(value / 1000).toFixed(1)} k` : value.toFixed(value < 10 ? 1 : 0)
}

/** `*`: tuned; `~`: the rounds did not agree; `!`: disturbed. */
export function marksOf(figure: Figure): string {
  const { tuning } = figure
  const marks = `${tuning && '*'}${isWide(figure) ? '~' : ''}${isDisturbed(figure) ? '!' : ''}`
  return marks && ` ${marks}`
}

/** What a panel shows, for those who do not see it. */
export function described(set: FigureSet, panel: Panel): string {
  const parts = panel.lines.map(({ label, text }) =>
    text === undefined ? `${label}:` : `${label} ${text}`,
  )
  return `${set.title}, ${panel.title}, ${set.unit}: ${parts.join(', ')}`
}
