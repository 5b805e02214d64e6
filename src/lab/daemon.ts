/**
 * A daemon with slirp4netns' command line (slipway's own unless told otherwise), beside a container.
 *
 * It gets a ready pipe as descriptor 3 and an exit pipe as descriptor 4, so that it ends when this process does.
 */
import * as net from 'node:net'
import { join } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { built } from './agent.ts'
import { type Ending, Program } from './program.ts'
import type { Namespace, World } from './world.ts'

export interface DaemonOptions {
  /** The program: a path, a name to be looked up, or a JavaScript file. */
  binary?: string
  /** What runs a JavaScript file: a program of Node and its options; the one that runs this when nothing is said. */
  node?: readonly string[]
  /** Further options. */
  args?: readonly string[]
  /** What it is attached to; the container's pid when nothing else is said. */
  operands?: readonly string[]
  /** `-c`; on unless it is false. */
  configure?: boolean
  mtu?: number
  /**
   * `owner`: root in the user namespace that the container's descends from, with all capabilities.
   * `plain`: the same user without any capability, as RootlessKit starts it.
   */
  as?: 'owner' | 'plain'
  /** A command that runs it, such as `prlimit --nofile=64`. */
  wrapper?: readonly string[]
  /** Without an exit pipe it ends by signal only. */
  exitPipe?: boolean
  env?: Record<string, string>
}

export interface Forward {
  proto?: 'tcp' | 'udp' | 'tcp4' | 'udp4' | 'tcp6' | 'udp6'
  hostAddr?: string
  hostPort: number
  guestAddr?: string
  guestPort: number
}

let sockets = 0

export class Daemon {
  readonly program: Program
  /** Settles when it has said so on its ready pipe; rejects when it ended before, with what it wrote. */
  readonly ready: Promise<void>
  readonly apiSocket: string
  /** From its start to its ready octet, in ms. */
  readyAfter: number = Number.NaN
  readonly #exitPipe: boolean

  constructor(world: World, container: Namespace | undefined, options: DaemonOptions) {
    const { configure = true, mtu, args = [], as = 'owner', exitPipe = true } = options
    this.apiSocket = join(world.directory, `api-${++sockets}.sock`)
    this.#exitPipe = exitPipe
    const place = container?.outer ?? world.host.enter
    const operands = options.operands ?? [`${container!.pid}`, 'tap0']
    const started = performance.now()
    this.program = new Program(
      [
        ...place,
        ...(as === 'plain' ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all'] : ['setpriv']),
        ...['--pdeathsig', 'KILL', '--', ...(options.wrapper ?? [])],
        ...launch(options.binary, options.node),
        ...(configure ? ['-c'] : []),
        ...(mtu === undefined ? [] : [`--mtu=${mtu}`]),
        ...['-r', '3', ...(exitPipe ? ['-e', '4'] : []), '-a', this.apiSocket],
        ...args,
        ...operands,
      ],
      {
        descriptors: exitPipe ? ['pipe', 'pipe'] : ['pipe'],
        ...(options.env && { env: options.env }),
      },
    )
    this.ready = this.#waitUntilReady(started)
    this.ready.catch(() => {})
  }

  get pid(): number {
    return this.program.pid
  }

  /** One request to the API socket, as Podman sends it; answers what comes back. */
  api(request: unknown): Promise<unknown> {
    return this.rawApi(`${JSON.stringify(request)}\n`).then((text) => JSON.parse(text))
  }

  rawApi(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = ''
      const socket = net.connect(this.apiSocket, () => socket.end(text))
      socket.setEncoding('utf8').on('data', (part: string) => {
        answer += part
      })
      socket.once('error', reject)
      socket.once('close', () => resolve(answer))
    })
  }

  /** Publishes a port; answers the forward's id. */
  async forward(forward: Forward): Promise<number> {
    const { proto = 'tcp', hostPort, guestAddr = '', guestPort } = forward
    const { hostAddr = proto.endsWith('6') ? '::' : '0.0.0.0' } = forward
    const answer = (await this.api({
      execute: 'add_hostfwd',
      arguments: {
        proto,
        host_addr: hostAddr,
        host_port: hostPort,
        guest_addr: guestAddr,
        guest_port: guestPort,
      },
    })) as { return?: { id: number }; error?: { desc: string } }
    if (answer.return) return answer.return.id
    throw new Error(answer.error?.desc ?? `unexpected answer ${JSON.stringify(answer)}`)
  }

  /** Ends it: by the exit pipe, or by SIGTERM where there is none. After two seconds, by SIGKILL. */
  async stop(): Promise<Ending> {
    if (this.#exitPipe) (this.program.child.stdio[4] as Duplex).destroy()
    else this.program.kill('SIGTERM')
    const late = setTimeout(() => this.program.kill('SIGKILL'), 2_000)
    const ending = await this.program.ended
    clearTimeout(late)
    return ending
  }

  #waitUntilReady(started: number): Promise<void> {
    const pipe = this.program.child.stdio[3] as Readable
    return new Promise((resolve, reject) => {
      pipe.once('data', (octets: Buffer) => {
        this.readyAfter = performance.now() - started
        if (octets.toString() === '1') resolve()
        else reject(new Error(`the ready pipe said ${JSON.stringify(octets.toString())}`))
      })
      pipe.once('error', reject)
      const tooLate = setTimeout(
        () => reject(new Error('the daemon is not ready after 20 s')),
        20_000,
      )
      void this.program.ended.then(({ status, signal, stdout, stderr }) => {
        clearTimeout(tooLate)
        const reason = stderr.trim() || stdout.trim() || 'it said nothing'
        reject(new Error(`the daemon ended (${signal ?? `exit ${status}`}): ${reason}`))
      }, reject)
    })
  }
}

/** The command line that starts `binary`: slipway as it is built, unless SLIPWAY_BIN names another. */
export function launch(
  binary: string = process.env.SLIPWAY_BIN || built('cli.js'),
  node: readonly string[] = [process.execPath],
): string[] {
  return /\.[cm]?js$/.test(binary) ? [...node, binary] : [binary]
}
