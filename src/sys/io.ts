/**
 * Octets in and out of descriptors, and the descriptors themselves.
 *
 * The first functions are hot: they return n ≥ 0 or -errno, never throw for what the system says
 * and never allocate; EINTR is retried here. The others are cold and throw.
 */
import { type Arena, addressOf } from './arena.ts'
import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EINTR,
  EMFILE,
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  O_CLOEXEC,
  O_NONBLOCK,
} from './constants.ts'
import { must } from './errors.ts'
import { libc, ownFunction } from './libc.ts'
import {
  BLOCK,
  BLOCK_LEN,
  fillIovecs,
  fillPrefixedIovecs,
  type Places,
  scratch,
  VALUE,
} from './scratch.ts'

/** -errno of the call just made; 0 when it is to be made again. */
export function failure(): number {
  const errno = libc().errno()
  return errno === EINTR ? 0 : -errno
}

export function read(fd: number, arena: Arena, at: number, len: number): number {
  const address = addressOf(arena, at, len)
  for (;;) {
    const n = libc().read(fd, address, len)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

export function write(fd: number, arena: Arena, at: number, len: number): number {
  const address = addressOf(arena, at, len)
  for (;;) {
    const n = libc().write(fd, address, len)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

export function readv(fd: number, arena: Arena, slices: Places): number {
  const iovecs = fillIovecs(arena, slices)
  for (;;) {
    const n = libc().readv(fd, iovecs, slices.count)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

export function writev(fd: number, arena: Arena, slices: Places): number {
  const iovecs = fillIovecs(arena, slices)
  for (;;) {
    const n = libc().writev(fd, iovecs, slices.count)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

/** As `writev`, with the octets at [at, at + len) before those of the slices. */
export function prefixedWritev(
  fd: number,
  arena: Arena,
  at: number,
  len: number,
  slices: Places,
): number {
  const iovecs = fillPrefixedIovecs(arena, at, len, slices)
  for (;;) {
    const n = libc().writev(fd, iovecs, slices.count + 1)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

/** Adds one to an eventfd: whoever waits for it wakes up. Callable from any thread. */
export function eventfdSignal(fd: number): number {
  const { view, base } = scratch()
  view.setInt32(VALUE, 1, true)
  view.setInt32(VALUE + 4, 0, true)
  for (;;) {
    const n = libc().write(fd, base + VALUE, 8)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

/** Sets an eventfd back to 0. */
export function eventfdDrain(fd: number): number {
  for (;;) {
    const n = libc().read(fd, scratch().base + VALUE, 8)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}

/** Closes a descriptor. EINTR is not retried: on Linux it is closed then, too. */
export function close(fd: number): number {
  return libc().close(fd) < 0 ? -libc().errno() : 0
}

/** Makes `fd` another descriptor of what `source` is of; what it was is closed. */
export function replace(fd: number, source: number): void {
  checked(ownFunction('int dup2(int, int)')(source, fd), 'dup2')
}

/** From here on descriptors are not for flows. */
let reserved: number = Infinity

/**
 * Keeps descriptors from this number on for what is not a flow: a guest may ask for as many sockets as it likes, and must
 * not take the last ones. The kernel gives the lowest number that is free. It holds for the calling thread.
 */
export function reserveFrom(fd: number): void {
  reserved = fd
}

/** A flow's descriptor, just made, or -errno; -EMFILE, and closed again, when it is of the reserved ones. */
export function unreserved(fd: number): number {
  if (fd < reserved) return fd
  close(fd)
  return -EMFILE
}

export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) close(fd)
}

export function eventfd(): number {
  return checked(libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'eventfd')
}

/** A pipe: [read end, write end], both closed at exec. `flags`: O_NONBLOCK. */
export function pipe(flags = 0): [number, number] {
  checked(libc().pipe2(scratch().base + BLOCK, O_CLOEXEC | flags), 'pipe2')
  const { view } = scratch()
  return [view.getInt32(BLOCK, true), view.getInt32(BLOCK + 4, true)]
}

/** open(2), with O_CLOEXEC. */
export function open(path: string, flags: number, mode = 0): number {
  const { bytes, base } = scratch()
  const { written, read: taken } = new TextEncoder().encodeInto(
    path,
    bytes.subarray(BLOCK, BLOCK + BLOCK_LEN - 1),
  )
  if (taken < path.length || path.includes('\0')) throw new TypeError(`not a path: ${path}`)
  bytes[BLOCK + written] = 0
  for (;;) {
    const fd = libc().open(base + BLOCK, flags | O_CLOEXEC, mode)
    if (fd >= 0) return fd
    const failed = failure()
    if (failed < 0) must(failed, 'open', `cannot open ${path}`)
  }
}

export function setNonblocking(fd: number, on = true): void {
  const flags = checked(libc().fcntl(fd, F_GETFL, 0), 'fcntl(F_GETFL)')
  const wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
  if (wanted !== flags) checked(libc().fcntl(fd, F_SETFL, wanted), 'fcntl(F_SETFL)')
}

export function isNonblocking(fd: number): boolean {
  return (checked(libc().fcntl(fd, F_GETFL, 0), 'fcntl(F_GETFL)') & O_NONBLOCK) !== 0
}

/** Lets the descriptor live on in a program started by exec. */
export function clearCloexec(fd: number): void {
  const flags = checked(libc().fcntl(fd, F_GETFD, 0), 'fcntl(F_GETFD)')
  checked(libc().fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC), 'fcntl(F_SETFD)')
}

/** Is this number an open descriptor? */
export function isOpen(fd: number): boolean {
  return libc().fcntl(fd, F_GETFD, 0) >= 0
}

/** Has the other end hung up, or is it in error, or not open? Octets on it are not looked at. */
export function isHungUp(fd: number): boolean {
  const { view, base } = scratch()
  view.setInt32(BLOCK, fd, true)
  view.setInt32(BLOCK + 4, 0, true)
  return libc().poll(base + BLOCK, 1, 0) > 0
}

/** A second descriptor of the same file, at least `least`, closed at exec. */
export function dup(fd: number, least = 0): number {
  return checked(libc().fcntl(fd, F_DUPFD_CLOEXEC, least), 'fcntl(F_DUPFD_CLOEXEC)')
}

function checked(result: number, syscall: string): number {
  return result < 0 ? must(-libc().errno(), syscall) : result
}
