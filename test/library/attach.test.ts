/** The library in a program of its own, with a real container: what `attach` gives and takes back. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Network } from '../../src/index.ts'
import type { Kit } from '../../src/lab/agent.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { address6, GATEWAY6 } from '../e2e/ipv6.ts'
import { DNS, GATEWAY, GUEST, HOST_ADDRESS, has, inWorlds } from '../e2e/lab.ts'
import { eventually } from '../e2e/proc.ts'
import * as tasks from '../e2e/tasks.ts'
import { Embedder, type EmbedderOptions, expectNothingLeft, LIBRARY } from './embedder.ts'

inWorlds((lab) => {
  const opened: (() => Promise<void>)[] = []
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((close) => close()))
  })

  async function container(options = {}): Promise<Namespace> {
    const guest = await lab.world.container(options)
    opened.push(() => guest.close())
    return guest
  }

  async function embedder(
    guest: Pick<Namespace, 'outer'>,
    options?: EmbedderOptions,
  ): Promise<Embedder> {
    const program = await Embedder.beside(guest, options)
    opened.push(() => program.close())
    return program
  }

  /** Both at once. */
  async function pair(options?: EmbedderOptions): Promise<{ guest: Namespace; program: Embedder }> {
    const beside = { outer: lab.host.enter }
    const [guest, program] = await Promise.all([container(), embedder(beside, options)])
    return { guest, program }
  }

  /** The container reaches the host, and the host the container. */
  async function expectTraffic(program: Embedder, guest: Namespace, name?: string): Promise<void> {
    const port = await lab.host.run(tasks.serveText, 'outside', HOST_ADDRESS)
    const page = await guest.run(tasks.fetchText, { host: HOST_ADDRESS, port })
    expect(page).toMatchObject({ text: 'outside' })
    const guestPort = await guest.run(tasks.serveText, 'inside', '0.0.0.0')
    const { hostAddress: host, hostPort } = await program.forward({ guestPort }, name)
    const answer = await lab.host.run(tasks.fetchText, { host, port: hostPort })
    expect(answer).toMatchObject({ text: 'inside' })
  }

  describe('the container', () => {
    test('by PID, as root of the user namespace above it', async () => {
      const { guest, program } = await pair()
      const addresses = await program.attach({ target: { pid: guest.pid } })
      expect(addresses).toMatchObject({ gateway: GATEWAY, dns: DNS, guest: GUEST })
      await expectTraffic(program, guest)
    })

    test('by PID, without any capability', async () => {
      const { guest, program } = await pair({ as: 'plain' })
      await program.attach({ target: { pid: guest.pid } })
      await expectTraffic(program, guest)
    })

    test("by PID, in Podman's user namespace", async () => {
      const guest = await container({ podman: true })
      const program = await embedder(guest)
      await program.attach({ target: { pid: guest.pid } })
      await expectTraffic(program, guest)
    })

    test('by the path of its network namespace', async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { netns: `/proc/${guest.pid}/ns/net` } })
      await expectTraffic(program, guest)
    })

    test('by the paths of both namespaces', async () => {
      const { guest, program } = await pair({ as: 'plain' })
      const ns = `/proc/${guest.pid}/ns`
      await program.attach({ target: { netns: `${ns}/net`, userns: `${ns}/user` } })
      await expectTraffic(program, guest)
    })

    test.skipIf(!has('python3') || !has('ip'))(
      "by the descriptor of a TAP, which stays the caller's",
      async () => {
        const guest = await container()
        const script = new URL('../e2e/with-tapfd.py', import.meta.url).pathname
        const wrapper = ['python3', script, `${guest.pid}`, 'tap7', 'vnet', 'env', 'TAP={fd}']
        const program = await embedder(guest, { wrapper })
        const fd = await program.run(() => Number(process.env.TAP))
        await program.attach({ target: { fd } })
        const { status, stderr } = await guest.execute([
          ...['sh', '-ec'],
          `ip link set tap7 up; ip addr add ${GUEST}/24 dev tap7; ip route add default via ${GATEWAY}`,
        ])
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
        await expectTraffic(program, guest)
        await program.closeNetwork()
        // It is open, and may be used for another network.
        expect((await guest.run(tasks.interfaces)).join()).toContain('tap7')
        await program.attach({ target: { fd } })
        await expectTraffic(program, guest)
        // Nor does the network need it any more.
        await program.run(({ fs }, fd) => fs.closeSync(fd), fd)
        await expectTraffic(program, guest)
      },
    )

    test.skipIf(!has('python3') || !has('ip'))(
      'behind a switch on a socket, whose end is that of the network',
      async () => {
        const { guest, program } = await pair()
        const path = join(lab.world.directory, 'switch')
        const attaching = program.attach({ target: { bess: path } })
        const isThere = await eventually(() => existsSync(path))
        expect(isThere).toBe(true)
        const script = new URL('../e2e/bess-bridge.py', import.meta.url).pathname
        const bridge = guest.start(['python3', script, path, 'tap0'])
        await attaching
        const configure = `ip link set lo up; ip link set tap0 up; ip addr add ${GUEST}/24 dev tap0
          ip route add default via ${GATEWAY}`
        await guest.execute(['sh', '-ec', configure])
        await expectTraffic(program, guest)
        bridge.kill()
        expect(await program.ending(3_000)).toMatchObject({
          reason: 'tap-gone',
          error: { message: expect.stringContaining('the peer of the BESS socket has gone') },
        })
      },
    )

    test('has what the options say', async () => {
      const { guest, program } = await pair()
      const addresses = await program.attach({
        target: { pid: guest.pid },
        tapName: 'eth0',
        mtu: 9000,
        cidr: '172.20.0.0/16',
        macAddress: '52:54:00:12:34:56',
        hostLoopback: true,
        ipv6: true,
      })
      expect(addresses).toEqual({
        network: '172.20.0.0',
        netmask: '255.255.0.0',
        gateway: '172.20.0.2',
        dns: '172.20.0.3',
        guest: '172.20.0.100',
        dhcpBegin: '172.20.0.15',
        dhcpEnd: '172.20.0.30',
      })
      const found = (await guest.run(tasks.interfaces)).join()
      expect(found).toContain('eth0 172.20.0.100/16 52:54:00:12:34:56')
      expect(await guest.run(tasks.mtuOf, 'eth0')).toBe(9000)
      const port = await lab.host.run(tasks.serveText, 'on the loopback')
      const page = await guest.run(tasks.fetchText, { host: '172.20.0.2', port })
      expect(page).toMatchObject({ text: 'on the loopback' })
    })

    test("does not reach the host's loopback unless that is asked for", async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid } })
      const port = await lab.host.run(tasks.serveText, 'on the loopback')
      const { outcome } = await guest.run(tasks.tryToConnect, { host: GATEWAY, port })
      expect(outcome).not.toBe('connected')
    })

    test('has ports of IPv6 published', async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid }, ipv6: true })
      expect(await address6(guest)).toMatch(/^fd00:/)
      const guestPort = await guest.run(tasks.serveText, 'inside', '::')
      const web = await program.forward({ proto: 'tcp6', guestPort })
      expect(web).toMatchObject({ hostAddress: '::1' })
      const page = await lab.host.run(tasks.fetchText, { host: '::1', port: web.hostPort })
      expect(page).toEqual({ text: 'inside', client: GATEWAY6 })
    })

    test('goes out from the address that is asked for, or that of the interface', async () => {
      const { guest, program } = await pair()
      const port = await lab.host.run(tasks.serveText, 'seen', HOST_ADDRESS)
      for (const outboundAddress of ['127.0.0.1', 'lo']) {
        await program.attach({ target: { pid: guest.pid }, outboundAddress })
        const page = await guest.run(tasks.fetchText, { host: HOST_ADDRESS, port })
        expect(page).toEqual({ text: 'seen', client: '127.0.0.1' })
        await program.closeNetwork()
      }
    })

    test('sends and receives much', { timeout: 60_000 }, async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid }, mtu: 65_520 })
      const octets = 128 << 20
      const port = await lab.host.run(tasks.serveBulk, octets, HOST_ADDRESS)
      const before = await program.stats()
      const bulk = guest.run(tasks.bulk, { host: HOST_ADDRESS, port }, octets)
      // The counters can be had meanwhile, and the program's own loop is not disturbed.
      const lag = await program.run(async ({ keep, sleep }) => {
        let longest = 0
        for (let i = 0; i < 20; i++) {
          const started = performance.now()
          await sleep(5)
          await (keep.get('network') as Network).stats()
          longest = Math.max(longest, performance.now() - started)
        }
        return longest
      })
      const [inside, outside] = [await bulk, await lab.host.run(tasks.bulkServed)]
      expect(outside.received).toBe(inside.sent)
      expect(inside.received).toBe(outside.sent)
      expect(lag).toBeLessThan(500)
      const after = await program.stats()
      expect(after.tcp.opened - before.tcp.opened).toBe(1)
      expect(after.fromGuest.octets - before.fromGuest.octets).toBeGreaterThan(octets)
      expect(after.toGuest.octets - before.toGuest.octets).toBeGreaterThan(octets)
    })
  })

  describe('forwards', () => {
    test('listen on the loopback, on a port that they report, until they are removed', async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid } })
      const guestPort = await guest.run(tasks.serveText, 'inside', '0.0.0.0')
      const forward = await program.forward({ guestPort })
      expect(forward).toMatchObject({
        id: 1,
        proto: 'tcp',
        hostAddress: '127.0.0.1',
        guestAddress: GUEST,
        guestPort,
      })
      const port = forward.hostPort
      expect(port).toBeGreaterThan(0)
      const elsewhere = await lab.host.run(tasks.tryToConnect, { host: HOST_ADDRESS, port })
      expect(elsewhere.outcome).toBe('ECONNREFUSED')
      const second = await program.forward({ guestPort, hostAddress: '::1' })
      const page = await lab.host.run(tasks.fetchText, { host: '::1', port: second.hostPort })
      expect(page).toEqual({ text: 'inside', client: GATEWAY })
      const listed = await program.run(async ({ keep }) =>
        (await (keep.get('network') as Network).forwards.list()).map((each) => ({ ...each })),
      )
      expect(listed).toEqual([forward, second])

      const removed = await program.run(async ({ keep }) => {
        const first = keep.get('forward 1') as { remove(): Promise<boolean> }
        const { forwards } = keep.get('network') as Network
        return [
          await first.remove(),
          await first.remove(),
          await forwards.remove(2),
          await forwards.remove(77),
        ]
      })
      expect(removed).toEqual([true, false, true, false])
      const gone = await lab.host.run(tasks.tryToConnect, { host: '127.0.0.1', port })
      expect(gone.outcome).toBe('ECONNREFUSED')
    })

    test('of UDP answer', async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid } })
      const guestPort = await guest.run(tasks.serveUdpEcho, '0.0.0.0')
      const { hostPort } = await program.forward({ proto: 'udp', guestPort })
      const address = { host: '127.0.0.1', port: hostPort }
      expect(await lab.host.run(tasks.exchangeUdp, address)).toMatchObject({ outcome: 'answer' })
    })

    test("reject with the system's error when the port cannot be had, and the network goes on", async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid } })
      const hostPort = await lab.host.run(tasks.serveText, 'taken')
      await expect(program.forward({ hostPort, guestPort: 80 })).rejects.toMatchObject({
        code: 'EADDRINUSE',
        message: expect.stringContaining(`cannot listen on 127.0.0.1 port ${hostPort}`),
      })
      await expect(program.forward({ guestPort: 0 })).rejects.toThrow(/options\.guestPort/)
      await expect(
        program.run(({ keep }) => (keep.get('network') as Network).forwards.remove('1' as never)),
      ).rejects.toThrow('id must be a number')
      await expectTraffic(program, guest)
    })

    test('are disposed of, also after the network is closed', async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid } })
      const forward = await program.forward({ guestPort: 80 })
      const dispose = async ({ keep }: Kit, name: string) =>
        (keep.get(name) as AsyncDisposable)[Symbol.asyncDispose]()
      await program.run(dispose, 'forward 1')
      const address = { host: '127.0.0.1', port: forward.hostPort }
      expect((await lab.host.run(tasks.tryToConnect, address)).outcome).toBe('ECONNREFUSED')
      await program.forward({ guestPort: 80 })
      await program.closeNetwork()
      await program.run(dispose, 'forward 2')
    })

    test('a hundred at once', async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid } })
      const ports = await program.run(async ({ keep }) => {
        const { forwards } = keep.get('network') as Network
        const adding = Array.from({ length: 100 }, () => forwards.add({ guestPort: 80 }))
        const added = await Promise.all(adding)
        await Promise.all(added.map((forward) => forward.remove()))
        return new Set(added.map((forward) => forward.hostPort)).size
      })
      expect(ports).toBe(100)
    })
  })

  describe('the end', () => {
    test('close gives everything back, and may be called again', async () => {
      const { guest, program } = await pair()
      await program.warmUp(guest.pid)
      const before = program.holdings()
      await program.attach({ target: { pid: guest.pid } })
      await expectTraffic(program, guest)
      await program.run(async ({ keep }) => {
        const network = keep.get('network') as Network
        await Promise.all([network.close(), network.close(), network[Symbol.asyncDispose]()])
        await network.close()
      })
      expect(await program.ending(0)).toEqual({ reason: 'closed' })
      expect((await guest.run(tasks.interfaces)).join()).not.toContain('tap0')
      await expectNothingLeft(program, before)
    })

    test('flows that are open are closed with it, also one whose guest has gone', async () => {
      const { guest, program } = await pair()
      await program.warmUp(guest.pid)
      const before = program.holdings()
      await program.attach({ target: { pid: guest.pid } })
      const udp = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
      const answer = await guest.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port: udp })
      expect(answer).toMatchObject({ outcome: 'answer' })
      const echo = { host: HOST_ADDRESS, port: await lab.host.run(tasks.serveEcho, HOST_ADDRESS) }
      await guest.run(tasks.connectKept, 'open', echo)
      // A server that reads nothing, behind small buffers: what the guest has sent waits when its connection is over.
      await lab.host.run(({ fs }) => {
        for (const name of ['tcp_rmem', 'tcp_wmem']) {
          fs.writeFileSync(`/proc/sys/net/ipv4/${name}`, '4096 65536 65536')
        }
      })
      const port = await lab.host.run(
        ({ net, listen }, host) =>
          listen(
            net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
              socket.on('error', () => {})
              setTimeout(() => socket.end(), 300)
            }),
            host,
          ),
        HOST_ADDRESS,
      )
      const { length } = program.holdings().descriptors
      await guest.run(tasks.send, { host: HOST_ADDRESS, port }, 800_000)
      await new Promise((resolve) => setTimeout(resolve, 300))
      expect(program.holdings().descriptors.length).toBe(length + 1)
      await program.closeNetwork()
      await expectNothingLeft(program, before)
    })

    test('what comes after it rejects with ERR_NETWORK_CLOSED', async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid } })
      const codes = await program.run(async ({ keep }) => {
        const network = keep.get('network') as Network
        const { forwards } = network
        const capture = await network.capture({ path: '/dev/null' })
        const closing = network.close()
        const calls = [
          () => forwards.add({ guestPort: 1 }),
          () => forwards.list(),
          () => forwards.remove(1),
          () => network.stats(),
          () => network.capture({ path: '/dev/null' }),
          () => network.setPolicy({ rules: [] }),
          () => capture.stop(),
        ]
        const code = (call: () => Promise<unknown>) =>
          call().then(
            () => 'no error',
            (error) => error.code,
          )
        const during = await Promise.all(calls.map(code))
        await closing
        network.ref().unref()
        return [...during, ...(await Promise.all(calls.map(code)))]
      })
      expect(codes).toEqual(Array(14).fill('ERR_NETWORK_CLOSED'))
    })

    test.skipIf(!has('ip'))('a TAP that is deleted ends the network, with the cause', async () => {
      const { guest, program } = await pair()
      await program.warmUp(guest.pid)
      const before = program.holdings()
      await program.attach({ target: { pid: guest.pid } })
      expect((await guest.execute(['ip', 'link', 'del', 'tap0'])).status).toBe(0)
      expect(await program.ending(3_000)).toMatchObject({
        reason: 'tap-gone',
        error: { code: 'EBADFD', message: expect.stringContaining('the TAP was deleted') },
      })
      await expect(program.stats()).rejects.toMatchObject({ code: 'ERR_NETWORK_CLOSED' })
      await program.closeNetwork()
      await expectNothingLeft(program, before)
    })

    test('a container whose processes are gone leaves a network that can be closed', async () => {
      const { guest, program } = await pair()
      await program.attach({ target: { pid: guest.pid } })
      await guest.close()
      // Its TAP holds the namespace.
      expect(await program.ending(300)).toBe('open')
      expect((await program.stats()).tcp.opened).toBe(0)
      await program.closeNetwork()
      expect(await program.ending(0)).toEqual({ reason: 'closed' })
    })
  })

  describe('a start that fails', () => {
    const failures: [what: string, options: (guest: Namespace) => object, error: object][] = [
      ['no such process', () => ({ target: { pid: 0x3fffff } }), { code: 'ENOENT' }],
      ['no such path', () => ({ target: { netns: '/nowhere' } }), { code: 'ENOENT' }],
      ['no namespace', () => ({ target: { netns: '/etc/passwd' } }), { code: 'EINVAL' }],
      [
        'another namespace',
        (guest) => ({ target: { netns: `/proc/${guest.pid}/ns/mnt` } }),
        { code: 'EINVAL' },
      ],
      ['a descriptor that is not open', () => ({ target: { fd: 1_000 } }), { code: 'EBADF' }],
      [
        'a descriptor of something else',
        () => ({ target: { fd: 0 } }),
        { syscall: 'ioctl(TUNGETIFF)' },
      ],
      [
        'a name that is taken by another kind of interface',
        (guest) => ({ target: { pid: guest.pid }, tapName: 'lo' }),
        { syscall: 'ioctl(TUNSETIFF)' },
      ],
    ]
    for (const as of ['owner', 'plain'] as const) {
      test(`rejects and leaves nothing, ${as === 'owner' ? 'with' : 'without'} capabilities`, async () => {
        const { guest, program } = await pair({ as })
        await program.warmUp(guest.pid)
        const before = program.holdings()
        for (const [what, options, expected] of failures) {
          const error = await program.run(
            async ({ load }, library, given) => {
              const { attach } = (await load(library)) as typeof import('../../src/index.ts')
              const error = await attach(given as never).then(
                () => new Error('it is attached'),
                (reason) => reason,
              )
              const { name, message, code, syscall, errno } = error
              return { name, message, code, syscall, errno }
            },
            LIBRARY,
            options(guest),
          )
          expect(error, what).toMatchObject(expected)
          await expectNothingLeft(program, before)
        }
        await program.attach({ target: { pid: guest.pid } })
        await expectTraffic(program, guest)
      })
    }

    test('a FIFO that nobody writes to is no namespace, and is not waited for', async () => {
      const { guest, program } = await pair({ as: 'plain' })
      const fifo = join(lab.world.directory, 'fifo')
      await guest.execute(['mkfifo', '-m', '666', fifo])
      const invalid = { code: 'EINVAL' }
      await expect(program.attach({ target: { netns: fifo } })).rejects.toMatchObject(invalid)
      const netns = `/proc/${guest.pid}/ns/net`
      const target = { netns, userns: fifo }
      await expect(program.attach({ target })).rejects.toMatchObject({
        ...invalid,
        message: expect.stringContaining('cannot enter the user namespace'),
      })
      await program.attach({ target: { netns } })
      await expectTraffic(program, guest)
    })
  })

  test('two networks in one program do not disturb each other', async () => {
    const [one, two] = [await container(), await container()]
    const program = await embedder(one)
    await Promise.all([
      program.attach({ target: { pid: one.pid } }, 'one'),
      program.attach({ target: { pid: two.pid }, hostLoopback: true }, 'two'),
    ])
    await Promise.all([expectTraffic(program, one, 'one'), expectTraffic(program, two, 'two')])
    const port = await lab.host.run(tasks.serveText, 'on the loopback')
    const loopback = { host: GATEWAY, port }
    expect((await one.run(tasks.tryToConnect, loopback)).outcome).not.toBe('connected')
    expect((await two.run(tasks.tryToConnect, loopback)).outcome).toBe('connected')
    await program.closeNetwork('one')
    await expectTraffic(program, two, 'two')
    expect(await program.ending(0, 'two')).toBe('open')
  })

  test('one container cannot have two interfaces of one name, and the first goes on', async () => {
    const { guest, program } = await pair()
    await program.attach({ target: { pid: guest.pid } })
    const again = program.attach({ target: { pid: guest.pid } }, 'second')
    await expect(again).rejects.toMatchObject({ code: 'EBUSY' })
    await expectTraffic(program, guest)
  })

  test('a signal that is aborted later does not end the network', async () => {
    const { guest, program } = await pair()
    await program.run(
      async ({ load, keep }, library, pid) => {
        const { attach } = (await load(library)) as typeof import('../../src/index.ts')
        const controller = new AbortController()
        keep.set('network', await attach({ target: { pid }, signal: controller.signal }))
        controller.abort()
      },
      LIBRARY,
      guest.pid,
    )
    await expectTraffic(program, guest)
  })
})
