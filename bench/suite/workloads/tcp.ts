/** Bulk TCP between the container and the host: through the gateway, and through a published port. */
import { type IperfEnd, iperf } from '../iperf.ts'
import { hostPortOf } from '../servers.ts'
import { type Found, GBIT, type GuestPlace, type Place, type Workload } from '../workload.ts'

const arrived = (end: IperfEnd): Found => ({
  values: { rate: end.sum_received.bits_per_second / 1e9 },
  gigabytes: end.sum_received.bytes / 1e9,
})

function arrivedBothWays(end: IperfEnd): Found {
  const { sum_received: up, sum_received_bidir_reverse: down } = end
  const rates = [up, down].map((sum) => sum.bits_per_second / 1e9)
  return {
    values: { rate: rates[0]! + rates[1]!, slower: Math.min(...rates) },
    gigabytes: (up.bytes + down.bytes) / 1e9,
  }
}

async function fromGuest(place: Place, args: readonly string[]): Promise<IperfEnd> {
  const { running, effort, tuning } = place as GuestPlace
  const options = {
    port: hostPortOf(place),
    seconds: effort.seconds,
    args: [...args, ...tuning],
  }
  return iperf(running.guest, running.gateway, options)
}

/** From the host to a published port. */
async function fromHost(
  { world, effort, tuning }: Place,
  { host, port }: { host: string; port: number },
  args: readonly string[],
): Promise<IperfEnd> {
  return iperf(world.host, host, { port, seconds: effort.seconds, args: [...args, ...tuning] })
}

const streams = (count: number): string[] => (count === 1 ? [] : ['--parallel', `${count}`])
const many = (count: number): string => (count === 1 ? '' : `, ${count} streams`)

const bulk = { group: 'TCP', needs: 'gateway', tuned: 'always' } as const

export const tcp: readonly Workload[] = [1, 8].flatMap((count): Workload[] => [
  {
    ...bulk,
    id: `tcp-up-${count}`,
    name: `guest → host${many(count)}`,
    metrics: { rate: GBIT },
    quick: count === 1,
    run: async (place) => arrived(await fromGuest(place, streams(count))),
  },
  {
    ...bulk,
    id: `tcp-down-${count}`,
    name: `host → guest${many(count)}`,
    metrics: { rate: GBIT },
    quick: count === 1,
    run: async (place) => arrived(await fromGuest(place, ['--reverse', ...streams(count)])),
  },
  {
    ...bulk,
    id: `tcp-both-${count}`,
    name: `both at once${many(count)}`,
    metrics: { rate: GBIT, slower: { ...GBIT, name: 'the slower direction' } },
    run: async (place) => arrivedBothWays(await fromGuest(place, ['--bidir', ...streams(count)])),
  },
])

const WAYS = { down: ['host → guest', []], up: ['guest → host', ['--reverse']] } as const

export const published: readonly Workload[] = Object.entries(WAYS).map(([way, [name, args]]) => ({
  id: `forward-${way}`,
  group: 'Published port through the TAP',
  name,
  metrics: { rate: GBIT },
  needs: 'forward',
  tuned: 'at leisure',
  quick: true,
  run: async (place) => arrived(await fromHost(place, place.running.forward!, args)),
}))

/** The MTU of the TAP is none of theirs. */
export const spliced: readonly Workload[] = Object.entries(WAYS).map(([way, [name, args]]) => ({
  id: `spliced-${way}`,
  group: 'Published port spliced past the TAP',
  name,
  metrics: { rate: GBIT },
  needs: 'spliced',
  once: true,
  quick: true,
  run: async (place) => arrived(await fromHost(place, place.running.spliced!, args)),
}))
