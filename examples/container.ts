/** A container for the examples: a user and a network namespace, and a process that holds them as long as we live. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'

export interface Container {
  readonly pid: number
  /** Runs a program in it, and answers what it says on stdout. */
  run(...command: string[]): Promise<string>
  /** Starts a program in it, and resolves when it has said something. */
  start(...command: string[]): Promise<ChildProcess>
  /** Ends it, and what was started in it. */
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
  const enter = ['--preserve-credentials', '-U', '-n', '-t', `${pid}`, '--']
  const programs: ChildProcess[] = []
  return {
    pid,
    async run(...command) {
      const { stdout } = await promisify(execFile)('nsenter', [...enter, ...command])
      return stdout
    },
    async start(...command) {
      const program = spawn('nsenter', [...enter, ...command], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      programs.push(program)
      await Promise.race([once(program.stdout, 'data'), once(program, 'exit')])
      return program
    },
    end() {
      for (const program of programs) program.kill()
      holder.stdin.end()
    },
  }
}
