/**
 * The parent's end of an agent (agent-main.ts): a process in some namespace that runs functions for us.
 *
 * `agent.run(fn, ...args)` sends the source text of `fn`; it runs over there with a `Kit` as its first argument and
 * may use nothing from the file it is written in. Arguments and results are cloned (structured clone).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a function finds over there. */
export interface Kit {
  childProcess: typeof import('node:child_process')
  crypto: typeof import('node:crypto')
  dgram: typeof import('node:dgram')
  dns: typeof import('node:dns')
  fs: typeof import('node:fs')
  http: typeof import('node:http')
  net: typeof import('node:net')
  os: typeof import('node:os')
  /** Things that a later function needs, by name. */
  keep: Map<string, unknown>
  /** See loopback.ts. */
  loopbackUp(address: string): void
  sleep(ms: number): Promise<void>
  /** `import()`: functions sent here must not have one in their text, the tests' loader would replace it. */
  load(url: string): Promise<unknown>
  /** Listens on a free port, or on `port`, of 127.0.0.1 or `host`; answers the port. */
  listen(server: import('node:net').Server, host?: string, port?: number): Promise<number>
  /** The same for a UDP socket. */
  bind(socket: import('node:dgram').Socket, host?: string, port?: number): Promise<number>
}

export interface Job {
  id: number
  source: string
  args: unknown[]
}

export interface Answer {
  id: number
  value?: unknown
  error?: { name: string; message: string; code: string | undefined; stack: string | undefined }
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

export class Agent {
  readonly pid: number
  readonly ended: Promise<void>
  #child: ChildProcess
  #jobs = new Map<number, Waiting>()
  #lastId = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    this.pid = child.pid!
    this.ended = new Promise((resolve) => child.once('exit', () => resolve()))
    child.on('message', (answer: Answer) => this.#settle(answer))
    child.once('exit', (code, signal) => {
      const error = new Error(`the agent ${child.pid} has ended (${signal ?? code})`)
      for (const job of this.#jobs.values()) job.reject(error)
      this.#jobs.clear()
    })
  }

  /** Starts an agent behind `prefix`, a command such as `nsenter …` or `unshare …` that execs what follows it. */
  static async start(prefix: readonly string[]): Promise<Agent> {
    const [command, ...args] = [...prefix, process.execPath, built('lab/agent-main.js')]
    const child = spawn(command!, args, {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      serialization: 'advanced',
      cwd: '/',
    })
    let complaint = ''
    child.stderr!.on('data', (text: Buffer) => {
      complaint += text
    })
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject)
      child.once('message', () => resolve())
      child.once('exit', (code, signal) =>
        reject(new Error(`cannot start an agent: ${complaint.trim() || `exit ${signal ?? code}`}`)),
      )
    })
    child.stderr!.on('data', (text: Buffer) => process.stderr.write(text))
    return new Agent(child)
  }

  run<A extends unknown[], R>(fn: (kit: Kit, ...args: A) => R, ...args: A): Promise<Awaited<R>> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#jobs.set(id, { resolve: resolve as (value: unknown) => void, reject })
      this.#child.send({ id, source: fn.toString(), args } satisfies Job, (error) => {
        if (error) this.#jobs.delete(id) && reject(error)
      })
    })
  }

  /** Hangs up: the agent, and with it its namespace, ends. */
  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 2_000)
    await this.ended
    clearTimeout(late)
  }

  #settle(answer: Answer): void {
    const job = this.#jobs.get(answer.id)
    if (!job) return
    this.#jobs.delete(answer.id)
    if (answer.error) job.reject(revive(answer.error, this.pid))
    else job.resolve(answer.value)
  }
}

function revive({ name, message, code, stack }: NonNullable<Answer['error']>, pid: number): Error {
  const error: Error & { code?: string } = new Error(message)
  error.name = name
  if (code !== undefined) error.code = code
  if (stack !== undefined) error.stack = `${stack}\n    (in the agent ${pid})`
  return error
}

/** A built file, by its name in dist/. It is the same when this runs as TypeScript (tests, benches). */
export function built(file: string): string {
  const moved = process.env.SLIPWAY_DIST
  if (moved) return `${moved}/${file}`
  const dist = import.meta.url.endsWith('.ts') ? '../../dist/' : '../'
  return fileURLToPath(new URL(dist + file, import.meta.url))
}
