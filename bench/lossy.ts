/**
 * `npm run bench:lossy [-- --mib N --rounds N --losses 0.01,… --rtts 20,… --rate MBIT --queue FRAMES --json FILE]`,
 * or `node scripts/run.mjs bench/lossy.ts`
 *
 * TCP over a cable that loses frames: slipway to a Linux guest, and Linux to Linux over the same cable
 * (lossy/bed.ts), both ways, with CUBIC and SACK. What is lost is drawn with the round's number as the seed, the same for
 * both. Medians of Mbit/s, and their ratio. Every transfer is compared by its SHA-256.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { explain, preflight } from '../src/lab/preflight.ts'
import { World } from '../src/lab/world.ts'
import { Bed, type Contender, type Direction } from './lossy/bed.ts'

const { values: options } = parseArgs({
  options: {
    mib: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '1' },
    losses: { type: 'string', default: '0.01' },
    rtts: { type: 'string', default: '20' },
    rate: { type: 'string', default: '100' },
    queue: { type: 'string', default: '500' },
    json: { type: 'string' },
  },
})
const CONTENDERS: readonly Contender[] = ['slipway', 'linux']
const DIRECTIONS: readonly Direction[] = ['down', 'up']
const WAYS = { down: 'to the guest', up: 'from the guest' }

const obstacle = await preflight()
if (obstacle) throw new Error(explain(obstacle))
const octets = Number(options.mib) * 1024 * 1024
const rounds = Number(options.rounds)
console.log(
  `${cpus()[0]?.model} × ${cpus().length} · Linux ${release()} · Node ${process.versions.node}`,
)
console.log(
  `${options.rate} Mbit/s, a queue of ${options.queue} frames; ${options.mib} MiB, ${rounds} rounds, medians\n`,
)
console.log('loss    RTT     direction        slipway    Linux  Mbit/s   ratio')
const report: object[] = []
const world = await World.open()
try {
  for (const loss of options.losses.split(',').map(Number)) {
    for (const rtt of options.rtts.split(',').map(Number)) await measure(loss, rtt)
  }
} finally {
  await world.close()
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)

async function measure(loss: number, rtt: number): Promise<void> {
  const rate = (Number(options.rate) * 1e6) / 8 / 1000
  const link = { loss, delay: rtt / 2, rate, queue: Number(options.queue) }
  const found: Record<string, number[]> = {}
  for (let round = 1; round <= rounds; round++) {
    for (const contender of CONTENDERS) {
      const bed = await Bed.open(world, contender, link, round)
      try {
        for (const direction of DIRECTIONS) {
          const name = `${contender} ${direction}`
          found[name] = [...(found[name] ?? []), await bed.transfer(direction, octets)]
        }
      } finally {
        await bed.close()
      }
    }
  }
  for (const direction of DIRECTIONS) {
    const [ours, theirs] = CONTENDERS.map((contender) =>
      median(found[`${contender} ${direction}`]!),
    )
    const ratio = ours! / theirs!
    report.push({ loss, rtt, direction, slipway: ours, linux: theirs, ratio })
    const cells = [
      `${(100 * loss).toFixed(1)} %`.padEnd(7),
      `${rtt} ms`.padEnd(7),
      WAYS[direction].padEnd(15),
    ]
    const figures = [ours!, theirs!].map((n) => n.toFixed(2).padStart(8)).join(' ')
    console.log(`${cells.join(' ')} ${figures}        ${ratio.toFixed(2).padStart(6)}×`)
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}
