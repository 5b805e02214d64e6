/**
 * `npm run bench:endpoints [-- --seconds N --rounds N --mtu 1500,65520 --json FILE]`,
 * or `node scripts/run.mjs bench/endpoints.ts`
 *
 * The program itself as a host on the container's network (`network.listen`), beside the same program with an ordinary
 * `node:net` server on the host's loopback, which the container reaches through the NAT. Both run the same code on the
 * same thread, and the client in the container is the same: medians, and their ratio.
 */
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { Network } from '../src/index.ts'
import { Agent, built, type Kit } from '../src/lab/agent.ts'
import { explain, preflight } from '../src/lab/preflight.ts'
import { World } from '../src/lab/world.ts'
import { connects, download, requests, serveStreams, upload } from './streams.ts'
import { median } from './suite/statistics.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '0.5' },
    rounds: { type: 'string', default: '1' },
    mtu: { type: 'string', default: '1500,65520' },
    json: { type: 'string' },
  },
})
const LIBRARY = pathToFileURL(built('index.js')).href
const MEASURES = [
  { name: 'guest → program', unit: 'Gbit/s', digits: 2, run: upload },
  { name: 'program → guest', unit: 'Gbit/s', digits: 2, run: download },
  { name: 'request/response', unit: '/s', digits: 0, run: requests },
  { name: 'connect/request/response', unit: '/s', digits: 0, run: connects },
] as const

const obstacle = await preflight()
if (obstacle) throw new Error(explain(obstacle))
const ms = Number(options.seconds) * 1000
console.log(
  `${cpus()[0]?.model} × ${cpus().length} · Linux ${release()} · Node ${process.versions.node}; medians of ${options.rounds}\n`,
)
console.log(
  `${'MTU'.padEnd(7)}${'measure'.padEnd(26)}${'unit'.padEnd(8)}   endpoint   by the NAT   ratio`,
)
const report: object[] = []
const world = await World.open()
try {
  for (const mtu of options.mtu.split(',').map(Number)) await measure(mtu)
} finally {
  await world.close()
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)

async function measure(mtu: number): Promise<void> {
  const guest = await world.container()
  const program = await Agent.start(guest.outer)
  try {
    const port = await program.run(serveStreams)
    const ports = [await program.run(listenAsHost, LIBRARY, guest.pid, mtu), port] as const
    for (const { name, unit, digits, run } of MEASURES) {
      const found: [endpoint: number[], nat: number[]] = [[], []]
      for (let round = 0; round < Number(options.rounds); round++) {
        for (const i of [0, 1] as const) found[i].push(await run(guest, '10.0.2.2', ports[i], ms))
      }
      const [endpoint, nat] = found.map(median) as [number, number]
      const ratio = endpoint / nat
      report.push({ mtu, name, unit, endpoint, nat, ratio })
      const cells = [
        `${mtu}`.padEnd(7),
        name.padEnd(26),
        unit.padEnd(8),
        endpoint.toFixed(digits).padStart(11),
        nat.toFixed(digits).padStart(13),
        `${ratio.toFixed(2)}×`.padStart(8),
      ]
      console.log(cells.join(''))
    }
  } finally {
    await program.close()
    await guest.close()
  }
}

/** The same server as a host on the container's network; answers the port, of the gateway's address. */
async function listenAsHost(
  { load, keep }: Kit,
  library: string,
  pid: number,
  mtu: number,
): Promise<number> {
  const { attach } = (await load(library)) as { attach(options: object): Promise<Network> }
  const network = await attach({ target: { pid }, mtu, hostLoopback: true })
  const server = keep.get('streams') as import('node:net').Server
  const endpoint = await network.listen({ port: 0, allowHalfOpen: true }, (stream) =>
    server.emit('connection', stream),
  )
  return endpoint.address().port
}
