/** How a daemon starts, says that it is ready, and ends. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { GATEWAY, inWorlds, peer } from './lab.ts'
import * as tasks from './tasks.ts'

inWorlds((lab) => {
  test('the ready pipe gets the octet 1 and is closed', async () => {
    const guest = await lab.world.container()
    const daemon = lab.world.daemon(guest)
    const octets = await new Promise<string>((resolve) => {
      const pipe = daemon.program.child.stdio[3] as Readable
      let text = ''
      pipe.on('data', (part) => {
        text += part
      })
      pipe.once('end', () => resolve(text))
    })
    expect(octets).toBe('1')
    await lab.world.remove(guest, daemon)
  })

  test('at the ready octet, the interface and the API socket are there', async () => {
    const { guest, daemon } = await lab.attach()
    expect((await guest.run(tasks.interfaces)).join()).toContain('tap0 10.0.2.100/24')
    expect(await daemon.api({ execute: 'list_hostfwd' })).toMatchObject({ entries: [] })
  })

  test('the end of the exit pipe ends it with status 0: TAP and API socket are gone', async () => {
    const { guest, daemon } = await lab.attach()
    const { status, stdout } = await daemon.stop()
    expect(status).toBe(0)
    expect(existsSync(daemon.apiSocket)).toBe(false)
    expect((await guest.run(tasks.interfaces)).join()).not.toContain('tap0')
    expect(stdout).toMatch(/^Starting slirp\n\* MTU: +1500\n\* Network: +10\.0\.2\.0\n/)
    expect(stdout).toContain(`* API Socket:      ${daemon.apiSocket}`)
    expect(stdout).toContain('WARNING: 127.0.0.1:* on the host is accessible as 10.0.2.2')
  })

  test('octets on the exit pipe do not end it', async () => {
    const { guest, daemon } = await lab.attach()
    ;(daemon.program.child.stdio[4] as Duplex).write('not yet')
    const port = await lab.host.run(tasks.serveText, 'still here')
    const page = await guest.run(tasks.fetchText, { host: GATEWAY, port })
    expect(page.text).toBe('still here')
    expect(daemon.program.running).toBe(true)
  })

  test('an exit descriptor that was never open ends it at once, with status 0', async () => {
    const guest = await lab.world.container()
    const daemon = lab.world.daemon(guest, { exitPipe: false, args: ['-e', '77'] })
    expect((await daemon.program.ended).status).toBe(0)
    await guest.close()
  })

  // slirp4netns' banner comes when a buffer is full, or at the end.
  test.skipIf(peer)('the banner is readable while it runs', async () => {
    const { daemon } = await lab.attach()
    await expect.poll(() => daemon.program.stdout).toContain('* Recommended IP:  10.0.2.100\n')
    expect(daemon.program.running).toBe(true)
  })

  test.skipIf(peer)('signals that come after the first change nothing', async () => {
    const { daemon } = await lab.attach({ exitPipe: false })
    for (const signal of ['SIGTERM', 'SIGTERM', 'SIGINT'] as const) daemon.program.kill(signal)
    expect(await daemon.program.ended).toMatchObject({ status: 0 })
    expect(existsSync(daemon.apiSocket)).toBe(false)
  })

  // Each of these costs callers a few ms, or ten: they wait for every container's start.
  test.skipIf(peer)('what it does not need is not loaded', async () => {
    const list = join(lab.world.directory, 'list.cjs')
    const code = 'process.on("exit", () => console.error(process.moduleLoadList.join("\\n")))'
    writeFileSync(list, code, { mode: 0o644 })
    const { daemon } = await lab.attach({ env: { NODE_OPTIONS: `--require=${list}` } })
    const { status, stderr } = await daemon.stop()
    expect(status).toBe(0)
    expect(stderr).toContain('NativeModule net\n')
    expect(stderr).not.toMatch(/^NativeModule (crypto|http|https|tls|worker_threads|zlib)$/m)
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} ends it, and nothing of it is left`, async () => {
      const { guest, daemon } = await lab.attach({ exitPipe: false })
      const started = performance.now()
      daemon.program.kill(signal)
      await daemon.program.ended
      expect(performance.now() - started).toBeLessThan(1_000)
      expect((await guest.run(tasks.interfaces)).join()).not.toContain('tap0')
      if (!peer) expect(existsSync(daemon.apiSocket)).toBe(false)
    })
  }

  // Node's own handler would let the container in by the host's loopback.
  test('SIGUSR1 ends it, and opens no debugger', async () => {
    const { daemon } = await lab.attach({ exitPipe: false })
    daemon.program.kill('SIGUSR1')
    const { signal, stderr } = await daemon.program.ended
    expect({ signal, isListening: stderr.includes('Debugger') }).toEqual({
      signal: 'SIGUSR1',
      isListening: false,
    })
  })

  test('it ends under load, too', async () => {
    const { guest, daemon } = await lab.attach()
    const port = await lab.host.run(tasks.serveOctets, 1 << 30)
    const reading = guest.run(tasks.readSlowly, { host: GATEWAY, port }, 0).catch(() => 0)
    await new Promise((resolve) => setTimeout(resolve, 200))
    const started = performance.now()
    expect((await daemon.stop()).status).toBe(0)
    expect(performance.now() - started).toBeLessThan(1_000)
    await guest.close()
    await reading.catch(() => {})
  })

  test('after one daemon has ended, another is attached to the same container', async () => {
    const { guest, daemon } = await lab.attach()
    await daemon.stop()
    const second = await lab.world.attach(guest)
    const port = await lab.host.run(tasks.serveText, 'second')
    const page = await guest.run(tasks.fetchText, { host: GATEWAY, port })
    expect(page.text).toBe('second')
    await second.stop()
  })

  test('after one daemon was killed, another is attached to the same container', async () => {
    const { guest, daemon } = await lab.attach()
    daemon.program.kill('SIGKILL')
    await daemon.program.ended
    const second = await lab.world.attach(guest)
    const port = await lab.host.run(tasks.serveText, 'second')
    const page = await guest.run(tasks.fetchText, { host: GATEWAY, port })
    expect(page.text).toBe('second')
    await second.stop()
  })

  test('an idle daemon uses no processor time', async () => {
    const { daemon } = await lab.attach()
    await new Promise((resolve) => setTimeout(resolve, 300))
    const { cpuMs } = await import('./proc.ts')
    const before = cpuMs(daemon.pid)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(cpuMs(daemon.pid) - before).toBeLessThanOrEqual(30)
  })

  // slirp4netns reads without end: 100 % of a processor.
  test.skipIf(peer)('when the TAP is deleted it ends, and says so', async () => {
    const { guest, daemon } = await lab.attach()
    const { status, stderr } = await guest.execute(['ip', 'link', 'del', 'tap0'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const late = new Promise((resolve) => setTimeout(() => resolve('it still runs'), 3_000))
    const ended = await Promise.race([daemon.program.ended, late])
    expect(ended).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('cannot go on: the TAP was deleted: EBADFD'),
    })
    expect(existsSync(daemon.apiSocket)).toBe(false)
  })
})
