/** Published ports over IPv6: listeners of the host at [::] and ::1, guests by their IPv6 address. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import { addHostAddress6, address6, GATEWAY6, HOST_ADDRESS6 } from './ipv6.ts'
import { GATEWAY, HOST_ADDRESS, has, inWorlds, type Pair, peer } from './lab.ts'
import * as tasks from './tasks.ts'

let hostPort = 24_000

// Upstream has no forwards of IPv6.
describe.skipIf(peer || !has('ip'))('published over IPv6', () => {
  inWorlds((lab) => {
    let pair: Pair

    beforeAll(async () => {
      await addHostAddress6(lab.host)
    })

    async function attach(): Promise<string> {
      pair = await lab.attach({ args: ['--enable-ipv6'] })
      return address6(pair.guest)
    }

    const fetch = (host: string): Promise<{ text: string; client: string }> =>
      lab.host.run(tasks.fetchText, { host, port: hostPort })

    test("tcp6: the host's [::] leads to the guest's own address, which sees the client", async () => {
      const guest6 = await attach()
      const guestPort = await pair.guest.run(tasks.serveText, 'inside', '::')
      await pair.daemon.forward({ proto: 'tcp6', hostPort: ++hostPort, guestPort })
      expect(await fetch(HOST_ADDRESS6)).toEqual({ text: 'inside', client: HOST_ADDRESS6 })
      expect(await fetch('::1')).toEqual({ text: 'inside', client: GATEWAY6 })
      const { entries } = (await pair.daemon.api({ execute: 'list_hostfwd' })) as {
        entries: { guest_addr: string }[]
      }
      const same = (text: string): string => new URL(`http://[${text}]/`).hostname
      expect(entries.map((entry) => same(entry.guest_addr))).toEqual([same(guest6)])
      // At [::] it is of IPv6 only: the same port of IPv4 is free, and may be another forward.
      const there = { host: HOST_ADDRESS, port: hostPort }
      expect(await lab.host.run(tasks.tryToConnect, there)).toMatchObject({
        outcome: 'ECONNREFUSED',
      })
      const other = await pair.guest.run(tasks.serveText, 'of IPv4', '0.0.0.0')
      await pair.daemon.forward({ hostPort, guestPort: other })
      expect(await fetch(HOST_ADDRESS)).toEqual({ text: 'of IPv4', client: HOST_ADDRESS })
      expect(await fetch(HOST_ADDRESS6)).toMatchObject({ text: 'inside' })
    })

    test('tcp: from either version to either; foreign clients appear as the gateway', async () => {
      const guest6 = await attach()
      const guestPort = await pair.guest.run(tasks.serveText, 'inside', '::')
      await pair.daemon.forward({ hostAddr: '::', hostPort: ++hostPort, guestPort })
      expect(await fetch(HOST_ADDRESS6)).toEqual({ text: 'inside', client: `::ffff:${GATEWAY}` })
      expect(await fetch(HOST_ADDRESS)).toEqual({
        text: 'inside',
        client: `::ffff:${HOST_ADDRESS}`,
      })
      await pair.daemon.forward({ hostPort: ++hostPort, guestAddr: guest6, guestPort })
      expect(await fetch(HOST_ADDRESS)).toEqual({ text: 'inside', client: GATEWAY6 })
    })

    test('udp6: each client has its own answers', async () => {
      await attach()
      const guestPort = await pair.guest.run(serveUdpReport6)
      await pair.daemon.forward({ proto: 'udp6', hostPort: ++hostPort, guestPort })
      const ask = (host: string): Promise<string[]> => lab.host.run(askSome, host, hostPort, 5)
      // Twice, since the first client must be answered still when there is another.
      for (let round = 0; round < 2; round++) {
        expect(await ask(HOST_ADDRESS6)).toEqual(Array(5).fill(HOST_ADDRESS6))
        expect(await ask('::1')).toEqual(Array(5).fill(GATEWAY6))
      }
      // 30,000 octets go in fragments, both ways.
      const echo = await pair.guest.run(tasks.serveUdpEcho, '::')
      await pair.daemon.forward({ proto: 'udp6', hostPort: ++hostPort, guestPort: echo })
      const address = { host: HOST_ADDRESS6, port: hostPort }
      const answer = await lab.host.run(tasks.exchangeUdp, address, 30_000)
      expect(answer).toMatchObject({ outcome: 'answer', equal: true })
    })

    test('a client at a link-local address is answered, too', async () => {
      await attach()
      const script = `
        ip link add ll0 type veth peer name ll1
        ip link set ll1 address 02:00:00:00:00:11
        ip link set ll0 up
        ip link set ll1 up
        ip addr add fe80::a/64 dev ll0 nodad`
      const { status, stderr } = await lab.host.execute(['sh', '-ec', script])
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      const guestPort = await pair.guest.run(serveUdpReport6)
      await pair.daemon.forward({ proto: 'udp6', hostPort: ++hostPort, guestPort })
      expect(await lab.host.run(askSome, 'fe80::a%ll0', hostPort, 1)).toEqual([GATEWAY6])
    })

    test('a port that is taken, and addresses that are not there, are errors with their names', async () => {
      await attach()
      const forward = { proto: 'tcp6', hostPort: ++hostPort, guestPort: 80 } as const
      const first = await pair.daemon.forward(forward)
      await expect(pair.daemon.forward(forward)).rejects.toThrow(/:: port \d+: EADDRINUSE/)
      await expect(pair.daemon.forward({ ...forward, hostAddr: '2001:db8::99' })).rejects.toThrow(
        /2001:db8::99 port \d+: EADDRNOTAVAIL/,
      )
      await expect(pair.daemon.forward({ ...forward, guestAddr: 'fd01::1' })).rejects.toThrow(
        'slirp_add_hostfwd failed: not in the subnet: fd01::1',
      )
      const remove = { execute: 'remove_hostfwd', arguments: { id: first } }
      expect(await pair.daemon.api(remove)).toEqual({ return: {} })
      await pair.daemon.forward(forward)
    })

    test('without --enable-ipv6 there is no address to lead to', async () => {
      const { daemon } = await lab.attach()
      const forward = { proto: 'tcp6', hostPort: ++hostPort, guestPort: 80 } as const
      await expect(daemon.forward(forward)).rejects.toThrow(
        'slirp_add_hostfwd failed: no IPv6 address of the guest: IPv6 is not enabled',
      )
    })
  })
})

/** Answers each datagram with the address that it came from. */
function serveUdpReport6({ dgram, bind }: Kit): Promise<number> {
  const socket = dgram.createSocket('udp6')
  socket.on('message', (_, from) => socket.send(from.address, from.port, from.address))
  return bind(socket, '::')
}

/** Sends so many datagrams from one socket, each after the answer to the one before. */
async function askSome(
  { dgram }: Kit,
  host: string,
  port: number,
  count: number,
): Promise<string[]> {
  const socket = dgram.createSocket('udp6')
  const answers: string[] = []
  for (let i = 0; i < count; i++) {
    socket.send('who am I?', port, host)
    answers.push(
      await new Promise<string>((resolve) => {
        const timer = setTimeout(() => resolve('silence'), 3_000)
        socket.once('message', (text) => {
          clearTimeout(timer)
          resolve(`${text}`)
        })
      }),
    )
  }
  socket.close()
  return answers
}
