/**
 * Several reads with one system call: io_uring(7).
 *
 * A system call costs something before it has done anything: 0.1 µs on the machine itself, 2 µs in some virtual machines,
 * where a frame of 64 KiB is copied in 6. The kernel takes the entries of the queue in order, while we are in
 * io_uring_enter(2), and with RWF_NOWAIT none of them waits: when it returns, all have their results.
 *
 * It can do nothing but read, and so gives nobody a way around a seccomp filter that is set later (control/seccomp.ts).
 *
 * The ring lies in pages that are given to the kernel (IORING_SETUP_NO_MMAP). They come from the
 * system, not from malloc(3): the kernel ends a ring some time after `close` has returned, or after
 * its thread has ended and the memory of that was given to others, and then writes into it once
 * more (io_commit_cqring). Pages of a thread that ends without `close` stay until the process ends,
 * as the descriptor does.
 */
import { type Arena, addressOf } from './arena.ts'
import { EAGAIN } from './constants.ts'
import { close } from './io.ts'
import { libc } from './libc.ts'
import { mapPages, unmapPages } from './pages.ts'
import { setPointer } from './scratch.ts'
import { architecture, numberOf, syscall } from './syscalls.ts'

// <linux/io_uring.h>
const IORING_SETUP_R_DISABLED = 1 << 6
const IORING_SETUP_SUBMIT_ALL = 1 << 7
const IORING_SETUP_COOP_TASKRUN = 1 << 8
const IORING_SETUP_SINGLE_ISSUER = 1 << 12
const IORING_SETUP_NO_MMAP = 1 << 14
/** Of Linux 6.6, and so are the others then. */
const IORING_SETUP_NO_SQARRAY = 1 << 16
const SETUP =
  IORING_SETUP_R_DISABLED |
  IORING_SETUP_SUBMIT_ALL |
  IORING_SETUP_COOP_TASKRUN |
  IORING_SETUP_SINGLE_ISSUER |
  IORING_SETUP_NO_MMAP |
  IORING_SETUP_NO_SQARRAY

const IORING_REGISTER_RESTRICTIONS = 11
const IORING_REGISTER_ENABLE_RINGS = 12
const IORING_RESTRICTION_REGISTER_OP = 0
const IORING_RESTRICTION_SQE_OP = 1
const IORING_OP_READ = 22
const RWF_NOWAIT = 8

// struct io_uring_params, and within it io_sqring_offsets and io_cqring_offsets
const FLAGS = 8
const SQ_TAIL = 40 + 4
const SQ_RING_MASK = 40 + 8
const SQ_USER_ADDR = 40 + 32
const CQ_HEAD = 80
const CQ_TAIL = 80 + 4
const CQ_RING_MASK = 80 + 8
const CQ_CQES = 80 + 20
const CQ_USER_ADDR = 80 + 32
const PARAMS_LEN = 120
/** struct io_uring_restriction: what it restricts, and to what. */
const RESTRICTION_LEN = 16
/** To reads, and to what has to be said last, and can be said once. */
const RESTRICTIONS = [
  [IORING_RESTRICTION_SQE_OP, IORING_OP_READ],
  [IORING_RESTRICTION_REGISTER_OP, IORING_REGISTER_ENABLE_RINGS],
] as const

const SQE_LEN = 64
const CQE_LEN = 16
/** Ours: its entries and its results fit a page of 4 KiB each. */
export const MOST_READS = 64
/** Whole pages are given away, the largest that Linux has here. */
const PAGE = 64 * 1024
// What lies in them.
const RINGS = 0
const SQES = PAGE
const PARAMS = 2 * PAGE
const RESTRICTED = PARAMS + PARAMS_LEN
const PAGES_LEN = 3 * PAGE

/** Of a ring that was closed: its pages are not there any more. */
const NOTHING = new DataView(new ArrayBuffer(0))

/** The pages, which are given back where the runtime lets nobody see them (Electron). */
function viewOf(pages: number): DataView | undefined {
  try {
    return new DataView(libc().view(pages, PAGES_LEN))
  } catch {
    unmapPages(pages, PAGES_LEN)
    return undefined
  }
}

export class ReadRing {
  readonly fd: number
  readonly #pages: number
  #view: DataView
  readonly #enter = numberOf('io_uring_enter', architecture())
  readonly #sqTailAt: number
  readonly #sqMask: number
  readonly #cqHeadAt: number
  readonly #cqTailAt: number
  readonly #cqMask: number
  readonly #cqesAt: number
  #tail = 0

  /**
   * Undefined where there is none: before Linux 6.6, where sysctl kernel.io_uring_disabled or a seccomp filter (Docker has one)
   * says so, in a runtime that shows no foreign memory, and for want of memory. It is for the thread that opens it.
   */
  static open(): ReadRing | undefined {
    const pages = mapPages(PAGES_LEN)
    if (pages < 0) return undefined
    const view = viewOf(pages)
    if (view === undefined) return undefined
    view.setUint32(PARAMS + FLAGS, SETUP, true)
    setPointer(view, PARAMS + SQ_USER_ADDR, pages + SQES)
    setPointer(view, PARAMS + CQ_USER_ADDR, pages + RINGS)
    const fd = syscall('io_uring_setup', MOST_READS, pages + PARAMS)
    if (fd < 0) {
      unmapPages(pages, PAGES_LEN)
      return undefined
    }
    const ring = new ReadRing(fd, pages, view)
    if (ring.#restrict()) return ring
    ring.close()
    return undefined
  }

  private constructor(fd: number, pages: number, view: DataView) {
    const at = (field: number): number => RINGS + view.getUint32(PARAMS + field, true)
    this.fd = fd
    this.#pages = pages
    this.#view = view
    this.#sqTailAt = at(SQ_TAIL)
    this.#sqMask = view.getUint32(at(SQ_RING_MASK), true)
    this.#cqHeadAt = at(CQ_HEAD)
    this.#cqTailAt = at(CQ_TAIL)
    this.#cqMask = view.getUint32(at(CQ_RING_MASK), true)
    this.#cqesAt = at(CQ_CQES)
  }

  /** Says what it may do, and enables it. */
  #restrict(): boolean {
    const view = this.#view
    for (const [i, [kind, operation]] of RESTRICTIONS.entries()) {
      const at = RESTRICTED + i * RESTRICTION_LEN
      view.setUint16(at, kind, true)
      view.setUint8(at + 2, operation)
    }
    const register = (...args: number[]): number => syscall('io_uring_register', this.fd, ...args)
    return (
      register(IORING_REGISTER_RESTRICTIONS, this.#pages + RESTRICTED, RESTRICTIONS.length) >= 0 &&
      register(IORING_REGISTER_ENABLE_RINGS) >= 0
    )
  }

  /**
   * Reads `count` times (at most `MOST_READS`) from `fd`, up to `len` octets each, to `at`, `at + len`, … in the arena. What each
   * brought, n or -errno (-EAGAIN: nothing was there), goes into `results` from `first` on. Returns 0 or -errno; then
   * nothing was read.
   */
  read(
    fd: number,
    arena: Arena,
    at: number,
    len: number,
    count: number,
    results: Int32Array,
    first: number,
  ): number {
    if (!(count <= MOST_READS && first >= 0 && first + count <= results.length)) {
      throw new RangeError(`${count} reads are too many`)
    }
    const view = this.#view
    for (let i = 0; i < count; i++) {
      const sqe = SQES + ((this.#tail + i) & this.#sqMask) * SQE_LEN
      view.setUint32(sqe, IORING_OP_READ, true)
      view.setInt32(sqe + 4, fd, true)
      setPointer(view, sqe + 16, addressOf(arena, at + i * len, len))
      view.setUint32(sqe + 24, len, true)
      view.setUint32(sqe + 28, RWF_NOWAIT, true)
      view.setUint32(sqe + 32, first + i, true)
      results[first + i] = -EAGAIN
    }
    view.setUint32(this.#sqTailAt, this.#tail + count, true)
    const n = libc().syscall(this.#enter, this.fd, count, 0, 0, 0, 0)
    this.#tail = (this.#tail + Math.max(0, n)) >>> 0
    // Where it took fewer, it has not seen the others.
    view.setUint32(this.#sqTailAt, this.#tail, true)
    if (n < 0) return -libc().errno()
    this.#take(results)
    return 0
  }

  #take(results: Int32Array): void {
    const view = this.#view
    const tail = view.getUint32(this.#cqTailAt, true)
    let head = view.getUint32(this.#cqHeadAt, true)
    for (; head !== tail; head = (head + 1) >>> 0) {
      const cqe = this.#cqesAt + (head & this.#cqMask) * CQE_LEN
      results[view.getUint32(cqe, true)] = view.getInt32(cqe + 8, true)
    }
    view.setUint32(this.#cqHeadAt, head, true)
  }

  /** Afterwards it cannot be used. Closing it again does nothing: its pages are somebody else's. */
  close(): void {
    if (this.#view === NOTHING) return
    close(this.fd)
    unmapPages(this.#pages, PAGES_LEN)
    this.#view = NOTHING
  }
}
