/**
 * At each limit, of the system's or one that was asked for: new flows fail cleanly or wait, each is counted, what is
 * there goes on, and it recovers.
 */
import type { Socket } from 'node:net'
import { beforeAll, describe, expect, test } from 'vitest'
import { addHostBeside, NOBODY, setVariables } from './beside.ts'
import { Counters } from './counters.ts'
import { GATEWAY, HOST_ADDRESS, has, inWorlds, type Pair, peer } from './lab.ts'
import { cpuMs, eventually, openDescriptors, residentMiB } from './proc.ts'
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

  test.skipIf(peer)(
    'a guest that takes what it can leaves descriptors for the API and for published ports',
    {
      timeout: 60_000,
    },
    async () => {
      const { guest, daemon } = await lab.attach({ wrapper: ['prlimit', '--nofile=128:128'] })
      const guestPort = await guest.run(tasks.serveEcho, '0.0.0.0')
      const port = await lab.host.run(tasks.serveEcho)
      await guest.run(
        ({ net, dgram, keep }, host, port, count) => {
          for (let i = 0; i < count; i++) {
            const stream = net.connect({ host, port }).on('error', () => {})
            const datagrams = dgram.createSocket('udp4').on('error', () => {})
            datagrams.send('x', port, host, () => {})
            keep.set(`${i}`, [stream, datagrams])
          }
        },
        GATEWAY,
        port,
        200,
      )
      await expect.poll(() => openDescriptors(daemon.pid)).toBeGreaterThan(100)
      await new Promise((resolve) => setTimeout(resolve, 500))
      const hostPort = 23_003
      await daemon.forward({ hostPort, guestPort })
      const { entries } = (await daemon.api({ execute: 'list_hostfwd' })) as { entries: unknown[] }
      expect(entries).toHaveLength(1)
      expect(openDescriptors(daemon.pid)).toBeLessThan(128)
    },
  )

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

  describe.skipIf(peer)('--limit', () => {
    async function attach(...limits: string[]): Promise<Pair & { counters: Counters }> {
      const counters = new Counters(lab)
      const args = [counters.option, ...limits.map((limit) => `--limit=${limit}`)]
      return { ...(await lab.attach({ args })), counters }
    }

    test('connections=3: the fourth is refused at once, as is a client of a published port', async () => {
      const { guest, daemon, counters } = await attach('connections=3')
      const port = await lab.host.run(tasks.serveEcho)
      const address = { host: GATEWAY, port }
      for (const name of ['one', 'two', 'three']) await guest.run(tasks.connectKept, name, address)
      const { outcome, ms } = await guest.run(tasks.tryToConnect, address)
      expect(outcome).toBe('ECONNREFUSED')
      expect(ms).toBeLessThan(900) // no SYN was lost
      const guestPort = await guest.run(tasks.serveEcho, '0.0.0.0')
      await daemon.forward({ hostPort: 23_002, guestPort })
      const published = { host: HOST_ADDRESS, port: 23_002 }
      const client = lab.host.run(tasks.exchange, published, 'x')
      await expect(client).rejects.toThrow('ECONNRESET')
      expect(await counters.drops('tcp_limit')).toBe(2)
      await guest.run(tasks.act, 'one', { send: 'goes on' })
      expect(await guest.run(tasks.standing, 'one', 'text')).toMatchObject({ text: 'goes on' })
      await guest.run(tasks.act, 'two', 'reset')
      await expect.poll(() => guest.run(tasks.exchange, address, 'again')).toBe('again')
      expect(await lab.host.run(tasks.exchange, published, 'again')).toBe('again')
    })

    describe.skipIf(!has('ip'))('half-open=2', () => {
      beforeAll(async () => {
        await addHostBeside(lab)
        await setVariables(lab.host, 'ipv4/tcp_syn_retries=1')
      })

      test('a third handshake waits, and is made when one of them is over', async () => {
        const { guest, counters } = await attach('half-open=2')
        const port = await lab.host.run(tasks.serveEcho)
        // Nobody answers these, for three seconds.
        const silent = [1, 2].map((port) =>
          guest.run(tasks.tryToConnect, { host: NOBODY, port }, 10_000),
        )
        const dialled = (): Promise<number> =>
          counters.value('slipway_flows_opened_total', 'protocol', 'tcp')
        await expect.poll(dialled).toBe(2)
        const third = guest.run(tasks.tryToConnect, { host: GATEWAY, port }, 20_000)
        await expect.poll(() => counters.drops('tcp_half_open')).toBeGreaterThan(0)
        for (const { outcome } of await Promise.all(silent)) expect(outcome).toBe('EHOSTUNREACH')
        const { outcome, ms } = await third
        expect(outcome).toBe('connected')
        expect(ms).toBeGreaterThan(900) // its first SYN was dropped
        expect(await guest.run(tasks.exchange, { host: GATEWAY, port }, 'again')).toBe('again')
      })
    })

    test('udp-flows=5: the one that was silent longest makes room, and comes again', async () => {
      const { guest, counters } = await attach('udp-flows=5')
      const port = await lab.host.run(tasks.serveUdpReport, HOST_ADDRESS)
      const seen = await guest.run(
        async ({ dgram, keep }, host, port) => {
          const ask = (socket: import('node:dgram').Socket): Promise<string> =>
            new Promise((resolve) => {
              socket.once('message', (message) => resolve(`${message}`))
              socket.send('?', port, host)
            })
          keep.set('ask', ask)
          const sockets = Array.from({ length: 6 }, () => dgram.createSocket('udp4'))
          const first: string[] = []
          for (const socket of sockets) first.push(await ask(socket))
          // The last five are as they were; asking the first takes the place of the second.
          const again = [await ask(sockets[5]!), await ask(sockets[0]!), await ask(sockets[2]!)]
          for (const socket of sockets) socket.close()
          return { first, again }
        },
        HOST_ADDRESS,
        port,
      )
      expect(new Set(seen.first).size).toBe(6)
      expect([seen.again[0], seen.again[2]]).toEqual([seen.first[5], seen.first[2]])
      expect(seen.again[1]).toMatch(/^\d+$/)
      expect(await counters.value('slipway_flows_evicted_total', 'protocol', 'udp')).toBe(2)
      expect(await counters.value('slipway_flows', 'protocol', 'udp')).toBe(5)
    })

    test('memory=1M: those that are not read have a share each; when it is full, more are refused', async () => {
      const { guest, daemon, counters } = await attach('memory=1M', 'buffer=64K')
      const endless = { host: GATEWAY, port: await lab.host.run(tasks.serveEndless) }
      const echo = { host: GATEWAY, port: await lab.host.run(tasks.serveEcho) }
      const text = 'x'.repeat(100_000)
      const before = residentMiB(daemon.pid)
      await guest.run(tasks.connectUnread, 'unread', endless, 15)
      await new Promise((resolve) => setTimeout(resolve, 500))
      for (let i = 0; i < 3; i++) expect(await guest.run(tasks.exchange, echo, text)).toBe(text)
      const refused = await guest.run(async ({ net, keep, sleep }, address) => {
        const sockets = keep.get('unread') as Socket[]
        for (let i = 0; i < 100; i++) {
          const socket = net.connect(address).pause()
          sockets.push(socket)
          const outcome = await new Promise<string>((resolve) => {
            socket.once('connect', () => resolve('connected'))
            socket.once('error', (error: NodeJS.ErrnoException) => resolve(`${error.code}`))
          })
          if (outcome !== 'connected') return { outcome, i }
          await sleep(20) // until its buffers are full
        }
        return { outcome: 'connected', i: 100 }
      }, endless)
      expect(refused.outcome).toBe('ECONNREFUSED')
      expect(refused.i).toBeGreaterThan(5)
      expect(await counters.drops('tcp_no_memory')).toBeGreaterThan(0)
      expect(residentMiB(daemon.pid) - before).toBeLessThan(30)
      await guest.run(({ keep }) => {
        for (const socket of keep.get('unread') as Socket[]) socket.destroy()
      })
      const octets = 4 << 20
      const port = await lab.host.run(tasks.serveOctets, octets)
      expect(await guest.run(tasks.readSlowly, { host: GATEWAY, port }, 0)).toBe(octets)
    })
  })
})
