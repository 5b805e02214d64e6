/** The daemons that are compared, each started in the same world against the same kind of container. */
import type { Daemon } from '../src/lab/daemon.ts'
import { launch } from '../src/lab/daemon.ts'
import { execute } from '../src/lab/program.ts'
import { GATEWAY, type Namespace, type World } from '../src/lab/world.ts'

export interface Contender {
  name: string
  /** Its version, or undefined when it is not installed. */
  version(): Promise<string | undefined>
  /** Starts it and publishes `port` of the container as `hostPort`. */
  start(world: World, container: Namespace, mtu: number, forward: Published): Promise<Running>
}

export interface Published {
  hostPort: number
  guestPort: number
}

export interface Running {
  /** From its start until the container could use it, in ms. */
  readyAfter: number
  stop(): Promise<unknown>
}

/** slirp4netns and everything with its command line. */
function slirpLike(name: string, binary?: string): Contender {
  return {
    name,
    version: () => firstLine([...launch(binary), '--version'], name),
    async start(world, container, mtu, { hostPort, guestPort }) {
      const options = { mtu, ...(binary !== undefined && { binary }) }
      const daemon: Daemon = await world.attach(container, options)
      await daemon.forward({ hostPort, guestPort })
      return daemon
    },
  }
}

const pasta: Contender = {
  name: 'pasta',
  async version() {
    const version = await firstLine(['pasta', '--version'], 'pasta')
    if (version !== 'unknown version') return version
    // Debian's does not know itself.
    const { stdout } = await execute(['dpkg-query', '-W', 'passt']).catch(() => ({ stdout: '' }))
    return stdout.trim().split('\t')[1] ?? version
  },
  async start(world, container, mtu, { hostPort, guestPort }) {
    await giveDefaultRoute(world)
    const started = performance.now()
    const program = world.host.start([
      ...['pasta', '--foreground', '--quiet', '-4', '--config-net', '--mtu', `${mtu}`],
      ...['-I', 'tap0', '-a', '10.0.2.100', '-n', '24', '-g', GATEWAY],
      ...['-t', `${hostPort}:${guestPort}`, '-u', 'none', '-T', 'none', '-U', 'none'],
      `${container.pid}`,
    ])
    const up = container.run(async ({ os, sleep }) => {
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
      async stop() {
        program.kill()
        await program.ended
      },
    }
  },
}

const routed = new WeakSet<World>()

/** pasta starts only where an interface has the default route: one end of a veth pair gets it. */
async function giveDefaultRoute(world: World): Promise<void> {
  if (routed.has(world)) return
  routed.add(world)
  const { status, stderr } = await world.host.execute([
    ...['sh', '-ec'],
    `ip link add outside type veth peer name nowhere
     ip addr add 198.51.100.1/24 dev outside
     ip link set outside up
     ip link set nowhere up
     ip route add default via 198.51.100.2`,
  ])
  if (status !== 0) throw new Error(`pasta wants a default route on the host: ${stderr.trim()}`)
}

export const contenders: readonly Contender[] = [
  slirpLike('slipway'),
  slirpLike('slirp4netns', 'slirp4netns'),
  pasta,
]

/** The first line of what it says about itself, without its own name. */
async function firstLine(command: string[], name: string): Promise<string | undefined> {
  try {
    const { status, stdout } = await execute(command)
    if (status !== 0) return undefined
    const own = stdout.split('\n').find((line) => line.startsWith(`${name}: `))
    return (own ?? stdout.split('\n')[0] ?? '').replace(/^\S+ (version )?/, '').trim() || '?'
  } catch {
    return undefined
  }
}
