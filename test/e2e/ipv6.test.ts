/** IPv6: the guest makes itself an address, and reaches the host by it. */
import { expect, test } from 'vitest'
import { address6, GATEWAY6 } from './ipv6.ts'
import { inWorlds } from './lab.ts'
import * as tasks from './tasks.ts'

inWorlds((lab) => {
  test('the guest has an address of fd00::/64 by router advertisement, and reaches ::1 by TCP', async () => {
    const { guest } = await lab.attach({ args: ['--enable-ipv6'] })
    expect(await address6(guest)).toMatch(/^fd00:/)
    const port = await lab.host.run(tasks.serveEcho, '::1')
    expect(await guest.run(tasks.exchange, { host: GATEWAY6, port }, 'hello')).toBe('hello')
  })

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

  test('without --enable-ipv6 nobody advertises a prefix', async () => {
    const { guest } = await lab.attach()
    expect(await address6(guest, 5)).toBe('')
  })
})
