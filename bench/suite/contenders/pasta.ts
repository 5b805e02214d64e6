/** pasta of passt: through its TAP, and with what comes from the host's loopback spliced past it. */
import { execute } from '../../../src/lab/program.ts'
import { GATEWAY, HOST_ADDRESS, type Namespace, type World } from '../../../src/lab/world.ts'
import { GUEST_PORT } from '../iperf.ts'
import { type Contender, firstLine, shell, wrapper } from './contender.ts'

export const pasta: Contender = {
  name: 'pasta',
  hint: 'apt install passt',
  offers: ['start', 'gateway', 'forward', 'spliced'],
  // With the kernel's own buffers a burst overflows the TAP's queue, and costs it a time-out.
  tunings: { '': [], '-w 256K': ['--window', '256K'] },
  async version() {
    const version = await firstLine(['pasta', '--version'], 'pasta')
    if (version !== 'unknown version') return version
    // Debian's does not know itself.
    const { stdout } = await execute(['dpkg-query', '-W', 'passt']).catch(() => ({ stdout: '' }))
    return stdout.trim().split('\t')[1] ?? version
  },
  async start(world, { mtu, hostPort }) {
    const guest = await world.container()
    const ports = ['-t', `${hostPort}:${GUEST_PORT}`]
    const { pid, stop } = await launchPasta(world, guest, ['--mtu', `${mtu}`, ...ports])
    return {
      pids: [pid],
      guest,
      gateway: GATEWAY,
      forward: { host: HOST_ADDRESS, port: hostPort },
      spliced: { host: '127.0.0.1', port: hostPort },
      async stop() {
        await stop()
        await guest.close()
      },
    }
  },
  async startOnly(world, { podman, node }) {
    if (podman || node !== undefined) return undefined
    const guest = await world.container()
    try {
      const { readyAfter, stop } = await launchPasta(world, guest, ['-t', 'none'])
      await stop()
      return readyAfter
    } finally {
      await guest.close()
    }
  },
}

interface Pasta {
  pid: number
  readyAfter: number
  stop(): Promise<void>
}

/** It has no ready pipe when it stays in the foreground: it is ready when its interface is there. */
async function launchPasta(
  world: World,
  guest: Namespace,
  options: readonly string[],
): Promise<Pasta> {
  await giveDefaultRoute(world)
  const started = performance.now()
  const program = world.host.start([
    ...wrapper,
    ...['pasta', '--foreground', '--quiet', '-4', '--config-net'],
    ...['-I', 'tap0', '-a', '10.0.2.100', '-n', '24', '-g', GATEWAY],
    ...['-u', 'none', '-T', 'none', '-U', 'none', ...options, `${guest.pid}`],
  ])
  const up = guest.run(async ({ os, sleep }) => {
    for (let waited = 0; waited < 5_000; waited += 2) {
      if (os.networkInterfaces().tap0) return
      await sleep(2)
    }
  })
  const failed = program.ended.then(({ stderr }) => {
    throw new Error(`pasta ended: ${stderr.trim()}`)
  })
  await Promise.race([up, failed])
  failed.catch(() => {})
  return {
    readyAfter: performance.now() - started,
    pid: program.pid,
    async stop() {
      program.kill()
      await program.ended
    },
  }
}

const routed = new WeakSet<World>()

/** pasta starts only where an interface has the default route: one end of a veth pair gets it. */
async function giveDefaultRoute(world: World): Promise<void> {
  if (routed.has(world)) return
  routed.add(world)
  await shell(
    world.host,
    'give the host a default route, which pasta wants',
    `ip link add outside type veth peer name nowhere
     ip addr add 198.51.100.1/24 dev outside
     ip link set outside up
     ip link set nowhere up
     ip route add default via 198.51.100.2`,
  )
}
