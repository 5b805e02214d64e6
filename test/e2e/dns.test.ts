/** The name server at .3 relays to the host's resolvers. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { serveDns } from '../../src/lab/dns-server.ts'
import { DNS, HOST_ADDRESS, has, inWorlds, peer } from './lab.ts'

const RECORDS = {
  'one.example': ['192.0.2.1'],
  // 60 addresses are 960 octets: too much for UDP without EDNS.
  'many.example': Array.from({ length: 60 }, (_, n) => `198.51.100.${n}`),
}

inWorlds((lab) => {
  beforeAll(() => lab.host.run(serveDns, RECORDS))

  const resolve = (name: string): Promise<string[]> =>
    lab.guest.run(async ({ dns }, name) => {
      const resolver = new dns.promises.Resolver({ timeout: 2_000, tries: 2 })
      return (await resolver.resolve4(name)).toSorted()
    }, name)

  test("a name is resolved with the container's resolv.conf", async () => {
    expect(await resolve('one.example')).toEqual(RECORDS['one.example'])
  })

  test('a name that does not exist is ENOTFOUND', async () => {
    await expect(resolve('none.example')).rejects.toMatchObject({ code: 'ENOTFOUND' })
  })

  test('an answer that is too long for UDP is fetched over TCP', async () => {
    expect(await resolve('many.example')).toEqual(RECORDS['many.example'].toSorted())
    expect(await lab.host.run(({ keep }) => keep.get('dns tcp'))).toBeGreaterThan(0)
  })

  test.skipIf(!has('dig'))('dig gets its answer over UDP and over TCP', async () => {
    for (const way of ['+notcp', '+tcp']) {
      const command = ['dig', way, '+short', '+timeout=2', `@${DNS}`, 'one.example']
      expect(await lab.guest.execute(command)).toMatchObject({ status: 0, stdout: '192.0.2.1\n' })
    }
  })

  test('many names at once are resolved', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => resolve('one.example')))
    expect(answers.flat()).toEqual(Array.from({ length: 50 }, () => '192.0.2.1'))
  })

  test('only port 53 of the address is served', async () => {
    const port = await lab.host.run(({ net, listen }) => listen(net.createServer()))
    const outcome = await lab.guest.run(
      ({ net }, host, port) =>
        new Promise<string>((resolve) => {
          const socket = net.connect({ host, port, timeout: 1_000 })
          socket.once('connect', () => resolve('connected'))
          socket.once('timeout', () => resolve('silence'))
          socket.once('error', (error: NodeJS.ErrnoException) => resolve(`${error.code}`))
          socket.once('close', () => socket.destroy())
        }),
      DNS,
      port,
    )
    expect(outcome).not.toBe('connected')
  })

  // libslirp takes an answer from anybody.
  test.skipIf(peer)('what somebody says who was not asked is no answer', async () => {
    const strangers = await lab.host.run(async ({ dgram, bind, keep }, host) => {
      const stranger = dgram.createSocket('udp4')
      await bind(stranger, host)
      const server = dgram.createSocket('udp4')
      await bind(server, '127.0.0.9', 53)
      server.on('message', (question, client) => {
        const [id = 0, more = 0] = question
        const say = (text: string): Buffer =>
          Buffer.concat([Buffer.of(id, more, 0x80, 3, 0, 0, 0, 0, 0, 0, 0, 0), Buffer.from(text)])
        stranger.send(say('false'), client.port, '127.0.0.1', () => {
          server.send(say('true'), client.port, client.address)
        })
      })
      keep.set('name server', server)
      return stranger.address().port
    }, HOST_ADDRESS)
    expect(strangers).toBeGreaterThan(0)
    const resolvConf = join(lab.world.directory, 'resolv.conf')
    writeFileSync(resolvConf, 'nameserver 127.0.0.9\n')
    try {
      const { guest } = await lab.attach()
      const answers = await guest.run(({ dgram, sleep }, dns) => {
        const heard: string[] = []
        const socket = dgram.createSocket('udp4')
        socket.on('message', (text) => heard.push(`${text.subarray(12)}`))
        socket.send(Buffer.of(1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0), 53, dns)
        return sleep(500).then(() => heard)
      }, DNS)
      expect(answers).toEqual(['true'])
    } finally {
      writeFileSync(resolvConf, 'nameserver 127.0.0.1\n')
    }
  })

  test.skipIf(peer)('a changed resolv.conf is obeyed', async () => {
    const records = { 'moved.example': ['192.0.2.9'] }
    await lab.host.run(serveDns, records, '127.0.0.2')
    const resolvConf = join(lab.world.directory, 'resolv.conf')
    try {
      writeFileSync(resolvConf, 'nameserver 127.0.0.2\n')
      let found: string[] = []
      for (let attempt = 0; attempt < 40 && found.length === 0; attempt++) {
        found = await resolve('moved.example').catch(() => [])
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
      expect(found).toEqual(['192.0.2.9'])
    } finally {
      writeFileSync(resolvConf, 'nameserver 127.0.0.1\n')
    }
  })
})
