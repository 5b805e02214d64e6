/** A container for the examples: a user and a network namespace, and a process that holds them as long as we live. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'

export interface Container {
  readonly pid: number
  /** Runs a program in it, and answers what it says on stdout. */
  run(...command: string[]): Promise<string>
  end(): void
}

export async function startContainer(): Promise<Container> {
  const holder = spawn(
    'unshare',
    ['--user', '--map-root-user', '--net', '--', 'sh', '-c', 'echo ready; exec cat'],
    { stdio: ['pipe', 'pipe', 'inherit'] }, // cat ends with its standard input, and that with us
  )
  await once(holder.stdout, 'data')
  const pid = holder.pid!
  return {
    pid,
    async run(...command) {
      const enter = ['--preserve-credentials', '-U', '-n', '-t', `${pid}`, '--']
      const { stdout } = await promisify(execFile)('nsenter', [...enter, ...command])
      return stdout
    },
    end: () => void holder.stdin.end(),
  }
}
