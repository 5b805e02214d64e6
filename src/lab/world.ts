/**
 * A private world for the demo, the end-to-end tests and the benches; nothing of it touches the machine's network.
 *
 *   world      a user, network and mount namespace that plays the "host": loopback with a few addresses, servers,
 *              a resolv.conf of its own, a /dev/net/tun that may be opened; made by root or by an ordinary user
 *   container  a user, network and mount namespace inside it, empty but for a loopback that is down
 *   daemon     slipway (or a peer) in the host's network, attached to one container
 *
 * In each namespace stands an agent (agent.ts). Everything that was started is a child of this process, is ended by
 * its pid in `close()`, and dies with this process: agents by their channel, programs by PR_SET_PDEATHSIG.
 */
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, type Kit } from './agent.ts'
import { Daemon, type DaemonOptions } from './daemon.ts'
import { become } from './preflight.ts'
import { type Ending, execute, Program, type ProgramOptions } from './program.ts'

/** Who makes the namespaces and runs everything in them. Only root can choose another than itself. */
export interface Identity {
  name: string
  uid: number
  gid: number
}

export const GATEWAY = '10.0.2.2'

/** An address of the "host" that is not its loopback (TEST-NET-1, RFC 5737). */
export const HOST_ADDRESS = '192.0.2.1'

/**
 * The congestion control of a world's TCP, the first that the kernel gives it: a machine's own may be BBR, whose timers cost a
 * virtual machine half of what it carries. CUBIC is Linux's default; a namespace may not have it unless every user may.
 */
const CONGESTION = ['cubic', 'reno']

/** A place where functions and programs can be run. */
export class Namespace {
  readonly agent: Agent
  /** The command line that enters it. */
  readonly enter: readonly string[]
  /** The command line that enters what surrounds it: where its daemon stands. */
  readonly outer: readonly string[]
  readonly #dieWithUs: readonly string[]
  readonly #programs: Program[] = []

  constructor(agent: Agent, outer: readonly string[], kinds: readonly string[]) {
    this.agent = agent
    this.outer = outer
    // Whoever enters has the right user id already: nsenter must not change ids, setgroups is denied in there.
    this.enter = [
      ...outer,
      'nsenter',
      '--preserve-credentials',
      '-t',
      `${agent.pid}`,
      ...kinds,
      '--',
    ]
    this.#dieWithUs = ['setpriv', '--pdeathsig', 'KILL', '--']
  }

  /** A process that stands in the namespace. */
  get pid(): number {
    return this.agent.pid
  }

  run<A extends unknown[], R>(fn: (kit: Kit, ...args: A) => R, ...args: A): Promise<Awaited<R>> {
    return this.agent.run(fn, ...args)
  }

  /** Starts a program that runs until it ends, or the namespace does. */
  start(command: readonly string[], options?: ProgramOptions): Program {
    const program = new Program([...this.enter, ...this.#dieWithUs, ...command], options)
    this.#programs.push(program)
    return program
  }

  execute(command: readonly string[], options?: ProgramOptions): Promise<Ending> {
    return execute([...this.enter, ...this.#dieWithUs, ...command], options)
  }

  /** Ends what was started in it, and its agent. */
  async close(): Promise<void> {
    for (const program of this.#programs) program.kill('SIGKILL')
    await Promise.all(this.#programs.map((program) => program.ended))
    await this.agent.close()
  }
}

export interface ContainerOptions {
  /** As Podman does it: the container's network belongs to a user namespace in which the daemon stands, too. */
  podman?: boolean
  /** Our user id in the container. */
  uid?: number
  /** The nameserver of the container's resolv.conf. */
  nameserver?: string
  /** Where it and its daemon stand: the world's host, or another one made by `inner`. */
  host?: Namespace
}

export class World {
  readonly host: Namespace
  /** A directory of the world's user: sockets and the like. */
  readonly directory: string
  /** What its TCP has for congestion control. */
  readonly congestion: string
  readonly #namespaces: Namespace[] = []
  readonly #daemons: Daemon[] = []
  /** Each network by name, as /proc shows it, with a descriptor: a name is given anew once nothing holds it. */
  readonly #networks = new Map<string, number>()

  private constructor(host: Namespace, directory: string, congestion: string) {
    this.host = host
    this.directory = directory
    this.congestion = congestion
    this.#own(host)
  }

  /** `congestion`: of its TCP, instead of Linux's default. */
  static async open(identity?: Identity, congestion?: string): Promise<World> {
    const root = process.getuid!() === 0
    const directory = fs.mkdtempSync(join(tmpdir(), 'slipway-'))
    if (root && identity) fs.chownSync(directory, identity.uid, identity.gid)
    let agent: Agent | undefined
    try {
      agent = await Agent.start([
        ...(root ? withTun() : []),
        ...become(identity),
        ...['unshare', '--user', '--map-root-user', '--net', '--mount', '--propagation', 'private'],
      ])
      const host = new Namespace(agent, become(identity), ['-U', '-n', '-m'])
      const control = await agent.run(chooseCongestion, congestion ? [congestion] : CONGESTION)
      if (congestion !== undefined && control !== congestion) {
        throw new Error(
          `cannot have congestion control ${congestion}: the kernel leaves it at ${control}`,
        )
      }
      const world = new World(host, directory, control)
      await agent.run(prepareHost, HOST_ADDRESS, join(directory, 'resolv.conf'))
      return world
    } catch (error) {
      await agent?.close()
      fs.rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }

  /** Makes a container: its first process is the agent. */
  async container(options: ContainerOptions = {}): Promise<Namespace> {
    const { podman = false, uid = 0, nameserver = '10.0.2.3', host = this.host } = options
    let outer = host.enter
    if (podman) {
      const pause = await Agent.start([...outer, 'unshare', '-U', '--map-root-user', '-m'])
      const surrounding = new Namespace(pause, outer, ['-U', '-m'])
      this.#own(surrounding)
      outer = surrounding.enter
    }
    const users = podman ? [] : ['--user', `--map-user=${uid}`, `--map-group=${uid}`]
    const agent = await Agent.start([
      ...outer,
      ...['unshare', ...users, '--net', '--mount', '--propagation', 'private'],
    ])
    const kinds = podman ? ['-n', '-m'] : ['-U', '-n', '-m']
    const container = new Namespace(agent, outer, kinds)
    this.#own(container)
    await agent.run(chooseCongestion, [this.congestion])
    const resolvConf = join(this.directory, `resolv.conf.${agent.pid}`)
    fs.writeFileSync(resolvConf, `nameserver ${nameserver}\n`)
    fs.chmodSync(resolvConf, 0o644)
    if (uid === 0) await agent.run(bindResolvConf, resolvConf)
    return container
  }

  /** A network namespace inside a container's, for guests behind a guest; or beside the host's, for another host. */
  async inner(container: Namespace): Promise<Namespace> {
    const agent = await Agent.start([...container.enter, 'unshare', '--net'])
    const inner = new Namespace(agent, container.enter, ['-n'])
    this.#own(inner)
    return inner
  }

  /** Starts a daemon beside the container and waits until it is ready. */
  async attach(container: Namespace, options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = this.daemon(container, options)
    await daemon.ready
    return daemon
  }

  /** Starts a daemon and waits for nothing. */
  daemon(container: Namespace | undefined, options: DaemonOptions = {}): Daemon {
    const daemon = new Daemon(this, container, options)
    this.#daemons.push(daemon)
    return daemon
  }

  /** Ends the daemon, then the container. */
  async remove(container: Namespace, daemon?: Daemon): Promise<void> {
    await daemon?.stop()
    await container.close()
  }

  /** Ends everything, and throws when a process was left in one of the networks. */
  async close(): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => daemon.stop()))
    for (const namespace of this.#namespaces.reverse()) await namespace.close()
    const left = await this.#leftovers()
    for (const fd of this.#networks.values()) fs.closeSync(fd)
    this.#networks.clear()
    fs.rmSync(this.directory, { recursive: true, force: true })
    if (left.length > 0) throw new Error(`processes were left behind: ${left.join(', ')}`)
  }

  #own(namespace: Namespace): void {
    this.#namespaces.push(namespace)
    const path = `/proc/${namespace.pid}/ns/net`
    const name = fs.readlinkSync(path)
    if (!this.#networks.has(name)) this.#networks.set(name, fs.openSync(path, 'r'))
  }

  /** Kills, and names, what still stands in our networks; a process just ended gets a second to vanish. */
  async #leftovers(): Promise<string[]> {
    let left: number[] = []
    for (let round = 0; round < 20; round++) {
      left = processesIn(this.#networks)
      if (left.length === 0) return []
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return left.map((pid) => {
      const name = commandOf(pid)
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        return `${name} (gone just now)`
      }
      return `${name} (${pid})`
    })
  }
}

/**
 * Root gives the world a /dev/net/tun that anybody may open, in a mount namespace of its own; the machine's is often
 * mode 600. Where devices cannot be made, the machine's is used.
 */
function withTun(): string[] {
  const script = `
    if mount -t tmpfs -o mode=755 slipway /dev/net 2>/dev/null; then
      mknod -m 666 /dev/net/tun c 10 200 && : 2>/dev/null <>/dev/net/tun || umount /dev/net
    fi 2>/dev/null
    exec "$@"`
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh']
}

/** In the host's agent: loopback up, a second address, resolv.conf pointing at ourselves. */
function prepareHost(kit: Kit, address: string, resolvConf: string): void {
  const { childProcess, fs, loopbackUp } = kit
  loopbackUp(address)
  fs.writeFileSync(resolvConf, 'nameserver 127.0.0.1\n')
  childProcess.execFileSync('mount', ['--bind', resolvConf, '/etc/resolv.conf'])
}

/** For the network that it runs in: the first of `names` that the kernel gives it. Returns what there is then. */
function chooseCongestion({ fs }: Kit, names: readonly string[]): string {
  const file = '/proc/sys/net/ipv4/tcp_congestion_control'
  for (const name of names) {
    try {
      fs.writeFileSync(file, name)
      break
    } catch {
      // not in this kernel, or not for a namespace, or not for this user
    }
  }
  return fs.readFileSync(file, 'utf8').trim()
}

function bindResolvConf({ childProcess }: Kit, file: string): void {
  childProcess.execFileSync('mount', ['--bind', file, '/etc/resolv.conf'])
}

function processesIn(networks: ReadonlyMap<string, number>): number[] {
  const found: number[] = []
  for (const entry of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      if (networks.has(fs.readlinkSync(`/proc/${entry}/ns/net`))) found.push(Number(entry))
    } catch {
      // it ended meanwhile, or is somebody else's
    }
  }
  return found
}

function commandOf(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
  } catch {
    return '?'
  }
}
