/**
 * Opens /dev/net/tun and an AF_INET socket inside the guest's network namespace. The device belongs
 * to the namespace in which it was opened; who then says TUNSETIFF or configures through the socket
 * may be anywhere, as long as it has the capabilities over that namespace.
 *
 *   1. return   we may go there and come back (root): this thread does both, in one go      1 ms
 *   2. thread   we have the capabilities (Podman): a thread goes, opens, and ends           1 ms
 *   3. nsenter  nsenter(1) goes and opens, we take over (RootlessKit, any user)             6 ms
 *   4. rights   nothing may be taken over: a Node that nsenter starts sends what it opens 100 ms
 *
 * No thread that lives on is ever left in there: it would open the host's sockets inside.
 */
import { fstatSync, statSync } from 'node:fs'
import {
  AT_FDCWD,
  CLONE_NEWNET,
  CLONE_NEWUSER,
  EINVAL,
  EPERM,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
} from '../sys/constants.ts'
import { must, type SystemError, systemError } from '../sys/errors.ts'
import { close, closeAll, open } from '../sys/io.ts'
import { mayReturn, namespaceType, owningUserns, ownNetns, setns } from '../sys/namespaces.ts'
import { callOnThread, type ThreadCall, textArgument } from '../sys/own-thread.ts'
import { socket } from '../sys/socket.ts'
import { type Inside, insideOf, socketsOf, TUN_PATH, type Wanted } from './inside.ts'
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
  wanted: Wanted,
  way: Way = 'auto',
): Promise<Inside> {
  const path = 'pid' in target ? `/proc/${target.pid}/ns/net` : target.netns
  const netns = open(path, O_RDONLY | O_NONBLOCK) // a FIFO would wait for a writer
  let userns = -1
  try {
    if (namespaceType(netns) !== CLONE_NEWNET)
      throw systemError(EINVAL, 'setns(CLONE_NEWNET)', WHAT)
    if (way === 'return' || (way === 'auto' && mayReturn())) {
      const inside = goAndReturn(netns, wanted)
      if (inside) return inside
    }
    // What this says about a device that is missing is clearer than what a shell would say.
    close(open(TUN_PATH, O_RDWR))
    if (way === 'thread' || way === 'auto') {
      const inside = openOnThread(netns, wanted)
      if (inside) return inside
      if (way === 'thread') throw systemError(EPERM, 'setns(CLONE_NEWNET)', WHAT)
    }
    userns = usernsOf(target, netns)
    if (way === 'rights') return await openByRights(netns, userns, wanted)
    return await openByChild(netns, userns, wanted)
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
  if ('netns' in target && target.userns !== undefined) {
    userns = open(target.userns, O_RDONLY | O_NONBLOCK)
    if (namespaceType(userns) !== CLONE_NEWUSER) {
      close(userns)
      throw systemError(EINVAL, 'setns(CLONE_NEWUSER)', 'cannot enter the user namespace')
    }
  } else {
    userns = owningUserns(netns)
    if (userns < 0 && 'pid' in target) userns = open(`/proc/${target.pid}/ns/user`, O_RDONLY)
  }
  if (userns < 0 || fstatSync(userns).ino !== statSync('/proc/self/ns/user').ino) return userns
  close(userns)
  return -1
}

/** By nsenter(1), else by what it starts, when nothing may be taken over from there. */
async function openByChild(netns: number, userns: number, wanted: Wanted): Promise<Inside> {
  try {
    return await openByNsenter(netns, userns, wanted)
  } catch (error) {
    const { syscall } = error as SystemError
    const isForbidden = syscall === 'pidfd_open' || syscall === 'pidfd_getfd' || syscall === 'perl'
    if (!isForbidden) throw error
    return await openByRights(netns, userns, wanted)
  }
}

/**
 * Nothing else can run on this thread meanwhile: there is no `await` in here. Undefined when the
 * namespace may not be entered from where we are.
 */
function goAndReturn(netns: number, wanted: Wanted): Inside | undefined {
  const own = ownNetns()
  try {
    if (setns(netns, CLONE_NEWNET) < 0) return undefined
    try {
      return openHere(wanted)
    } finally {
      // Cannot happen after `mayReturn`; and to go on in there would be worse than to end. In a worker (the library)
      // abort() throws instead, and the worker ends.
      if (setns(own, CLONE_NEWNET) < 0) process.abort()
    }
  } finally {
    close(own)
  }
}

function openHere(wanted: Wanted): Inside {
  const tun = open(TUN_PATH, O_RDWR | O_NONBLOCK)
  const opened: number[] = []
  for (const [family, type] of socketsOf(wanted)) {
    const fd = socket(family, type)
    if (fd < 0) {
      closeAll([tun, ...opened])
      must(fd, 'socket', NO_SOCKET)
    }
    opened.push(fd)
  }
  return insideOf(wanted, tun, opened)
}

const NO_SOCKET = 'cannot open a socket in the network namespace'

/** Undefined when no thread of ours may enter, or none can be made. */
function openOnThread(netns: number, wanted: Wanted): Inside | undefined {
  const flags = O_RDWR | O_NONBLOCK | O_CLOEXEC
  const calls: ThreadCall[] = [
    { name: 'setns', args: [netns, CLONE_NEWNET] },
    { name: 'openat', args: [AT_FDCWD, textArgument(TUN_PATH), flags] },
    ...socketsOf(wanted).map(([family, type]): ThreadCall => {
      return { name: 'socket', args: [family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0] }
    }),
  ]
  const [entered = -EPERM, ...fds] = tryOnThread(calls)
  if (entered < 0) return undefined
  const failed = fds.at(-1)!
  if (failed < 0) {
    closeAll(fds.slice(0, -1))
    if (fds.length === 1) must(failed, 'open', `cannot open ${TUN_PATH}`)
    must(failed, 'socket', NO_SOCKET)
  }
  return insideOf(wanted, fds[0]!, fds.slice(1))
}

/** Where code may not be made at run time, there are other ways. */
function tryOnThread(calls: readonly ThreadCall[]): number[] {
  try {
    return callOnThread(calls)
  } catch {
    return []
  }
}
