/**
 * The kernel's TCP at the far end of a cable that loses, doubles and reorders frames: every octet
 * arrives, both ways. `npm run bench:lossy` has the figures.
 */
import { expect, test } from 'vitest'
import { Bed } from '../../bench/lossy/bed.ts'
import { explain, preflight } from '../../src/lab/preflight.ts'
import { World } from '../../src/lab/world.ts'
import { has, peer } from './lab.ts'

const obstacle = await preflight()
const why = obstacle ? explain(obstacle) : undefined

test.skipIf(peer || why || !has('python3') || !has('ip'))(
  `a MiB each way has the same hash at both ends${why ? ` (skipped: ${why})` : ''}`,
  { timeout: 120_000 },
  async () => {
    const world = await World.open()
    try {
      const link = { loss: 0.02, duplication: 0.02, reordering: 0.02, jitter: 4, delay: 10 }
      const bed = await Bed.open(world, 'slipway', link)
      for (const direction of ['down', 'up'] as const) {
        expect(await bed.transfer(direction, 1024 * 1024, 60_000)).toBeGreaterThan(0)
      }
      await bed.close()
    } finally {
      await world.close()
    }
  },
)
