/**
 * The kernel's TCP at the far end of a bad cable, as test/stack/rig/goodput.ts has them: every octet arrives, both ways.
 * `npm run bench:lossy` has the figures, and 64 MiB for each.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Bed } from '../../bench/lossy/bed.ts'
import { explain, preflight } from '../../src/lab/preflight.ts'
import { World } from '../../src/lab/world.ts'
import { LINKS } from '../stack/rig/goodput.ts'
import { has, peer } from './lab.ts'

const obstacle = await preflight()
const why = obstacle ? ` (skipped: ${explain(obstacle)})` : ''
const KIB = 1024

describe.skipIf(peer || why || !has('python3') || !has('ip'))(
  `the same hash at both ends of a cable${why}`,
  () => {
    let world: World
    beforeAll(async () => {
      world = await World.open()
    })
    afterAll(() => world?.close())

    test.concurrent.each([
      ['plain', 0, 4 * KIB],
      ['plain', 0.02, KIB],
      ['disorder', 0.01, KIB],
      ['doubles', 0.02, KIB],
      ['damage', 0.01, KIB],
      ['far', 0.001, KIB],
      ['shallow', 0.01, KIB],
      ['narrow', 0.05, 128],
      // More than a handful of segments, and the kernel's timer backs off for minutes.
      ['plain', 0.2, 16],
    ] as const)(
      '%s, with a loss of %d: %i KiB each way',
      { timeout: 240_000 },
      async (name, loss, kib) => {
        const bed = await Bed.open(world, 'slipway', { ...LINKS[name], loss })
        try {
          for (const direction of ['down', 'up'] as const) {
            expect(await bed.transfer(direction, kib * KIB, 120_000)).toBeGreaterThan(0)
          }
        } finally {
          await bed.close()
        }
      },
    )
  },
)
