/**
 * Super-segments to a guest that passes them on, through a bridge and NAT, as Docker in a container has it: its kernel cuts
 * them, also those that are longer than an IP packet can be (Linux' BIG TCP).
 *
 *   slipway ── tap0 ── guest, masquerading ── bridge ── outer ═ inner
 */
import { describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import { isLinux } from '../linux.ts'
import { Counters } from './counters.ts'
import { GATEWAY, has, inWorlds, peer, shell } from './lab.ts'
import * as tasks from './tasks.ts'

const OCTETS = 64 << 20

describe.skipIf(peer || !has('ip') || !has('nft'))('a network behind the guest', () => {
  inWorlds((lab) => {
    test('gets every octet of super-segments, through a bridge and NAT', async () => {
      const counters = new Counters(lab)
      const { guest } = await lab.attach({ args: [counters.option] })
      const inner = await lab.world.inner(guest)
      await shell(
        guest,
        `echo 1 > /proc/sys/net/ipv4/ip_forward
         ip link add bridge type bridge
         ip link add outer type veth peer name inner netns ${inner.pid}
         ip link set outer master bridge up
         ip addr add 10.88.0.1/24 dev bridge; ip link set bridge up
         nft add table nat
         nft add chain nat out '{ type nat hook postrouting priority srcnat; }'
         nft add rule nat out oifname tap0 masquerade`,
      )
      await shell(
        inner,
        `ip addr add 10.88.0.2/24 dev inner; ip link set inner up
         ip route add default via 10.88.0.1`,
      )
      const port = await lab.host.run(tasks.serveOctets, OCTETS, '127.0.0.1')
      expect(await inner.run(readPattern, GATEWAY, port, 'octets')).toEqual([OCTETS, true])
      const frames = await counters.value('slipway_frames_total', 'direction', 'to_guest')
      if (isLinux(6, 6)) expect(OCTETS / frames).toBeGreaterThan(65_535)
    })
  })
})

/** Reads to the end; answers how many octets there were, and whether they were `pattern` again and again. */
function readPattern(
  { net }: Kit,
  host: string,
  port: number,
  pattern: string,
): Promise<[octets: number, isRight: boolean]> {
  return new Promise((resolve, reject) => {
    let octets = 0
    let isRight = true
    const socket = net.connect({ host, port })
    socket.on('data', (part) => {
      const skip = octets % pattern.length
      isRight &&= Buffer.alloc(skip + part.length, pattern)
        .subarray(skip)
        .equals(part)
      octets += part.length
    })
    socket.once('error', reject)
    socket.once('close', () => resolve([octets, isRight]))
  })
}
