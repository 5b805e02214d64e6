/** exchange.py: small exchanges and idle connections between the container and the host. */
import { fileURLToPath } from 'node:url'
import type { World } from '../../src/lab/world.ts'
import { says } from './iperf.ts'
import type { GuestPlace } from './workload.ts'

const PORT = 5202
const PROGRAM = fileURLToPath(new URL('exchange.py', import.meta.url))

export async function serveExchanges(world: World): Promise<void> {
  const server = world.host.start(['python3', PROGRAM, 'serve', '0.0.0.0', `${PORT}`])
  await says(server, 'listening')
}

/** Runs it in the guest and reads what it found. */
export async function exchange(
  { running: { guest, gateway } }: GuestPlace,
  mode: 'rr' | 'crr' | 'udp-rr',
  seconds: number,
): Promise<Record<string, number>> {
  const command = ['python3', PROGRAM, mode, gateway, `${PORT}`, `${seconds}`]
  const { stdout, stderr, signal } = await guest.execute(command, {
    limit: seconds * 1000 + 30_000,
  })
  if (stdout !== '') return JSON.parse(stdout)
  throw new Error(`exchange.py ${mode}: ${signal ?? stderr.trim().split('\n').at(-1)}`)
}

/** So many connections that do nothing; they are there when this resolves, until `end` is called. */
export async function holdIdle(
  { running: { guest, gateway } }: GuestPlace,
  count: number,
): Promise<{ end(): Promise<void> }> {
  const program = guest.start(['python3', PROGRAM, 'idle', gateway, `${PORT}`, `${count}`])
  await says(program, 'open', 60_000)
  return {
    async end() {
      program.kill()
      await program.ended
    },
  }
}
