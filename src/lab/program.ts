/** A child process whose output is collected, whose end is a promise, and that cannot run for ever. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'

export interface Ending {
  /** The exit status, or null when a signal ended it. */
  status: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface ProgramOptions {
  /** Is written to its standard input. Without it, that is /dev/null. */
  input?: string
  /** More descriptors, from 3 on: as in `stdio` of `child_process.spawn`. */
  descriptors?: ('pipe' | 'ignore' | number)[]
  env?: Record<string, string>
  /** After this many ms it is killed. */
  limit?: number
}

export class Program {
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<Ending>
  stdout: string = ''
  stderr: string = ''

  constructor(command: readonly string[], options: ProgramOptions = {}) {
    const [file, ...args] = command
    const { input, descriptors = [], env, limit } = options
    const stdio: StdioOptions = [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe']
    this.child = spawn(file!, args, {
      stdio: [...stdio, ...descriptors],
      env: env ? { ...process.env, ...env } : process.env,
      cwd: '/',
    })
    this.pid = this.child.pid ?? 0
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.child.stdin?.on('error', () => {})
    this.child.stdin?.end(input)
    const timer = limit === undefined ? undefined : setTimeout(() => this.kill('SIGKILL'), limit)
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject)
      this.child.once('close', (status, signal) => {
        clearTimeout(timer)
        resolve({ status, signal, stdout: this.stdout, stderr: this.stderr })
      })
    })
    this.ended.catch(() => {}) // whoever waits is told; nobody has to
  }

  get running(): boolean {
    return this.pid > 0 && this.child.exitCode === null && this.child.signalCode === null
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (this.running) this.child.kill(signal)
  }
}

/** Runs a program to its end, at most 30 s. */
export function execute(command: readonly string[], options: ProgramOptions = {}): Promise<Ending> {
  return new Program(command, { limit: 30_000, ...options }).ended
}

/** The same for a program that has to succeed; answers its standard output. */
export async function succeed(
  command: readonly string[],
  options: ProgramOptions = {},
): Promise<string> {
  const { status, signal, stdout, stderr } = await execute(command, options)
  if (status === 0) return stdout
  throw new Error(`${command.join(' ')}: ${signal ?? `exit ${status}`}: ${stderr.trim()}`)
}
