/** Bulk TCP between the guest and the host: iperf3 through the gateway, and through a published port. */
import { GBIT, type IperfEnd, iperf, type Place, type Workload } from '../workload.ts'

type Found = Awaited<ReturnType<Workload['run']>>

const arrived = (end: IperfEnd): Found => ({
  rate: end.sum_received.bits_per_second / 1e9,
  gigabytes: end.sum_received.bytes / 1e9,
})

function arrivedBothWays(end: IperfEnd): Found {
  const { sum_received: one, sum_received_bidir_reverse: other } = end
  return {
    rate: (one.bits_per_second + other.bits_per_second) / 1e9,
    gigabytes: (one.bytes + other.bytes) / 1e9,
  }
}

const fromGuest = async ({ guest, running, seconds }: Place, args: string[]): Promise<IperfEnd> =>
  iperf(guest, running.gateway, { seconds, args })

const fromHost = async ({ world, running, seconds }: Place, args: string[]): Promise<IperfEnd> =>
  iperf(world.host, running.forward.host, { port: running.forward.port, seconds, args })

const streams = (count: number): string[] => (count === 1 ? [] : ['--parallel', `${count}`])
const many = (count: number): string => (count === 1 ? '' : `, ${count} streams`)

export const tcp: readonly Workload[] = [1, 8].flatMap((count): Workload[] => [
  {
    group: 'TCP',
    name: `guest → host${many(count)}`,
    metrics: { rate: GBIT },
    quick: count === 1,
    run: async (place) => arrived(await fromGuest(place, streams(count))),
  },
  {
    group: 'TCP',
    name: `host → guest${many(count)}`,
    metrics: { rate: GBIT },
    quick: count === 1,
    run: async (place) => arrived(await fromGuest(place, ['--reverse', ...streams(count)])),
  },
  {
    group: 'TCP',
    name: `both at once${many(count)}`,
    metrics: { rate: GBIT },
    run: async (place) => arrivedBothWays(await fromGuest(place, ['--bidir', ...streams(count)])),
  },
])

export const published: readonly Workload[] = [
  {
    group: 'Published port',
    name: 'host → guest',
    metrics: { rate: GBIT },
    quick: true,
    run: async (place) => arrived(await fromHost(place, [])),
  },
  {
    group: 'Published port',
    name: 'guest → host',
    metrics: { rate: GBIT },
    quick: true,
    run: async (place) => arrived(await fromHost(place, ['--reverse'])),
  },
]
