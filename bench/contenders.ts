/**
 * What is compared, each in the same world with the same kind of container: daemons, and a veth pair, which is what
 * the kernel does alone and what only root can have.
 */
import { readFileSync } from 'node:fs'
import type { Daemon } from '../src/lab/daemon.ts'
import { launch } from '../src/lab/daemon.ts'
import { execute } from '../src/lab/program.ts'
import { GATEWAY, HOST_ADDRESS, type Namespace, type World } from '../src/lab/world.ts'

export interface Contender {
  name: string
  /** How to get it. */
  hint: string
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
  /** From its start until the container could use it, in ms; not of the kernel. */
  readyAfter?: number
  /** The daemon's; the kernel has none. */
  pid?: number
  /** The host, as the container reaches it. */
  gateway: string
  /** The container's published port, as the host reaches it. */
  forward: { host: string; port: number }
  stop(): Promise<unknown>
}

/** Connections need descriptors. */
const wrapper = ['prlimit', `--nofile=${hardLimit()}`, '--']

function hardLimit(): string {
  return /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))![1]!
}

/** slirp4netns and everything with its command line. */
function slirpLike(name: string, hint: string, binary?: string): Contender {
  return {
    name,
    hint,
    version: () => firstLine([...launch(binary), '--version'], name),
    async start(world, container, mtu, { hostPort, guestPort }) {
      const options = { mtu, wrapper, ...(binary !== undefined && { binary }) }
      const daemon: Daemon = await world.attach(container, options)
      await daemon.forward({ hostPort, guestPort })
      const { readyAfter, pid } = daemon
      return { readyAfter, pid, ...throughPort(hostPort), stop: () => daemon.stop() }
    },
  }
}

/** By the host's other address: pasta would splice what comes from 127.0.0.1 past the TAP. */
function throughPort(port: number): Pick<Running, 'gateway' | 'forward'> {
  return { gateway: GATEWAY, forward: { host: HOST_ADDRESS, port } }
}

const pasta: Contender = {
  name: 'pasta',
  hint: 'apt install passt',
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
      ...wrapper,
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
      pid: program.pid,
      ...throughPort(hostPort),
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

const GUEST = '10.0.2.100'

const veth: Contender = {
  name: 'veth',
  hint: 'apt install iproute2',
  async version() {
    const { stdout } = await execute(['ip', '-V']).catch(() => ({ stdout: '' }))
    return /iproute2-[^,\s]+/.exec(stdout)?.[0]
  },
  async start(world, container, mtu, { guestPort }) {
    const { status, stderr } = await world.host.execute([
      ...['sh', '-ec'],
      `ip link add bench mtu ${mtu} type veth peer name tap0 mtu ${mtu} netns ${container.pid}
       ip addr add ${GATEWAY}/24 dev bench
       ip link set bench up`,
    ])
    if (status !== 0) throw new Error(`cannot make a veth pair: ${stderr.trim()}`)
    const inside = await container.execute([
      ...['sh', '-ec'],
      `ip link set lo up
       ip addr add ${GUEST}/24 dev tap0
       ip link set tap0 up`,
    ])
    if (inside.status !== 0) throw new Error(`cannot configure the veth: ${inside.stderr.trim()}`)
    return {
      gateway: GATEWAY,
      forward: { host: GUEST, port: guestPort },
      stop: () => world.host.execute(['ip', 'link', 'delete', 'bench']),
    }
  },
}

export const contenders: readonly Contender[] = [
  slirpLike('slipway', 'npm ci'),
  slirpLike('slirp4netns', 'apt install slirp4netns', 'slirp4netns'),
  pasta,
  veth,
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
