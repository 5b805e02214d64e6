/**
 * The run. In each round and at each MTU every contender gets a container and a daemon anew; then each workload goes
 * through all of them, one right after the other, before the next workload begins. Who is first changes with the
 * round. So a change of the machine's mood meets all of them, and none inherits another round's state.
 */
import { existsSync } from 'node:fs'
import { cpus } from 'node:os'
import { World } from '../../src/lab/world.ts'
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

interface Entry {
  contender: Contender
  running: Running
  hasEnded: boolean
}

export async function runSuite(
  plan: Plan,
  contenders: readonly Contender[],
  workloads: readonly Workload[],
  progress: Progress,
): Promise<Results> {
  const { effort, rounds, mtus } = plan
  const names = contenders.map(({ name }) => name)
  const results = new Results(names, workloads)
  const world = await World.open()
  const watch = new Watch(cpus().length)
  const turns = rounds * mtus.length
  let turn = 0
  try {
    await startServers(world, results.names)
    for (let round = 1; round <= rounds; round++) {
      for (const mtu of mtus) {
        const now = workloads.filter((one) => isDue(one, round, mtu === mtus[0]))
        const at = `round ${round} of ${rounds}, MTU ${mtu}`
        const entries = await startAll(world, contenders, now, mtu, plan, results)
        try {
          for (const [i, workload] of now.entries()) {
            const first = (round + i) % Math.max(1, entries.length)
            for (const entry of [...entries.slice(first), ...entries.slice(0, first)]) {
              if (!takes(entry.contender, workload, plan)) continue
              const { name } = entry.contender
              const part = (turn + i / now.length) / turns
              progress(`${at}: ${workload.group}, ${workload.name}: ${name}`, part)
              const place = { world, contender: entry.contender, running: entry.running, effort }
              await measure(entry, workload, place, round, mtu, watch, results)
            }
          }
        } finally {
          for (const { running } of entries) await running.stop()
        }
        turn++
      }
    }
  } finally {
    await world.close()
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

/** A smoke round tries all workloads, and all contenders, but not all of one with all of the other. */
function takes({ name, offers }: Contender, { needs, quick }: Workload, { smoke }: Plan): boolean {
  return offers.includes(needs) && (!smoke || quick === true || name === 'slipway')
}

async function startAll(
  world: World,
  contenders: readonly Contender[],
  workloads: readonly Workload[],
  mtu: number,
  plan: Plan,
  results: Results,
): Promise<Entry[]> {
  const entries: Entry[] = []
  for (const [i, contender] of contenders.entries()) {
    if (!workloads.some((workload) => takes(contender, workload, plan))) continue
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
  entry: Entry,
  workload: Workload,
  place: Omit<Place, 'tuning'>,
  round: number,
  mtu: number,
  watch: Watch,
  results: Results,
): Promise<void> {
  if (entry.hasEnded) return
  const { contender, running } = entry
  const { name } = contender
  const title = `${workload.group}, ${workload.name}`
  const tunings = (workload.bulk && contender.tunings) || { '': [] }
  for (const [tuning, args] of Object.entries(tunings)) {
    if (running.pids.some((pid) => !existsSync(`/proc/${pid}`))) {
      entry.hasEnded = true
      return results.fail(name, mtu, `the daemon has ended, before ${title}`)
    }
    const end = watch.begin()
    try {
      const values = await take(workload, { ...place, tuning: args })
      const at = workload.once ? null : mtu
      const disturbed = end()
      results.add({ contender: name, workload, mtu: at, tuning, round, disturbed, values })
    } catch (error) {
      results.fail(name, mtu, `${title}: ${(error as Error).message}`)
    }
  }
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
