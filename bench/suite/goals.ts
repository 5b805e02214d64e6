/**
 * What the suite must show: goals for slipway beside its peers, and whether a run shows them. Pure.
 *
 * Each goal compares one of our medians with another contender's of the same run, with another of our own, or with a
 * figure.
 */
import type { Figure, Row } from './results.ts'
import { type Ratio, ratioOf } from './statistics.ts'

export interface Judgement {
  /** The heading that it stands under. */
  topic: string
  /** What is compared, in words. */
  what: string
  mtu: number | null
  /** With whom; '' with a figure. */
  against: string
  /** '×' is a ratio. */
  unit: string
  /** What was found, with the quartiles; null when the run has no figure for it. */
  measured: Ratio | null
  /** null: it is only reported. */
  goal: number | null
  aim: number | null
  /** Is `goal` the most that it may be, and not the least? */
  most: boolean
  met: boolean | null
  /** The rounds, or the machine, leave it open: the goal lies within the quartiles. */
  close: boolean
}

interface Goal {
  topic: string
  what: string
  workload: string | RegExp
  metric: string
  /** undefined: at each that was measured. */
  mtus?: readonly number[]
  /** With whose figure; without it with `goal` itself. */
  against?: string
  /** With the figure of this other workload of ours. */
  beside?: string
  most?: boolean
  /** null: it is only reported. */
  goal: number | null
  aim?: number
  /** Of the figure in the row's unit; 1 where it is the row's. */
  scale?: number
  unit?: string
  /** Only so far as this holds of the row; `whose` it is, for one that was not measured. */
  when?: (row: Row) => boolean
  whose?: string
}

const OURS = 'slipway'
const EDGES = [1500, 65_520]
const BETWEEN = [4000, 16_384]
const UP = 'guest → host'
const DOWN = 'host → guest'
const WAYS = { up: UP, down: DOWN } as const

const bothWays = (make: (way: 'up' | 'down', arrow: string) => Goal[]): Goal[] =>
  Object.entries(WAYS).flatMap(([way, arrow]) => make(way as 'up' | 'down', arrow))

const throughput: Goal[] = bothWays((way, what) => {
  const one = { topic: 'TCP', what, workload: `tcp-${way}-1`, metric: 'rate' }
  return [
    { ...one, mtus: [1500], against: 'slirp4netns', goal: way === 'up' ? 15 : 11 },
    {
      ...one,
      mtus: [65_520],
      against: 'slirp4netns',
      goal: way === 'up' ? 3 : 3.3,
      ...(way === 'down' && { aim: 4 }),
    },
    { ...one, mtus: EDGES, against: 'veth', goal: 0.5, aim: 0.6 },
    { ...one, mtus: BETWEEN, against: 'veth', goal: null },
    { ...one, against: 'pasta', goal: 1, aim: 1.3 },
    {
      ...one,
      what: `${what}, 8 streams`,
      workload: `tcp-${way}-8`,
      against: 'pasta',
      goal: 1,
      aim: 1.3,
    },
  ]
})

const forwards: Goal[] = bothWays((way, what) => {
  const one = { topic: 'Published port', what, workload: `forward-${way}`, metric: 'rate' }
  const spliced = { ...one, what: `${what}, spliced`, workload: `spliced-${way}` }
  return [
    { ...one, mtus: [1500], against: 'slirp4netns', goal: 10 },
    { ...one, mtus: [65_520], against: 'slirp4netns', goal: 3 },
    { ...spliced, against: 'pasta', goal: 0.9 },
    { ...spliced, against: 'rootlesskit', goal: 0.9 },
  ]
})

const processor: Goal[] = bothWays((way, what) => {
  const one = {
    topic: "The daemon's processor time for each GB",
    what,
    workload: `tcp-${way}-1`,
    metric: 'cpuPerGigabyte',
    most: true,
  }
  return [
    { ...one, mtus: [1500], against: 'slirp4netns', goal: way === 'up' ? 1 / 12 : 1 / 6 },
    { ...one, mtus: [65_520], against: 'slirp4netns', goal: 1 / 2 },
    { ...one, against: 'pasta', goal: 1.2 },
  ]
})

const datagrams: Goal[] = [
  {
    topic: 'UDP, 1,400 octets',
    what: 'delivered of all that iperf3 can send',
    workload: 'udp-up-1400',
    metric: 'rate',
    against: 'slirp4netns',
    goal: 2,
  },
  {
    topic: 'UDP, 1,400 octets',
    what: 'the highest rate with less than 1 % lost',
    workload: 'udp-lossless',
    metric: 'rate',
    against: 'slirp4netns',
    goal: 2,
  },
]

const times: Goal[] = [
  ...['p50', 'p99'].map((metric) => ({
    topic: 'Latency',
    what: `TCP_RR ${metric}`,
    workload: 'tcp-rr',
    metric,
    against: 'slirp4netns',
    most: true,
    goal: 1,
  })),
  ...bothWays((way, arrow) => {
    const one = {
      topic: 'Latency beside a transfer, at our own rate',
      what: `TCP_RR p99 beside ${arrow}`,
      workload: `loaded-${way}`,
      metric: 'p99',
      most: true,
    }
    return [
      { ...one, goal: 3, scale: 1e-3, unit: 'ms' },
      { ...one, against: 'slirp4netns', goal: 0.5 },
    ]
  }),
]

const rest: Goal[] = [
  {
    topic: 'Connections',
    what: 'TCP_CRR',
    workload: 'tcp-crr',
    metric: 'rate',
    against: 'slirp4netns',
    goal: 1,
  },
  ...(
    [
      ['Memory', 'resident when idle', 'resident', 'rss', 70, 'MB'],
      ['Memory', 'for each idle connection beyond 1,000', 'idle', 'each', 4, 'KiB'],
      ['Idle', 'processor with 1,000 idle connections', 'idle', 'cpu', 0.1, '%'],
    ] as const
  ).map(([topic, what, workload, metric, goal, unit]) => ({
    ...{ topic, what, workload, metric, goal, unit, most: true },
  })),
  ...(
    [
      ['start to ready', /^start:/],
      ['start to ready as Podman starts it', /^start-podman:/],
    ] as const
  ).flatMap(([what, workload]) => {
    const one = { topic: 'Start', what, workload, metric: 'time', beside: 'node:', most: true }
    const isGoal = (row: Row): boolean => /:24\./.test(row.workload)
    return [
      { ...one, goal: 2, when: isGoal, whose: ', Node 24' },
      { ...one, goal: null, when: (row: Row) => !isGoal(row) },
    ]
  }),
]

export const GOALS: readonly Goal[] = [
  ...throughput,
  ...forwards,
  ...processor,
  ...datagrams,
  ...times,
  ...rest,
]

/** Every goal at every MTU that a run has rows for. What it has no figure for is there too, as not measured. */
export function judge(
  rows: readonly Row[],
  names: readonly string[],
  goals: readonly Goal[] = GOALS,
): Judgement[] {
  return goals.flatMap((goal) => {
    const found = rows.filter((row) => row.metric === goal.metric && isOf(goal, row))
    if (found.length > 0) return found.map((row) => judgeRow(goal, row, rows, names))
    const mtu = goal.mtus?.length === 1 ? goal.mtus[0]! : null
    return goal.goal === null ? [] : [judgementOf(goal, goal.what + (goal.whose ?? ''), mtu, null)]
  })
}

function isOf({ workload, mtus, when }: Goal, row: Row): boolean {
  const isIt =
    typeof workload === 'string' ? row.workload === workload : workload.test(row.workload)
  return isIt && (mtus?.includes(row.mtu ?? 0) ?? true) && (when?.(row) ?? true)
}

function judgeRow(goal: Goal, row: Row, rows: readonly Row[], names: readonly string[]): Judgement {
  const figure = (name: string, of: Row | undefined): Figure | null =>
    of?.figures[names.indexOf(name)] ?? null
  const ours = figure(OURS, row)
  const version = row.workload.split(':')[1]
  if (goal.beside !== undefined) {
    const other = rows.find((one) => one.workload === `${goal.beside}${version}`)
    const measured = ratioOf(ours?.samples, figure(OURS, other)?.samples) ?? null
    return judgementOf(goal, `${goal.what}, Node ${version}`, row.mtu, measured)
  }
  if (goal.against !== undefined) {
    const measured = ratioOf(ours?.samples, figure(goal.against, row)?.samples) ?? null
    return judgementOf(goal, goal.what, row.mtu, measured)
  }
  const { scale = 1 } = goal
  const measured = ours && {
    value: ours.median * scale,
    low: ours.low * scale,
    high: ours.high * scale,
  }
  return judgementOf(goal, goal.what, row.mtu, measured)
}

function judgementOf(
  goal: Goal,
  what: string,
  mtu: number | null,
  measured: Ratio | null,
): Judgement {
  const { topic, against, beside, most = false, aim = null } = goal
  const isMet = (value: number): boolean => (most ? value <= goal.goal! : value >= goal.goal!)
  const isJudged = goal.goal !== null && measured !== null
  return {
    ...{ topic, what, mtu, measured, aim, most, goal: goal.goal },
    against: against ?? (beside === undefined ? '' : 'node -e 0'),
    unit: goal.unit ?? '×',
    met: isJudged ? isMet(measured.value) : null,
    close: isJudged && isMet(measured.low) !== isMet(measured.high),
  }
}
