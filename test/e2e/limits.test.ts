/** When there are no more descriptors: new flows fail cleanly, what is there goes on, and it recovers. */
import { expect, test } from 'vitest'
import { GATEWAY, HOST_ADDRESS, inWorlds, peer } from './lab.ts'
import { cpuMs, eventually } from './proc.ts'
import * as tasks from './tasks.ts'

const wrapper = ['prlimit', '--nofile=64:64']

inWorlds((lab) => {
  test('a full table of descriptors refuses connections and leaves the others alone', {
    timeout: 60_000,
  }, async () => {
    const { guest, daemon } = await lab.attach({ wrapper })
    const kept = await lab.host.run(tasks.serveKept, 'first')
    await guest.run(tasks.connectKept, 'first', { host: GATEWAY, port: kept })

    const port = await lab.host.run(tasks.serveEcho)
    const echoed = await guest.run(tasks.exchangeMany, { host: GATEWAY, port }, 120)
    expect(echoed).toBeGreaterThan(5)
    expect(echoed).toBeLessThan(120)

    await guest.run(tasks.act, 'first', { send: 'still here' })
    const { text } = await lab.host.run(tasks.standing, 'first', 'text')
    expect(text).toBe('still here')

    const again = async (): Promise<boolean> =>
      (await guest.run(tasks.exchange, { host: GATEWAY, port }, 'again').catch(() => '')) ===
      'again'
    let works = false
    for (let attempt = 0; attempt < 20 && !works; attempt++) {
      works = await again()
      if (!works) await new Promise((resolve) => setTimeout(resolve, 250))
    }
    expect(works).toBe(true)
    expect(daemon.program.running).toBe(true)
  })

  // The listener of slirp4netns spins.
  test.skipIf(peer)(
    'a forward without descriptors neither spins nor forgets its port',
    { timeout: 60_000 },
    async () => {
      const { guest, daemon } = await lab.attach({ wrapper })
      const guestPort = await guest.run(tasks.serveEcho, '0.0.0.0')
      const hostPort = 23_001
      await daemon.forward({ hostPort, guestPort })
      const address = { host: HOST_ADDRESS, port: hostPort }
      await lab.host.run(
        ({ net, keep }, address, count) => {
          const sockets = Array.from({ length: count }, () => net.connect(address))
          for (const socket of sockets) socket.on('error', () => {})
          keep.set('crowd', sockets)
        },
        address,
        120,
      )
      await new Promise((resolve) => setTimeout(resolve, 500))
      const before = cpuMs(daemon.pid)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(cpuMs(daemon.pid) - before).toBeLessThan(300)
      await lab.host.run(({ keep }) => {
        for (const socket of keep.get('crowd') as import('node:net').Socket[]) socket.destroy()
      })
      let answer = ''
      for (let attempt = 0; attempt < 20 && answer === ''; attempt++) {
        await new Promise((resolve) => setTimeout(resolve, 250))
        answer = await lab.host.run(tasks.exchange, address, 'again').catch(() => '')
      }
      expect(answer).toBe('again')
      expect(await eventually(() => daemon.program.running)).toBe(true)
    },
  )
})
