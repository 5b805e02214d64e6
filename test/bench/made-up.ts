/** A run of the suite with figures that are made up: what the tests of its outputs are about. */
import type { Report } from '../../bench/report/report.ts'
import { judge } from '../../bench/suite/goals.ts'
import { Results } from '../../bench/suite/results.ts'
import { isDue } from '../../bench/suite/run.ts'
import { suiteOf } from '../../bench/suite/suite.ts'
import type { Workload } from '../../bench/suite/workload.ts'

export const NAMES = ['slipway', 'slirp4netns', 'pasta', 'rootlesskit', 'veth']
export const MTUS = [1500, 4000, 16_384, 65_520]
const ROUNDS = 5

/** How each one's figures stand to the others', more or less. */
const SPEED: Record<string, number> = {
  slipway: 1,
  slirp4netns: 0.1,
  pasta: 0.6,
  rootlesskit: 1,
  veth: 1.7,
}

const BASE: Record<string, number> = {
  'Gbit/s': 14,
  '%': 0.08,
  's/GB': 0.6,
  µs: 90,
  MB: 55,
  KiB: 3.2,
  '/s': 3200,
  '1000/s': 90,
  ms: 160,
}

export function madeUp(): Report {
  const workloads = suiteOf([])
  const results = new Results(NAMES, workloads)
  let seed = 1
  const random = (): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return seed / 0x7fffffff
  }
  for (const workload of workloads) {
    for (const [m, mtu] of MTUS.entries()) {
      for (let round = 1; round <= ROUNDS; round++) {
        if (!isDue(workload, round, m === 0)) continue
        for (const contender of NAMES) {
          if (!takesPart(contender, workload)) continue
          const value = (unit: string, i: number, less = false): number => {
            const speed = SPEED[contender]! * (1 + m * (contender === 'veth' ? 0.1 : 0.4))
            return BASE[unit]! * (less ? 1 / speed : speed) * (1 + i) * (0.95 + 0.1 * random())
          }
          const values = Object.fromEntries(
            Object.entries(workload.metrics).map(([key, { unit, less }], i) => [
              key,
              value(unit, i * (less ? 2 : 0), less),
            ]),
          )
          const usage =
            contender === 'veth' ? {} : { cpuPerGigabyte: value('s/GB', 0, true), peak: 60 }
          const disturbed =
            round === 3 && m === 1 ? "24 % of the processors' time for others" : undefined
          for (const tuning of contender === 'pasta' && workload.tuned ? ['', '-w 256K'] : ['']) {
            const better = tuning === '' ? 1 : 1.5
            results.add({
              ...{ contender, workload, round, tuning, disturbed, mtu: workload.once ? null : mtu },
              values: { ...values, ...usage, ...(values.rate && { rate: values.rate * better }) },
            })
          }
        }
      }
    }
  }
  results.fail('slirp4netns', 1500, 'UDP as fast as it goes: the daemon has ended <here>')
  const rows = results.rows()
  return {
    format: 1,
    date: '2026-01-02T03:04:05.000Z',
    command: 'npm run bench -- --json run.json',
    commit: 'abc1234',
    machine: { CPU: 'Made up × 2', Linux: '6.18', Node: '24.0.0' },
    versions: Object.fromEntries(NAMES.map((name) => [name, '1.0'])),
    rounds: ROUNDS,
    seconds: 3,
    names: results.names,
    rows,
    goals: judge(rows, results.names),
    failures: results.failures,
  }
}

function takesPart(name: string, { needs, id }: Workload): boolean {
  if (id.startsWith('node:')) return name === 'slipway'
  if (name === 'rootlesskit') return needs === 'spliced'
  if (name === 'veth') return needs === 'gateway' || needs === 'forward'
  if (name === 'slirp4netns') return needs !== 'spliced'
  return true
}
