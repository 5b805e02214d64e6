/**
 * The sandbox of an ordinary user: mounts need capabilities, and such a user has them in the guest's user namespace only,
 * where RootlessKit's or `unshare`'s user is root. A process with threads may not enter a user namespace. So this one
 * becomes nsenter(1), which enters it and becomes Node again: the same process, with the same descriptors.
 */

import { accessSync, constants, fstatSync, statSync } from 'node:fs'
import type { NetworkOptions } from '../engine/types.ts'
import { CLONE_NEWUSER, EPERM, O_RDONLY } from '../sys/constants.ts'
import { must, systemError } from '../sys/errors.ts'
import { become } from '../sys/exec.ts'
import { close, isOpen, open } from '../sys/io.ts'
import { namespaceType, owningUserns } from '../sys/namespaces.ts'
import {
  CAP_SYS_ADMIN,
  isCapable,
  parentDeathSignal,
  setParentDeathSignal,
} from '../sys/privileges.ts'
import { Child, type Command } from '../sys/spawn.ts'
import { SECOND_START } from './host.ts'

const WHAT = 'cannot enter the user namespace for the sandbox'

/**
 * Comes back where a sandbox can be made; starts again in the user namespace of `target` where it cannot. `kept` are the
 * descriptors that go along.
 */
export async function enterUserns(
  target: NetworkOptions['target'],
  kept: readonly number[],
): Promise<void> {
  takeOver()
  if (isCapable(CAP_SYS_ADMIN)) return
  const userns = usernsOf(target)
  const command = userns < 0 ? ['unshare', '--user', '--map-root-user'] : await nsenter(userns)
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const handed = `${userns} ${parentDeathSignal()} ${process.ppid}`
  become(
    find(command[0]!),
    [...command, ...again],
    { ...process.env, [SECOND_START]: handed },
    userns < 0 ? kept : [...kept, userns],
  )
}

/** What the first start has left for the second: its descriptor, and who must not outlive whom. */
function takeOver(): void {
  const handed = process.env[SECOND_START]
  if (handed === undefined) return
  delete process.env[SECOND_START]
  const [userns = -1, signal = 0, parent = 0] = handed.split(' ').map(Number)
  if (isOpen(userns) && namespaceType(userns) === CLONE_NEWUSER) close(userns)
  if (signal === 0) return
  // The kernel forgets the signal when capabilities are gained, as they were on the way here.
  setParentDeathSignal(signal)
  if (process.ppid !== parent) process.kill(process.pid, signal)
}

/** The user namespace to enter, as a descriptor; -1 when there is none and one of our own will do. */
function usernsOf(target: NetworkOptions['target']): number {
  const userns = openUserns(target)
  if (userns >= 0 && fstatSync(userns).ino === statSync('/proc/self/ns/user').ino) {
    throw systemError(EPERM, 'unshare(CLONE_NEWNS)', 'cannot make a mount namespace')
  }
  return userns
}

function openUserns(target: NetworkOptions['target']): number {
  if ('netns' in target && target.userns !== undefined) return open(target.userns, O_RDONLY)
  if (!('pid' in target) && !('netns' in target)) return -1
  const netns = open('pid' in target ? `/proc/${target.pid}/ns/net` : target.netns, O_RDONLY)
  const userns = owningUserns(netns)
  close(netns)
  return must(userns, 'ioctl(NS_GET_USERNS)', WHAT)
}

/** The command that enters, and is root in there. */
async function nsenter(userns: number): Promise<string[]> {
  const enter = (options: readonly string[], fd: number) => [
    ...['nsenter', `--user=/proc/self/fd/${fd}`, ...options],
  ]
  // Our user is 0 in there: to keep it is to have all capabilities. Changing ids may be forbidden (setgroups).
  const asWeAre = ['--preserve-credentials']
  if ((await attempt([...enter(asWeAre, 3), 'id', '-u'], userns)).line === '0') {
    return enter(asWeAre, userns)
  }
  const asRoot = ['--setuid=0', '--setgid=0']
  const { status, complaint } = await attempt([...enter(asRoot, 3), 'true'], userns)
  if (status === 0) return enter(asRoot, userns)
  throw new Error(`${WHAT}: we cannot be root in there (${complaint.trim()})`)
}

/** Runs the command, to its end, with the descriptor as its 3. */
async function attempt([file = '', ...args]: readonly string[], fd: number) {
  const environment = { PATH: process.env.PATH ?? '', LC_ALL: 'C' }
  const child = started({ file, args, environment, descriptors: [fd] })
  const line = await child.line()
  const complaint = await child.complaint()
  return { line, complaint, status: child.end() }
}

function started(command: Command): Child {
  try {
    return new Child(command)
  } catch (error) {
    throw new Error(`${WHAT}: ${(error as Error).message}`, { cause: error })
  }
}

function find(program: string): string {
  const folders = (process.env.PATH ?? '').split(':')
  for (const folder of folders) {
    try {
      accessSync(`${folder}/${program}`, constants.X_OK)
      return `${folder}/${program}`
    } catch {
      // not there
    }
  }
  throw new Error(`${WHAT}: there is no ${program} on PATH`)
}
