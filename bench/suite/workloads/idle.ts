/** What a daemon costs when nothing happens: at first, and with connections that say nothing. */
import { hardLimit } from '../contenders/contender.ts'
import { holdIdle } from '../exchange.ts'
import { cpuSeconds, exactCpuSeconds, residentKib } from '../meter.ts'
import { type GuestPlace, type Metric, pause, type Workload } from '../workload.ts'

/** ms. */
const SETTLING = 500
/** Descriptors that are not connections'. */
const OTHERS = 100

const MB = { unit: 'MB', digits: 1, less: true } satisfies Partial<Metric>

export const resident: Workload = {
  id: 'resident',
  group: 'Life',
  name: 'resident when nothing has happened yet',
  needs: 'gateway',
  metrics: { rss: { ...MB, name: '' } },
  quick: true,
  once: true,
  async run({ running: { pids } }) {
    if (pids.length === 0) return { values: {} }
    await pause(SETTLING)
    return { values: { rss: residentMb(pids) } }
  },
}

const residentMb = (pids: readonly number[]): number => (residentKib(pids) * 1024) / 1e6

/**
 * A thousand, watched for half a minute, and nine thousand more. Before either is looked at, half of that time passes: what a
 * burst of connections leaves behind is no idleness (V8 collects its garbage eight seconds after it).
 */
export const idle: Workload = {
  id: 'idle',
  group: 'Connections',
  name: 'idle ones',
  needs: 'gateway',
  once: true,
  rounds: 2,
  metrics: {
    few: { ...MB, name: 'resident with the first (1,000)' },
    many: { ...MB, name: 'resident with all (10,000)' },
    each: { name: 'resident for each beyond the first', unit: 'KiB', digits: 1, less: true },
    cpu: { name: 'processor with the first', unit: '%', digits: 3, less: true },
  },
  async run(place) {
    const { pids } = place.running
    const { connections, watch } = place.effort
    const [few, many] = connections
    const settling = (watch * 1000) / 2
    if (pids.length === 0) return { values: {} }
    if (Number(hardLimit()) < many + OTHERS) {
      throw new Error(`${many} connections need ulimit -Hn ${many + OTHERS}: it is ${hardLimit()}`)
    }
    const first = await holdIdle(place as GuestPlace, few)
    try {
      await pause(settling)
      const fewMb = residentMb(pids)
      const used = await usedIn(pids, watch)
      const others = await holdIdle(place as GuestPlace, many - few)
      await pause(settling)
      const manyMb = residentMb(pids)
      await others.end()
      const each = ((manyMb - fewMb) * 1e6) / 1024 / (many - few)
      return { values: { few: fewMb, many: manyMb, each, cpu: (100 * used) / watch } }
    } finally {
      await first.end()
    }
  },
}

/** Processor time, in s, that the processes use in so many seconds. */
async function usedIn(pids: readonly number[], seconds: number): Promise<number> {
  const used = (): number => exactCpuSeconds(pids) ?? cpuSeconds(pids)
  const before = used()
  await pause(seconds * 1000)
  return used() - before
}
