/** The API socket: what Podman and RootlessKit send, and what nobody should. */
import * as net from 'node:net'
import { expect, test } from 'vitest'
import { GATEWAY, GUEST, HOST_ADDRESS, inWorlds, peer } from './lab.ts'
import { openDescriptors } from './proc.ts'
import * as tasks from './tasks.ts'

let lastPort = 21_000

inWorlds((lab) => {
  const add = (more: object): Promise<unknown> =>
    lab.daemon.api({ execute: 'add_hostfwd', arguments: { proto: 'tcp', guest_port: 80, ...more } })

  test('a forward is added, listed and removed', async () => {
    const { guest, daemon } = await lab.attach()
    // With nobody there the client's connection would be reset, maybe before it sees itself connected.
    const guestPort = await guest.run(tasks.serveEcho, '0.0.0.0')
    const hostPort = ++lastPort
    const forward = {
      proto: 'tcp',
      host_addr: '127.0.0.1',
      host_port: hostPort,
      guest_addr: GUEST,
      guest_port: guestPort,
    }
    expect(await daemon.api({ execute: 'add_hostfwd', arguments: forward })).toEqual({
      return: { id: 1 },
    })
    const listed = { entries: [{ id: 1, ...forward }] }
    const list = await daemon.api({ execute: 'list_hostfwd' })
    expect(list).toEqual(peer ? listed : { return: listed, ...listed })

    const address = { host: '127.0.0.1', port: hostPort }
    expect(await lab.host.run(tasks.tryToConnect, address)).toMatchObject({ outcome: 'connected' })
    expect(await daemon.api({ execute: 'remove_hostfwd', arguments: { id: 1 } })).toEqual({
      return: {},
    })
    expect(await lab.host.run(tasks.tryToConnect, address)).toMatchObject({
      outcome: 'ECONNREFUSED',
    })
    expect(await daemon.api({ execute: 'list_hostfwd' })).toMatchObject({ entries: [] })
  })

  test('host and guest address may be missing or empty', async () => {
    const { daemon } = await lab.attach()
    const one = { proto: 'udp', host_port: ++lastPort, guest_port: 53 }
    const two = { ...one, host_port: ++lastPort, guest_addr: '', host_addr: '127.0.0.1' }
    for (const forward of [one, two]) {
      expect(await daemon.api({ execute: 'add_hostfwd', arguments: forward })).toHaveProperty(
        'return',
      )
    }
    const { entries } = (await daemon.api({ execute: 'list_hostfwd' })) as { entries: object[] }
    expect(entries).toEqual([
      { id: 1, ...one, host_addr: '0.0.0.0', guest_addr: GUEST },
      { id: 2, ...two, guest_addr: GUEST },
    ])
  })

  test('a removed forward lets connections live that it has accepted', async () => {
    const guestPort = await lab.guest.run(tasks.serveKept, 'lives', '0.0.0.0')
    const hostPort = ++lastPort
    const id = await lab.daemon.forward({ hostPort, guestPort })
    await lab.host.run(tasks.connectKept, 'lives', { host: HOST_ADDRESS, port: hostPort })
    await lab.host.run(tasks.act, 'lives', { send: 'before' })
    await lab.guest.run(tasks.standing, 'lives', 'text')
    await lab.daemon.api({ execute: 'remove_hostfwd', arguments: { id } })
    await lab.host.run(tasks.act, 'lives', { send: ', after' })
    await lab.host.run(tasks.act, 'lives', 'end')
    const { text } = await lab.guest.run(tasks.standing, 'lives', 'ended')
    expect(text).toBe('before, after')
  })

  for (const proto of ['tcp', 'udp'] as const) {
    test(`a ${proto} port that is taken is an error, and the forwards before it stay`, async () => {
      const hostPort = ++lastPort
      const forward = { proto, host_addr: '0.0.0.0', host_port: hostPort }
      expect(await add(forward)).toHaveProperty('return.id')
      const refused = (await add(forward)) as { error: { desc: string } }
      expect(refused.error.desc).toMatch(/^bad request: add_hostfwd: slirp_add_hostfwd failed/)
      if (!peer) expect(refused.error.desc).toMatch(/EADDRINUSE|in use/)
      const { entries } = (await lab.daemon.api({ execute: 'list_hostfwd' })) as {
        entries: { host_port: number }[]
      }
      expect(entries.filter((one) => one.host_port === hostPort)).toHaveLength(1)
    })
  }

  test('an address that the host does not have is an error', async () => {
    const refused = (await add({ host_addr: '192.0.2.77', host_port: ++lastPort })) as {
      error: { desc: string }
    }
    expect(refused.error.desc).toMatch(/^bad request: add_hostfwd: slirp_add_hostfwd failed/)
  })

  const wrong: [string, string, string][] = [
    ['no JSON', 'badjson', 'cannot parse JSON'],
    ['an array', '[1,2]', 'json_object() failed'],
    ['a number', '42', 'json_object() failed'],
    ['no execute', '{"foo":42}', 'no execute found'],
    ['an execute that is no text', '{"execute":42}', 'no execute found'],
    ['an unknown execute', '{"execute":"frobnicate"}', 'unknown execute'],
    ['4,096 octets', ' '.repeat(4096), 'too large message'],
    ['20,000 octets', ' '.repeat(20_000), 'too large message'],
    ['nothing at all', '', 'cannot parse JSON'],
    ['a removal without id', '{"execute":"remove_hostfwd"}', 'remove_hostfwd: bad arguments.id'],
    [
      'a removal of what is not there',
      '{"execute":"remove_hostfwd","arguments":{"id":77}}',
      'remove_hostfwd: ',
    ],
  ]
  for (const [what, request, reason] of wrong) {
    test(`${what} is answered with "${reason.trim()}"`, async () => {
      const answer = JSON.parse(await lab.daemon.rawApi(request))
      expect(answer.error.desc.slice(0, 13 + reason.length)).toBe(`bad request: ${reason}`)
    })
  }

  const badArguments: [string, object][] = [
    ['proto', { proto: 'sctp', host_port: 1, guest_port: 2 }],
    ['proto', { proto: 'TCP', host_port: 1, guest_port: 2 }],
    ['host_addr', { proto: 'tcp', host_addr: 'foo', host_port: 8090, guest_port: 2 }],
    ['guest_addr', { proto: 'tcp', guest_addr: 'foo', host_port: 8090, guest_port: 2 }],
    ['host_port', { proto: 'tcp', host_port: 0, guest_port: 2 }],
    ['host_port', { proto: 'tcp', guest_port: 2 }],
    ['host_port', { proto: 'tcp', host_port: '8090', guest_port: 2 }],
    ['guest_port', { proto: 'tcp', host_port: 8090, guest_port: 0 }],
    ['guest_port', { proto: 'tcp', host_port: 8090 }],
  ]
  for (const [field, args] of badArguments) {
    test(`bad arguments.${field} of ${JSON.stringify(args)}`, async () => {
      const answer = (await lab.daemon.api({ execute: 'add_hostfwd', arguments: args })) as {
        error: { desc: string }
      }
      const reason = `bad request: add_hostfwd: bad arguments.${field}`
      expect(answer.error.desc.slice(0, reason.length)).toBe(reason)
    })
  }

  // slirp4netns dies of these, or takes the ports for real ones.
  test.skipIf(peer)('no arguments, no proto, and ports out of range are errors', async () => {
    const requests = [
      { execute: 'add_hostfwd' },
      { execute: 'add_hostfwd', arguments: { host_port: 1, guest_port: 2 } },
      { execute: 'add_hostfwd', arguments: { proto: 'tcp', host_port: 65_536, guest_port: 2 } },
      { execute: 'add_hostfwd', arguments: { proto: 'tcp', host_port: -1, guest_port: 2 } },
      { execute: 'add_hostfwd', arguments: { proto: 'tcp', host_port: 8092, guest_port: 65_616 } },
    ]
    for (const request of requests) {
      expect(await lab.daemon.api(request)).toHaveProperty('error.desc')
    }
  })

  test('a client that does not half-close is answered as soon as its request is whole', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = net.connect(lab.daemon.apiSocket, () =>
        socket.write('{"execute":"list_hostfwd"}\n'),
      )
      socket.setTimeout(3_000, () => reject(new Error('no answer')))
      socket.once('data', (part) => resolve(`${part}`))
      socket.once('error', reject)
      socket.once('close', () => socket.destroy())
    })
    expect(JSON.parse(answer)).toHaveProperty('entries')
  })

  test.skipIf(peer)('a client that says nothing holds up nobody', async () => {
    const silent = net.connect(lab.daemon.apiSocket)
    silent.on('error', () => {})
    await new Promise((resolve) => silent.once('connect', resolve))
    expect(await lab.daemon.api({ execute: 'list_hostfwd' })).toHaveProperty('entries')
    silent.destroy()
  })

  // slirp4netns listens with a backlog of 0.
  test.skipIf(peer)('many clients at once are all answered', async () => {
    const asking = Array.from({ length: 50 }, () => lab.daemon.api({ execute: 'list_hostfwd' }))
    for (const answer of await Promise.all(asking)) expect(answer).toHaveProperty('entries')
  })

  // What slirp4netns does with each of these: it waits for it, and nothing else goes on.
  test.skipIf(peer)(
    'clients that are no use hold up neither the traffic nor each other',
    async () => {
      const { guest, daemon } = await lab.attach()
      const port = await lab.host.run(tasks.serveEcho)
      const there = { host: GATEWAY, port }
      await guest.run(tasks.connectKept, 'flow', there)
      const request = '{"execute":"list_hostfwd"}'
      const abuses: Record<string, (client: net.Socket) => void> = {
        'says nothing': () => {},
        'says half of it': (client) => client.write('{"execute":"list_'),
        'says nothing, and closes its side': (client) => client.end(),
        'says it octet by octet': (client) => {
          const rest = [...request]
          const next = setInterval(() => client.write(rest.shift() ?? ' '), 100)
          client.once('close', () => clearInterval(next))
        },
        'asks and reads nothing': (client) => client.write(request) && client.pause(),
        'goes on and on': (client) => {
          const fill = () => {
            while (client.writable && client.write(Buffer.alloc(65_536, '[')));
          }
          client.on('drain', fill)
          fill()
        },
        'says 4,096 octets': (client) => client.write(Buffer.alloc(4_096, ' ')),
        'has gone before the answer': (client) => client.write(request, () => client.destroy()),
      }
      const before = openDescriptors(daemon.pid)
      const clients: net.Socket[] = []
      for (const abuse of Object.values(abuses)) {
        for (let n = 0; n < 8; n++) {
          const client = net.connect(daemon.apiSocket)
          client.on('error', () => {})
          client.once('connect', () => abuse(client))
          clients.push(client)
        }
      }
      // While they are all there: new connections, one that is there, and a request in between.
      for (let round = 0; round < 10; round++) {
        expect(await guest.run(tasks.exchangeInTurn, there, 10)).toBe(10)
        expect(await daemon.api({ execute: 'list_hostfwd' })).toHaveProperty('entries')
      }
      await guest.run(tasks.act, 'flow', { send: 'still there' })
      expect(await guest.run(tasks.standing, 'flow', 'text')).toMatchObject({ text: 'still there' })
      expect(clients.some((client) => !client.destroyed)).toBe(true)
      for (const client of clients) client.destroy()
      // What they took is given back.
      await expect
        .poll(() => openDescriptors(daemon.pid), { timeout: 5_000 })
        .toBeLessThan(before + 8)
    },
  )

  test('a socket that a killed daemon has left is replaced', async () => {
    const guest = await lab.world.container()
    const first = await lab.world.attach(guest)
    first.program.kill('SIGKILL')
    await first.program.ended
    const second = await lab.world.attach(guest, { args: ['-a', first.apiSocket] })
    const answer = await new Promise<string>((resolve) => {
      const socket = net.connect(first.apiSocket, () => socket.end('{"execute":"list_hostfwd"}'))
      socket.once('data', (part) => resolve(`${part}`))
    })
    expect(JSON.parse(answer)).toHaveProperty('entries')
    await lab.world.remove(guest, second)
  })

  test('a path for the socket that cannot be made is an error before it is ready', async () => {
    const guest = await lab.world.container()
    for (const path of [`/tmp/${'x'.repeat(205)}`, '/nonexistent/api.sock']) {
      const daemon = lab.world.daemon(guest, { args: ['-a', path] })
      await expect(daemon.ready).rejects.toThrow()
      expect((await daemon.program.ended).status).toBe(1)
    }
    await guest.close()
  })
})
