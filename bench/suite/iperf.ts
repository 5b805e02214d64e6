/** iperf3, both ends. */
import type { Program } from '../../src/lab/program.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { pause } from './workload.ts'

/** In the container. */
export const GUEST_PORT = 5201

export function serveIperf(place: Namespace, port: number): Promise<Program> {
  return started(place.start(iperfServer(port)))
}

export const iperfServer = (port: number): string[] => [
  ...['iperf3', '--server', '--forceflush', '--port', `${port}`],
]

async function started(server: Program): Promise<Program> {
  await says(server, 'listening')
  return server
}

export interface IperfOptions {
  port: number
  seconds: number
  args?: readonly string[]
}

// biome-ignore lint/suspicious/noExplicitAny: the report is iperf3's, and large
export type IperfEnd = Record<string, any>

/** A client's report of its end. */
export async function iperf(
  place: Namespace,
  host: string,
  { port, seconds, args = [] }: IperfOptions,
): Promise<IperfEnd> {
  const command = [
    'iperf3',
    '--client',
    host,
    '--port',
    `${port}`,
    '--time',
    `${seconds}`,
    '--json',
  ]
  const { stdout, stderr } = await place.execute([...command, ...args], {
    limit: seconds * 1000 + 20_000,
  })
  const report = JSON.parse(stdout || '{}')
  if (report.error !== undefined || report.end === undefined) {
    throw new Error(`iperf3: ${report.error ?? (stderr.trim() || 'it did not end')}`)
  }
  return report.end
}

/** Waits until the program has said so. */
export async function says(program: Program, text: string, limit = 5_000): Promise<void> {
  for (let waited = 0; waited < limit; waited += 10) {
    if (program.stdout.toLowerCase().includes(text)) return
    if (!program.running) break
    await pause(10)
  }
  throw new Error(`${program.child.spawnargs.at(-2)}: ${program.stderr.trim() || 'no answer'}`)
}
