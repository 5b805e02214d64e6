/**
 * Two stacks in memory (../stack/pair.ts) and one connection: text one way, then one octet to and fro. One processor
 * does the work of both ends, and of the copies between them.
 */
import { MemoryPair, type PairOptions, Talker } from '../stack/pair.ts'
import { type Bench, LONGER, type Measured } from './bench.ts'

const PORT = 5000
/** Turns between two looks at the clock. */
const TURNS = 64

const STREAMS: Record<string, PairOptions> = {
  'MTU 1500, offload': { mtu: 1500, offload: true, tick: 0.013 },
  'MTU 65520, offload': { mtu: 65_520, offload: true, tick: 0.013 },
  'MTU 1500, cut and summed in software': { mtu: 1500, offload: false, tick: 0.013 },
}

function stream(text: string, options: PairOptions): Bench {
  const name = `pair: a stream, ${text}`
  return {
    name,
    async run(call) {
      const ms = call * LONGER
      const pair = new MemoryPair(options)
      const right = new Talker(0)
      pair.open(new Talker(256 * 1024), right, PORT)
      const turn = (): void => {
        for (let i = 0; i < TURNS; i++) pair.turn(16)
      }
      forMs(ms / 2, turn)
      const { heard } = right
      const { frames } = pair
      const ns = forMs(ms, turn)
      const figure = (suffix: string, value: number, unit: string, less: boolean): Measured => ({
        ...{ name: name + suffix, value, unit, less },
      })
      return [
        figure('', ((right.heard - heard) * 8) / ns, 'Gbit/s', false),
        figure(', a frame', ns / (pair.frames - frames), 'ns', true),
      ]
    },
  }
}

const exchange: Bench = {
  name: 'pair: request and response of an octet',
  async run(call) {
    const ms = call * LONGER
    const pair = new MemoryPair({ mtu: 1500, offload: true, tick: 0.013 })
    const left = new Talker(0)
    const right = new Talker(0)
    pair.open(left, right, PORT)
    let count = 0
    const some = (): void => {
      for (let i = 0; i < TURNS; i++, count++) {
        const { heard } = left
        left.say(1)
        pair.turn(16)
        right.say(1)
        while (left.heard === heard) pair.turn(16)
      }
    }
    forMs(ms / 2, some)
    count = 0
    const ns = forMs(ms, some)
    return [{ name: this.name, value: ns / count, unit: 'ns', less: true }]
  },
}

/** Calls it for so long; how long that was, in ns. */
function forMs(ms: number, fn: () => void): number {
  const start = performance.now()
  let took = 0
  while (took < ms) {
    fn()
    took = performance.now() - start
  }
  return took * 1e6
}

export const benches: readonly Bench[] = [
  ...Object.entries(STREAMS).map(([text, options]) => stream(text, options)),
  exchange,
]
