/** What each option of the command line does to a running network. */
import { expect, test } from 'vitest'
import { serveDns } from '../../src/lab/dns-server.ts'
import { DNS, GATEWAY, HOST_ADDRESS, has, inWorlds, peer } from './lab.ts'
import * as tasks from './tasks.ts'

inWorlds((lab) => {
  test('without options: tap0 has the address .100 of 10.0.2.0/24 and MTU 1500', async () => {
    const [tap] = (await lab.guest.run(tasks.interfaces)).filter((one) => one.startsWith('tap0'))
    expect(tap).toMatch(/^tap0 10\.0\.2\.100\/24 /)
    expect(await lab.guest.run(tasks.mtuOf, 'tap0')).toBe(1500)
  })

  test("the container's own loopback is up", async () => {
    const port = await lab.guest.run(tasks.serveText, 'to myself')
    const page = await lab.guest.run(tasks.fetchText, { host: '127.0.0.1', port })
    expect(page.text).toBe('to myself')
  })

  for (const mtu of [65_520, 9_000, 576]) {
    test(`--mtu=${mtu}: the TAP has it, and TCP and UDP work with it`, {
      timeout: 60_000,
    }, async () => {
      const { guest, daemon } = await lab.attach({ mtu })
      expect(await guest.run(tasks.mtuOf, 'tap0')).toBe(mtu)

      const octets = 16 << 20
      const bulk = await lab.host.run(tasks.serveBulk, octets)
      const inside = await guest.run(tasks.bulk, { host: GATEWAY, port: bulk }, octets)
      const outside = await lab.host.run(tasks.bulkServed)
      expect([inside.receivedOctets, inside.received]).toEqual([octets, outside.sent])
      expect(outside.received).toBe(inside.sent)

      const port = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
      const length = peer ? 1_000 : 60_000
      const answer = await guest.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port }, length)
      expect(answer).toMatchObject({ outcome: 'answer', equal: true })
      expect(daemon.program.running).toBe(true)
    })
  }

  test('--cidr moves all addresses', async () => {
    const { guest } = await lab.attach({ args: ['--cidr=10.9.0.0/16'] }, { nameserver: '10.9.0.3' })
    const [tap] = (await guest.run(tasks.interfaces)).filter((one) => one.startsWith('tap0'))
    expect(tap).toMatch(/^tap0 10\.9\.0\.100\/16 /)
    const port = await lab.host.run(tasks.serveText, 'moved')
    const page = await guest.run(tasks.fetchText, { host: '10.9.0.2', port })
    expect(page.text).toBe('moved')
  })

  test('--macaddress sets the MAC address of the TAP', async () => {
    const mac = '0e:d4:18:d9:38:fb'
    const { guest } = await lab.attach({ args: [`--macaddress=${mac}`] })
    const [tap] = (await guest.run(tasks.interfaces)).filter((one) => one.startsWith('tap0'))
    expect(tap).toBe(`tap0 10.0.2.100/24 ${mac}`)
  })

  test("--disable-host-loopback: the gateway does not lead to the host's loopback, TCP or UDP", async () => {
    const { guest, daemon } = await lab.attach({ args: ['--disable-host-loopback'] })
    const tcp = await lab.host.run(tasks.serveText, 'secret')
    const udp = await lab.host.run(tasks.serveUdpEcho)
    const attempt = await guest.run(tasks.tryToConnect, { host: GATEWAY, port: tcp }, 1_000)
    expect(attempt.outcome).not.toBe('connected')
    const asked = await guest.run(tasks.exchangeUdp, { host: GATEWAY, port: udp }, 64, 1_000)
    expect(asked.outcome).not.toBe('answer')

    const elsewhere = await lab.host.run(tasks.serveText, 'public', HOST_ADDRESS)
    const page = await guest.run(tasks.fetchText, { host: HOST_ADDRESS, port: elsewhere })
    expect(page.text).toBe('public')
    expect(daemon.program.stdout).not.toContain('WARNING: 127.0.0.1')
  })

  // With slirp4netns, frames to 127.0.0.1 reach the host's loopback all the same.
  test.skipIf(peer || !has('ip'))(
    '--disable-host-loopback: neither do frames that the guest addresses to 127.0.0.1',
    async () => {
      const { guest } = await lab.attach({ args: ['--disable-host-loopback'] })
      const port = await lab.host.run(tasks.serveText, 'secret')
      const { status, stderr } = await guest.execute([
        ...['sh', '-ec'],
        `ip addr del 127.0.0.1/8 dev lo
         ip route del table local 127.0.0.1/32 2>/dev/null || :
         echo 1 > /proc/sys/net/ipv4/conf/tap0/route_localnet
         ip route add 127.0.0.1/32 via ${GATEWAY} dev tap0 src 10.0.2.100`,
      ])
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      const address = { host: '127.0.0.1', port }
      const { outcome } = await guest.run(tasks.tryToConnect, address, 1_000)
      expect(outcome).not.toBe('connected')
    },
  )

  test('--disable-dns: the name server does not answer', async () => {
    await lab.host.run(serveDns, { 'one.example': ['192.0.2.1'] })
    const { guest } = await lab.attach({ args: ['--disable-dns'] })
    const outcome = await guest.run(async ({ dns }) => {
      const resolver = new dns.promises.Resolver({ timeout: 500, tries: 1 })
      return resolver.resolve4('one.example').then(
        (addresses) => addresses.join(),
        (error) => error.code,
      )
    })
    expect(['ETIMEOUT', 'ECONNREFUSED']).toContain(outcome)
    const tcp = await guest.run(tasks.tryToConnect, { host: DNS, port: 53 }, 1_000)
    expect(tcp.outcome).not.toBe('connected')
  })

  test('the interface has the name of the second operand', async () => {
    const guest = await lab.world.container()
    const daemon = await lab.world.attach(guest, { operands: [`${guest.pid}`, 'eth7'] })
    expect((await guest.run(tasks.interfaces)).join()).toContain('eth7 10.0.2.100/24')
    await lab.world.remove(guest, daemon)
  })

  test('options may be abbreviated and bundled', async () => {
    const { guest } = await lab.attach({ configure: false, args: ['-cm1400', '--disable-d'] })
    expect(await guest.run(tasks.mtuOf, 'tap0')).toBe(1400)
  })
})
