/**
 * A link behind the guest that carries less than its ends believe: what the guest's kernel says of it is heeded, or
 * nothing larger would ever arrive (RFC 1191, RFC 8201).
 *
 *   slipway ── tap0, MTU 1500 ── guest ── left, MTU 1300 ═ right, MTU 1500 ── inner
 */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Namespace } from '../../src/lab/world.ts'
import { address6, GATEWAY6 } from './ipv6.ts'
import { GATEWAY, has, inWorlds, peer, shell } from './lab.ts'
import * as tasks from './tasks.ts'

const INNER = '10.0.2.150'
const INNER6 = 'fd00::150'
const OCTETS = 8 << 20

describe.skipIf(peer || !has('ip'))('a smaller link behind the guest', () => {
  inWorlds(
    (lab) => {
      let inner: Namespace
      beforeAll(async () => {
        const { guest } = lab
        expect(await address6(guest)).toMatch(/^fd00:/)
        inner = await lab.world.inner(guest)
        await shell(
          guest,
          `cd /proc/sys/net
           echo 2 > ipv6/conf/tap0/accept_ra
           echo 1 > ipv4/ip_forward; echo 1 > ipv6/conf/all/forwarding
           echo 1 > ipv4/conf/tap0/proxy_arp; echo 1 > ipv6/conf/tap0/proxy_ndp
           ip link add left mtu 1300 type veth peer name right netns ${inner.pid}
           ip link set left up
           ip addr add 10.88.0.1/24 dev left; ip addr add fd88::1/64 dev left nodad
           ip route add ${INNER} dev left; ip -6 route add ${INNER6} dev left
           ip -6 neigh add proxy ${INNER6} dev tap0`,
        )
        await shell(
          inner,
          `ip link set right mtu 1500 up
           ip addr add 10.88.0.2/24 dev right; ip addr add ${INNER}/32 dev right
           ip addr add fd88::2/64 dev right nodad; ip addr add ${INNER6}/128 dev right nodad
           ip route add default via 10.88.0.1 src ${INNER}
           ip -6 route add default via fd88::1 src ${INNER6}`,
        )
      })

      for (const [version, host, server] of [
        ['IPv4', GATEWAY, '127.0.0.1'],
        ['IPv6', GATEWAY6, '::1'],
      ] as const) {
        test(`TCP over ${version}: 8 MiB arrive whole`, async () => {
          const port = await lab.host.run(tasks.serveOctets, OCTETS, server)
          const started = performance.now()
          expect(await inner.run(tasks.readSlowly, { host, port }, 0)).toBe(OCTETS)
          // No time-out was waited for: each would be 200 ms, and more.
          expect(performance.now() - started).toBeLessThan(10_000)
          // Who comes next is served at once.
          expect(await inner.run(tasks.readSlowly, { host, port }, 0)).toBe(OCTETS)
        })
      }

      // Asked for little, the host answers with much.
      for (const [what, host, server, length] of [
        ['IPv4: 1,400 octets are cut on their way', GATEWAY, '127.0.0.1', 1_400],
        ['IPv4: so are the fragments of 60,000', GATEWAY, '127.0.0.1', 60_000],
        ['IPv6: the first are lost, the next are cut to what fits', GATEWAY6, '::1', 1_400],
        ['IPv6: so are those of 60,000', GATEWAY6, '::1', 60_000],
      ] as const) {
        test(`UDP over ${what}`, async () => {
          const port = await lab.host.run(
            ({ dgram, bind }, host, length) => {
              const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
              socket.on('message', (_, from) =>
                socket.send(Buffer.alloc(length), from.port, from.address),
              )
              return bind(socket, host)
            },
            server,
            length,
          )
          const lengths = await inner.run(
            async ({ dgram, sleep }, host, port) => {
              const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
              const lengths: number[] = []
              socket.on('message', (message) => lengths.push(message.length))
              for (let i = 0; i < 20 && lengths.length === 0; i++) {
                socket.send('?', port, host)
                await sleep(100)
              }
              socket.close()
              return lengths
            },
            host,
            port,
          )
          expect(lengths).toEqual([length])
        })
      }
    },
    { shared: { args: ['--enable-ipv6'] } },
  )
})
