/**
 * Opens /dev/net/tun and an AF_INET socket inside the guest's network namespace. The device belongs
 * to the namespace in which it was opened; who then says TUNSETIFF or configures through the socket
 * may be anywhere, as long as it has the capabilities over that namespace.
 *
 *   1. return   we may go there and come back (root): this thread does both, in one go      1 ms
 *   2. nsenter  nsenter(1) goes and opens, we take over (Podman; RootlessKit, any user)     6 ms
 *   3. thread   there is no nsenter, but we have the capabilities: a thread goes and ends  40 ms
 *   4. rights   nothing may be taken over: a Node that nsenter starts sends what it opens 100 ms
 *
 * No thread that lives on is ever left in there: it would open the host's sockets inside.
 */
import { fstatSync, statSync } from 'node:fs'
import {
  AF_INET,
  CLONE_NEWNET,
  EINVAL,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from '../sys/constants.ts'
import { must, type SystemError, systemError } from '../sys/errors.ts'
import { close, open } from '../sys/io.ts'
import { mayReturn, namespaceType, owningUserns, ownNetns, setns } from '../sys/namespaces.ts'
import { socket } from '../sys/socket.ts'
import { callOnThread, type ThreadCall } from '../sys/thread.ts'
import { type Inside, TUN_PATH } from './inside.ts'
import { openByNsenter, openByRights } from './nsenter.ts'

/** Where the guest is: the namespaces of a process, or files of namespaces. */
export type NamespaceTarget =
  | { readonly pid: number }
  | { readonly netns: string; readonly userns?: string | undefined }

/** How to get in; 'auto' is the first of the ways above that is open. */
export type Way = 'auto' | 'return' | 'nsenter' | 'thread' | 'rights'

const WHAT = 'cannot enter the network namespace'

export async function openInside(
  target: NamespaceTarget,
  wantSocket: boolean,
  way: Way = 'auto',
): Promise<Inside> {
  const netns = open('pid' in target ? `/proc/${target.pid}/ns/net` : target.netns, O_RDONLY)
  let userns = -1
  try {
    if (namespaceType(netns) !== CLONE_NEWNET)
      throw systemError(EINVAL, 'setns(CLONE_NEWNET)', WHAT)
    if (way === 'return' || (way === 'auto' && mayReturn())) {
      const inside = goAndReturn(netns, wantSocket)
      if (inside) return inside
    }
    // What this says about a device that is missing is clearer than what a shell would say.
    close(open(TUN_PATH, O_RDWR))
    if (way === 'thread') return await openOnThread(netns, wantSocket)
    userns = usernsOf(target, netns)
    if (way === 'rights') return await openByRights(netns, userns, wantSocket)
    if (way === 'nsenter') return await openByNsenter(netns, userns, wantSocket)
    return await openByAnyChild(netns, userns, wantSocket)
  } finally {
    close(netns)
    if (userns >= 0) close(userns)
  }
}

/**
 * The user namespace to enter beforehand, -1 for the one where we are: the one that was named, else
 * the owner of the network namespace (which need not be the one of a process that lives in it).
 */
function usernsOf(target: NamespaceTarget, netns: number): number {
  let userns = -1
  if ('netns' in target && target.userns !== undefined) userns = open(target.userns, O_RDONLY)
  else {
    userns = owningUserns(netns)
    if (userns < 0 && 'pid' in target) userns = open(`/proc/${target.pid}/ns/user`, O_RDONLY)
  }
  if (userns < 0 || fstatSync(userns).ino !== statSync('/proc/self/ns/user').ino) return userns
  close(userns)
  return -1
}

/** Ways 2 to 4. When none is open, the error is that of the first. */
async function openByAnyChild(netns: number, userns: number, wantSocket: boolean): Promise<Inside> {
  try {
    return await openByNsenter(netns, userns, wantSocket)
  } catch (error) {
    const { syscall, code } = error as SystemError
    const isMissing = syscall === 'nsenter' && code === 'ENOENT'
    const isForbidden = syscall === 'pidfd_open' || syscall === 'pidfd_getfd'
    if (!isMissing && !isForbidden) throw error
    try {
      return await openOnThread(netns, wantSocket)
    } catch {
      if (isForbidden) return await openByRights(netns, userns, wantSocket)
      throw error
    }
  }
}

/**
 * Nothing else can run on this thread meanwhile: there is no `await` in here. Undefined when the
 * namespace may not be entered from where we are.
 */
function goAndReturn(netns: number, wantSocket: boolean): Inside | undefined {
  const own = ownNetns()
  try {
    if (setns(netns, CLONE_NEWNET) < 0) return undefined
    try {
      return openHere(wantSocket)
    } finally {
      // Cannot happen after `mayReturn`; and to go on in there would be worse than to end. In a worker (the library)
      // abort() throws instead, and the worker ends.
      if (setns(own, CLONE_NEWNET) < 0) process.abort()
    }
  } finally {
    close(own)
  }
}

function openHere(wantSocket: boolean): Inside {
  const tun = open(TUN_PATH, O_RDWR | O_NONBLOCK)
  if (!wantSocket) return { tun, socket: -1 }
  const inside = socket(AF_INET, SOCK_DGRAM)
  if (inside < 0) {
    close(tun)
    must(inside, 'socket', 'cannot open a socket in the network namespace')
  }
  return { tun, socket: inside }
}

async function openOnThread(netns: number, wantSocket: boolean): Promise<Inside> {
  const calls: ThreadCall[] = [
    ['setns', netns, CLONE_NEWNET],
    ['open', TUN_PATH, O_RDWR | O_CLOEXEC, 0],
  ]
  if (wantSocket) calls.push(['socket', AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0])
  const [entered = -EINVAL, tun = -1, inside = -1] = await callOnThread(calls)
  must(entered, 'setns(CLONE_NEWNET)', WHAT)
  must(tun, 'open', `cannot open ${TUN_PATH}`)
  if (wantSocket && inside < 0) {
    close(tun)
    must(inside, 'socket', 'cannot open a socket in the network namespace')
  }
  return { tun, socket: inside }
}
