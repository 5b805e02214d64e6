/** What a daemon costs when nothing happens: from its start on, and with connections that say nothing. */
import { cpuSeconds, residentKib } from '../meter.ts'
import { holdIdle, pause, type Workload } from '../workload.ts'

const SETTLING_MS = 500

const idle = (count: number, watched: number): Workload => ({
  group: 'Connections',
  name: `${count.toLocaleString('en')} idle`,
  once: true,
  metrics: {
    rss: { name: 'resident', unit: 'MB', digits: 1, less: true },
    each: { name: 'resident for each', unit: 'KiB', digits: 1, less: true },
    cpu: { name: `processor over ${watched} s`, unit: '%', digits: 2, less: true },
  },
  async run(place) {
    const { pid } = place.running
    if (pid === undefined) return {}
    const before = residentKib(pid)
    const held = await holdIdle(place, count)
    await pause(SETTLING_MS)
    const after = residentKib(pid)
    const used = cpuSeconds(pid)
    await pause(watched * 1000)
    const cpu = (100 * (cpuSeconds(pid) - used)) / watched
    await held.end()
    return { rss: after / 1000, each: (after - before) / count, cpu }
  },
})

export const life: readonly Workload[] = [
  {
    group: 'Life',
    name: 'start to ready',
    metrics: { time: { name: '', unit: 'ms', digits: 0, less: true } },
    quick: true,
    async run({ running }) {
      return { time: running.readyAfter }
    },
  },
  {
    group: 'Life',
    name: 'resident when idle',
    metrics: { rss: { name: '', unit: 'MB', digits: 1, less: true } },
    quick: true,
    once: true,
    async run({ running: { pid } }) {
      return pid === undefined ? {} : { rss: residentKib(pid) / 1000 }
    },
  },
]

export const connections: readonly Workload[] = [idle(1_000, 10), idle(10_000, 2)]
