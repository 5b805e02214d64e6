/** IPv6: the guest makes itself an address, and reaches the host by it. */
import { expect, test } from 'vitest'
import { inWorlds } from './lab.ts'
import * as tasks from './tasks.ts'

const GATEWAY6 = 'fd00::2'

inWorlds((lab) => {
  test('the guest has an address of fd00::/64 by router advertisement, and reaches ::1 by TCP', async () => {
    const { guest } = await lab.attach({ args: ['--enable-ipv6'] })
    expect(await address(guest)).toMatch(/^fd00::/)
    const port = await lab.host.run(tasks.serveEcho, '::1')
    expect(await guest.run(tasks.exchange, { host: GATEWAY6, port }, 'hello')).toBe('hello')
  })

  test('--disable-host-loopback closes ::1 as well', async () => {
    const { guest } = await lab.attach({
      args: ['--enable-ipv6', '--disable-host-loopback'],
    })
    expect(await address(guest)).toMatch(/^fd00::/)
    const port = await lab.host.run(tasks.serveEcho, '::1')
    await expect(guest.run(tasks.exchange, { host: GATEWAY6, port }, 'hello')).rejects.toThrow(
      /EACCES|EHOSTUNREACH|ECONNREFUSED/,
    )
  })

  test('without --enable-ipv6 nobody advertises a prefix', async () => {
    const { guest } = await lab.attach()
    expect(await address(guest, 5)).toBe('')
  })

  type Guest = Awaited<ReturnType<typeof lab.attach>>['guest']

  /** The global IPv6 address of tap0, as soon as duplicate address detection is over; or ''. */
  async function address(guest: Guest, attempts = 40): Promise<string> {
    for (let i = 0; i < attempts; i++) {
      const found = await guest.run(
        ({ fs }) =>
          fs
            .readFileSync('/proc/net/if_inet6', 'utf8')
            .split('\n')
            .find((line) => /^fd00.* tap0$/.test(line) && line.split(/\s+/)[4] !== '40') ?? '',
      )
      if (found !== '') return 'fd00::'.concat(found.slice(16, 32))
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    return ''
  }
})
