/**
 * `npm run bench:egress [-- --seconds N --warm N --rounds N --rules N --mtu 1500,65520 --json FILE]`,
 * or `node scripts/run.mjs bench/egress.ts`
 *
 * What an egress policy costs: containers that differ in nothing else, in turn in one run. Medians, and their ratio to a
 * container without a policy: of each round, the median of those. V8 compiles the daemon and the client as they run, and not at
 * the same time in each container: `--warm 6` does each thing for six seconds before it is measured.
 *
 *   none     no policy
 *   allow    a policy that allows everything
 *   rules    a thousand rules, the last of which lets the connections pass by name
 */
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { serveDns } from '../src/lab/dns-server.ts'
import { explain, preflight } from '../src/lab/preflight.ts'
import { HOST_ADDRESS, type Namespace, World } from '../src/lab/world.ts'
import { connects, download, requests, serveStreams, upload } from './streams.ts'
import { median } from './suite/statistics.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '0.5' },
    warm: { type: 'string', default: '0' },
    rounds: { type: 'string', default: '1' },
    rules: { type: 'string', default: '1000' },
    mtu: { type: 'string', default: '1500' },
    json: { type: 'string' },
  },
})
const NAME = 'bench.test'
const MEASURES = [
  { name: 'guest → host', unit: 'Gbit/s', digits: 2, run: upload },
  { name: 'host → guest', unit: 'Gbit/s', digits: 2, run: download },
  { name: 'request/response', unit: '/s', digits: 0, run: requests },
  { name: 'connect/request/response', unit: '/s', digits: 0, run: connects },
] as const

const obstacle = await preflight()
if (obstacle) throw new Error(explain(obstacle))
const ms = Number(options.seconds) * 1000
console.log(
  `${cpus()[0]?.model} × ${cpus().length} · Linux ${release()} · Node ${process.versions.node}; ${options.rules} rules; medians of ${options.rounds}\n`,
)
console.log(
  `${'MTU'.padEnd(7)}${'measure'.padEnd(26)}${'unit'.padEnd(9)}     none    allow    rules   allow:none  rules:none`,
)
const report: object[] = []
let count = 0
const world = await World.open()
try {
  await world.host.run(serveDns, { [NAME]: [HOST_ADDRESS] })
  for (const mtu of options.mtu.split(',').map(Number)) await measure(mtu)
} finally {
  await world.close()
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)

async function measure(mtu: number): Promise<void> {
  const port = await world.host.run(serveStreams, HOST_ADDRESS)
  const guests = [
    await attach(mtu, undefined),
    await attach(mtu, { default: 'allow' }),
    await attach(mtu, { rules: manyRules(Number(options.rules)) }),
  ]
  for (const { name, unit, digits, run } of MEASURES) {
    const found: number[][] = guests.map(() => [])
    const warm = Number(options.warm) * 1000
    if (warm > 0) for (const guest of guests) await run(guest, HOST_ADDRESS, port, warm)
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const [i, guest] of guests.entries()) {
        found[i]!.push(await run(guest, HOST_ADDRESS, port, ms))
      }
    }
    const [none, allow, rules] = found.map(median) as [number, number, number]
    // What disturbs a round disturbs all of it.
    const ratioOf = (i: number): number =>
      median(found[i]!.map((each, at) => each / found[0]![at]!))
    const ratios = [ratioOf(1), ratioOf(2)]
    report.push({ mtu, name, unit, none, allow, rules, ratios })
    const figures = [none, allow, rules].map((figure) => figure.toFixed(digits).padStart(9))
    const shown = ratios.map((ratio) => `${ratio.toFixed(2)}×`.padStart(12))
    console.log(
      [`${mtu}`.padEnd(7), name.padEnd(26), unit.padEnd(9), ...figures, ...shown].join(''),
    )
  }
}

/** A container that knows the address by its name. */
async function attach(mtu: number, policy: object | undefined): Promise<Namespace> {
  const guest = await world.container()
  const path = join(world.directory, `policy-${++count}.json`)
  if (policy !== undefined) writeFileSync(path, JSON.stringify(policy))
  await world.attach(guest, { mtu, args: policy === undefined ? [] : [`--policy=${path}`] })
  await guest.run(({ dns }, name) => new dns.promises.Resolver().resolve4(name), NAME)
  return guest
}

/** Names, wildcards and prefixes, and at the end the one that counts. */
function manyRules(most: number): object[] {
  const rules: object[] = []
  for (let i = 0; i < most - 1; i++) {
    const name = `host${i}.site${i % 50}.example.com`
    if (i % 3 === 0) rules.push({ action: 'allow', name, port: 443 })
    else if (i % 3 === 1) rules.push({ action: 'allow', name: `*.${name}`, port: [80, 443] })
    else
      rules.push({ action: 'deny', to: `198.${51 + (i >> 8)}.${i & 255}.0/24`, port: `${i}-60000` })
  }
  // The host's own address: else there would have to be another host.
  return [...rules, { action: 'allow', name: NAME, private: true }]
}
