/**
 * A closed world in which rootless programs of others run as they do on a machine of their own:
 *
 *   192.0.2.1                192.0.2.254   198.51.100.80 www.example.test, 198.51.100.53 name server
 *   2001:db8:1::1      2001:db8:1::254     2001:db8:2::80
 *   "host" ───────── veth ──────── "Internet", a network namespace that forwards nothing
 *
 * The host has a second link that leads nowhere, OTHER_LINK with 203.0.113.1 and 2001:db8:3::1; the Internet knows the
 * way to these. Processes, mounts, networks and the user `bench` are its own (prepare.sh). Its first process is the parent of all
 * that is started in it; it ends when this process does, and everything ends with it.
 */
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Agent, type Kit } from '../../src/lab/agent.ts'
import { serveDns } from '../../src/lab/dns-server.ts'
import { type Ending, execute, Program } from '../../src/lab/program.ts'

export const HOST = '192.0.2.1'
export const HOST6 = '2001:db8:1::1'
export const OTHER_LINK = 'other0'
export const OTHER = '203.0.113.1'
export const OTHER6 = '2001:db8:3::1'
export const INTERNET = '198.51.100.80'
export const INTERNET6 = '2001:db8:2::80'
export const INTERNET_NAME = 'www.example.test'
export const NAME_SERVER = '198.51.100.53'

const USER = 'bench'
const UID = 2001

export interface Task {
  /** Whom it runs as; the ordinary user unless it says root. */
  as?: 'root'
  env?: Record<string, string>
  input?: string
  /** After this many ms it is ended. */
  limit?: number
  cwd?: string
}

/** A process of the world, as its own /proc shows it. */
export interface Process {
  pid: number
  ppid: number
  uid: number
  /** Without the option of Node's that dist/cli.js gives it. */
  argv: string[]
  /** `Seccomp`, `NoNewPrivs` and `CapEff` of its status. */
  seccomp: string
  noNewPrivs: string
  capabilities: string
  /** What is in its root directory. */
  root: string
}

export class ClosedWorld {
  /** Where its tmpfs is: bin, slipway, home. */
  readonly directory: string
  /** Its first process, in the "host" network, as root. */
  readonly host: Agent
  readonly internet: Agent
  readonly #enter: readonly string[]
  readonly #started: Program[] = []

  private constructor(directory: string, host: Agent, internet: Agent, enter: readonly string[]) {
    this.directory = directory
    this.host = host
    this.internet = internet
    this.#enter = enter
  }

  static async open(): Promise<ClosedWorld> {
    const directory = fs.mkdtempSync(join(tmpdir(), 'slipway-interop-'))
    fs.chmodSync(directory, 0o755)
    const checkout = fileURLToPath(new URL('../../', import.meta.url))
    let host: Agent | undefined
    let internet: Agent | undefined
    try {
      host = await Agent.start([
        ...['unshare', '--net', '--mount', '--pid', '--ipc', '--uts'],
        ...['--fork', '--kill-child', '--mount-proc', 'catatonit', '--'],
        ...['sh', `${checkout}/test/interop/prepare.sh`, directory, checkout, process.execPath],
        ...[USER, `${UID}`],
      ])
      const at = `/proc/${host.pid}/ns`
      const enter = ['nsenter', `--mount=${at}/mnt`, `--pid=${at}/pid_for_children`]
      enter.push(`--ipc=${at}/ipc`, `--uts=${at}/uts`, `--net=${at}/net`, '--')
      internet = await Agent.start([...enter, 'unshare', '--net'])
      const world = new ClosedWorld(directory, host, internet, enter)
      await host.run(joinNetworks, await internet.run(ownPid))
      await internet.run(prepareInternet)
      await internet.run(serveDns, { [INTERNET_NAME]: [INTERNET] }, NAME_SERVER)
      for (const address of [INTERNET, INTERNET6]) await internet.run(serveWhoAsks, address, 80)
      return world
    } catch (error) {
      await internet?.close()
      await host?.close()
      fs.rmdirSync(directory)
      throw error
    }
  }

  get home(): string {
    return join(this.directory, 'home')
  }

  get bin(): string {
    return join(this.directory, 'bin')
  }

  /** Runs a command to its end. */
  execute(command: readonly string[], task: Task = {}): Promise<Ending> {
    const { limit = 30_000, input } = task
    return execute(this.#line(command, task, limit), {
      limit: limit + 5_000,
      ...(input !== undefined && { input }),
    })
  }

  /** The same for one that has to succeed; answers its standard output without the last newline. */
  async succeed(command: readonly string[], task: Task = {}): Promise<string> {
    const { status, signal, stdout, stderr } = await this.execute(command, task)
    if (status === 0) return stdout.trimEnd()
    const end = status === 124 || status === 137 ? 'time is up' : (signal ?? `exit ${status}`)
    throw new Error(`${command.join(' ')}: ${end}: ${stderr.trim() || stdout.trim()}`)
  }

  /** Runs a script of this folder as the user, who may not be able to read it. */
  runScript(name: string, ...args: string[]): Promise<string> {
    const input = fs.readFileSync(new URL(name, import.meta.url), 'utf8')
    return this.succeed(['sh', '-s', '--', ...args], { input })
  }

  /** Starts a command that runs until it is ended, or the world is. */
  start(command: readonly string[], task: Task = {}): Program {
    const program = new Program(this.#line(command, task, task.limit ?? 120_000))
    this.#started.push(program)
    return program
  }

  /** Every process of the user and of the ids below it. */
  processes(): Promise<Process[]> {
    return this.host.run(listProcesses, UID)
  }

  async close(): Promise<void> {
    await this.internet.close()
    await this.host.close()
    await Promise.all(this.#started.map((program) => program.ended))
    fs.rmdirSync(this.directory)
  }

  /** Nothing is inherited from this process' environment, and nothing outlives `limit`. */
  #line(command: readonly string[], { as, env = {}, cwd }: Task, limit: number): string[] {
    const ids = ['--reuid', `${UID}`, '--regid', `${UID}`, '--init-groups']
    const variables: Record<string, string> = {
      PATH: `${this.bin}:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin`,
      ...(as === 'root'
        ? { HOME: '/root', USER: 'root' }
        : { HOME: this.home, USER, XDG_RUNTIME_DIR: `/run/user/${UID}` }),
      ...env,
    }
    return [
      ...this.#enter,
      ...['setpriv', ...(as === 'root' ? [] : ids), '--pdeathsig', 'KILL', '--'],
      ...['env', '-i', `--chdir=${cwd ?? (as === 'root' ? '/' : this.home)}`],
      ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
      ...['timeout', '--kill-after=2', `${limit / 1_000}`],
      ...command,
    ]
  }
}

function ownPid(): number {
  return process.pid
}

function joinNetworks({ childProcess }: Kit, internet: number): void {
  const ip = (line: string) => childProcess.execFileSync('ip', line.split(' '))
  ip(`link add host0 type veth peer name inet0 netns ${internet}`)
  ip('addr add 192.0.2.1/24 dev host0')
  ip('addr add 2001:db8:1::1/64 dev host0 nodad')
  ip('link set host0 up')
  ip('route add default via 192.0.2.254')
  ip('-6 route add default via 2001:db8:1::254')
  ip('link add other0 type bridge')
  ip('addr add 203.0.113.1/24 dev other0')
  ip('addr add 2001:db8:3::1/64 dev other0 nodad')
  ip('link set other0 up')
}

function prepareInternet({ childProcess }: Kit): void {
  const ip = (line: string) => childProcess.execFileSync('ip', line.split(' '))
  ip('link set lo up')
  ip('addr add 192.0.2.254/24 dev inet0')
  ip('addr add 2001:db8:1::254/64 dev inet0 nodad')
  ip('link set inet0 up')
  ip('route add 203.0.113.0/24 via 192.0.2.1')
  ip('-6 route add 2001:db8:3::/64 via 2001:db8:1::1')
  for (const address of ['198.51.100.53/32', '198.51.100.80/32', '2001:db8:2::80/128']) {
    ip(`addr add ${address} dev lo`)
  }
}

/** HTTP and UDP: says who asked. `/blob` is 8 MiB that nobody guesses. */
async function serveWhoAsks(kit: Kit, host: string, port: number): Promise<void> {
  const { http, dgram, net, crypto, listen, bind, keep } = kit
  const blob = (keep.get('blob') as Buffer | undefined) ?? crypto.randomBytes(8 << 20)
  keep.set('blob', blob)
  keep.set('blob sha256', crypto.createHash('sha256').update(blob).digest('hex'))
  const describe = (client = '') => JSON.stringify({ client })
  const server = http.createServer((request, response) => {
    response.setHeader('connection', 'close')
    response.end(request.url === '/blob' ? blob : describe(request.socket.remoteAddress))
  })
  await listen(server, host, port)
  const udp = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4')
  udp.on('message', (_text, from) => udp.send(describe(from.address), from.port, from.address))
  await bind(udp, host, port)
}

function listProcesses({ fs }: Kit, uid: number): Process[] {
  const found: Process[] = []
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
      const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? ''
      const owner = Number(field('Uid'))
      const isUsers = owner === uid || (owner >= 100_000 && owner < 165_536)
      if (!isUsers || field('State') === 'Z') continue
      found.push({
        pid: Number(pid),
        ppid: Number(field('PPid')),
        uid: owner,
        argv: fs
          .readFileSync(`/proc/${pid}/cmdline`, 'utf8')
          .split('\0')
          .slice(0, -1)
          .filter((word) => !word.startsWith('--inspect-port=')),
        seccomp: field('Seccomp'),
        noNewPrivs: field('NoNewPrivs'),
        capabilities: field('CapEff'),
        root: fs.readdirSync(`/proc/${pid}/root/`).toSorted().join(),
      })
    } catch {
      // it ended meanwhile
    }
  }
  return found
}
