/**
 * `npm run bench:lossy [-- --links plain,far,…|all --losses 0.01,… --mib N --rounds N --contenders slipway,linux --jobs N
 * --rtts 20,… --rate MBIT --queue FRAMES --json FILE]`, or `node scripts/run.mjs bench/lossy.ts`
 *
 * TCP over a cable that is bad in one of the ways of test/stack/rig/goodput.ts and loses frames: slipway to a Linux guest,
 * and Linux to Linux over the same cable (lossy/bed.ts), both ways, with CUBIC and SACK. What is lost is drawn with
 * the round's number as the seed, the same for both. Medians of Mbit/s, and their ratio. Every transfer is compared by its
 * SHA-256. With --jobs, cells are measured beside each other: no matter for hashes, but for figures where the machine is busy.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { explain, preflight } from '../src/lab/preflight.ts'
import { World } from '../src/lab/world.ts'
import { LINKS } from '../test/stack/rig/goodput.ts'
import type { LinkOptions } from '../test/stack/rig/lossy-link.ts'
import { Bed, type Contender, type Direction } from './lossy/bed.ts'

const { values: options } = parseArgs({
  options: {
    links: { type: 'string', default: 'plain' },
    losses: { type: 'string', default: '0.01' },
    mib: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '1' },
    contenders: { type: 'string', default: 'slipway,linux' },
    jobs: { type: 'string', default: '1' },
    rtts: { type: 'string' },
    rate: { type: 'string' },
    queue: { type: 'string' },
    json: { type: 'string' },
  },
})
const DIRECTIONS: readonly Direction[] = ['down', 'up']
const WAYS = { down: 'to the guest', up: 'from the guest' }
const DAY = 86_400_000

interface Place {
  name: string
  link: LinkOptions
}

const contenders = options.contenders.split(',') as Contender[]
const octets = Number(options.mib) * 1024 * 1024
const rounds = Number(options.rounds)
const report: object[] = []
let opening: Promise<unknown> = Promise.resolve()

const obstacle = await preflight()
if (obstacle) throw new Error(explain(obstacle))
const places = placesOf(options.links === 'all' ? Object.keys(LINKS) : options.links.split(','))
console.log(
  `${cpus()[0]?.model} × ${cpus().length} · Linux ${release()} · Node ${process.versions.node}`,
)
console.log(`${options.mib} MiB, ${rounds} rounds, medians\n`)
console.log('link      loss    RTT     direction        slipway    Linux  Mbit/s   ratio')
const world = await World.open()
try {
  const jobs = Array.from({ length: Number(options.jobs) }, async () => {
    for (let place = places.shift(); place !== undefined; place = places.shift()) {
      await measure(place).catch((error) => failed(place!, error))
    }
  })
  await Promise.all(jobs)
} finally {
  await world.close()
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)

/** Each link with each loss, and each round trip time when some are given. */
function placesOf(names: readonly string[]): Place[] {
  const found: Place[] = []
  for (const name of names) {
    const base = LINKS[name]
    if (base === undefined) throw new Error(`no link: ${name}; ${Object.keys(LINKS).join(', ')}`)
    const rtts = options.rtts?.split(',').map(Number) ?? [2 * base.delay!]
    for (const loss of options.losses.split(',').map(Number)) {
      for (const rtt of rtts) {
        const link = { ...base, loss, delay: rtt / 2 }
        if (options.rate) link.rate = (Number(options.rate) * 1e6) / 8 / 1000
        if (options.queue) link.queue = Number(options.queue)
        found.push({ name, link })
      }
    }
  }
  return found
}

/** One after the other: a dozen processes that start at once take long. */
function opened(contender: Contender, link: LinkOptions, seed: number): Promise<Bed> {
  const bed = opening.then(() => Bed.open(world, contender, link, seed))
  opening = bed.catch(() => {})
  return bed
}

async function measure({ name, link }: Place): Promise<void> {
  const found: Record<string, number[]> = {}
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      const bed = await opened(contender, link, round)
      try {
        for (const direction of DIRECTIONS) {
          const what = `${contender} ${direction}`
          found[what] = [...(found[what] ?? []), await bed.transfer(direction, octets, DAY)]
        }
      } finally {
        await bed.close()
      }
    }
  }
  for (const direction of DIRECTIONS) {
    const [slipway, linux] = (['slipway', 'linux'] as const).map((contender) =>
      median(found[`${contender} ${direction}`]),
    )
    const ratio = slipway && linux && slipway / linux
    const rtt = 2 * link.delay!
    report.push({ link: name, ...link, rtt, direction, slipway, linux, ratio })
    const cells = [
      name.padEnd(9),
      `${(100 * link.loss!).toFixed(1)} %`.padEnd(7),
      `${rtt} ms`.padEnd(7),
      WAYS[direction].padEnd(15),
      ...[slipway, linux].map((n) => (n?.toFixed(2) ?? '–').padStart(8)),
    ]
    console.log(`${cells.join(' ')}${ratio ? `        ${ratio.toFixed(2).padStart(6)}×` : ''}`)
  }
}

function failed({ name, link: { loss } }: Place, error: Error): void {
  console.error(`${name}, ${100 * loss!} %: ${error.message}`)
  process.exitCode = 1
}

function median(values: readonly number[] | undefined): number | undefined {
  const sorted = values?.toSorted((a, b) => a - b)
  return sorted?.[sorted.length >> 1]
}
