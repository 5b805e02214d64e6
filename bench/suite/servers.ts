/** The servers on the host, for the whole bench. A contender whose transfer hangs must not hold up another's. */
import type { World } from '../../src/lab/world.ts'
import { serveExchanges } from './exchange.ts'
import { serveIperf } from './iperf.ts'
import type { Place } from './workload.ts'

const FIRST_PORT = 5400

const ports = new Map<string, number>()

export async function startServers(world: World, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const port = FIRST_PORT + ports.size
    await serveIperf(world.host, port)
    ports.set(name, port)
  }
  await serveExchanges(world)
}

/** The port of the host where the contender's iperf3 server listens. */
export function hostPortOf({ contender }: Pick<Place, 'contender'>): number {
  return ports.get(contender.name)!
}
