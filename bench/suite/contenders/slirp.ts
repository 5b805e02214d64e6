/** slirp4netns and everything with its command line: slipway as it is, as it was, and in the place of others. */
import type { DaemonOptions } from '../../../src/lab/daemon.ts'
import { launch } from '../../../src/lab/daemon.ts'
import { execute } from '../../../src/lab/program.ts'
import { GATEWAY, HOST_ADDRESS, type Namespace, type World } from '../../../src/lab/world.ts'
import { GUEST_PORT } from '../iperf.ts'
import { type Contender, firstLine, type Running, type StartOptions, wrapper } from './contender.ts'

export function slirpLike(name: string, hint: string, binary?: string): Contender {
  const own = { wrapper, ...(binary !== undefined && { binary }) }
  return {
    name,
    hint,
    offers: ['start', 'gateway', 'forward'],
    version: () => firstLine([...launch(binary), '--version'], name.split('@')[0]!),
    async start(world, { mtu, hostPort }) {
      const running = await startWith(world, { mtu, ...own }, hostPort)
      // By the host's other address, as pasta is: it would splice what comes from 127.0.0.1 past the TAP.
      return { ...running, gateway: GATEWAY, forward: { host: HOST_ADDRESS, port: hostPort } }
    },
    startOnly: (world, how) => startOnly(world, own, how),
  }
}

/** slipway with forwards that go past the TAP; they are off by default, for the client's address is lost. */
export function splicing(name: string, hint: string, binary?: string): Contender {
  const mode = '--forward-mode'
  return {
    name,
    hint,
    offers: ['spliced'],
    async version() {
      const { stdout } = await execute([...launch(binary), '--help']).catch(() => ({ stdout: '' }))
      return stdout.includes(mode) ? firstLine([...launch(binary), '--version'], name) : undefined
    },
    async start(world, { mtu, hostPort }) {
      const options = { wrapper, ...(binary !== undefined && { binary }) }
      const args = [`${mode}=splice`]
      const running = await startWith(world, { mtu, ...options, args }, hostPort)
      return { ...running, spliced: { host: '127.0.0.1', port: hostPort } }
    },
  }
}

async function startWith(
  world: World,
  options: DaemonOptions,
  hostPort: number,
): Promise<Running & { guest: Namespace }> {
  const guest = await world.container()
  const daemon = await world.attach(guest, options)
  await daemon.forward({ hostPort, guestPort: GUEST_PORT })
  return { pids: [daemon.pid], guest, stop: () => world.remove(guest, daemon) }
}

/** What `podman run` gives it (Podman 4.3 to 5), besides the descriptors. */
const PODMAN = [
  ...['--disable-host-loopback', '--mtu=65520', '--enable-sandbox', '--enable-seccomp'],
  '--enable-ipv6',
]

async function startOnly(
  world: World,
  own: DaemonOptions,
  { podman, node }: StartOptions,
): Promise<number | undefined> {
  const isOurs = launch(own.binary)[0] === process.execPath
  if (node !== undefined && !isOurs) return undefined
  const guest = await world.container({ podman })
  try {
    const operands = ['--netns-type=path', `/proc/${guest.pid}/ns/net`, 'tap0']
    const daemon = world.daemon(guest, {
      ...own,
      ...(node !== undefined && { node: [node] }),
      ...(podman && { args: PODMAN, operands }),
    })
    try {
      await daemon.ready
      return daemon.readyAfter
    } finally {
      await daemon.stop()
    }
  } finally {
    await guest.close()
  }
}
