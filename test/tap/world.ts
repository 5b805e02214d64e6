/**
 * Worlds for the tests of the TAP: containers made with unshare(1), and programs that run beside
 * them as root, as an ordinary user, or as root of a user namespace.
 *
 * A test that runs as root becomes `nobody` for what an ordinary user does, and gets a /dev/net of
 * its own, since the machine's tun device may be for root only.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const isRoot: boolean = process.getuid?.() === 0

const PUBLIC_TUN = 'mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@"'
const WITH_PUBLIC_TUN = ['unshare', '-m', '--propagation', 'private', 'sh', '-c', PUBLIC_TUN, 'sh']
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

/** Start of a command line: with all of root's rights. Tests that use it need `isRoot`. */
export const AS_ROOT: string[] = []
/** … as somebody without any. */
export const AS_USER: string[] = isRoot ? [...WITH_PUBLIC_TUN, ...NOBODY] : []

/** … as root of the user namespace of process `pid`, in the network namespace of the host. */
export function inUserns(pid: number): string[] {
  return [...AS_USER, 'nsenter', '-t', `${pid}`, '-U', '--preserve-credentials']
}

/** … inside a container, when one has the same user's rights already. */
export function nsenter(pid: number): string[] {
  return ['nsenter', '-t', `${pid}`, '-U', '-n', '--preserve-credentials']
}

/** A PATH with these programs and no others. */
export async function onlyPrograms(...names: string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-path-'))
  chmodSync(folder, 0o755)
  for (const name of names) {
    symlinkSync((await run(['sh', '-c', 'command -v "$1"', 'sh', name])).trim(), join(folder, name))
  }
  return folder
}

/** Why tests with a TAP cannot run here; undefined when they can. */
export function whyNoTap(): string | undefined {
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun'
  if (!isRoot && (statSync('/dev/net/tun').mode & 0o006) !== 0o006)
    return '/dev/net/tun is not ours'
  return undefined
}

const started = new Set<ChildProcess>()

/** Ends what the test has started. */
export function endAll(): void {
  for (const child of started) child.kill('SIGKILL')
  started.clear()
}

/**
 * Starts something that stays until the end of the test, after a command `first` in a shell; resolves
 * with its process id when it is there.
 */
export async function holder(command: string[], first = ':'): Promise<number> {
  const child = start([...command, 'sh', '-c', `${first} && echo ready && exec sleep 60`])
  await new Promise<void>((resolve, reject) => {
    child.stdout!.once('data', () => resolve())
    child.once('exit', (code) => reject(new Error(`${command.join(' ')}: exit status ${code}`)))
  })
  return child.pid!
}

function start(command: string[]): ChildProcess {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  started.add(child)
  return child
}

/** Runs a command to its end; the promise has what it wrote to stdout. */
export async function run(command: string[]): Promise<string> {
  const child = start(command)
  let output = ''
  child.stdout!.on('data', (data) => {
    output += data
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  started.delete(child)
  if (code !== 0) throw new Error(`${command.join(' ')}: exit status ${code}\n${output}`)
  return output
}

const RUNNER = fileURLToPath(new URL('../../scripts/run.mjs', import.meta.url))

/** Runs a TypeScript program beside this file with one JSON argument; it answers in JSON. */
export async function program<T>(as: string[], name: string, argument: unknown): Promise<T> {
  const file = fileURLToPath(new URL(name, import.meta.url))
  const output = await run([...as, process.execPath, RUNNER, file, JSON.stringify(argument)])
  return JSON.parse(output) as T
}
