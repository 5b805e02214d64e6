/** One octet there and back: alone, beside a transfer at full speed, and with a connection for each. */
import { exchange } from '../exchange.ts'
import { iperf } from '../iperf.ts'
import { hostPortOf } from '../servers.ts'
import { median } from '../statistics.ts'
import {
  type Found,
  type GuestPlace,
  type Metric,
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

type Mode = 'rr' | 'udp-rr'

/**
 * Whether client, daemon and server share a processor makes a factor of two, and stays so for the life of a
 * connection: the median of several says more than one long one.
 */
async function several(place: GuestPlace, mode: Mode): Promise<Found> {
  const runs: Record<string, number>[] = []
  for (let run = 0; run < RUNS; run++) {
    runs.push(await exchange(place, mode, place.effort.exchanges / RUNS))
  }
  const of = (field: string): number => median(runs.map((run) => run[field]!))
  const exchanges = runs.reduce((sum, { count }) => sum + count!, 0)
  return { values: { p50: of('p50'), p99: of('p99'), p999: of('p999') }, exchanges }
}

/** First TCP's, then UDP's, beside one transfer, which is as fast as this contender makes it. */
async function besideBulk(place: GuestPlace, args: readonly string[]): Promise<Found> {
  const { guest, gateway } = place.running
  const { exchanges: seconds } = place.effort
  const bulk = iperf(guest, gateway, {
    port: hostPortOf(place),
    seconds: Math.ceil(2 * seconds + 2), // a whole number, for iperf3
    args: [...args, ...place.tuning],
  })
  bulk.catch(() => {}) // awaited below
  await pause(500)
  const tcp = await exchange(place, 'rr', seconds)
  const udp = await exchange(place, 'udp-rr', seconds)
  const { sum_received: carried } = await bulk
  return {
    values: {
      p99: tcp.p99,
      p50: tcp.p50,
      p999: tcp.p999,
      udp50: udp.p50,
      udp99: udp.p99,
      udp999: udp.p999,
      udpLost: (100 * udp.lost!) / Math.max(1, udp.count! + udp.lost!),
      bulk: carried.bits_per_second / 1e9,
    },
    gigabytes: carried.bytes / 1e9,
  }
}

const loadedMetrics = {
  p50: { ...quantiles.p50, name: 'TCP p50' },
  p99: { ...quantiles.p99, name: 'TCP p99' },
  p999: { ...quantiles.p999, name: 'TCP p99.9' },
  udp50: { ...quantiles.p50, name: 'UDP p50' },
  udp99: { ...quantiles.p99, name: 'UDP p99' },
  udp999: { ...quantiles.p999, name: 'UDP p99.9' },
  udpLost: { name: 'UDP lost', unit: '%', digits: 1, less: true },
  bulk: { name: 'the transfer beside it', unit: 'Gbit/s', digits: 2 },
} satisfies Record<string, Metric>

const guest = (place: Place): GuestPlace => place as GuestPlace

export const latency: readonly Workload[] = [
  {
    id: 'tcp-rr',
    group: 'Latency',
    name: 'TCP request and response',
    needs: 'gateway',
    metrics: quantiles,
    quick: true,
    run: (place) => several(guest(place), 'rr'),
  },
  {
    id: 'udp-rr',
    group: 'Latency',
    name: 'UDP request and response',
    needs: 'gateway',
    metrics: quantiles,
    run: (place) => several(guest(place), 'udp-rr'),
  },
  {
    id: 'loaded-up',
    group: 'Latency beside a transfer',
    name: 'guest → host',
    needs: 'gateway',
    metrics: loadedMetrics,
    run: (place) => besideBulk(guest(place), []),
  },
  {
    id: 'loaded-down',
    group: 'Latency beside a transfer',
    name: 'host → guest',
    needs: 'gateway',
    metrics: loadedMetrics,
    run: (place) => besideBulk(guest(place), ['--reverse']),
  },
  {
    id: 'tcp-crr',
    group: 'Connections',
    name: 'connect, request, response, close',
    needs: 'gateway',
    metrics: { rate: { name: '', unit: '/s', digits: 0 } },
    quick: true,
    async run(place) {
      const { rate, count } = await exchange(guest(place), 'crr', place.effort.exchanges)
      return { values: { rate }, exchanges: count }
    },
  },
]
