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
import { connects, download, median, requests, upload } from './streams.ts'

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
    const ports = await program.run(serve, LIBRARY, guest.pid, mtu)
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

/**
 * One server each way: the first octet of a connection says what is wanted. Answers the ports, of the gateway's address
 * in both cases.
 */
async function serve(
  { load, net, listen }: Kit,
  library: string,
  pid: number,
  mtu: number,
): Promise<[number, number]> {
  const { attach } = (await load(library)) as { attach(options: object): Promise<Network> }
  const network = await attach({ target: { pid }, mtu, hostLoopback: true })
  const block = Buffer.alloc(1 << 18)
  const talk = (stream: import('node:stream').Duplex): void => {
    stream.on('error', () => {})
    let octets = 0
    stream.once('data', (first: Buffer) => {
      const wanted = String.fromCharCode(first[0]!)
      if (wanted === 'd') {
        const fill = (): void => {
          while (stream.write(block));
        }
        stream.on('drain', fill)
        fill()
        return
      }
      if (wanted === 'e') {
        stream.write(first)
        stream.on('data', (chunk) => stream.write(chunk))
        return
      }
      octets = first.length
      stream.on('data', (chunk: Buffer) => {
        octets += chunk.length
      })
      stream.on('end', () => stream.end(`${octets}`))
    })
  }
  const endpoint = await network.listen({ port: 0, allowHalfOpen: true }, talk)
  const host = await listen(net.createServer({ allowHalfOpen: true, noDelay: true }, talk))
  return [endpoint.address().port, host]
}
