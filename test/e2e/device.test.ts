/** The TAP itself: inherited, shared by several MACs, forwarded behind, down and up, full of garbage. */
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Namespace } from '../../src/lab/world.ts'
import { GATEWAY, HOST_ADDRESS, has, inWorlds, type Lab, peer, shell } from './lab.ts'
import { cpuMs } from './proc.ts'
import * as tasks from './tasks.ts'

const beside = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** Both ways at the same time, with equal hashes. */
async function expectBulk(
  lab: Lab,
  guest: Namespace,
  octets: number,
  host = GATEWAY,
): Promise<void> {
  const port = await lab.host.run(tasks.serveBulk, octets, '0.0.0.0')
  const inside = await guest.run(tasks.bulk, { host, port }, octets)
  const outside = await lab.host.run(tasks.bulkServed)
  expect([inside.receivedOctets, inside.received]).toEqual([octets, outside.sent])
  expect([outside.receivedOctets, outside.received]).toEqual([octets, inside.sent])
}

async function expectFetch(lab: Lab, guest: Namespace): Promise<void> {
  const port = await lab.host.run(tasks.serveText, 'a page')
  const page = await guest.run(tasks.fetchText, { host: GATEWAY, port })
  expect(page.text).toBe('a page')
}

inWorlds((lab) => {
  // slirp4netns 1.2.0 does not know --netns-type=tapfd.
  describe.skipIf(peer || !has('python3') || !has('ip'))('an inherited TAP', () => {
    for (const kind of ['plain', 'vnet'] as const) {
      for (const mtu of [1_500, 65_520]) {
        const what = kind === 'vnet' ? 'with' : 'without'
        test(`${what} a vnet header, MTU ${mtu}`, { timeout: 60_000 }, async () => {
          const guest = await lab.world.container()
          const daemon = await lab.world.attach(guest, {
            wrapper: ['python3', beside('with-tapfd.py'), `${guest.pid}`, 'tap0', kind],
            configure: false,
            mtu,
            operands: ['--netns-type=tapfd', '{fd}'],
          })
          await shell(
            guest,
            `ip link set lo up
             ip link set tap0 mtu ${mtu} up
             ip addr add 10.0.2.100/24 dev tap0
             ip route add default via ${GATEWAY}`,
          )
          await expectFetch(lab, guest)
          await expectBulk(lab, guest, 64 << 20)
          const port = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
          const answer = await guest.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port }, 60_000)
          expect(answer).toMatchObject({ outcome: 'answer', equal: true })
          await lab.world.remove(guest, daemon)
        })
      }
    }
  })

  describe.skipIf(!has('ip'))('several guests behind one TAP', () => {
    test('each of two MACs on a bridge has its own traffic', { timeout: 60_000 }, async () => {
      const { guest, daemon } = await lab.attach()
      const inner = await lab.world.inner(guest)
      await shell(
        guest,
        `ip link add br0 type bridge
         ip link add left type veth peer name right
         ip link set right netns ${inner.pid}
         ip addr flush dev tap0
         ip link set tap0 master br0
         ip link set left master br0
         ip link set left up
         ip link set br0 up
         ip addr add 10.0.2.100/24 dev br0
         ip route add default via ${GATEWAY}`,
      )
      await shell(
        inner,
        `ip link set right up
         ip addr add 10.0.2.101/24 dev right
         ip route add default via ${GATEWAY}`,
      )
      await Promise.all([expectFetch(lab, guest), expectFetch(lab, inner)])
      const guestPort = await inner.run(tasks.serveText, 'the second guest', '0.0.0.0')
      await daemon.forward({ hostPort: 24_001, guestAddr: '10.0.2.101', guestPort })
      const page = await lab.host.run(tasks.fetchText, { host: HOST_ADDRESS, port: 24_001 })
      expect(page.text).toBe('the second guest')
      await inner.close()
    })

    // A wrong gso_size passes unnoticed in a plain container; a forwarding one drops every segment.
    for (const mtu of [1_500, 65_520]) {
      test(`one forwards for another over MTU 1500, its TAP has ${mtu}`, {
        timeout: 60_000,
      }, async () => {
        const { guest } = await lab.attach({ mtu })
        const inner = await lab.world.inner(guest)
        await shell(
          guest,
          `ip link add left type veth peer name right
           ip link set right netns ${inner.pid}
           ip addr add 10.88.0.1/24 dev left
           ip link set left up
           ip route add 10.0.2.150/32 dev left
           echo 1 > /proc/sys/net/ipv4/ip_forward
           echo 1 > /proc/sys/net/ipv4/conf/tap0/proxy_arp`,
        )
        await shell(
          inner,
          `ip link set right up
           ip addr add 10.88.0.2/24 dev right
           ip addr add 10.0.2.150/32 dev right
           ip route add default via 10.88.0.1 src 10.0.2.150`,
        )
        await expectFetch(lab, inner)
        await expectBulk(lab, inner, 32 << 20)
        await inner.close()
      })
    }
  })

  test.skipIf(!has('ip'))(
    'down and up under load, connections go on',
    { timeout: 60_000 },
    async () => {
      const { guest, daemon } = await lab.attach()
      const octets = peer ? 64 << 20 : 512 << 20
      const bulk = expectBulk(lab, guest, octets)
      for (let round = 0; round < 3; round++) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        await shell(
          guest,
          `ip link set tap0 down
         sleep 0.1
         ip link set tap0 up
         ip route add default via ${GATEWAY}`,
        )
      }
      await bulk
      await expectFetch(lab, guest)
      expect(daemon.program.running).toBe(true)
    },
  )

  test.skipIf(!has('ip'))('while it is down, the daemon waits and does not spin', async () => {
    const { guest, daemon } = await lab.attach()
    await shell(guest, 'ip link set tap0 down')
    const before = cpuMs(daemon.pid)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(cpuMs(daemon.pid) - before).toBeLessThan(100)
    await shell(guest, `ip link set tap0 up; ip route add default via ${GATEWAY}`)
    await expectFetch(lab, guest)
  })

  // slirp4netns dies of a lone last fragment (SIGBUS).
  test.skipIf(peer || !has('python3'))(
    'garbage does not end it, nor what is open',
    { timeout: 60_000 },
    async () => {
      const { guest, daemon } = await lab.attach()
      const port = await lab.host.run(tasks.serveKept, 'garbage')
      await guest.run(tasks.connectKept, 'garbage', { host: GATEWAY, port })
      const seed = Date.now() % 1_000_000
      for (let round = 0; round < 3; round++) {
        const command = ['python3', beside('garbage.py'), 'tap0', `${seed + round}`, '5000']
        const { status, stderr } = await guest.execute(command)
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
        expect(daemon.program.running, `after the garbage of seed ${seed + round}`).toBe(true)
      }
      await guest.run(tasks.act, 'garbage', { send: 'still here' })
      const { text } = await lab.host.run(tasks.standing, 'garbage', 'text')
      expect(text, `after the garbage of seed ${seed}`).toBe('still here')
      await expectFetch(lab, guest)
    },
  )
})
