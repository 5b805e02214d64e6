/** What is measured: each from programs that know nothing of the daemon between them. */
import { fileURLToPath } from 'node:url'
import type { Program } from '../src/lab/program.ts'
import { GATEWAY, HOST_ADDRESS, type Namespace, type World } from '../src/lab/world.ts'

export interface Measure {
  name: string
  unit: string
  /** Is a smaller number the better one? */
  less?: boolean
  digits: number
}

export const measures = {
  up: { name: 'iperf3 guest → host', unit: 'Gbit/s', digits: 2 },
  down: { name: 'iperf3 host → guest', unit: 'Gbit/s', digits: 2 },
  forwardIn: { name: 'forwarded port, host → guest', unit: 'Gbit/s', digits: 2 },
  forwardOut: { name: 'forwarded port, guest → host', unit: 'Gbit/s', digits: 2 },
  rr: { name: 'request/response p50', unit: 'µs', digits: 0, less: true },
  rr99: { name: 'request/response p99', unit: 'µs', digits: 0, less: true },
  crr: { name: 'connect/request/response', unit: '/s', digits: 0 },
  ready: { name: 'start to ready', unit: 'ms', digits: 0, less: true },
} satisfies Record<string, Measure>

export type MeasureName = keyof typeof measures

export const FORWARD = { hostPort: 5301, guestPort: 5201 }
const IPERF_PORT = 5201
const EXCHANGE_PORT = 5202
const RR_RUNS = 5
const EXCHANGE = fileURLToPath(new URL('exchange.py', import.meta.url))

/** The servers on the host: for the whole bench. */
export async function startHostServers(world: World): Promise<void> {
  await startIperf(world.host)
  const server = world.host.start(['python3', EXCHANGE, 'serve', '127.0.0.1', `${EXCHANGE_PORT}`])
  await says(server, 'listening')
}

export async function startGuestServers(guest: Namespace): Promise<void> {
  await startIperf(guest)
}

async function startIperf(place: Namespace): Promise<void> {
  const server = place.start(['iperf3', '--server', '--forceflush', '--port', `${IPERF_PORT}`])
  await says(server, 'listening')
}

/** Gbit/s that arrived. `reverse`: from the server to the client. */
async function iperf(
  place: Namespace,
  host: string,
  port: number,
  seconds: number,
  reverse: boolean,
): Promise<number> {
  const { stdout, stderr } = await place.execute([
    ...['iperf3', '--client', host, '--port', `${port}`, '--time', `${seconds}`, '--json'],
    ...(reverse ? ['--reverse'] : []),
  ])
  const report = JSON.parse(stdout || '{}')
  const arrived: number | undefined = report.end?.sum_received?.bits_per_second
  if (arrived === undefined) throw new Error(`iperf3: ${report.error ?? stderr.trim()}`)
  return arrived / 1e9
}

async function exchange(
  guest: Namespace,
  mode: 'rr' | 'crr',
  seconds: number,
): Promise<Record<string, number>> {
  const { stdout, stderr } = await guest.execute([
    ...['python3', EXCHANGE, mode, GATEWAY, `${EXCHANGE_PORT}`, `${seconds}`],
  ])
  if (stdout === '') throw new Error(`exchange.py ${mode}: ${stderr.trim().split('\n').at(-1)}`)
  return JSON.parse(stdout)
}

function median(runs: readonly Record<string, number>[], field: string): number {
  const sorted = runs.map((run) => run[field]!).toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}

/** One after the other; a measure that fails is left out, and `complain` hears why. */
export async function measureAll(
  world: World,
  guest: Namespace,
  seconds: number,
  complain: (text: string) => void,
): Promise<Partial<Record<MeasureName, number>>> {
  const found: Partial<Record<MeasureName, number>> = {}
  const steps: [string, () => Promise<typeof found>][] = [
    ['up', async () => ({ up: await iperf(guest, GATEWAY, IPERF_PORT, seconds, false) })],
    ['down', async () => ({ down: await iperf(guest, GATEWAY, IPERF_PORT, seconds, true) })],
    // Through the host's other address: pasta would splice what comes from 127.0.0.1 past the TAP.
    [
      'forward in',
      async () => ({
        forwardIn: await iperf(world.host, HOST_ADDRESS, FORWARD.hostPort, seconds, false),
      }),
    ],
    [
      'forward out',
      async () => ({
        forwardOut: await iperf(world.host, HOST_ADDRESS, FORWARD.hostPort, seconds, true),
      }),
    ],
    [
      'rr',
      async () => {
        // Whether client, daemon and server share a processor makes a factor of two, and stays so for
        // the life of a connection: the median of several says more than one long one.
        const runs: Record<string, number>[] = []
        for (let run = 0; run < RR_RUNS; run++) {
          runs.push(await exchange(guest, 'rr', Math.min(seconds, 2) / RR_RUNS))
        }
        return { rr: median(runs, 'p50'), rr99: median(runs, 'p99') }
      },
    ],
    ['crr', async () => ({ crr: (await exchange(guest, 'crr', Math.min(seconds, 2))).rate! })],
  ]
  for (const [name, step] of steps) {
    try {
      Object.assign(found, await step())
    } catch (error) {
      complain(`${name}: ${(error as Error).message}`)
    }
  }
  return found
}

async function says(program: Program, text: string): Promise<void> {
  for (let waited = 0; waited < 5_000; waited += 10) {
    if (program.stdout.toLowerCase().includes(text)) return
    if (!program.running) break
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`${program.child.spawnargs.at(-2)}: ${program.stderr.trim() || 'no answer'}`)
}
