/** Published ports: from the host into the container. */
import { describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import { GATEWAY, HOST_ADDRESS, has, inWorlds, peer } from './lab.ts'
import { eventually, openDescriptors } from './proc.ts'
import * as tasks from './tasks.ts'

let lastPort = 20_000

inWorlds((lab) => {
  /** Publishes a port of the container on all addresses of the host; answers the host's port. */
  async function publish(guestPort: number, proto: 'tcp' | 'udp' = 'tcp'): Promise<number> {
    const hostPort = ++lastPort
    await lab.daemon.forward({ proto, hostPort, guestPort })
    return hostPort
  }

  test("the host fetches a page from the container, which sees the host's address", async () => {
    const port = await publish(await lab.guest.run(tasks.serveText, 'from inside', '0.0.0.0'))
    const page = await lab.host.run(tasks.fetchText, { host: HOST_ADDRESS, port })
    expect(page).toEqual({ text: 'from inside', client: HOST_ADDRESS })
  })

  test("a client on the host's loopback appears as the gateway", async () => {
    const port = await publish(await lab.guest.run(tasks.serveText, 'from inside', '0.0.0.0'))
    const page = await lab.host.run(tasks.fetchText, { host: '127.0.0.1', port })
    expect(page).toEqual({ text: 'from inside', client: GATEWAY })
  })

  test('a forward on one address of the host does not listen on the others', async () => {
    const guestPort = await lab.guest.run(tasks.serveText, 'from inside', '0.0.0.0')
    const hostPort = ++lastPort
    await lab.daemon.forward({ hostAddr: HOST_ADDRESS, hostPort, guestPort })
    const there = { host: HOST_ADDRESS, port: hostPort }
    expect(await lab.host.run(tasks.fetchText, there)).toMatchObject({ text: 'from inside' })
    const elsewhere = { host: '127.0.0.1', port: hostPort }
    expect(await lab.host.run(tasks.tryToConnect, elsewhere)).toMatchObject({
      outcome: 'ECONNREFUSED',
    })
  })

  test("the client half-closes, and the container's answer still comes", async () => {
    const port = await publish(await lab.guest.run(tasks.serveEcho, '0.0.0.0'))
    const text = 'y'.repeat(100_000)
    expect(await lab.host.run(tasks.exchange, { host: HOST_ADDRESS, port }, text)).toBe(text)
  })

  test('the container half-closes, and the client can still send', async () => {
    const port = await publish(await lab.guest.run(tasks.serveKept, 'half', '0.0.0.0'))
    await lab.host.run(tasks.connectKept, 'half', { host: HOST_ADDRESS, port })
    await lab.host.run(tasks.act, 'half', { send: 'ping' })
    await lab.guest.run(tasks.standing, 'half', 'text')
    await lab.guest.run(tasks.act, 'half', 'end')
    expect(await lab.host.run(tasks.standing, 'half', 'ended')).toMatchObject({ ended: true })
    await lab.host.run(tasks.act, 'half', { send: 'pong' })
    await lab.host.run(tasks.act, 'half', 'end')
    const { text } = await lab.guest.run(tasks.standing, 'half', 'ended')
    expect(text).toBe('pingpong')
  })

  // slirp4netns makes a FIN of it.
  test.skipIf(peer)('a reset by the container is a reset at the client', async () => {
    const port = await publish(await lab.guest.run(tasks.serveKept, 'reset', '0.0.0.0'))
    await lab.host.run(tasks.connectKept, 'reset', { host: HOST_ADDRESS, port })
    await lab.host.run(tasks.act, 'reset', { send: 'ping' })
    await lab.guest.run(tasks.standing, 'reset', 'text')
    await lab.guest.run(tasks.act, 'reset', 'reset')
    const { error } = await lab.host.run(tasks.standing, 'reset', 'error')
    expect(error).toBe('ECONNRESET')
  })

  test.skipIf(peer)('a reset by the client is a reset in the container', async () => {
    const port = await publish(await lab.guest.run(tasks.serveKept, 'reset2', '0.0.0.0'))
    await lab.host.run(tasks.connectKept, 'reset2', { host: HOST_ADDRESS, port })
    await lab.host.run(tasks.act, 'reset2', { send: 'ping' })
    await lab.guest.run(tasks.standing, 'reset2', 'text')
    await lab.host.run(tasks.act, 'reset2', 'reset')
    const { error } = await lab.guest.run(tasks.standing, 'reset2', 'error')
    expect(error).toBe('ECONNRESET')
  })

  test('a client that uses its port again waits for nothing', async () => {
    const guestPort = await lab.guest.run(({ net, listen }) =>
      listen(
        net.createServer((socket) => socket.end('bye')),
        '0.0.0.0',
      ),
    )
    const port = await publish(guestPort)
    const times = await lab.host.run(
      async ({ net, sleep }, host, port) => {
        const times: number[] = []
        for (let i = 0; i < 8; i++) {
          const started = performance.now()
          await new Promise<void>((resolve, reject) => {
            // The container closes first: its kernel keeps the connection in TIME-WAIT.
            const socket = net.connect({ host, port, localAddress: host, localPort: 40_404 })
            socket.on('error', reject)
            socket.on('close', () => resolve())
            socket.resume()
          })
          times.push(performance.now() - started)
          await sleep(20)
        }
        return times
      },
      HOST_ADDRESS,
      port,
    )
    expect(Math.max(...times)).toBeLessThan(900) // a SYN that comes again comes after a second
  })

  test('when nobody listens in the container, the client learns of it', async () => {
    const port = await publish(9)
    const { text, ended, error } = await lab.host.run(
      async ({ net, sleep }, host, port) => {
        const seen = { text: '', ended: false, error: undefined as string | undefined }
        const socket = net.connect({ host, port })
        socket.on('data', (part) => {
          seen.text += part
        })
        socket.on('error', (error: NodeJS.ErrnoException) => {
          seen.error = error.code
        })
        socket.on('close', () => {
          seen.ended = true
        })
        for (let waited = 0; waited < 5_000 && !seen.ended; waited += 10) await sleep(10)
        return seen
      },
      HOST_ADDRESS,
      port,
    )
    expect(text).toBe('')
    expect(ended).toBe(true)
    if (!peer) expect(['ECONNRESET', 'ECONNREFUSED']).toContain(error)
  })

  test('100 clients at once are served', { timeout: 60_000 }, async () => {
    const port = await publish(await lab.guest.run(tasks.serveEcho, '0.0.0.0'))
    const before = openDescriptors(lab.daemon.pid)
    // slirp4netns listens with a backlog of 1, each connection more waits a second.
    const count = peer ? 5 : 100
    expect(await lab.host.run(tasks.exchangeMany, { host: HOST_ADDRESS, port }, count)).toBe(count)
    if (peer) return
    expect(await eventually(() => openDescriptors(lab.daemon.pid) <= before)).toBe(true)
  })

  test("datagrams of a published port reach the container with the client's address", async () => {
    const guestPort = await lab.guest.run(tasks.serveUdpReport, '0.0.0.0')
    const hostPort = await publish(guestPort, 'udp')
    const address = { host: HOST_ADDRESS, port: hostPort }
    const seen = await lab.host.run(async ({ dgram }, { host, port }) => {
      const socket = dgram.createSocket('udp4')
      const answer = new Promise<string>((resolve) => {
        socket.once('message', (message, from) => resolve(`${message} from ${from.port}`))
        setTimeout(() => resolve('silence'), 3_000)
      })
      await new Promise<void>((resolve) => socket.bind(0, host, resolve))
      socket.send('?', port, host)
      const own = socket.address().port
      return { answer: await answer, own }
    }, address)
    expect(seen.answer).toBe(`${seen.own} from ${hostPort}`)
  })

  test("datagrams from the host's loopback are answered, too", async () => {
    const port = await publish(await lab.guest.run(tasks.serveUdpEcho, '0.0.0.0'), 'udp')
    const answer = await lab.host.run(tasks.exchangeUdp, { host: '127.0.0.1', port })
    expect(answer).toMatchObject({ outcome: 'answer', from: `127.0.0.1:${port}`, equal: true })
  })

  test('large datagrams pass a published port both ways', async () => {
    const port = await publish(await lab.guest.run(tasks.serveUdpEcho, '0.0.0.0'), 'udp')
    const answer = await lab.host.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port }, 60_000)
    expect(answer).toMatchObject({ outcome: 'answer', equal: true, length: 60_000 })
  })

  test('much data goes both ways through a published port', { timeout: 60_000 }, async () => {
    const octets = 128 << 20
    const port = await publish(await lab.guest.run(tasks.serveBulk, octets, '0.0.0.0'))
    const host = await lab.host.run(tasks.bulk, { host: HOST_ADDRESS, port }, octets)
    const guest = await lab.guest.run(tasks.bulkServed)
    expect(guest.receivedOctets).toBe(octets)
    expect(guest.received).toBe(host.sent)
    expect(host.received).toBe(guest.sent)
  })

  // slirp4netns takes 10.0.2.0/24 for its own, and answers nobody there.
  test.skipIf(peer || !has('ip'))(
    "a client at an address of the guest's own subnet appears as the gateway",
    async () => {
      const address = '10.0.2.77'
      const added = await lab.host.execute(['ip', 'addr', 'add', `${address}/32`, 'dev', 'lo'])
      expect(added).toMatchObject({ status: 0, stderr: '' })
      const tcp = await publish(await lab.guest.run(tasks.serveText, 'from inside', '0.0.0.0'))
      const page = await lab.host.run(tasks.fetchText, { host: address, port: tcp })
      expect(page).toEqual({ text: 'from inside', client: GATEWAY })
      const udp = await publish(await lab.guest.run(tasks.serveUdpEcho, '0.0.0.0'), 'udp')
      const answer = await lab.host.run(tasks.exchangeUdp, { host: address, port: udp })
      expect(answer).toMatchObject({ outcome: 'answer', equal: true })
      await lab.host.execute(['ip', 'addr', 'del', `${address}/32`, 'dev', 'lo'])
    },
  )

  // slirp4netns loses those on the loopback after one from elsewhere.
  test.skipIf(peer)('of many clients of one UDP port each has its own answers', async () => {
    const port = await publish(await lab.guest.run(tasks.serveUdpEcho, '0.0.0.0'), 'udp')
    const clients = Array.from(
      { length: 30 },
      (_, n) => [HOST_ADDRESS, '127.0.0.1', '127.0.0.9'][n % 3]!,
    )
    const ask = (host: string) => lab.host.run(tasks.exchangeUdp, { host, port }, 500)
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(clients.map(ask))
      expect(answers.map(({ outcome, equal }) => outcome === 'answer' && equal)).toEqual(
        clients.map(() => true),
      )
    }
  })

  test('a port below 1024 is refused to who may not have it, with the name of the setting', async () => {
    const { daemon } = await lab.attach({ as: 'plain' })
    const reason = peer
      ? 'slirp_add_hostfwd failed'
      : 'cannot listen on 0.0.0.0 port 81 (see net.ipv4.ip_unprivileged_port_start): EACCES'
    for (const proto of ['tcp', 'udp'] as const) {
      await expect(daemon.forward({ proto, hostPort: 81, guestPort: 80 })).rejects.toThrow(reason)
    }
  })

  describe.skipIf(peer)('a row of ports', () => {
    const COUNT = 20
    const request = (proto: string, first: number, guestPort: number) => ({
      execute: 'add_hostfwd',
      arguments: { proto, host_port: first, guest_port: guestPort, count: COUNT },
    })

    test('leads each to its own, TCP and UDP, and is free again as a whole', async () => {
      const { guest, daemon } = await lab.attach()
      const first = 31_000
      await guest.run(serveRow, first, COUNT)
      for (const proto of ['tcp', 'udp']) {
        expect(await daemon.api(request(proto, first + 500, first))).toHaveProperty('return.id')
      }
      for (const n of [0, 7, COUNT - 1]) {
        const there = { host: HOST_ADDRESS, port: first + 500 + n }
        expect((await lab.host.run(tasks.exchange, there, '')).trim()).toBe(`tcp ${first + n}`)
        expect(await lab.host.run(tasks.askUdpPorts, there.host, [there.port])).toEqual([
          `udp ${first + n}`,
        ])
      }
      const before = openDescriptors(daemon.pid)
      await daemon.api({ execute: 'remove_hostfwd', arguments: { id: 1 } })
      // That of the request goes a moment later.
      await expect.poll(() => openDescriptors(daemon.pid)).toBeLessThanOrEqual(before - COUNT)
      expect(await daemon.api(request('tcp', first + 500, first))).toHaveProperty('return.id')
    })

    test('of which one is taken is not published at all', async () => {
      const { daemon } = await lab.attach()
      const first = 31_600
      const taken = await lab.host.run(tasks.serveEcho, '0.0.0.0', first + 9)
      expect(JSON.stringify(await daemon.api(request('tcp', first, first)))).toContain(
        `cannot listen on 0.0.0.0 port ${taken}: EADDRINUSE`,
      )
      expect(await daemon.api({ execute: 'list_hostfwd' })).toMatchObject({ entries: [] })
      await daemon.forward({ hostPort: first, guestPort: first })
    })
  })
})

/** Servers at so many ports in a row, which say which one they are. */
async function serveRow({ net, dgram, listen, bind }: Kit, first: number, count: number) {
  for (let port = first; port < first + count; port++) {
    await listen(
      net.createServer((socket) => socket.end(`tcp ${port}\n`)),
      '0.0.0.0',
      port,
    )
    const socket = dgram.createSocket('udp4')
    socket.on('message', (_, from) => socket.send(`udp ${port}`, from.port, from.address))
    await bind(socket, '0.0.0.0', port)
  }
}
