/** UDP, each way: what arrives of as much as iperf3 can send, and what can be sent from the guest without loss. */
import { type IperfEnd, iperf } from '../iperf.ts'
import { highestBorne } from '../search.ts'
import { hostPortOf } from '../servers.ts'
import { GBIT, type GuestPlace, type Place, type Workload } from '../workload.ts'

const SIZES = [64, 512, 1400, 8192]
/** Of the datagrams. */
const TOLERABLE_LOSS = 0.01
/** Mbit/s and s of each try. */
const LOW = 1e7
const HIGH = 16e9
const TRY = 1

interface Sent {
  packets: number
  arrived: number
  seconds: number
}

async function send(
  place: Place,
  size: number,
  bits: number,
  seconds: number,
  args: readonly string[] = [],
): Promise<Sent> {
  const { guest, gateway } = (place as GuestPlace).running
  const end: IperfEnd = await iperf(guest, gateway, {
    port: hostPortOf(place),
    seconds,
    args: ['--udp', '--bitrate', `${bits}`, '--length', `${size}`, ...args],
  })
  const { packets, lost_packets: lost, seconds: took } = end.sum
  return { packets, arrived: Math.max(0, packets - lost), seconds: took }
}

const WAYS = {
  up: { arrow: 'guest → host', args: [] },
  down: { arrow: 'host → guest', args: ['--reverse'] },
} as const

const floods: Workload[] = Object.entries(WAYS).flatMap(([way, { arrow, args }]) =>
  SIZES.map((size) => ({
    id: `udp-${way}-${size}`,
    group: 'UDP as fast as it goes',
    name: `${arrow}, ${size.toLocaleString('en')} octets`,
    needs: 'gateway',
    once: true,
    quick: size === 1400 && way === 'up',
    metrics: {
      rate: { ...GBIT, name: 'delivered' },
      packets: { name: 'packets', unit: '1000/s', digits: 1 },
      loss: { name: 'lost', unit: '%', digits: 1, less: true },
    },
    async run(place) {
      const { packets, arrived, seconds } = await send(place, size, 0, place.effort.seconds, args)
      const octets = arrived * size
      return {
        values: {
          rate: (octets * 8) / seconds / 1e9,
          packets: arrived / seconds / 1000,
          loss: (100 * (packets - arrived)) / packets,
        },
        gigabytes: octets / 1e9,
        exchanges: arrived,
      }
    },
  })),
)

const lossless: Workload = {
  id: 'udp-lossless',
  group: 'UDP with less than 1 % lost',
  name: 'guest → host, 1,400 octets',
  needs: 'gateway',
  once: true,
  metrics: { rate: { ...GBIT, name: 'the highest rate offered' } },
  async run(place) {
    let octets = 0
    const rate = await highestBorne({
      low: LOW,
      high: HIGH,
      steps: place.effort.steps,
      async attempt(offered) {
        const { packets, arrived, seconds } = await send(place, 1400, offered, TRY)
        octets += arrived * 1400
        if (packets - arrived >= packets * TOLERABLE_LOSS) return 'refused'
        const sent = (packets * 1400 * 8) / seconds
        return sent < offered * 0.9 ? { most: sent } : 'borne'
      },
    })
    return { values: { rate: rate / 1e9 }, gigabytes: octets / 1e9 }
  },
}

export const udp: readonly Workload[] = [lossless, ...floods]
