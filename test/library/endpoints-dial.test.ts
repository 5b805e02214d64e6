/** The program itself on the container's network: it dials into the container, and sends datagrams; and how all that ends. */
import { describe, expect, test } from 'vitest'
import type { Network, NetworkServer, NetworkSocket, NetworkUdpSocket } from '../../src/index.ts'
import type { Kit } from '../../src/lab/agent.ts'
import { address6, GATEWAY6, linkLocal6 } from '../e2e/ipv6.ts'
import { GATEWAY, GUEST, has, inWorlds } from '../e2e/lab.ts'
import * as tasks from '../e2e/tasks.ts'
import { LIBRARY } from './embedder.ts'
import { dial, eventsSoon, METADATA, pairsOf, serveKept, short, soon } from './endpoint-tasks.ts'

inWorlds((lab) => {
  const { pair, attached } = pairsOf(lab)

  describe('a stream into the container', () => {
    test("comes from the gateway's address, and carries what a socket does", async () => {
      const { guest, program } = await attached()
      const port = await guest.run(tasks.serveText, 'inside', '0.0.0.0')
      const ends = await program.run(dial, 'stream', { port })
      expect(ends).toEqual({
        remoteAddress: GUEST,
        remotePort: port,
        remoteFamily: 'IPv4',
        localAddress: GATEWAY,
        localFamily: 'IPv4',
      })
      const answer = await program.run(async ({ keep }) => {
        const socket = keep.get('stream') as NetworkSocket
        socket.end('GET / HTTP/1.0\r\n\r\n')
        let text = ''
        for await (const chunk of socket) text += chunk
        return text
      })
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*x-client: 10\.0\.2\.2[\s\S]*inside$/)
      await eventsSoon(program, 'stream', ['close'])
    })

    test('of IPv6', async () => {
      const { guest, program } = await attached({ ipv6: true })
      const host = short(await address6(guest))
      const port = await guest.run(tasks.serveText, 'inside', '::')
      const ends = await program.run(dial, 'stream', { host, port })
      expect(ends).toMatchObject({ remoteAddress: host, localAddress: GATEWAY6 })
    })

    test('serves an http.Agent, which uses it again', async () => {
      const { guest, program } = await attached()
      const port = await guest.run(({ http, listen }) =>
        listen(
          http.createServer((request, response) =>
            response.end(`${request.url} from ${request.socket.remotePort}`),
          ),
          '0.0.0.0',
        ),
      )
      const pages = await program.run(async ({ keep, http }, port) => {
        const network = keep.get('network') as Network
        const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
        Object.assign(agent, {
          createConnection: (
            _: unknown,
            callback: (error: Error | null, socket?: unknown) => void,
          ) => {
            network.connect({ port }).then((socket) => callback(null, socket), callback)
          },
        })
        const get = (path: string): Promise<string> =>
          new Promise((resolve, reject) => {
            const request = http.get({ host: 'container', path, agent }, (response) => {
              let text = ''
              response.on('data', (part) => {
                text += part
              })
              response.on('end', () => resolve(text))
            })
            request.on('error', reject)
          })
        const pages = [
          await get('/1'),
          await get('/2'),
          ...(await Promise.all([get('/3'), get('/4')])),
        ]
        agent.destroy()
        return pages
      }, port)
      const [first = ''] = pages
      const from = first.split(' from ')[1]
      expect(pages).toEqual(['/1', '/2', '/3', '/4'].map((path) => `${path} from ${from}`))
    })

    test('serves a dispatcher of undici', async (context) => {
      if (process.env.SLIPWAY_DIST) return context.skip('this user cannot read undici')
      const { guest, program } = await attached()
      const port = await guest.run(tasks.serveText, 'inside', '0.0.0.0')
      const page = await program.run(
        async ({ keep, load }, undici, port) => {
          const network = keep.get('network') as Network
          const { Agent, request } = ((await load(undici)) as { default: typeof import('undici') })
            .default
          const dispatcher = new Agent({
            connect: (_, callback) => {
              network.connect({ port }).then(
                (socket) => callback(null, socket as never),
                (error) => callback(error, null),
              )
            },
          })
          const { body } = await request('http://container.internal/', { dispatcher })
          const text = await body.text()
          await dispatcher.close()
          return text
        },
        new URL('../../node_modules/undici/index.js', import.meta.url).href,
        port,
      )
      expect(page).toBe('inside')
    })

    test("fails with Node's codes", async () => {
      const { guest, program } = await attached()
      expect(await program.run(dial, 'x', { port: 9 })).toEqual({
        code: 'ECONNREFUSED',
        syscall: 'connect',
        message: `connect ECONNREFUSED ${GUEST}:9`,
      })
      expect(await program.run(dial, 'x', { host: '10.0.2.50', port: 9 })).toEqual({
        code: 'EHOSTUNREACH',
        syscall: 'connect',
        message: 'connect EHOSTUNREACH 10.0.2.50:9',
      })
      // A port that drops what comes: its backlog is full.
      const port = await guest.run(({ net, keep }) => {
        const server = net.createServer()
        keep.set('full', server)
        return new Promise<number>((resolve) =>
          server.listen({ host: '0.0.0.0', port: 0, backlog: 1 }, () =>
            resolve((server.address() as import('node:net').AddressInfo).port),
          ),
        )
      })
      await guest.run(({ fs }) => fs.writeFileSync('/proc/sys/net/ipv4/tcp_syncookies', '0'))
      const busy = guest.run(async ({ childProcess }) => {
        childProcess.execFileSync('sleep', ['2']) // nobody accepts meanwhile
      })
      const dials = Array.from({ length: 8 }, (_, i) =>
        program.run(dial, `x${i}`, { port, timeout: 700 }),
      )
      const codes = (await Promise.all(dials)).map((result) => ('code' in result ? result.code : 0))
      expect(codes).toContain('ETIMEDOUT')
      await busy
    })

    test('fails with ERR_NO_GUEST when nobody has the address', async () => {
      const { program } = await attached({ configure: false })
      const started = performance.now()
      expect(await program.run(dial, 'x', { port: 80 })).toMatchObject({ code: 'ERR_NO_GUEST' })
      expect(performance.now() - started).toBeLessThan(3_000)
    })

    test('is cancelled by a signal', async () => {
      const { program } = await attached({ configure: false })
      const outcome = await program.run(async ({ keep }) => {
        const network = keep.get('network') as Network
        const controller = new AbortController()
        const dialling = network.connect({ port: 80, signal: controller.signal })
        const early = network.connect({ port: 80, signal: AbortSignal.abort(new Error('early')) })
        controller.abort(new Error('changed my mind'))
        const message = (promise: Promise<unknown>) => promise.catch((error) => error.message)
        return [await message(early), await message(dialling)]
      })
      expect(outcome).toEqual(['early', 'changed my mind'])
      await soon(async () => {
        const { tcp } = await program.stats()
        return tcp.opened === tcp.closed
      }, 2_000)
    })
  })

  describe('a UDP socket', () => {
    test('answers, and asks', async () => {
      const { guest, program } = await attached({ ipv6: true })
      await address6(guest)
      for (const address of [GATEWAY, METADATA, GATEWAY6]) {
        await program.run(async ({ keep }, address) => {
          const socket = await (keep.get('network') as Network).bind({ address, port: 7 })
          socket.on('message', (octets, from) => socket.send(octets, from.port, from.address))
          keep.set('socket', socket)
        }, address)
        const host = { host: address, port: 7 }
        // The largest one, in fragments, and an empty one's neighbour.
        for (const length of [1, 1400, 65_507]) {
          const outcome = await guest.run(tasks.exchangeUdp, host, length)
          expect(outcome).toMatchObject({ outcome: 'answer', equal: true, length })
        }
        await program.run(({ keep }) => (keep.get('socket') as NetworkUdpSocket).close())
        expect(await guest.run(tasks.exchangeUdp, host, 1, 300)).not.toMatchObject({
          outcome: 'answer',
        })
      }
      const port = await guest.run(tasks.serveUdpEcho, '0.0.0.0')
      const answer = await program.run(async ({ keep }, port) => {
        const socket = await (keep.get('network') as Network).bind()
        const answer = new Promise((resolve) =>
          socket.once('message', (octets, from) => resolve([`${octets}`, from])),
        )
        const isSent = socket.send('hello', port)
        const result = [isSent, ...((await answer) as unknown[])]
        await socket[Symbol.asyncDispose]()
        return [...result, socket.send('hello', port)]
      }, port)
      const from = { address: GUEST, family: 'IPv4', port, size: 5 }
      expect(answer).toEqual([true, 'hello', from, false])
    })

    test.skipIf(!has('python3'))('answers whoever sends, or does not hear of it', async () => {
      const { guest, program } = await attached({ ipv6: true })
      await address6(guest)
      for (const address of [GATEWAY, GATEWAY6]) {
        await program.run(async ({ keep }, address) => {
          const socket = await (keep.get('network') as Network).bind({ address, port: 7 })
          socket.on('message', (octets, from) => socket.send(octets, from.port, from.address))
        }, address)
      }
      // From port 0, as only a raw socket sends (RFC 768).
      const script = `
import socket, struct
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
raw.sendto(struct.pack('!HHHH', 0, 7, 10, 0) + b'hi', ('${GATEWAY}', 0))`
      const { status, stderr } = await guest.execute(['python3', '-c', script])
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      await soon(async () => (await program.stats()).drops.hostRefused === 1, 2_000)
      const ask = async ({ dgram }: Kit, own: string, host: string) => {
        const socket = dgram.createSocket('udp6')
        await new Promise<void>((resolve) => socket.bind(0, `${own}%tap0`, resolve))
        const heard = new Promise((resolve) =>
          socket.once('message', (octets) => resolve(`${octets}`)),
        )
        socket.send('link-local', 7, host)
        const answer = await Promise.race([
          heard,
          new Promise((resolve) => setTimeout(resolve, 2_000)),
        ])
        socket.close()
        return answer
      }
      expect(await guest.run(ask, await linkLocal6(guest), GATEWAY6)).toBe('link-local')
      // It lives.
      const outcome = await guest.run(tasks.exchangeUdp, { host: GATEWAY, port: 7 }, 1)
      expect(outcome).toMatchObject({ outcome: 'answer' })
    })

    test('of a program that is busy loses datagrams, and they are counted', async () => {
      const { guest, program } = await attached()
      await program.run(async ({ keep }) => {
        const socket = await (keep.get('network') as Network).bind({ port: 7 })
        keep.set('count', 0)
        socket.on('message', () => keep.set('count', (keep.get('count') as number) + 1))
      })
      const busy = program.run(({ childProcess }) => void childProcess.execFileSync('sleep', ['1']))
      await guest.run(async ({ dgram }, host) => {
        const socket = dgram.createSocket('udp4')
        const datagram = Buffer.alloc(1400)
        for (let i = 0; i < 2000; i++) {
          await new Promise((resolve) => socket.send(datagram, 7, host, resolve))
        }
        socket.close()
      }, GATEWAY)
      await busy
      // Some may have been lost on the way to us: the guest's kernel has a queue of its own.
      await soon(async () => {
        const count = await program.run(({ keep }) => keep.get('count') as number)
        const { drops } = await program.stats()
        const all = count + drops.hostFull
        return count > 300 && drops.hostFull > 0 && all > 1000 && all <= 2000
      }, 2_000)
    })
  })

  describe('the end of the network', () => {
    test('ends all there is, without an error when it was asked for', async () => {
      const { guest, program } = await attached()
      await program.run(serveKept, 'accepted', { port: 70 })
      await guest.run(tasks.connectKept, 'kept', { host: GATEWAY, port: 70 })
      const port = await guest.run(tasks.serveEcho, '0.0.0.0')
      await program.run(dial, 'dialled', { port })
      const outcome = await program.run(async ({ keep }) => {
        const network = keep.get('network') as Network
        const server = keep.get('server') as NetworkServer
        const socket = await network.bind()
        const closed: string[] = []
        server.once('close', () => closed.push('server'))
        socket.once('close', () => closed.push('socket'))
        const dialling = network.connect({ host: '10.0.2.50', port: 1 })
        const failed = dialling.catch((error) => error.code)
        await network.close()
        const codes = await Promise.all(
          [network.listen({ port: 1 }), network.connect({ port: 1 }), network.bind()].map(
            (promise) => promise.catch((error) => error.code),
          ),
        )
        await server.close()
        await socket.close()
        return { closed, failed: await failed, codes, listening: server.listening }
      })
      expect(outcome).toEqual({
        closed: ['server', 'socket'],
        failed: 'ERR_NETWORK_CLOSED',
        codes: Array(3).fill('ERR_NETWORK_CLOSED'),
        listening: false,
      })
      await eventsSoon(program, 'accepted', ['close'])
      await eventsSoon(program, 'dialled', ['close'])
    })

    test.skipIf(!has('ip'))('ends streams with the cause when it was not', async () => {
      const { guest, program } = await attached()
      const port = await guest.run(tasks.serveEcho, '0.0.0.0')
      await program.run(dial, 'stream', { port })
      await guest.execute(['ip', 'link', 'del', 'tap0'])
      await eventsSoon(program, 'stream', ['ERR_NETWORK_CLOSED', 'close'])
    })

    test("a stream keeps the program alive, though the network is unref'd", async () => {
      const { guest } = await pair()
      const port = await guest.run(tasks.serveEcho, '0.0.0.0')
      const text = `
        import { attach } from ${JSON.stringify(LIBRARY)}
        const network = await attach({ target: { pid: ${guest.pid} } })
        network.unref()
        const socket = await network.connect({ port: ${port} })
        socket.write('hello')
        socket.once('data', (octets) => {
          console.log(String(octets))
          if (process.argv[1] === 'unref') socket.unref()
          else socket.end()
          socket.resume()
        })`
      for (const how of ['unref', 'end']) {
        const command = [process.execPath, '--input-type=module', '-e', text, how]
        const program = await lab.host.execute(command, { limit: 10_000 })
        expect(program).toMatchObject({ status: 0, stdout: 'hello\n', stderr: '' })
      }
    })

    test('leaves nothing, with streams open', { timeout: 60_000 }, async () => {
      const { guest, program } = await pair()
      const port = await guest.run(tasks.serveEcho, '0.0.0.0')
      const cycle = async (
        { load }: Kit,
        library: string,
        pid: number,
        port: number,
        n: number,
      ) => {
        const { attach } = (await load(library)) as typeof import('../../src/index.ts')
        for (let i = 0; i < n; i++) {
          const network = await attach({ target: { pid } })
          await network.listen({ port: 80 })
          const socket = await network.connect({ port })
          socket.write(Buffer.alloc(100_000))
          await new Promise((resolve) => socket.once('data', resolve))
          await network.close()
        }
        ;(globalThis as { gc?: () => void }).gc?.()
        return process.memoryUsage().rss / 2 ** 20
      }
      const early = await program.run(cycle, LIBRARY, guest.pid, port, 10)
      const before = program.holdings()
      const late = await program.run(cycle, LIBRARY, guest.pid, port, 20)
      await soon(() => JSON.stringify(program.holdings()) === JSON.stringify(before), 2_000)
      expect(late - early).toBeLessThan(20)
    })
  })
})
