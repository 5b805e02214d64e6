/** What a network tells as it happens: in a program with a listener, and on the command's stderr. */
import { afterEach, describe, expect, test } from 'vitest'
import type { ClosedFlow, Flow, Network } from '../../src/index.ts'
import type { Kit } from '../../src/lab/agent.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { GATEWAY, GUEST, HOST_ADDRESS, inWorlds } from '../e2e/lab.ts'
import { eventually } from '../e2e/proc.ts'
import * as tasks from '../e2e/tasks.ts'
import { Embedder } from './embedder.ts'

type Told = [name: 'flow-open', flow: Flow] | [name: 'flow-close', flow: ClosedFlow]

/** Notes everything from now on. */
function listen({ keep }: Kit): void {
  const network = keep.get('network') as Network
  const told: Told[] = []
  keep.set('told', told)
  network.on('flow-open', (flow) => told.push(['flow-open', flow]))
  network.on('flow-close', (flow) => told.push(['flow-close', flow]))
}

const toldOf = ({ keep }: Kit): Told[] => keep.get('told') as Told[]

inWorlds((lab) => {
  const opened: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close()
  })

  async function attached(options = {}): Promise<{ guest: Namespace; program: Embedder }> {
    const guest = await lab.world.container()
    opened.push(() => guest.close())
    const program = await Embedder.beside(guest)
    opened.push(() => program.close())
    await program.attach({ target: { pid: guest.pid }, ...options })
    return { guest, program }
  }

  async function toldSoon(program: Embedder, count: number): Promise<Told[]> {
    let told: Told[] = []
    for (let i = 0; i < 250 && told.length < count; i++) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, 20))
      told = await program.run(toldOf)
    }
    return told
  }

  describe('a listener', () => {
    test('that throws misses nothing, and its exceptions are those of the program', async () => {
      const { guest, program } = await attached()
      await program.run(({ keep }) => {
        const network = keep.get('network') as Network
        const told: unknown[] = []
        keep.set('told', told)
        const errors: string[] = []
        keep.set('errors', errors)
        process.removeAllListeners('uncaughtException')
        process.on('uncaughtException', ({ message }) => errors.push(message))
        network.on('flow-close', (flow) => {
          told.push(['flow-close', flow])
          throw new Error('of a listener')
        })
      })
      const port = await lab.host.run(tasks.serveEcho, HOST_ADDRESS)
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        await guest.run(tasks.connectKept, name, { host: HOST_ADDRESS, port })
      }
      await program.closeNetwork()
      expect(await toldSoon(program, 5)).toHaveLength(5)
      const errors = await program.run(({ keep }) => keep.get('errors') as string[])
      expect(errors).toEqual(Array(5).fill('of a listener'))
    })

    test('learns of a connection of the container, and of what it carried', async () => {
      const { guest, program } = await attached()
      await program.run(listen)
      const port = await lab.host.run(tasks.serveEcho, HOST_ADDRESS)
      const before = Date.now()
      await guest.run(tasks.exchange, { host: HOST_ADDRESS, port }, 'twelve bytes')
      const told = await toldSoon(program, 2)
      expect(told.map(([name]) => name)).toEqual(['flow-open', 'flow-close'])
      const [, flow] = told[0]!
      const [, closed] = told[1]! as ['flow-close', ClosedFlow]
      expect(flow).toEqual({
        id: 1,
        proto: 'tcp',
        origin: 'guest',
        guest: { address: GUEST, port: expect.any(Number) },
        peer: { address: HOST_ADDRESS, port },
        host: { address: HOST_ADDRESS, port },
        openedAt: expect.any(Number),
      })
      expect(Math.abs(flow.openedAt - before)).toBeLessThan(5_000)
      expect(closed).toMatchObject({
        ...flow,
        reason: 'finished',
        octetsFromGuest: 12,
        octetsToGuest: 12,
      })
      expect(closed.duration).toBeGreaterThanOrEqual(0)
      expect(closed.duration).toBeLessThan(5_000)
    })

    test('learns why there was none', async () => {
      const { guest, program } = await attached({ hostLoopback: true })
      await program.run(listen)
      const port = 9 // discard: nobody has it
      await guest.run(tasks.tryToConnect, { host: GATEWAY, port })
      const told = await toldSoon(program, 2)
      expect(told[1]).toMatchObject([
        'flow-close',
        {
          peer: { address: GATEWAY, port },
          host: { address: '127.0.0.1', port },
          reason: 'host-refused',
          octetsFromGuest: 0,
          octetsToGuest: 0,
        },
      ])
    })

    test('learns of clients of a published port, and where they come from', async () => {
      const { guest, program } = await attached()
      await program.run(listen)
      const guestPort = await guest.run(tasks.serveEcho, '0.0.0.0')
      const { hostPort } = await program.forward({ guestPort })
      await lab.host.run(tasks.exchange, { host: '127.0.0.1', port: hostPort }, 'hello')
      const told = await toldSoon(program, 2)
      expect(told[1]).toMatchObject([
        'flow-close',
        {
          origin: 'host',
          guest: { address: GUEST, port: guestPort },
          peer: { address: GATEWAY },
          host: { address: '127.0.0.1' },
          reason: 'finished',
          octetsFromGuest: 5,
          octetsToGuest: 5,
        },
      ])
    })

    test('learns of UDP, and that the network is closed', async () => {
      const { guest, program } = await attached()
      await program.run(listen)
      const port = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
      await guest.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port })
      expect((await toldSoon(program, 1))[0]).toMatchObject([
        'flow-open',
        { proto: 'udp', peer: { address: HOST_ADDRESS, port } },
      ])
      await program.closeNetwork()
      const told = await program.run(toldOf)
      expect(told[1]).toMatchObject(['flow-close', { proto: 'udp', reason: 'closed' }])
      const [, closed] = told[1] as ['flow-close', ClosedFlow]
      expect(closed.octetsFromGuest).toBeGreaterThan(0)
      expect(closed.octetsToGuest).toBe(closed.octetsFromGuest)
    })

    test('that came late learns of the end of what was there', async () => {
      const { guest, program } = await attached()
      const port = await lab.host.run(tasks.serveEcho, HOST_ADDRESS)
      await guest.run(tasks.connectKept, 'early', { host: HOST_ADDRESS, port })
      await program.run(listen)
      await program.stats() // it is listened to before the next thing happens
      await guest.run(tasks.act, 'early', 'reset')
      const told = await toldSoon(program, 1)
      expect(told).toMatchObject([['flow-close', { id: 1, reason: 'guest-reset' }]])
    })

    test('that has gone learns of nothing, and once is once', async () => {
      const { guest, program } = await attached()
      await program.run(({ keep }) => {
        const network = keep.get('network') as Network
        const told: unknown[] = []
        keep.set('told', told)
        const gone = (): void => void told.push('gone')
        network.on('flow-open', gone).off('flow-open', gone)
        network.once('flow-open', () => void told.push('once'))
      })
      const port = await lab.host.run(tasks.serveEcho, HOST_ADDRESS)
      for (let i = 0; i < 3; i++) {
        await guest.run(tasks.exchange, { host: HOST_ADDRESS, port }, 'x')
      }
      await program.stats()
      expect(await program.run(toldOf)).toEqual(['once'])
    })

    test('is warned of a limit', async () => {
      const guest = await lab.world.container()
      opened.push(() => guest.close())
      const program = await Embedder.beside(guest, { wrapper: ['prlimit', '--nofile=60'] })
      opened.push(() => program.close())
      await program.attach({ target: { pid: guest.pid } })
      await program.run(({ keep }) => {
        const network = keep.get('network') as Network
        keep.set('told', [])
        network.on('warning', (warning) => (keep.get('told') as unknown[]).push(warning))
      })
      const port = await lab.host.run(tasks.serveEcho, HOST_ADDRESS)
      await guest.run(
        async ({ net, sleep, keep }, host, port) => {
          const sockets = Array.from({ length: 80 }, () => net.connect({ host, port }))
          for (const socket of sockets) socket.on('error', () => {})
          keep.set('sockets', sockets)
          await sleep(500)
        },
        HOST_ADDRESS,
        port,
      )
      const told = (await toldSoon(program, 1)) as unknown[]
      expect(told[0]).toEqual({
        code: expect.stringMatching(/^WARN_(CONNECTIONS|SOCKETS)$/),
        count: expect.any(Number),
        message: expect.stringMatching(/^\d+ (connections|sockets) /),
      })
    })
  })

  describe('the command', () => {
    test('logs flows as text', async () => {
      const { guest, daemon } = await lab.attach({ args: ['--log-flows=text'] })
      const port = await lab.host.run(tasks.serveEcho, HOST_ADDRESS)
      await guest.run(tasks.exchange, { host: HOST_ADDRESS, port }, 'twelve bytes')
      const ends = `tcp ${GUEST}:\\d+ → ${HOST_ADDRESS}:${port}`
      await eventually(() => daemon.program.stderr.includes('\n- '), 5_000)
      expect(daemon.program.stderr).toMatch(new RegExp(`^\\+ ${ends}$`, 'm'))
      expect(daemon.program.stderr).toMatch(
        new RegExp(`^- ${ends} finished 12 B / 12 B \\d+ ms$`, 'm'),
      )
    })

    test('logs flows as JSON Lines', async () => {
      const { guest, daemon } = await lab.attach({ args: ['--log-flows', 'json'] })
      const port = await lab.host.run(tasks.serveUdpEcho)
      await guest.run(tasks.exchangeUdp, { host: GATEWAY, port })
      await eventually(() => daemon.program.stderr.includes('flow-open'), 5_000)
      const line = daemon.program.stderr.split('\n').find((each) => each.startsWith('{'))!
      expect(JSON.parse(line)).toMatchObject({
        event: 'flow-open',
        proto: 'udp',
        guest: { address: GUEST },
        peer: { address: GATEWAY, port },
      })
    })

    test('says as much as it is asked to', async () => {
      const { guest, daemon } = await lab.attach({ args: ['--log-level=debug'] })
      const quiet = await lab.attach({ args: ['--log-level=error'] })
      const hostPort = await lab.host.run(({ net, listen }) => {
        const server = net.createServer()
        return listen(server).then((port) => {
          server.close()
          return port
        })
      })
      const guestPort = await guest.run(tasks.serveEcho, '0.0.0.0')
      await daemon.forward({ hostAddr: '127.0.0.1', hostPort, guestPort })
      await daemon.api({ execute: 'remove_hostfwd', arguments: { id: 1 } })
      await quiet.daemon.api({ execute: 'list_hostfwd' })
      const { stderr } = await daemon.stop()
      expect(stderr).toContain(`slipway: info: published port 1: tcp 127.0.0.1 port ${hostPort} → `)
      expect(stderr).toContain('slipway: info: published port 1 is free again\n')
      expect(stderr).toMatch(/^slipway: debug: API: \{"execute":"add_hostfwd".* → \{"return"/m)
      expect((await quiet.daemon.stop()).stderr).not.toContain('slipway:')
    })
  })
})
