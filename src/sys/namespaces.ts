/**
 * Namespaces and descriptors of other processes.
 *
 * `setns` moves the calling thread alone. A Node process has threads from its first moment, so a
 * user namespace is refused to it (EINVAL); and a thread that enters a network namespace can only
 * come back when it may enter its own, too. `mayReturn` asks that beforehand.
 */
import { CLONE_NEWNET, NS_GET_NSTYPE, NS_GET_USERNS, O_RDONLY } from './constants.ts'
import { must } from './errors.ts'
import { close, failure, open } from './io.ts'
import { tryIoctlValue } from './ioctl.ts'
import { libc } from './libc.ts'

// Of the generic table: the same on x86-64 and arm64, and not all C libraries have wrappers.
const SYS_PIDFD_OPEN = 434
const SYS_PIDFD_GETFD = 438

/** Moves this thread. 0 or -errno. */
export function setns(fd: number, type: number): number {
  return result(libc().setns(fd, type))
}

/** 0 or -errno. */
export function unshare(flags: number): number {
  return result(libc().unshare(flags))
}

/** The network namespace of this thread, as an open descriptor. */
export function ownNetns(): number {
  return open('/proc/thread-self/ns/net', O_RDONLY)
}

/** May this thread go into another network namespace and come back? Asked by going where it is. */
export function mayReturn(): boolean {
  const own = ownNetns()
  const entered = setns(own, CLONE_NEWNET)
  close(own)
  return entered === 0
}

/**
 * A descriptor of the user namespace that owns the namespace `fd`, or -errno: -EPERM when that is
 * not ours or a descendant of ours, -ENOTTY when `fd` is no namespace.
 */
export function owningUserns(fd: number): number {
  return tryIoctlValue(fd, NS_GET_USERNS, 0)
}

/** What kind of namespace the descriptor is, CLONE_NEWNET, …; -errno when it is none. */
export function namespaceType(fd: number): number {
  return tryIoctlValue(fd, NS_GET_NSTYPE, 0)
}

export function pidfdOpen(pid: number): number {
  const fd = Number(libc().syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0, 0, 0))
  return fd < 0 ? must(-libc().errno(), 'pidfd_open') : fd
}

/** Takes over descriptor `fd` of the process: ours is another number for the same open file. */
export function pidfdGetfd(pidfd: number, fd: number): number {
  for (;;) {
    const got = Number(libc().syscall(SYS_PIDFD_GETFD, pidfd, fd, 0, 0, 0, 0))
    if (got >= 0) return got
    const failed = failure()
    if (failed < 0) return must(failed, 'pidfd_getfd')
  }
}

function result(n: number): number {
  return n < 0 ? -libc().errno() : n
}
