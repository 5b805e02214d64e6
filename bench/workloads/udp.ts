/** UDP from the guest to the host: what arrives of as much as iperf3 can send, and what can be sent without loss. */
import { GBIT, type IperfEnd, iperf, type Place, type Workload } from '../workload.ts'

const SIZES = [64, 512, 1400, 8192]
/** Of the datagrams, in percent. */
const TOLERABLE_LOSS = 1
const STEPS = 7

async function send(
  { guest, running }: Place,
  size: number,
  bits: number,
  seconds: number,
): Promise<IperfEnd> {
  const args = ['--udp', '--bitrate', `${bits}`, '--length', `${size}`]
  return (await iperf(guest, running.gateway, { seconds, args })).sum
}

const flood = (size: number): Workload => ({
  group: 'UDP',
  name: `${size} octets, as fast as it goes`,
  once: true,
  quick: size === 1400,
  metrics: {
    rate: GBIT,
    packets: { name: 'packets', unit: '1000/s', digits: 1 },
    loss: { name: 'loss', unit: '%', digits: 1, less: true },
  },
  async run(place) {
    const { packets, lost_packets: lost, seconds } = await send(place, size, 0, place.seconds)
    const octets = (packets - lost) * size
    return {
      rate: (octets * 8) / seconds / 1e9,
      packets: (packets - lost) / seconds / 1000,
      loss: (100 * lost) / packets,
      gigabytes: octets / 1e9,
    }
  },
})

/** The highest rate at which nearly everything arrives: by bisection on a scale of powers. */
const lossless: Workload = {
  group: 'UDP',
  name: `1400 octets, highest rate with less than ${TOLERABLE_LOSS} % loss`,
  once: true,
  metrics: { rate: GBIT },
  async run(place) {
    let low = 1e7
    let high = 16e9
    for (let step = 0; step < STEPS; step++) {
      const offered = Math.sqrt(low * high)
      const { packets, lost_packets: lost, seconds } = await send(place, 1400, offered, 1)
      const sent = (packets * 1400 * 8) / seconds
      if (lost * 100 >= packets * TOLERABLE_LOSS) high = offered
      else if (sent < offered * 0.9)
        return { rate: sent / 1e9 } // iperf3 cannot do more
      else low = offered
    }
    return { rate: low / 1e9 }
  },
}

export const udp: readonly Workload[] = [lossless, ...SIZES.map(flood)]
