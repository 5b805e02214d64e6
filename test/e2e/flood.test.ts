/** Floods from a container: what is there goes on, what is taken is bounded, and when it is over, it is over. */
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Namespace } from '../../src/lab/world.ts'
import { Counters } from './counters.ts'
import { GATEWAY, has, inWorlds, peer } from './lab.ts'
import { openDescriptors, residentMiB } from './proc.ts'
import * as tasks from './tasks.ts'

const FLOOD = fileURLToPath(new URL('flood.py', import.meta.url))
/** Of the process: a quarter of what a shell usually has. */
const DESCRIPTORS = 256

describe.skipIf(peer || !has('python3'))('a flood of', () => {
  inWorlds((lab) => {
    async function attach() {
      const counters = new Counters(lab)
      const wrapper = ['prlimit', `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`]
      const { guest, daemon } = await lab.attach({ wrapper, args: [counters.option] })
      const port = await lab.host.run(tasks.serveKept, 'flooded')
      await guest.run(tasks.connectKept, 'flooded', { host: GATEWAY, port })
      return { guest, daemon, counters }
    }

    async function flood(guest: Namespace, kind: 'syn' | 'udp', count: number, port: number) {
      const command = ['python3', FLOOD, 'tap0', kind, `${count}`, GATEWAY, `${port}`]
      const { stdout, stderr } = await guest.execute(command, { limit: 90_000 })
      expect([stdout.trim(), stderr]).toEqual([`${count}`, ''])
    }

    /** The connection that was there before goes on. */
    async function expectOn(guest: Namespace): Promise<void> {
      await guest.run(tasks.act, 'flooded', { send: 'still here' })
      const { text } = await lab.host.run(tasks.standing, 'flooded', 'text')
      expect(text).toBe('still here')
    }

    test('100,000 SYNs of nobody is bounded by the handshakes that may be under way', {
      timeout: 120_000,
    }, async () => {
      const { guest, daemon, counters } = await attach()
      const port = await lab.host.run(tasks.serveEcho)
      const before = residentMiB(daemon.pid)
      const flooding = flood(guest, 'syn', 100_000, port)
      await expectOn(guest)
      await flooding
      expect(openDescriptors(daemon.pid)).toBeLessThan(DESCRIPTORS)
      expect(residentMiB(daemon.pid) - before).toBeLessThan(40)
      expect(await counters.drops('tcp_half_open')).toBeGreaterThan(50_000)
      // Half of what there may be is left for those who answer: the guest's own SYN is repeated after a second.
      const started = performance.now()
      const address = { host: GATEWAY, port }
      expect(await guest.run(tasks.exchange, address, 'after the flood')).toBe('after the flood')
      expect(performance.now() - started).toBeLessThan(8_000)
      expect(await guest.run(tasks.exchangeMany, address, 50)).toBe(50)
    })

    test('datagrams from 20,000 ports is bounded by the UDP ports that there may be', {
      timeout: 120_000,
    }, async () => {
      const { guest, daemon, counters } = await attach()
      const port = await lab.host.run(tasks.serveUdpEcho)
      const before = residentMiB(daemon.pid)
      await flood(guest, 'udp', 20_000, port)
      await expectOn(guest)
      expect(openDescriptors(daemon.pid)).toBeLessThan(DESCRIPTORS)
      expect(residentMiB(daemon.pid) - before).toBeLessThan(40)
      const evicted = await counters.value('slipway_flows_evicted_total', 'protocol', 'udp')
      // Many are lost on the way when the TAP's queue is full; test/nat/udp-flow.test.ts has them all.
      expect(evicted).toBeGreaterThan(1_000)
      const address = { host: GATEWAY, port }
      expect(await guest.run(tasks.exchangeUdp, address)).toMatchObject({ outcome: 'answer' })
    })
  })
})
