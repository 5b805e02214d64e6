/** TCP from the container under load: much data, many connections, slow readers, and nothing left of them. */
import { expect, test } from 'vitest'
import { GATEWAY, inWorlds, peer } from './lab.ts'
import { eventually, openDescriptors, residentMiB } from './proc.ts'
import * as tasks from './tasks.ts'

/** Peers are ten times slower. */
const BULK = peer ? 64 << 20 : 1 << 30

inWorlds((lab) => {
  test('much data goes both ways on one connection at the same time', {
    timeout: 120_000,
  }, async () => {
    const port = await lab.host.run(tasks.serveBulk, BULK)
    const guest = await lab.guest.run(tasks.bulk, { host: GATEWAY, port }, BULK)
    const host = await lab.host.run(tasks.bulkServed)
    expect(guest.receivedOctets).toBe(BULK)
    expect(host.receivedOctets).toBe(BULK)
    expect(guest.received).toBe(host.sent)
    expect(host.received).toBe(guest.sent)
  })

  test('500 connections are open at the same time', { timeout: 60_000 }, async () => {
    const port = await lab.host.run(tasks.serveEcho)
    expect(await lab.guest.run(tasks.exchangeMany, { host: GATEWAY, port }, 500)).toBe(500)
  })

  test('2,000 connections one after the other leave nothing behind', {
    timeout: 120_000,
  }, async () => {
    const { pid } = lab.daemon
    const port = await lab.host.run(tasks.serveEcho)
    const address = { host: GATEWAY, port }
    await lab.guest.run(tasks.exchangeInTurn, address, 500)
    const descriptors = openDescriptors(pid)
    const before = residentMiB(pid)
    expect(await lab.guest.run(tasks.exchangeInTurn, address, 2_000)).toBe(2_000)
    expect(await eventually(() => openDescriptors(pid) <= descriptors)).toBe(true)
    expect(residentMiB(pid) - before).toBeLessThan(24)
  })

  test('a host that does not read stops the guest, and nobody else', {
    timeout: 60_000,
  }, async () => {
    const octets = 48 << 20
    const before = residentMiB(lab.daemon.pid)
    const port = await lab.host.run(tasks.serveSlow, 'slow', 1_500)
    const sending = lab.guest.run(tasks.send, { host: GATEWAY, port }, octets)
    const echo = await lab.host.run(tasks.serveEcho)
    expect(await lab.guest.run(tasks.exchange, { host: GATEWAY, port: echo }, 'hello')).toBe(
      'hello',
    )
    expect(await sending).toBeGreaterThan(1_400)
    expect(await lab.host.run(tasks.kept, 'slow')).toBe(octets)
    expect(residentMiB(lab.daemon.pid) - before).toBeLessThan(40)
  })

  test('a guest that does not read stops the host, and nobody else', {
    timeout: 60_000,
  }, async () => {
    const octets = 48 << 20
    const before = residentMiB(lab.daemon.pid)
    const port = await lab.host.run(tasks.serveOctets, octets)
    const reading = lab.guest.run(tasks.readSlowly, { host: GATEWAY, port }, 1_500)
    const echo = await lab.host.run(tasks.serveEcho)
    expect(await lab.guest.run(tasks.exchange, { host: GATEWAY, port: echo }, 'hello')).toBe(
      'hello',
    )
    expect(await reading).toBe(octets)
    expect(residentMiB(lab.daemon.pid) - before).toBeLessThan(40)
  })

  test.skipIf(peer)(
    '400 connections of which the guest reads nothing stop nobody else',
    {
      timeout: 60_000,
    },
    async () => {
      const { guest } = await lab.attach()
      const address = { host: GATEWAY, port: await lab.host.run(tasks.serveEndless) }
      const echo = await lab.host.run(tasks.serveEcho)
      await guest.run(tasks.connectUnread, 'unread', address, 400)
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      for (let i = 0; i < 5; i++) {
        const answer = await guest.run(tasks.exchange, { host: GATEWAY, port: echo }, 'hello')
        expect(answer).toBe('hello')
      }
    },
  )

  test('connections that were reset leave no descriptor behind', async () => {
    const { pid } = lab.daemon
    const descriptors = openDescriptors(pid)
    for (let round = 0; round < 20; round++) {
      const port = await lab.host.run(tasks.serveKept, 'gone')
      await lab.guest.run(tasks.connectKept, 'gone', { host: GATEWAY, port })
      await lab.guest.run(tasks.act, 'gone', 'reset')
      await lab.host.run(tasks.standing, 'gone', 'closed')
    }
    expect(await eventually(() => openDescriptors(pid) <= descriptors)).toBe(true)
  })
})
