/** Published ports past the TAP: to the container's loopback, the kernel carries the octets. */
import { describe, expect, test } from 'vitest'
import type { DaemonOptions } from '../../src/lab/daemon.ts'
import type { ContainerOptions, Namespace } from '../../src/lab/world.ts'
import { GATEWAY, GUEST, HOST_ADDRESS, inWorlds, peer } from './lab.ts'
import { eventually } from './proc.ts'
import * as tasks from './tasks.ts'

const SPLICE: DaemonOptions = { args: ['--forward-mode=splice'] }
/** As many sockets in the namespace as there are (engine/open.ts): a sixteenth of the descriptors. */
const FEW: DaemonOptions = {
  args: [...SPLICE.args!, '--log-flows=text'],
  wrapper: ['prlimit', '--nofile=256:256'],
}

let lastPort = 26_000

describe.skipIf(peer)('with --forward-mode=splice', () => {
  inWorlds(
    (lab) => {
      async function publish(guestPort: number): Promise<number> {
        const hostPort = ++lastPort
        await lab.daemon.forward({ hostPort, guestPort })
        return hostPort
      }

      const ways: [string, DaemonOptions, ContainerOptions][] = [
        ['with all capabilities', SPLICE, {}],
        ['without any', { ...SPLICE, as: 'plain' }, {}],
        ["in Podman's user namespace", SPLICE, { podman: true }],
        ['where our user is not root in the container', { ...SPLICE, as: 'plain' }, { uid: 1000 }],
        ['in the sandbox', { args: [...SPLICE.args!, '--enable-sandbox', '--enable-seccomp'] }, {}],
      ]
      test.each(ways)(
        "a server on the container's loopback is reached, %s",
        async (_, options, container) => {
          const { guest, daemon } = await lab.attach(options, container)
          const hostPort = ++lastPort
          await daemon.forward({ hostPort, guestPort: await guest.run(tasks.serveText, 'inside') })
          const page = await lab.host.run(tasks.fetchText, { host: HOST_ADDRESS, port: hostPort })
          expect(page).toEqual({ text: 'inside', client: '127.0.0.1' })
        },
      )

      test("over IPv6 it is the container's ::1", async () => {
        const { guest, daemon } = await lab.attach({ args: [...SPLICE.args!, '--enable-ipv6'] })
        const guestPort = await guest.run(tasks.serveText, 'inside', '::1')
        const hostPort = ++lastPort
        await daemon.forward({ proto: 'tcp6', hostPort, guestPort })
        const page = await lab.host.run(tasks.fetchText, { host: '::1', port: hostPort })
        expect(page).toEqual({ text: 'inside', client: '::1' })
      })

      test("what listens only at the container's address is reached by the TAP", async () => {
        const port = await publish(await lab.guest.run(tasks.serveText, 'inside', GUEST))
        const page = await lab.host.run(tasks.fetchText, { host: HOST_ADDRESS, port })
        expect(page).toEqual({ text: 'inside', client: HOST_ADDRESS })
      })

      test('where nothing listens the client is told', async () => {
        const port = await publish(9)
        const { error } = await lab.host.run(
          ({ net }, address) =>
            new Promise<{ error: string }>((resolve) => {
              const socket = net.connect(address)
              socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve({ error: `${code}` }))
              socket.on('close', () => resolve({ error: 'none' }))
            }),
          { host: HOST_ADDRESS, port },
        )
        expect(error).toBe('ECONNRESET')
      })

      test('half-close works both ways, and nothing is lost before the end', async () => {
        const port = await publish(await lab.guest.run(tasks.serveEcho))
        const text = 'z'.repeat(3_000_000)
        const address = { host: HOST_ADDRESS, port }
        expect(await lab.host.run(tasks.exchange, address, text)).toBe(text)

        const kept = await publish(await lab.guest.run(tasks.serveKept, 'half'))
        await lab.host.run(tasks.connectKept, 'half', { host: HOST_ADDRESS, port: kept })
        await lab.host.run(tasks.act, 'half', { send: 'ping' })
        await lab.guest.run(tasks.standing, 'half', 'text')
        await lab.guest.run(tasks.act, 'half', 'end')
        expect(await lab.host.run(tasks.standing, 'half', 'ended')).toMatchObject({ ended: true })
        await lab.host.run(tasks.act, 'half', { send: 'pong' })
        await lab.host.run(tasks.act, 'half', 'end')
        const { text: whole } = await lab.guest.run(tasks.standing, 'half', 'ended')
        expect(whole).toBe('pingpong')
      })

      test('a reset is one at the other side, too', async () => {
        for (const [name, from, to] of [
          ['by guest', lab.guest, lab.host],
          ['by host', lab.host, lab.guest],
        ] as [string, Namespace, Namespace][]) {
          const port = await publish(await lab.guest.run(tasks.serveKept, name))
          await lab.host.run(tasks.connectKept, name, { host: HOST_ADDRESS, port })
          await lab.host.run(tasks.act, name, { send: 'ping' })
          await lab.guest.run(tasks.standing, name, 'text')
          await from.run(tasks.act, name, 'reset')
          const { error } = await to.run(tasks.standing, name, 'error')
          expect([name, error]).toEqual([name, 'ECONNRESET'])
        }
      })

      test('a reader that takes its time loses nothing and holds up nobody', async () => {
        const octets = 20 * 1024 * 1024
        const slow = await publish(await lab.guest.run(tasks.serveOctets, octets))
        const quick = await publish(await lab.guest.run(tasks.serveText, 'quick'))
        const reading = lab.host.run(tasks.readSlowly, { host: HOST_ADDRESS, port: slow }, 500)
        const page = await lab.host.run(tasks.fetchText, { host: HOST_ADDRESS, port: quick })
        expect(page.text).toBe('quick')
        expect(await reading).toBe(octets)
      })

      test('sockets are used again; when all are in use, the TAP is', async () => {
        const { guest, daemon } = await lab.attach(FEW)
        const flows = (sign: string) =>
          daemon.program.stderr.split('\n').filter((line) => line.startsWith(`${sign} tcp`)).length
        const hostPort = ++lastPort
        const address = { host: HOST_ADDRESS, port: hostPort }
        await daemon.forward({
          hostPort,
          guestPort: await guest.run(tasks.serveText, 'a', '0.0.0.0'),
        })
        const clients = new Set<string>()
        for (let i = 0; i < 50; i++) {
          clients.add((await lab.host.run(tasks.fetchText, address)).client)
        }
        expect([...clients]).toEqual(['127.0.0.1'])
        expect(await eventually(() => flows('-') === 50)).toBe(true)

        await lab.host.run(({ net, keep }, address) => {
          const sockets = Array.from({ length: 16 }, () => net.connect(address))
          for (const socket of sockets) socket.on('error', () => {})
          keep.set('crowd', sockets)
        }, address)
        expect(await eventually(() => flows('+') === 50 + 16)).toBe(true)
        expect((await lab.host.run(tasks.fetchText, address)).client).toBe(HOST_ADDRESS)
        await lab.host.run(({ keep }) => {
          for (const socket of keep.get('crowd') as import('node:net').Socket[]) socket.destroy()
        })
        expect(await eventually(() => flows('-') === flows('+'))).toBe(true)
        expect((await lab.host.run(tasks.fetchText, address)).client).toBe('127.0.0.1')
      })

      test("the container's own connections go by the TAP as ever", async () => {
        const port = await lab.host.run(tasks.serveText, 'outside')
        const page = await lab.guest.run(tasks.fetchText, { host: GATEWAY, port })
        expect(page.text).toBe('outside')
      })
    },
    { shared: SPLICE },
  )
})
