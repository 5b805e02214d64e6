/** The program itself on the container's network: it listens there. */
import { describe, expect, test } from 'vitest'
import type { ClosedFlow, Network, NetworkServer, NetworkSocket } from '../../src/index.ts'
import type { Kit } from '../../src/lab/agent.ts'
import { address6, GATEWAY6 } from '../e2e/ipv6.ts'
import { DNS, GATEWAY, GUEST, HOST_ADDRESS, has, inWorlds } from '../e2e/lab.ts'
import * as tasks from '../e2e/tasks.ts'
import {
  dial,
  eventsSoon,
  METADATA,
  type Options,
  pairsOf,
  serveEcho,
  serveHttp,
  serveKept,
  short,
  soon,
} from './endpoint-tasks.ts'

inWorlds((lab) => {
  const { attached } = pairsOf(lab)

  describe('a server', () => {
    test("at the gateway's address has one port of it, and is no port of the host", async () => {
      const { guest, program } = await attached({ hostLoopback: true })
      const { address, port } = await program.run(serveHttp, 'inside', { port: 8080 })
      expect([address, port]).toEqual([GATEWAY, 8080])
      const page = await guest.run(tasks.fetchText, { host: GATEWAY, port })
      expect(page).toEqual({ text: 'inside', client: GUEST })
      const hosts = await lab.host.run(tasks.serveText, 'of the host')
      const other = await guest.run(tasks.fetchText, { host: GATEWAY, port: hosts })
      expect(other).toMatchObject({ text: 'of the host' })
      const { outcome } = await lab.host.run(tasks.tryToConnect, { host: '127.0.0.1', port })
      expect(outcome).toBe('ECONNREFUSED')
    })

    test('comes before a port of the host of the same number', async () => {
      const { guest, program } = await attached({ hostLoopback: true })
      const port = await lab.host.run(tasks.serveText, 'of the host')
      await program.run(serveHttp, 'inside', { port })
      const page = await guest.run(tasks.fetchText, { host: GATEWAY, port })
      expect(page).toMatchObject({ text: 'inside' })
      await program.run(({ keep }) => (keep.get('inside') as NetworkServer).close())
      const after = await guest.run(tasks.fetchText, { host: GATEWAY, port })
      expect(after).toMatchObject({ text: 'of the host' })
    })

    test('has any other address all to itself, as long as it is there', async () => {
      const { guest, program } = await attached()
      // Outside of the subnet, and within it, where the guest asks for it by ARP.
      for (const host of [METADATA, '10.0.2.77']) {
        await program.run(serveHttp, 'metadata', { address: host, port: 80 })
        const page = await guest.run(tasks.fetchText, { host, port: 80 })
        expect(page).toEqual({ text: 'metadata', client: GUEST })
        const tcp = await guest.run(tasks.tryToConnect, { host, port: 81 })
        expect(tcp.outcome).toBe('ECONNREFUSED')
        const udp = await guest.run(tasks.exchangeUdp, { host, port: 80 })
        expect(udp.outcome).toBe('ECONNREFUSED')
        await program.run(({ keep }) => (keep.get('metadata') as NetworkServer).close())
        const gone = await guest.run(tasks.tryToConnect, { host, port: 80 }, 500)
        expect(gone.outcome).not.toBe('connected')
      }
    })

    test.skipIf(!has('ping'))('is at an address that answers ping', async () => {
      const { guest, program } = await attached({ ipv6: true })
      await address6(guest)
      for (const address of [METADATA, '10.0.2.77', 'fd00::77', 'fd00:ec2::254']) {
        await program.run(serveHttp, 'metadata', { address, port: 80 })
        const { status, stdout } = await guest.execute(['ping', '-c1', '-W2', address])
        expect(status, stdout).toBe(0)
      }
    })

    test('of IPv6', async () => {
      const { guest, program } = await attached({ ipv6: true })
      const client = short(await address6(guest))
      for (const host of [GATEWAY6, 'fd00:ec2::254', 'fd00::77', '2001:db8::1']) {
        const where = await program.run(serveHttp, 'six', { address: host, port: 80 })
        expect(where).toEqual({ address: host, family: 'IPv6', port: 80 })
        const page = await guest.run(tasks.fetchText, { host, port: 80 })
        expect(page).toEqual({ text: 'six', client })
      }
    })

    test("has a name that the name server's address answers for, and the host's is not asked", async () => {
      const { guest, program } = await attached({ ipv6: true })
      await address6(guest)
      const name = 'Metadata.Internal.'
      await program.run(serveHttp, 'four', { address: METADATA, port: 80, name })
      await program.run(serveHttp, 'six', { address: 'fd00:ec2::254', port: 81, name })
      const resolve = async ({ dns }: Kit, server: string, name: string, type: string) => {
        const resolver = new dns.promises.Resolver({ timeout: 1000, tries: 1 })
        resolver.setServers([server])
        return resolver.resolve(name, type).catch((error) => error.code)
      }
      for (const server of [DNS, 'fd00::3']) {
        const ask = (type: string): Promise<string[]> =>
          guest.run(resolve, server, 'METADATA.internal', type)
        expect(await ask('A')).toEqual([METADATA])
        expect(await ask('AAAA')).toEqual(['fd00:ec2::254'])
        expect(await ask('TXT')).toBe('ENODATA')
      }
      // No question was asked of anybody else.
      expect((await program.stats()).udp.opened).toBe(0)
      const page = await guest.run(tasks.fetchText, { host: 'metadata.internal', port: 80 })
      expect(page.text).toBe('four')
      await program.run(({ keep }) => (keep.get('four') as NetworkServer).close())
      expect(await guest.run(resolve, DNS, 'metadata.internal', 'A')).toBe('ENODATA')
      await program.run(({ keep }) => (keep.get('six') as NetworkServer).close())
      await guest.run(resolve, DNS, 'metadata.internal', 'A')
      expect((await program.stats()).udp.opened).toBe(1)
    })

    test('comes before a policy that denies everything, and so does its name', async () => {
      const { guest, program } = await attached({ egress: { rules: [] } })
      const name = 'metadata.internal'
      await program.run(serveHttp, 'inside', { address: METADATA, port: 80, name })
      const page = await guest.run(tasks.fetchText, { host: name, port: 80 })
      expect(page).toEqual({ text: 'inside', client: GUEST })
      const port = await guest.run(tasks.serveText, 'of the container', '0.0.0.0')
      expect(await program.run(dial, 'stream', { port })).toMatchObject({ remotePort: port })
      const denied = await guest.run(tasks.tryToConnect, { host: HOST_ADDRESS, port: 9 })
      expect(denied.outcome).not.toBe('connected')
      const other = await guest.run(async ({ dns }, server) => {
        const resolver = new dns.promises.Resolver({ timeout: 1000, tries: 1 })
        resolver.setServers([server])
        return resolver.resolve4('other.internal').catch((error) => error.code)
      }, DNS)
      expect(other).toBe('ENOTFOUND')
    })

    test('cannot have what is taken, and can when it is free again', async () => {
      const { guest, program } = await attached({ dns: true })
      await guest.run(tasks.tryToConnect, { host: HOST_ADDRESS, port: 9 })
      const refused = (options: Options, how: 'listen' | 'bind' = 'listen') =>
        program.run(
          async ({ keep }, options, how) => {
            const made = (keep.get('network') as Network)[how](options)
            return made.then(
              () => 'made',
              ({ code, syscall, message }) => `${code} ${syscall} ${message}`,
            )
          },
          options,
          how,
        )
      expect(await refused({ port: 80 })).toBe('made')
      expect(await refused({ port: 80 })).toMatch(
        /^EADDRINUSE listen cannot listen on 10\.0\.2\.2 port 80: /,
      )
      expect(await refused({ port: 80 }, 'bind')).toBe('made')
      expect(await refused({ port: 80 }, 'bind')).toMatch(/^EADDRINUSE bind/)
      expect(await refused({ port: 67 }, 'bind')).toMatch(/^EADDRINUSE/)
      expect(await refused({ address: DNS, port: 53 })).toMatch(/^EADDRINUSE/)
      expect(await refused({ address: DNS, port: 54 })).toBe('made')
      // Another guest of the network has this one.
      await guest.execute(['ip', 'addr', 'add', '10.0.2.99/24', 'dev', 'tap0'])
      await guest.run(async ({ net }, host) => {
        const socket = net.connect({ host, port: 9, localAddress: '10.0.2.99' })
        await new Promise((resolve) => socket.once('error', resolve))
      }, GATEWAY)
      if (has('ip'))
        expect(await refused({ address: '10.0.2.99', port: 80 })).toMatch(/^EADDRINUSE/)
    })

    test('gives each connection to an async iterator, until it is closed', async () => {
      const { guest, program } = await attached()
      const { port } = await program.run(async ({ keep }) => {
        const server = await (keep.get('network') as Network).listen({ port: 0 })
        const seen: string[] = []
        keep.set('server', server)
        keep.set(
          'done',
          (async () => {
            for await (const socket of server) {
              seen.push(socket.remoteAddress)
              socket.end('bye')
              if (seen.length === 2) await server.close()
            }
            return seen
          })(),
        )
        return server.address()
      })
      expect(port).toBeGreaterThanOrEqual(49_152)
      for (let i = 0; i < 2; i++) {
        expect(await guest.run(tasks.exchange, { host: GATEWAY, port }, '')).toBe('bye')
      }
      expect(await program.run(({ keep }) => keep.get('done') as Promise<string[]>)).toEqual([
        GUEST,
        GUEST,
      ])
      const { outcome } = await guest.run(tasks.tryToConnect, { host: GATEWAY, port })
      expect(outcome).not.toBe('connected')
    })

    test('half-closes each way, if that is allowed', async () => {
      const { guest, program } = await attached()
      const { port } = await program.run(serveEcho, { port: 7 })
      const text = await guest.run(tasks.exchange, { host: GATEWAY, port }, 'all of it')
      expect(text).toBe('all of it')
      // Without allowHalfOpen our side ends with the guest's.
      await program.run(serveKept, 'kept', { port: 70 })
      await guest.run(tasks.connectKept, 'kept', { host: GATEWAY, port: 70 })
      await guest.run(tasks.act, 'kept', { send: 'x' })
      // The guest may be connected before the program has been told.
      await soon(() => program.run(({ keep }) => keep.has('kept')), 2_000)
      await program.run(({ keep }) => void (keep.get('kept') as NetworkSocket).resume())
      await guest.run(tasks.act, 'kept', 'end')
      expect(await guest.run(tasks.standing, 'kept', 'ended')).toMatchObject({ ended: true })
      await eventsSoon(program, 'kept', ['end', 'close'])
    })

    test("sees the guest's reset as ECONNRESET, and the guest sees destroy as one", async () => {
      const { guest, program } = await attached()
      await program.run(serveKept, 'one', { port: 70 })
      const address = { host: GATEWAY, port: 70 }
      await guest.run(tasks.connectKept, 'kept', address)
      await guest.run(tasks.act, 'kept', 'reset')
      await eventsSoon(program, 'one', ['ECONNRESET', 'close'])
      await guest.run(tasks.connectKept, 'kept', address)
      await soon(
        () =>
          program.run(
            ({ keep }) => (keep.get('one') as NetworkSocket | undefined)?.destroyed === false,
          ),
        2_000,
      )
      await program.run(({ keep }) => void (keep.get('one') as NetworkSocket).destroy())
      const standing = await guest.run(tasks.standing, 'kept', 'error')
      expect(standing.error).toBe('ECONNRESET')
      await eventsSoon(program, 'one', ['close'])
      // What was ended before is delivered in any case.
      await guest.run(tasks.connectKept, 'kept', address)
      await program.run(async ({ keep, sleep }) => {
        while ((keep.get('one') as NetworkSocket).destroyed) await sleep(5)
        ;(keep.get('one') as NetworkSocket).end('the last words')
        ;(keep.get('one') as NetworkSocket).destroySoon()
      })
      expect(await guest.run(tasks.standing, 'kept', 'ended')).toEqual({
        text: 'the last words',
        ended: true,
        error: undefined,
      })
      // And what nobody wants is reset.
      await guest.run(tasks.connectKept, 'kept', address)
      await program.run(async ({ keep, sleep }) => {
        while ((keep.get('one') as NetworkSocket).destroyed) await sleep(5)
        ;(keep.get('one') as NetworkSocket).end('')
        ;(keep.get('one') as NetworkSocket).resetAndDestroy()
      })
      const reset = await guest.run(tasks.standing, 'kept', 'error')
      expect(reset.error).toBe('ECONNRESET')
    })

    test('carries TLS, for a server of node:tls', async () => {
      const { guest, program } = await attached()
      const psk = { ciphers: 'PSK-AES256-GCM-SHA384', maxVersion: 'TLSv1.2' as const }
      await program.run(async ({ keep, load }, psk) => {
        const { createServer } = (await load('node:tls')) as typeof import('node:tls')
        const secure = createServer(
          { ...psk, pskIdentityHint: '', pskCallback: () => Buffer.alloc(16, 'k') },
          (socket) => socket.pipe(socket),
        )
        await (keep.get('network') as Network).listen(
          { port: 443, allowHalfOpen: true },
          (socket) => secure.emit('connection', socket),
        )
      }, psk)
      const isEqual = await guest.run(
        async ({ load }, host, psk) => {
          const { connect } = (await load('node:tls')) as typeof import('node:tls')
          const socket = connect({
            ...{ host, port: 443, ...psk },
            pskCallback: () => ({ psk: Buffer.alloc(16, 'k'), identity: 'guest' }),
            checkServerIdentity: () => undefined,
          })
          const block = Buffer.alloc(1 << 20, 'block')
          socket.end(block)
          const parts: Buffer[] = []
          for await (const part of socket) parts.push(part)
          return Buffer.concat(parts).equals(block)
        },
        GATEWAY,
        psk,
      )
      expect(isEqual).toBe(true)
    })

    test('tells of silence, as a socket does', async () => {
      const { guest, program } = await attached()
      await program.run(serveKept, 'one', { port: 70 })
      await guest.run(tasks.connectKept, 'kept', { host: GATEWAY, port: 70 })
      const ms = await program.run(async ({ keep, sleep }) => {
        while (!keep.has('one')) await sleep(5)
        const socket = keep.get('one') as NetworkSocket
        const started = performance.now()
        await new Promise<void>((resolve) => socket.setTimeout(200, resolve))
        return performance.now() - started
      })
      expect(ms).toBeGreaterThan(190)
    })

    test.each([1500, 65_520])('carries much both ways, whole, at MTU %i', async (mtu) => {
      const { guest, program } = await attached({ mtu })
      const octets = 32 << 20
      await program.run(async ({ keep, crypto }, octets) => {
        const network = keep.get('network') as Network
        const server = await network.listen({ port: 5000, allowHalfOpen: true })
        const finished = new Promise((resolve, reject) => {
          server.once('connection', (socket) => {
            const [sent, received] = [crypto.createHash('sha1'), crypto.createHash('sha1')]
            let left = octets
            const fill = (): void => {
              while (left > 0) {
                // Sizes that fit nothing.
                const chunk = crypto.randomBytes(Math.min(left, 1 + ((left * 7919) % 99_991)))
                left -= chunk.length
                sent.update(chunk)
                if (!socket.write(chunk)) return void socket.once('drain', fill)
              }
              socket.end()
            }
            fill()
            socket.on('data', (chunk) => received.update(chunk))
            socket.once('error', reject)
            socket.once('close', () => {
              const { bytesRead, bytesWritten } = socket
              resolve({
                sent: sent.digest('hex'),
                received: received.digest('hex'),
                bytesRead,
                bytesWritten,
              })
            })
          })
        })
        keep.set('finished', finished)
      }, octets)
      const inside = await guest.run(tasks.bulk, { host: GATEWAY, port: 5000 }, octets)
      const outside = await program.run(({ keep }) => keep.get('finished') as Promise<object>)
      expect(outside).toEqual({
        sent: inside.received,
        received: inside.sent,
        bytesRead: octets,
        bytesWritten: octets,
      })
    })

    test('that does not read closes the window, and one that cannot write waits', async () => {
      const { guest, program } = await attached()
      await program.run(serveKept, 'slow', { port: 5000 })
      const address = { host: GATEWAY, port: 5000 }
      const sent = await guest.run(async ({ net, keep, sleep }, address) => {
        const socket = net.connect(address)
        keep.set('socket', socket)
        await new Promise((resolve) => socket.once('connect', resolve))
        const block = Buffer.alloc(1 << 20)
        for (let i = 0; i < 64; i++) socket.write(block)
        await sleep(500)
        return socket.bytesWritten - socket.writableLength
      }, address)
      // Buffers of the guest's kernel are among it.
      expect(sent).toBeLessThan(48 << 20)
      const seen = await program.run(({ keep }) => {
        const socket = keep.get('slow') as NetworkSocket
        return [socket.readableLength, socket.bytesRead]
      })
      // As much as the stream keeps, and as much as is under way to it.
      expect(seen[0]).toBe(seen[1])
      expect(seen[0]).toBeGreaterThanOrEqual(256 << 10)
      expect(seen[0]).toBeLessThanOrEqual(512 << 10)

      // Into a guest that does not read.
      const waiting = await program.run(async ({ keep, sleep }) => {
        const socket = keep.get('slow') as NetworkSocket
        let written = 0
        const block = Buffer.alloc(1 << 16)
        for (let i = 0; i < 1000; i++) {
          if (!socket.write(block)) {
            const wait = new Promise((resolve) => socket.once('drain', () => resolve('drain')))
            if ((await Promise.race([wait, sleep(300)])) !== 'drain') break
          }
          written += block.length
        }
        return written
      })
      expect(waiting).toBeLessThan(48 << 20)
      // Both go on.
      const got = guest.run(({ keep }) => {
        const socket = keep.get('socket') as import('node:net').Socket
        let octets = 0
        socket.on('data', (part) => {
          octets += part.length
        })
        return new Promise<number>((resolve) => socket.once('end', () => resolve(octets)))
      })
      const all = await program.run(async ({ keep }) => {
        const socket = keep.get('slow') as NetworkSocket
        socket.end()
        let octets = 0
        socket.on('data', (part) => {
          octets += part.length
        })
        while (octets < 64 << 20) await new Promise((resolve) => socket.once('data', resolve))
        return [octets, socket.bytesWritten]
      })
      expect(all[0]).toBe(64 << 20)
      expect(await got).toBe(all[1])
    })

    test('of a program that is busy holds up nobody else', async () => {
      const { guest, program } = await attached()
      await program.run(serveEcho, { port: 7 })
      await guest.run(tasks.connectUnread, 'open', { host: GATEWAY, port: 7 }, 8)
      const port = await lab.host.run(tasks.serveText, 'outside', HOST_ADDRESS)
      const busy = program.run(() => {
        const until = performance.now() + 4_000
        while (performance.now() < until);
        return { text: 'no more busy' }
      })
      await guest.run(({ keep }) => {
        const sockets = keep.get('open') as import('node:net').Socket[]
        for (const socket of sockets) socket.write(Buffer.alloc(8 << 20))
      })
      const page = guest.run(tasks.fetchText, { host: HOST_ADDRESS, port })
      expect(await Promise.race([page, busy])).toMatchObject({ text: 'outside' })
      await busy
      // And afterwards all of it is echoed.
      const echoed = await guest.run(async ({ keep }) => {
        const sockets = keep.get('open') as import('node:net').Socket[]
        const one = (socket: (typeof sockets)[number]): Promise<number> =>
          new Promise((resolve) => {
            let octets = 0
            socket.on('data', (part) => {
              octets += part.length
            })
            socket.resume()
            socket.end()
            socket.once('end', () => resolve(octets))
          })
        return Promise.all(sockets.map(one))
      })
      expect(echoed).toEqual(Array(8).fill(8 << 20))
    })

    test('takes many at once, and many in turn, and keeps none', { timeout: 60_000 }, async () => {
      const { guest, program } = await attached()
      await program.run(serveEcho, { port: 7 })
      const address = { host: GATEWAY, port: 7 }
      expect(await guest.run(tasks.exchangeMany, address, 500)).toBe(500)
      expect(await guest.run(tasks.exchangeInTurn, address, 500)).toBe(500)
      await soon(async () => {
        const { tcp } = await program.stats()
        return tcp.opened === 1000 && tcp.closed === 1000
      }, 5_000)
    })

    test('is a flow like any other for who listens', async () => {
      const { guest, program } = await attached()
      await program.run(({ keep }) => {
        keep.set('told', [])
        const network = keep.get('network') as Network
        network.on('flow-close', (flow) => (keep.get('told') as ClosedFlow[]).push(flow))
      })
      await program.run(serveEcho, { address: METADATA, port: 7 })
      await guest.run(tasks.exchange, { host: METADATA, port: 7 }, 'hello')
      const told = (): Promise<ClosedFlow[]> =>
        program.run(({ keep }) => keep.get('told') as ClosedFlow[])
      await soon(async () => (await told()).length > 0, 5_000)
      expect(await told()).toMatchObject([
        {
          proto: 'tcp',
          origin: 'guest',
          guest: { address: GUEST },
          peer: { address: METADATA, port: 7 },
          host: { address: METADATA, port: 7 },
          reason: 'finished',
          octetsFromGuest: 5,
          octetsToGuest: 5,
        },
      ])
    })
  })
})
