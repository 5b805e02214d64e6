/** TCP from the container to servers of the host. */
import { expect, test } from 'vitest'
import { GATEWAY, HOST_ADDRESS, has, inWorlds, peer } from './lab.ts'
import * as tasks from './tasks.ts'

inWorlds((lab) => {
  test("a page is fetched from the host's loopback through the gateway address", async () => {
    const port = await lab.host.run(tasks.serveText, 'hello from the host')
    const page = await lab.guest.run(tasks.fetchText, { host: GATEWAY, port })
    expect(page).toEqual({ text: 'hello from the host', client: '127.0.0.1' })
  })

  test('a page is fetched from another address of the host', async () => {
    const port = await lab.host.run(tasks.serveText, 'hello', HOST_ADDRESS)
    const page = await lab.guest.run(tasks.fetchText, { host: HOST_ADDRESS, port })
    expect(page).toEqual({ text: 'hello', client: HOST_ADDRESS })
  })

  test('a closed port is ECONNREFUSED at once', async () => {
    for (const host of [GATEWAY, HOST_ADDRESS]) {
      const { outcome, ms } = await lab.guest.run(tasks.tryToConnect, { host, port: 9 })
      expect(outcome).toBe('ECONNREFUSED')
      expect(ms).toBeLessThan(500)
    }
  })

  test('an address without a route is an error, not a silence', async () => {
    const address = { host: '203.0.113.1', port: 80 }
    const { outcome } = await lab.guest.run(tasks.tryToConnect, address)
    expect(['ENETUNREACH', 'EHOSTUNREACH']).toContain(outcome)
  })

  test('the guest half-closes, and the answer still comes', async () => {
    const port = await lab.host.run(tasks.serveEcho)
    const text = 'x'.repeat(100_000)
    expect(await lab.guest.run(tasks.exchange, { host: GATEWAY, port }, text)).toBe(text)
  })

  test('the host half-closes, and the guest can still send', async () => {
    const port = await lab.host.run(tasks.serveKept, 'half')
    await lab.guest.run(tasks.connectKept, 'half', { host: GATEWAY, port })
    await lab.host.run(tasks.act, 'half', 'end')
    expect(await lab.guest.run(tasks.standing, 'half', 'ended')).toMatchObject({ ended: true })
    await lab.guest.run(tasks.act, 'half', { send: 'after the end' })
    expect(await lab.host.run(tasks.standing, 'half', 'text')).toEqual({
      text: 'after the end',
      ended: false,
      error: undefined,
    })
    await lab.guest.run(tasks.act, 'half', 'end')
    expect(await lab.host.run(tasks.standing, 'half', 'ended')).toMatchObject({ ended: true })
  })

  test.skipIf(peer || !has('python3'))('urgent octets come in line, at once', async () => {
    const port = await lab.host.run(
      ({ childProcess, keep }, program) =>
        new Promise<number>((resolve, reject) => {
          const python = childProcess.spawn('python3', ['-c', program])
          keep.set('urgent', python)
          python.on('error', reject)
          python.stdout.once('data', (line) => resolve(Number(line)))
        }),
      `
import socket
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
print(server.getsockname()[1], flush=True)
client, _ = server.accept()
client.sendall(b"one ")
client.send(b"!", socket.MSG_OOB)
client.sendall(b" two")
client.recv(1)
`,
    )
    const heard = await lab.guest.run(
      ({ net }, host, port) =>
        new Promise<string>((resolve, reject) => {
          let text = ''
          const socket = net.connect({ host, port })
          socket.on('error', reject)
          socket.on('data', (part) => {
            text += part
            if (text.length < 9) return
            resolve(text)
            socket.end('.')
          })
          setTimeout(() => resolve(text), 5_000).unref()
        }),
      GATEWAY,
      port,
    )
    expect(heard).toBe('one ! two')
  })

  test('a reset by the host is a reset in the guest', async () => {
    const port = await lab.host.run(tasks.serveKept, 'hostReset')
    await lab.guest.run(tasks.connectKept, 'hostReset', { host: GATEWAY, port })
    await lab.guest.run(tasks.act, 'hostReset', { send: 'ping' })
    await lab.host.run(tasks.standing, 'hostReset', 'text')
    await lab.host.run(tasks.act, 'hostReset', 'reset')
    const { error } = await lab.guest.run(tasks.standing, 'hostReset', 'error')
    expect(error).toBe('ECONNRESET')
  })

  // slirp4netns makes a FIN of it.
  test.skipIf(peer)('a reset by the guest is a reset at the host', async () => {
    const port = await lab.host.run(tasks.serveKept, 'guestReset')
    await lab.guest.run(tasks.connectKept, 'guestReset', { host: GATEWAY, port })
    await lab.guest.run(tasks.act, 'guestReset', { send: 'ping' })
    await lab.host.run(tasks.standing, 'guestReset', 'text')
    await lab.guest.run(tasks.act, 'guestReset', 'reset')
    const { error } = await lab.host.run(tasks.standing, 'guestReset', 'error')
    expect(error).toBe('ECONNRESET')
  })
})
