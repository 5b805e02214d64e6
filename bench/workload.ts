/** What a workload is, and the tools of all of them: programs that know nothing of the daemon between them. */
import { fileURLToPath } from 'node:url'
import type { Program } from '../src/lab/program.ts'
import type { Namespace, World } from '../src/lab/world.ts'
import type { Running } from './contenders.ts'

export interface Metric {
  name: string
  unit: string
  digits: number
  /** Is a smaller number the better one? */
  less?: boolean
}

/** Where a workload runs. */
export interface Place {
  world: World
  guest: Namespace
  running: Running
  /** How long to measure. */
  seconds: number
}

export interface Workload {
  /** The heading that it stands under. */
  group: string
  name: string
  metrics: Record<string, Metric>
  /** Also measured by `--quick` and `--smoke`. */
  quick?: boolean
  /** Says nothing more at another MTU. */
  once?: boolean
  /** Values by metric; `gigabytes` that were carried tell what the daemon's time was spent on. */
  run(place: Place): Promise<{ gigabytes?: number; [metric: string]: number | undefined }>
}

export const GBIT: Metric = { name: '', unit: 'Gbit/s', digits: 2 }

export const IPERF_PORT = 5201
export const EXCHANGE_PORT = 5202
export const FORWARD = { hostPort: 5301, guestPort: IPERF_PORT }
const EXCHANGE = fileURLToPath(new URL('exchange.py', import.meta.url))

/** The servers on the host: for the whole bench. */
export async function startHostServers(world: World): Promise<void> {
  await startIperf(world.host)
  const server = world.host.start(['python3', EXCHANGE, 'serve', '0.0.0.0', `${EXCHANGE_PORT}`])
  await says(server, 'listening')
}

export async function startIperf(place: Namespace): Promise<Program> {
  const server = place.start(['iperf3', '--server', '--forceflush', '--port', `${IPERF_PORT}`])
  await says(server, 'listening')
  return server
}

export interface IperfOptions {
  port?: number
  seconds: number
  args?: readonly string[]
}

// biome-ignore lint/suspicious/noExplicitAny: the report is iperf3's, and large
export type IperfEnd = Record<string, any>

/** A client's report of its end. */
export async function iperf(
  place: Namespace,
  host: string,
  { port = IPERF_PORT, seconds, args = [] }: IperfOptions,
): Promise<IperfEnd> {
  const { stdout, stderr } = await place.execute(
    ['iperf3', '--client', host, '--port', `${port}`, '--time', `${seconds}`, '--json', ...args],
    { limit: seconds * 1000 + 20_000 },
  )
  const report = JSON.parse(stdout || '{}')
  if (report.error !== undefined || report.end === undefined) {
    throw new Error(`iperf3: ${report.error ?? stderr.trim()}`)
  }
  return report.end
}

/** Runs exchange.py in the guest and reads what it found. */
export async function exchange(
  { guest, running }: Place,
  mode: 'rr' | 'crr' | 'udp-rr',
  seconds: number,
): Promise<Record<string, number>> {
  const { stdout, stderr } = await guest.execute([
    ...['python3', EXCHANGE, mode, running.gateway, `${EXCHANGE_PORT}`, `${seconds}`],
  ])
  if (stdout === '') throw new Error(`exchange.py ${mode}: ${stderr.trim().split('\n').at(-1)}`)
  return JSON.parse(stdout)
}

/** So many connections that do nothing; they are there when this resolves, until `end` is called. */
export async function holdIdle(
  { guest, running }: Place,
  count: number,
): Promise<{ end(): Promise<void> }> {
  const program = guest.start([
    ...['python3', EXCHANGE, 'idle', running.gateway, `${EXCHANGE_PORT}`, `${count}`],
  ])
  await says(program, 'open', 30_000)
  return {
    async end() {
      program.kill()
      await program.ended
    },
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))

async function says(program: Program, text: string, limit = 5_000): Promise<void> {
  for (let waited = 0; waited < limit; waited += 10) {
    if (program.stdout.toLowerCase().includes(text)) return
    if (!program.running) break
    await pause(10)
  }
  throw new Error(`${program.child.spawnargs.at(-2)}: ${program.stderr.trim() || 'no answer'}`)
}
