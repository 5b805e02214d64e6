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
import { type Namespace, World } from '../src/lab/world.ts'

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
        for (const i of [0, 1] as const) found[i].push(await run(guest, ports[i]))
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

/** Gbit/s that came to the program. */
function upload(guest: Namespace, port: number): Promise<number> {
  return guest.run(
    ({ net }, port, ms) =>
      new Promise<number>((resolve, reject) => {
        const block = Buffer.alloc(1 << 20, 'u')
        const socket = net.connect({ host: '10.0.2.2', port, allowHalfOpen: true })
        const started = performance.now()
        const fill = (): void => {
          while (performance.now() - started < ms) if (!socket.write(block)) return
          socket.end()
        }
        socket.once('connect', fill).on('drain', fill).once('error', reject)
        socket.once('data', (octets) => {
          resolve((8 * Number(String(octets))) / 1e6 / (performance.now() - started))
          socket.destroy()
        })
      }),
    port,
    ms,
  )
}

/** Gbit/s that came to the guest. */
function download(guest: Namespace, port: number): Promise<number> {
  return guest.run(
    ({ net }, port, ms) =>
      new Promise<number>((resolve, reject) => {
        const socket = net.connect({ host: '10.0.2.2', port }, () => socket.write('d'))
        const started = performance.now()
        let octets = 0
        socket.on('data', (chunk) => {
          octets += chunk.length
          const elapsed = performance.now() - started
          if (elapsed < ms) return
          socket.destroy()
          resolve((8 * octets) / 1e6 / elapsed)
        })
        socket.once('error', reject)
      }),
    port,
    ms,
  )
}

/** Exchanges of one octet in one second, on one connection. */
function requests(guest: Namespace, port: number): Promise<number> {
  return guest.run(
    ({ net }, port, ms) =>
      new Promise<number>((resolve, reject) => {
        const socket = net.connect({ host: '10.0.2.2', port, noDelay: true }, () =>
          socket.write('e'),
        )
        const started = performance.now()
        let count = 0
        socket.on('data', () => {
          count++
          const elapsed = performance.now() - started
          if (elapsed < ms) return void socket.write('e')
          socket.destroy()
          resolve((1000 * count) / elapsed)
        })
        socket.once('error', reject)
      }),
    port,
    ms,
  )
}

/** The same with a connection each. */
function connects(guest: Namespace, port: number): Promise<number> {
  return guest.run(
    async ({ net }, port, ms) => {
      const started = performance.now()
      let count = 0
      for (; performance.now() - started < ms; count++) {
        await new Promise<void>((resolve, reject) => {
          const socket = net.connect({ host: '10.0.2.2', port }, () => socket.end('e'))
          socket
            .on('data', () => {})
            .once('close', () => resolve())
            .once('error', reject)
          socket.once('data', () => socket.destroy())
        })
      }
      return (1000 * count) / (performance.now() - started)
    },
    port,
    ms,
  )
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}
