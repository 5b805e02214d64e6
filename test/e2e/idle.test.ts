/** A network on which nothing happens costs next to nothing. */
import { describe, expect, test } from 'vitest'
import { inWorlds, peer } from './lab.ts'
import { sleeps } from './proc.ts'

const WINDOW = 3_000

describe.skipIf(peer)('an idle network', () => {
  inWorlds((lab) => {
    test('wakes up once a second', { timeout: 60_000 }, async () => {
      const { guest, daemon } = await lab.attach()
      // Else the guest's kernel has something to say by itself.
      await guest.run(({ fs }) => fs.writeFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', '1'))
      let least = Infinity
      for (let round = 0; round < 8 && least > 5; round++) {
        const before = sleeps(daemon.pid)
        await new Promise((resolve) => setTimeout(resolve, WINDOW))
        least = Math.min(least, sleeps(daemon.pid) - before)
      }
      expect(least).toBeGreaterThan(0)
      expect(least).toBeLessThanOrEqual(5)
    })
  })
})
