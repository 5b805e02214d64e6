/** A network on which nothing happens costs next to nothing. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { inWorlds, peer } from './lab.ts'

const WINDOW = 3_000

/** How often the main thread has slept (proc_pid_status(5)). */
function sleeps(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)![1])
}

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
