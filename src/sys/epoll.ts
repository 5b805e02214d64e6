/**
 * An epoll set: which of our descriptors have something to tell, and when to stop waiting.
 *
 * A token is what comes back with an event: 32 bits of the caller's choosing. It should carry a slot
 * and a generation, not the descriptor: a number that was closed is given out again at once, and an
 * event of the old one can still be in the same batch.
 */
import { Arena, addressOf } from './arena.ts'
import { EINTR, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from './constants.ts'
import { must } from './errors.ts'
import { close } from './io.ts'
import { libc } from './libc.ts'

/** struct epoll_event is packed on x86-64 only; `data` is at its end. */
const EVENT_LEN = process.arch === 'x64' ? 12 : 16
const DATA = EVENT_LEN - 8
const LONGEST = 0x7fffffff

export class Epoll {
  readonly fd: number
  readonly #most: number
  /** The first place is the argument of epoll_ctl, the others are what epoll_wait fills. */
  readonly #view: DataView
  readonly #change: number
  readonly #ready: number

  /** The events lie in the arena given, or in one of the set's own. */
  constructor(arena?: Arena, maxEvents = 256) {
    const len = (maxEvents + 1) * EVENT_LEN
    arena ??= new Arena(len)
    const at = arena.reserve(len, 8)
    this.#most = maxEvents
    this.#view = new DataView(arena.bytes.buffer, at, len)
    this.#change = addressOf(arena, at, len)
    this.#ready = this.#change + EVENT_LEN
    const fd = libc().epoll_create1(EPOLL_CLOEXEC)
    this.fd = fd < 0 ? must(-libc().errno(), 'epoll_create1') : fd
  }

  /** 0 or -errno, as the two after it. */
  add(fd: number, events: number, token: number): number {
    return this.#control(EPOLL_CTL_ADD, fd, events, token)
  }

  modify(fd: number, events: number, token: number): number {
    return this.#control(EPOLL_CTL_MOD, fd, events, token)
  }

  /** Closing the last descriptor of a file removes it, too. */
  remove(fd: number): number {
    return this.#control(EPOLL_CTL_DEL, fd, 0, 0)
  }

  /**
   * Sleeps until something is ready, at most `timeoutMs` (rounded up; Infinity is for ever). Returns
   * how many events there are, 0 when time is up or a signal came, or -errno.
   */
  wait(timeoutMs: number): number {
    const timeout =
      timeoutMs === Infinity ? -1 : Math.min(LONGEST, Math.max(0, Math.ceil(timeoutMs)))
    const n = libc().epoll_wait(this.fd, this.#ready, this.#most, timeout)
    if (n >= 0) return n
    const errno = libc().errno()
    return errno === EINTR ? 0 : -errno
  }

  /** What event number `i` of the last `wait` says: EPOLLIN, EPOLLOUT, … */
  events(i: number): number {
    return this.#view.getUint32((i + 1) * EVENT_LEN, true)
  }

  token(i: number): number {
    return this.#view.getUint32((i + 1) * EVENT_LEN + DATA, true)
  }

  close(): void {
    close(this.fd)
  }

  #control(operation: number, fd: number, events: number, token: number): number {
    this.#view.setUint32(0, events, true)
    this.#view.setUint32(DATA, token, true)
    const n = libc().epoll_ctl(this.fd, operation, fd, this.#change)
    return n < 0 ? -libc().errno() : 0
  }
}
