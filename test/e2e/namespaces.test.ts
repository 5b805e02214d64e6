/** The ways in which Podman, Buildah, RootlessKit and people start a daemon, and what it is attached to. */
import { expect, test } from 'vitest'
import type { Daemon } from '../../src/lab/daemon.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { GATEWAY, has, inWorlds, peer } from './lab.ts'
import * as tasks from './tasks.ts'

let lastPort = 22_000

inWorlds((lab) => {
  /** The container reaches the host and the host the container. */
  async function expectNetwork(guest: Namespace, daemon: Daemon): Promise<void> {
    const port = await lab.host.run(tasks.serveText, 'outside')
    expect(await guest.run(tasks.fetchText, { host: GATEWAY, port })).toMatchObject({
      text: 'outside',
    })
    const hostPort = ++lastPort
    const guestPort = await guest.run(tasks.serveText, 'inside', '0.0.0.0')
    await daemon.forward({ hostPort, guestPort })
    const address = { host: '127.0.0.1', port: hostPort }
    expect(await lab.host.run(tasks.fetchText, address)).toMatchObject({ text: 'inside' })
  }

  test("by PID, as root of the user namespace above the container's", async () => {
    const { guest, daemon } = await lab.attach()
    await expectNetwork(guest, daemon)
  })

  test("by PID, without any capability, as the owner of the container's user namespace", async () => {
    const { guest, daemon } = await lab.attach({ as: 'plain' })
    await expectNetwork(guest, daemon)
  })

  test("by PID, in Podman's user namespace, which does not own the host's network", async () => {
    const { guest, daemon } = await lab.attach({}, { podman: true })
    await expectNetwork(guest, daemon)
  })

  test('by the path of the network namespace, as Podman does', async () => {
    const guest = await lab.world.container({ podman: true })
    const operands = ['--netns-type=path', `/proc/${guest.pid}/ns/net`, 'tap0']
    const daemon = await lab.world.attach(guest, { operands })
    await expectNetwork(guest, daemon)
    await lab.world.remove(guest, daemon)
  })

  test('by the paths of both namespaces', async () => {
    const guest = await lab.world.container()
    const ns = `/proc/${guest.pid}/ns`
    const operands = ['--netns-type=path', `--userns-path=${ns}/user`, `${ns}/net`, 'tap0']
    const daemon = await lab.world.attach(guest, { operands })
    await expectNetwork(guest, daemon)
    await lab.world.remove(guest, daemon)
  })

  for (const as of ['owner', 'plain'] as const) {
    test(`a container in which our user is not 0 (keep-id), ${as === 'owner' ? 'with' : 'without'} capabilities`, async () => {
      const { guest, daemon } = await lab.attach({ as }, { uid: 1000 })
      await expectNetwork(guest, daemon)
    })
  }

  test.skipIf(!has('ip'))(
    'a TAP that RootlessKit has made beforehand and brings up later',
    async () => {
      const guest = await lab.world.container()
      const made = await guest.execute(['ip', 'tuntap', 'add', 'name', 'tap0', 'mode', 'tap'])
      expect(made).toMatchObject({ status: 0, stderr: '' })
      const daemon = await lab.world.attach(guest, { as: 'plain', configure: false, mtu: 65_520 })
      const up = await guest.execute([
        ...['sh', '-ec'],
        `ip link set lo up
       ip link set tap0 mtu 65520 up
       ip addr add 10.0.2.100/24 dev tap0
       ip route add default via ${GATEWAY}`,
      ])
      expect(up).toMatchObject({ status: 0, stderr: '' })
      await expectNetwork(guest, daemon)

      // The device is RootlessKit's: it outlives the daemon, and the next one is attached to it.
      await daemon.stop()
      const next = await lab.world.attach(guest, { as: 'plain', configure: false, mtu: 65_520 })
      await expectNetwork(guest, next)
      await lab.world.remove(guest, next)
    },
  )

  test('two containers do not reach each other', async () => {
    const other = await lab.attach({ args: ['--cidr=10.0.3.0/24'] })
    const port = await other.guest.run(tasks.serveText, 'the other', '0.0.0.0')
    const address = { host: '10.0.3.100', port }
    const { outcome } = await lab.guest.run(tasks.tryToConnect, address, 1_000)
    expect(outcome).not.toBe('connected')
  })

  test('a PID that is not there is an error', async () => {
    const daemon = lab.world.daemon(undefined, { operands: ['4194303', 'tap0'] })
    await expect(daemon.ready).rejects.toThrow(/4194303/)
    expect((await daemon.program.ended).status).toBe(1)
  })

  test('a path that is no namespace is an error', async () => {
    const operands = ['--netns-type=path', '/etc/passwd', 'tap0']
    const daemon = lab.world.daemon(undefined, { operands })
    await expect(daemon.ready).rejects.toThrow(/EINVAL|Invalid argument|namespace/)
    expect((await daemon.program.ended).status).toBe(1)
  })

  test("a name that another daemon's TAP has is an error, and that daemon goes on", async () => {
    const { guest, daemon } = await lab.attach()
    const second = lab.world.daemon(guest)
    await expect(second.ready).rejects.toThrow(/EBUSY|resource busy/)
    expect((await second.program.ended).status).toBe(1)
    await expectNetwork(guest, daemon)
  })

  test('without /dev/net/tun the error says so', async () => {
    const guest = await lab.world.container()
    const wrapper = [
      'unshare',
      '--mount',
      'sh',
      '-c',
      'mount -t tmpfs none /dev/net; exec "$@"',
      'sh',
    ]
    const daemon = lab.world.daemon(guest, { wrapper })
    await expect(daemon.ready).rejects.toThrow(/\/dev\/net\/tun|ENOENT|No such file/)
    expect((await daemon.program.ended).status).toBe(1)
    await guest.close()
  })

  test.skipIf(peer)(
    'a container that has no user namespace of its own to enter is refused',
    async () => {
      // Our own process: neither its network nor its user namespace may be entered by the world's user.
      const daemon = lab.world.daemon(undefined, { operands: ['1', 'tap0'], as: 'plain' })
      await expect(daemon.ready).rejects.toThrow(/EPERM|EACCES|not permitted|denied/)
      expect((await daemon.program.ended).status).toBe(1)
    },
  )
})
