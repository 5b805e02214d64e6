/** One octet there and back: alone, beside bulk transfers, and with a connection for each. */
import {
  exchange,
  IPERF_PORT,
  iperf,
  type Metric,
  median,
  type Place,
  pause,
  type Workload,
} from '../workload.ts'

const RUNS = 5

const quantiles = {
  p50: { name: 'p50', unit: 'µs', digits: 0, less: true },
  p99: { name: 'p99', unit: 'µs', digits: 0, less: true },
  p999: { name: 'p99.9', unit: 'µs', digits: 0, less: true },
} satisfies Record<string, Metric>

/**
 * Whether client, daemon and server share a processor makes a factor of two, and stays so for the life of a
 * connection: the median of several says more than one long one.
 */
async function several(place: Place, mode: 'rr' | 'udp-rr'): Promise<Record<string, number>> {
  const runs: Record<string, number>[] = []
  for (let run = 0; run < RUNS; run++) {
    runs.push(await exchange(place, mode, Math.min(place.seconds, 2) / RUNS))
  }
  const of = (field: string): number => median(runs.map((run) => run[field]!))
  return { p50: of('p50'), p99: of('p99'), p999: of('p999') }
}

/** The same beside a transfer at full speed. */
async function loaded(place: Place, args: string[]): Promise<Record<string, number>> {
  const { guest, running } = place
  const seconds = Math.max(2, place.seconds)
  const bulk = iperf(guest, running.gateway, { port: IPERF_PORT, seconds: seconds + 1, args })
  bulk.catch(() => {}) // awaited below
  await pause(500)
  const found = await exchange(place, 'rr', seconds - 0.5)
  const { sum_received: carried } = await bulk
  return { p50: found.p50!, p99: found.p99!, bulk: carried.bits_per_second / 1e9 }
}

const besideBulk = {
  p50: quantiles.p50,
  p99: quantiles.p99,
  bulk: { name: 'bulk rate', unit: 'Gbit/s', digits: 2 },
} satisfies Record<string, Metric>

export const latency: readonly Workload[] = [
  {
    group: 'Latency',
    name: 'TCP request/response',
    metrics: quantiles,
    quick: true,
    run: (place) => several(place, 'rr'),
  },
  {
    group: 'Latency',
    name: 'UDP request/response',
    metrics: quantiles,
    once: true,
    run: (place) => several(place, 'udp-rr'),
  },
  {
    group: 'Latency',
    name: 'TCP request/response beside guest → host',
    metrics: besideBulk,
    run: (place) => loaded(place, []),
  },
  {
    group: 'Latency',
    name: 'TCP request/response beside host → guest',
    metrics: besideBulk,
    run: (place) => loaded(place, ['--reverse']),
  },
  {
    group: 'Connections',
    name: 'connect, request, response, close',
    metrics: { rate: { name: '', unit: '/s', digits: 0 } },
    quick: true,
    async run(place) {
      return { rate: (await exchange(place, 'crr', Math.min(place.seconds, 2))).rate! }
    },
  },
]
