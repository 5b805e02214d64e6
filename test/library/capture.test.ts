/** Captures of real traffic, by the library and by the command, read by tshark. */
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Capture, CaptureOptions, CaptureResult, Network } from '../../src/index.ts'
import type { Kit } from '../../src/lab/agent.ts'
import { DNS, GUEST, HOST_ADDRESS, has, inWorlds } from '../e2e/lab.ts'
import * as tasks from '../e2e/tasks.ts'
import { Embedder } from './embedder.ts'
import { ANY_TEXT, tshark } from './tshark.ts'

async function startCapture({ keep }: Kit, options: CaptureOptions): Promise<void> {
  keep.set('capture', await (keep.get('network') as Network).capture(options))
}

const stopCapture = ({ keep }: Kit): Promise<CaptureResult> =>
  (keep.get('capture') as Capture).stop()

let count = 0

inWorlds((lab) => {
  const opened: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close()
  })

  async function attached(options = {}) {
    const guest = await lab.world.container()
    opened.push(() => guest.close())
    const program = await Embedder.beside(guest)
    opened.push(() => program.close())
    await program.attach({ target: { pid: guest.pid }, ...options })
    return { guest, program, path: join(lab.world.directory, `capture-${++count}.pcapng`) }
  }

  describe.skipIf(!has('tshark'))('tshark reads cleanly', () => {
    test.each([1500, 65_520])(
      'TCP in super-frames and UDP in fragments, at MTU %i',
      async (mtu) => {
        const { guest, program, path } = await attached({ mtu })
        await program.run(startCapture, { path })
        const port = await lab.host.run(tasks.serveBulk, 1 << 20, HOST_ADDRESS)
        await guest.run(tasks.bulk, { host: HOST_ADDRESS, port }, 1 << 20)
        const udp = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
        await guest.run(
          async ({ dgram }, host, port) => {
            const socket = dgram.createSocket('udp4')
            const answer = new Promise((resolve) => socket.once('message', resolve))
            socket.send(Buffer.alloc(4000, 'x'), port, host)
            await answer
            socket.close()
          },
          HOST_ADDRESS,
          udp,
        )
        const { frames, dropped } = await program.run(stopCapture)
        expect(dropped).toBe(0)
        const text = await tshark(path, ...ANY_TEXT)
        expect(text.trimEnd().split('\n').length).toBe(frames)
        expect(text).toMatch(new RegExp(`${GUEST} → ${HOST_ADDRESS} +TCP`))
        expect(text).toMatch(new RegExp(`${HOST_ADDRESS} → ${GUEST} +UDP`))
        const longest = await tshark(path, ...ANY_TEXT, '-Y', 'frame.len > 20000')
        expect(longest.length).toBeGreaterThan(0)
      },
    )

    test('what it is of, and which way each frame went', async () => {
      const { guest, program, path } = await attached({ tapName: 'eth7' })
      await program.run(startCapture, { path })
      await guest.run(tasks.exchangeUdp, { host: DNS, port: 53 })
      await program.run(stopCapture)
      const fields = ['frame.interface_name', 'frame.packet_flags_direction', 'ip.src'].flatMap(
        (field) => ['-e', field],
      )
      const text = await tshark(path, '-Y', 'udp', '-T', 'fields', ...fields)
      expect(text).toMatch(new RegExp(`^eth7\\t(1|0x0*1)\\t${GUEST}$`, 'm'))
    })

    test('what the command writes from its start to its end', async () => {
      const path = join(lab.world.directory, `capture-${++count}.pcapng`)
      const { guest, daemon } = await lab.attach({ args: ['--pcap', path] })
      const port = await lab.host.run(tasks.serveText, 'seen', HOST_ADDRESS)
      await guest.run(tasks.fetchText, { host: HOST_ADDRESS, port })
      await daemon.stop()
      expect(await tshark(path)).toMatch(/GET \/ HTTP[\s\S]*200 OK/)
    })

    test('what the command writes in its sandbox, with system calls taken from it', async () => {
      const path = join(lab.world.directory, `capture-${++count}.pcapng`)
      const args = ['--pcap', path, '--enable-sandbox', '--enable-seccomp']
      const { guest, daemon } = await lab.attach({ args })
      const port = await lab.host.run(tasks.serveText, 'seen', HOST_ADDRESS)
      await guest.run(tasks.fetchText, { host: HOST_ADDRESS, port })
      await daemon.stop()
      expect(await tshark(path)).toMatch(/GET \/ HTTP[\s\S]*200 OK/)
    })
  })

  test('a capture is its owner’s only, has what fits the snap length, and ends once', async () => {
    const { guest, program, path } = await attached()
    await program.run(startCapture, { path, snapLength: 60 })
    const port = await lab.host.run(tasks.serveOctets, 1 << 20, HOST_ADDRESS)
    await guest.run(tasks.readSlowly, { host: HOST_ADDRESS, port }, 0)
    const first = await program.run(stopCapture)
    expect(await program.run(stopCapture)).toEqual(first)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const { size } = statSync(path)
    expect(size).toBeGreaterThan(60 * first.frames)
    expect(size).toBeLessThan(150 * first.frames + 1000)
    // The network goes on without it.
    expect((await program.stats()).fromGuest.frames).toBeGreaterThan(0)
  })

  test('one that goes on when the network closes is whole', async () => {
    const { guest, program, path } = await attached()
    await program.run(startCapture, { path })
    await guest.run(tasks.exchangeUdp, { host: DNS, port: 53 })
    await program.closeNetwork()
    const file = readFileSync(path)
    expect(file.readUInt32LE(file.length - 4)).toBe(4 * (3 + 2 + 3 + 3 + 3 + 3 + 1 + 1))
    await program.run(({ keep }) => (keep.get('capture') as Capture)[Symbol.asyncDispose]())
  })

  test('into a pipe that nobody reads, frames are lost and the network goes on', async () => {
    const { guest, program, path } = await attached()
    await lab.host.run(({ childProcess }, path) => {
      childProcess.execFileSync('mkfifo', [path])
    }, path)
    await expect(program.run(startCapture, { path })).rejects.toMatchObject({ code: 'ENXIO' })
    const reader = openSync(path, 'r+') // both ends, so that neither waits
    opened.push(async () => closeSync(reader))
    await program.run(startCapture, { path })
    const port = await lab.host.run(tasks.serveBulk, 8 << 20, HOST_ADDRESS)
    const inside = await guest.run(tasks.bulk, { host: HOST_ADDRESS, port }, 8 << 20)
    expect(inside.received).toBe((await lab.host.run(tasks.bulkServed)).sent)
    const { dropped } = await program.run(stopCapture)
    expect(dropped).toBeGreaterThan(0)
  })

  test('what cannot be is refused', async () => {
    const { program } = await attached()
    const start = (options: unknown): Promise<void> =>
      program.run(startCapture, options as CaptureOptions)
    await expect(start({ path: '/nowhere/file' })).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(start({ fd: 12345 })).rejects.toMatchObject({ code: 'EBADF' })
    await expect(start({})).rejects.toThrow('options must have one of path and fd')
    const path = join(lab.world.directory, 'refused.pcapng')
    await expect(start({ path, fd: 1 })).rejects.toThrow('options must have one of')
    await expect(start({ path, snapLength: 13 })).rejects.toThrow(/snapLength/)
    await expect(start({ path, snap: 13 })).rejects.toThrow('options.snap is not known')
    expect(existsSync(path)).toBe(false)
    const failed = lab.attach({ args: ['--pcap', '/nowhere/file'] })
    await expect(failed).rejects.toThrow(/ENOENT.*\/nowhere\/file/)
  })
})
