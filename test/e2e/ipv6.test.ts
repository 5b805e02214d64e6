/** IPv6: the guest makes itself an address, and reaches the host by it. */
import { expect, test } from 'vitest'
import { addHostAddress6, address6, DNS6, GATEWAY6, HOST_ADDRESS6, linkLocal6 } from './ipv6.ts'
import { has, inWorlds } from './lab.ts'
import * as tasks from './tasks.ts'

inWorlds((lab) => {
  test('the guest has an address of fd00::/64 by router advertisement, and reaches ::1 by TCP', async () => {
    const { guest } = await lab.attach({ args: ['--enable-ipv6'] })
    expect(await address6(guest)).toMatch(/^fd00:/)
    const port = await lab.host.run(tasks.serveEcho, '::1')
    expect(await guest.run(tasks.exchange, { host: GATEWAY6, port }, 'hello')).toBe('hello')
  })

  test.skipIf(!has('ip'))(
    'our addresses are ours: another who takes them is told (RFC 4862 §5.4)',
    async () => {
      const { guest } = await lab.attach({ args: ['--enable-ipv6'] })
      expect(await address6(guest)).toMatch(/^fd00:/)
      const ours = [GATEWAY6, DNS6, 'fe80::2']
      for (const address of ours) {
        const added = await guest.execute(['ip', 'addr', 'add', `${address}/64`, 'dev', 'tap0'])
        expect(added).toMatchObject({ status: 0, stderr: '' })
      }
      const failed = async () => {
        const { stdout } = await guest.execute(['ip', '-6', '-o', 'addr', 'show', 'dadfailed'])
        return ours.filter((address) => stdout.includes(` ${address}/64 `))
      }
      await expect.poll(failed, { timeout: 10_000 }).toEqual(ours)
    },
  )

  test('--disable-host-loopback closes ::1 as well', async () => {
    const { guest } = await lab.attach({
      args: ['--enable-ipv6', '--disable-host-loopback'],
    })
    expect(await address6(guest)).toMatch(/^fd00:/)
    const port = await lab.host.run(tasks.serveEcho, '::1')
    await expect(guest.run(tasks.exchange, { host: GATEWAY6, port }, 'hello')).rejects.toThrow(
      /EACCES|EHOSTUNREACH|ECONNREFUSED/,
    )
  })

  test.skipIf(!has('ip'))(
    'datagrams of every awkward size come back whole, fragmented or not',
    {
      timeout: 60_000,
    },
    async () => {
      await addHostAddress6(lab.host)
      for (const mtu of [1500, 65_520]) {
        const { guest } = await lab.attach({ mtu, args: ['--enable-ipv6'] })
        expect(await address6(guest)).toMatch(/^fd00:/)
        for (const host of [HOST_ADDRESS6, '::1']) {
          const port = await lab.host.run(tasks.serveUdpEcho, host)
          const address = { host: host === '::1' ? GATEWAY6 : host, port }
          for (const length of [0, 1_452, 1_453, 2_896, 9_000, 60_000, 65_472, 65_473, 65_487]) {
            const { outcome, equal } = await guest.run(tasks.exchangeUdp, address, length)
            expect({ mtu, host, length, outcome, equal }).toMatchObject({
              outcome: 'answer',
              equal: true,
            })
          }
        }
      }
    },
  )

  test.skipIf(!has('ping'))(
    'the gateway answers a ping of 8,000 octets, and of 65,000',
    async () => {
      const { guest } = await lab.attach({ args: ['--enable-ipv6'] })
      expect(await address6(guest)).toMatch(/^fd00:/)
      for (const octets of [56, 8_000, 65_000]) {
        const command = ['ping', '-6', '-n', '-c', '2', '-i', '0.2', '-W', '2', '-s', `${octets}`]
        const { stdout } = await guest.execute([...command, GATEWAY6])
        expect(stdout).toContain('2 packets transmitted, 2 received, 0% packet loss')
      }
    },
  )

  test('nothing is behind the link-local address of the router', async () => {
    const { guest } = await lab.attach({ args: ['--enable-ipv6'] })
    expect(await linkLocal6(guest)).toMatch(/^fe80:/)
    const port = await lab.host.run(tasks.serveEcho, '::1')
    const address = { host: 'fe80::2%tap0', port }
    expect((await guest.run(tasks.tryToConnect, address)).outcome).toBe('ECONNREFUSED')
    expect((await guest.run(tasks.exchangeUdp, address)).outcome).toBe('ECONNREFUSED')
  })

  test('without --enable-ipv6 nobody advertises a prefix', async () => {
    const { guest } = await lab.attach()
    expect(await address6(guest, 5)).toBe('')
  })
})
