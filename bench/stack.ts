/**
 * `npm run bench:stack [-- --mib N --rounds N]`, or `node scripts/run.mjs bench/stack.ts`
 *
 * The stacks alone: two of them in memory (stack/pair.ts) and one connection. Text one way, then one
 * octet to and fro. The best of the rounds; one processor does the work of both ends, and of the
 * copies between them.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { MemoryPair, type PairOptions, Talker } from './stack/pair.ts'

const { values: options } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '7' },
  },
})
const OCTETS = Number(options.mib) * 1024 * 1024
const ROUNDS = Number(options.rounds)
const EXCHANGES = 200_000
const PORT = 5000

const STREAMS: Record<string, PairOptions> = {
  'MTU 1500, offload': { mtu: 1500, offload: true, tick: 0.013 },
  'MTU 65520, offload': { mtu: 65_520, offload: true, tick: 0.013 },
  'MTU 1500, cut and summed in software': { mtu: 1500, offload: false, tick: 0.013 },
}

console.log(`Node ${process.version}, ${cpus()[0]?.model}; the best of ${ROUNDS} rounds`)
for (const [name, pairOptions] of Object.entries(STREAMS)) {
  const pair = new MemoryPair(pairOptions)
  const right = new Talker(0)
  pair.open(new Talker(256 * 1024), right, PORT)
  let gigabits = 0
  let ns = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const { heard } = right
    const { frames } = pair
    const start = process.hrtime.bigint()
    while (right.heard < heard + OCTETS) pair.turn(16)
    const took = Number(process.hrtime.bigint() - start)
    gigabits = Math.max(gigabits, ((right.heard - heard) * 8) / took)
    ns = Math.min(ns, took / (pair.frames - frames))
  }
  say(gigabits.toFixed(2), 'Gbit/s', `${ns.toFixed(0)} ns a frame`, name)
}

{
  const pair = new MemoryPair({ mtu: 1500, offload: true, tick: 0.013 })
  const left = new Talker(0)
  const right = new Talker(0)
  pair.open(left, right, PORT)
  let ns = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < EXCHANGES; i++) {
      const { heard } = left
      left.say(1)
      pair.turn(16)
      right.say(1)
      while (left.heard === heard) pair.turn(16)
    }
    ns = Math.min(ns, Number(process.hrtime.bigint() - start) / EXCHANGES)
  }
  say(ns.toFixed(0), 'ns', 'an exchange', 'request and response of an octet')
}

function say(figure: string, unit: string, other: string, name: string): void {
  console.log(`${figure.padStart(8)} ${unit.padEnd(6)}  ${other.padStart(16)}  ${name}`)
}
