/**
 * The run. In each round and at each MTU every contender gets a container and a daemon anew; then each workload goes
 * through all of them, one right after the other, before the next workload begins. Who is first changes with the
 * round. So a change of the machine's mood meets all of them, and none inherits another round's state.
 */
import { existsSync } from 'node:fs'
import { cpus } from 'node:os'
import type { World } from '../../src/lab/world.ts'
import type { Contender, Running } from './contenders/contender.ts'
import { Watch } from './disturbance.ts'
import { GUEST_PORT, serveIperf } from './iperf.ts'
import { cpuSeconds, forgetPeak, peakKib } from './meter.ts'
import type { Plan } from './options.ts'
import { Results } from './results.ts'
import { startServers } from './servers.ts'
import type { Found, Place, Workload } from './workload.ts'

/** The first port of the host that is published. */
const FIRST_HOST_PORT = 5301

/** Is told what is being done, and how much of all of it was. */
export type Progress = (what: string, part: number) => void

/** A contender that runs. */
interface Entry {
  contender: Contender
  running: Running
  hasEnded: boolean
}

/** What all of a run has in common. */
interface Run {
  world: World
  plan: Plan
  watch: Watch
  results: Results
}

export async function runSuite(
  world: World,
  plan: Plan,
  contenders: readonly Contender[],
  workloads: readonly Workload[],
  progress: Progress,
): Promise<Results> {
  const { rounds, mtus } = plan
  const names = contenders.map(({ name }) => name)
  const results = new Results(names, workloads)
  const run: Run = { world, plan, watch: new Watch(cpus().length), results }
  const turns = rounds * mtus.length
  let turn = 0
  await startServers(world, results.names)
  for (let round = 1; round <= rounds; round++) {
    for (const mtu of mtus) {
      const due = workloads.filter((one) => isDue(one, round, mtu === mtus[0]))
      const at = `round ${round} of ${rounds}, MTU ${mtu}`
      const told: Progress = (what, part) => progress(`${at}: ${what}`, (turn + part) / turns)
      await takeTurns(run, contenders, due, round, mtu, told)
      turn++
    }
  }
  return results
}

/** Some say nothing more at another MTU, or in another round. */
export function isDue(
  { once, rounds = Infinity }: Workload,
  round: number,
  isFirst: boolean,
): boolean {
  return (isFirst || !once) && round <= rounds
}

/** All workloads of a round at one MTU, each with all contenders. */
async function takeTurns(
  run: Run,
  contenders: readonly Contender[],
  workloads: readonly Workload[],
  round: number,
  mtu: number,
  progress: Progress,
): Promise<void> {
  const entries = await startAll(run, contenders, workloads, mtu)
  try {
    for (const [i, workload] of workloads.entries()) {
      const first = (round + i) % Math.max(1, entries.length)
      for (const entry of [...entries.slice(first), ...entries.slice(0, first)]) {
        if (!takesPart(entry.contender, workload, run.plan)) continue
        const what = `${workload.group}, ${workload.name}: ${entry.contender.name}`
        progress(what, i / workloads.length)
        await measure(run, entry, workload, round, mtu)
      }
    }
  } finally {
    for (const { running } of entries) await running.stop()
  }
}

/** A smoke round tries all workloads, and all contenders, but not all of one with all of the other. */
function takesPart(
  { name, offers }: Contender,
  { needs, quick }: Workload,
  { smoke }: Plan,
): boolean {
  return offers.includes(needs) && (!smoke || quick === true || name === 'slipway')
}

async function startAll(
  { world, plan, results }: Run,
  contenders: readonly Contender[],
  workloads: readonly Workload[],
  mtu: number,
): Promise<Entry[]> {
  const entries: Entry[] = []
  for (const [i, contender] of contenders.entries()) {
    if (!workloads.some((workload) => takesPart(contender, workload, plan))) continue
    try {
      const running = await contender.start(world, { mtu, hostPort: FIRST_HOST_PORT + i })
      entries.push({ contender, running, hasEnded: false })
      if (running.guest) await serveIperf(running.guest, GUEST_PORT)
    } catch (error) {
      results.fail(contender.name, mtu, `cannot start it: ${(error as Error).message}`)
    }
  }
  return entries
}

/** Runs one workload with one contender, in each way that this wants to be tuned. */
async function measure(
  { world, plan, watch, results }: Run,
  entry: Entry,
  workload: Workload,
  round: number,
  mtu: number,
): Promise<void> {
  if (entry.hasEnded) return
  const { contender, running } = entry
  const { name } = contender
  const title = `${workload.group}, ${workload.name}`
  const at = workload.once ? null : mtu
  for (const [tuning, args] of Object.entries(tuningsOf(contender, workload, plan))) {
    if (running.pids.some((pid) => !existsSync(`/proc/${pid}`))) {
      entry.hasEnded = true
      return results.fail(name, mtu, `the daemon has ended, before ${title}`)
    }
    const place = { world, contender, running, effort: plan.effort, tuning: args }
    const end = watch.begin()
    try {
      const values = await take(workload, place)
      results.add({ contender: name, workload, mtu: at, tuning, round, disturbed: end(), values })
    } catch (error) {
      results.fail(name, mtu, `${title}: ${(error as Error).message}`)
    }
  }
}

const UNTUNED = { '': [] }

function tuningsOf(
  { tunings = UNTUNED }: Contender,
  { tuned }: Workload,
  { quick, smoke }: Plan,
): Readonly<Record<string, readonly string[]>> {
  const isTuned = tuned === 'always' || (tuned === 'at leisure' && !quick && !smoke)
  return isTuned ? tunings : UNTUNED
}

/** What a workload found, and what the daemon used for it. */
async function take(workload: Workload, place: Place): Promise<Found['values']> {
  const { pids } = place.running
  const hasDaemon = pids.length > 0 && workload.needs !== 'start'
  if (!hasDaemon) return (await workload.run(place)).values
  forgetPeak(pids)
  const before = cpuSeconds(pids)
  const { values, gigabytes, exchanges } = await workload.run(place)
  const used = cpuSeconds(pids) - before
  return {
    ...values,
    cpuPerGigabyte: gigabytes && used / gigabytes,
    cpuPerExchange: exchanges && (1e6 * used) / exchanges,
    peak: (peakKib(pids) * 1024) / 1e6,
  }
}
