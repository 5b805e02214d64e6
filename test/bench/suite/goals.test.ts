import { expect, test } from 'vitest'
import { GOALS, judge } from '../../../bench/suite/goals.ts'
import type { Figure, Row } from '../../../bench/suite/results.ts'
import { summaryOf } from '../../../bench/suite/statistics.ts'
import { madeUp, NAMES } from '../made-up.ts'

const figure = (...values: number[]): Figure => ({
  ...summaryOf(values),
  tuning: '',
  samples: values.map((value, i) => ({ round: i + 1, value })),
})

/** Figures in the order of NAMES: slipway, slirp4netns, pasta, rootlesskit, veth. */
const row = (
  workload: string,
  metric: string,
  mtu: number | null,
  ...figures: (Figure | null)[]
): Row => ({
  ...{ workload, metric, group: '', name: '', what: '', mtu, unit: '', digits: 2, less: false },
  figures,
})

const only = (rows: Row[], topic: string) =>
  judge(rows, NAMES).filter((one) => one.topic === topic && one.measured !== null)

test('up at MTU 1500 is to be fifteen times that of slirp4netns, and at 65520 three times', () => {
  const rows = [
    row('tcp-up-1', 'rate', 1500, figure(15, 16, 17), figure(1, 1, 1)),
    row('tcp-up-1', 'rate', 65_520, figure(29), figure(10)),
  ]
  expect(only(rows, 'TCP').map(({ mtu, goal, met }) => ({ mtu, goal, met }))).toEqual([
    { mtu: 1500, goal: 15, met: true },
    { mtu: 65_520, goal: 3, met: false },
  ])
})

test('a goal within the quartiles of the rounds is close, met or not', () => {
  const rows = [row('tcp-up-1', 'rate', 1500, figure(13, 15.5, 17), figure(1, 1, 1))]
  expect(only(rows, 'TCP')[0]).toMatchObject({
    ...{ met: true, close: true, against: 'slirp4netns' },
    measured: { value: 15.5, low: 14.25, high: 16.25 },
  })
})

test('against the veth pair: a goal at the ends, a report between', () => {
  const rows = [1500, 4000, 16_384, 65_520].map((mtu) =>
    row('tcp-down-1', 'rate', mtu, figure(5), null, null, null, figure(10)),
  )
  expect(only(rows, 'TCP').map(({ mtu, goal, met }) => [mtu, goal, met])).toEqual([
    [1500, 0.5, true],
    [65_520, 0.5, true],
    [4000, null, null],
    [16_384, null, null],
  ])
})

test('processor time for each GB is to be at most so much of theirs', () => {
  const of = (ours: number) =>
    only(
      [row('tcp-up-1', 'cpuPerGigabyte', 1500, figure(ours), figure(12))],
      "The daemon's processor time for each GB",
    )[0]
  expect(of(0.99)).toMatchObject({ most: true, met: true })
  expect(of(1.01)).toMatchObject({ most: true, met: false })
})

test('beside a transfer: at most 3 ms, and half of slirp4netns', () => {
  const rows = [row('loaded-up', 'p99', 4000, figure(2500), figure(4000))]
  expect(only(rows, 'Latency beside a transfer, at our own rate')).toMatchObject([
    { what: 'TCP_RR p99 beside guest → host', unit: 'ms', measured: { value: 2.5 }, met: true },
    { against: 'slirp4netns', measured: { value: 0.625 }, met: false },
  ])
})

test('a start is held against that of the same Node; only Node 24 has a goal', () => {
  const rows = ['20.20.2', '24.1.0'].flatMap((version) => [
    row(`node:${version}`, 'time', null, figure(50)),
    row(`start:${version}`, 'time', null, figure(110)),
  ])
  expect(only(rows, 'Start').map(({ what, goal, met }) => ({ what, goal, met }))).toEqual([
    { what: 'start to ready, Node 24.1.0', goal: 2, met: false },
    { what: 'start to ready, Node 20.20.2', goal: null, met: null },
  ])
})

test('figures of our own: memory, and the processor with idle connections', () => {
  const rows = [
    row('resident', 'rss', null, figure(69)),
    row('idle', 'each', null, figure(4.5)),
    row('idle', 'cpu', null, figure(0.05)),
  ]
  const judged = [...only(rows, 'Memory'), ...only(rows, 'Idle')]
  expect(judged.map(({ met, goal, unit }) => ({ met, goal, unit }))).toEqual([
    { met: true, goal: 70, unit: 'MB' },
    { met: false, goal: 4, unit: 'KiB' },
    { met: true, goal: 0.1, unit: '%' },
  ])
})

test('what a run has no figure for is not measured, which is neither met nor not', () => {
  const judged = judge([], NAMES)
  const withGoal = GOALS.filter(({ goal }) => goal !== null)
  expect(judged).toHaveLength(withGoal.length)
  expect(judged.every(({ measured, met }) => measured === null && met === null)).toBe(true)
  const noPeer = judge([row('tcp-up-1', 'rate', 1500, figure(15), null)], NAMES)
  expect(noPeer.find(({ mtu }) => mtu === 1500)).toMatchObject({ measured: null, met: null })
})

test('each goal finds its rows in a whole run', () => {
  const { rows } = madeUp()
  const lost = GOALS.filter(({ workload, metric, whose }) => {
    const isIt = (id: string): boolean =>
      typeof workload === 'string' ? id === workload : workload.test(id)
    return whose === undefined && !rows.some((one) => one.metric === metric && isIt(one.workload))
  })
  expect(lost).toEqual([])
})
