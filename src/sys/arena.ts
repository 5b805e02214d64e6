/**
 * Memory that the kernel reads and writes: one large buffer whose address is known as a number, so
 * that a system call takes `address + at` and nothing is marshalled per call.
 *
 * The address never leaves this folder. Everything outside says (arena, at, len), and `addressOf`
 * is the one place that looks whether these octets exist: a wrong offset here would be a write by
 * the kernel, of a length that the guest chose, somewhere in the embedding program.
 */
import { libc } from './libc.ts'

let baseOf: (arena: Arena) => number

/** Ours: for fewer a call takes longer than to copy them. */
const MANY = 1024

export class Arena {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly size: number
  /** How much is reserved, from the start. */
  used = 0
  readonly #base: number

  /**
   * Pages are taken from the system when they are touched, not now. V8 counts them at once, and
   * collects garbage when buffers have grown by 64 MiB: 4 ms of a start. Memory that is not to be
   * counted is shared memory; out of that and into it V8 copies slowly, but `copy` does not.
   */
  constructor(size: number, isCounted = true) {
    if (!Number.isSafeInteger(size) || size <= 0) throw new RangeError(`arena of ${size} octets`)
    const buffer = isCounted ? new ArrayBuffer(size) : new SharedArrayBuffer(size)
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.size = size
    this.#base = Number(libc().address(this.bytes))
  }

  /** Copies `len` octets within it, as `bytes.copyWithin` does, but for many of them by memmove(3). */
  copy(to: number, from: number, len: number): void {
    const target = addressOf(this, to, len)
    const source = addressOf(this, from, len)
    if (len < MANY) this.bytes.copyWithin(to, from, from + len)
    else libc().memmove(target, source, len)
  }

  /** Takes `len` octets for good, at a multiple of `align`; returns where they start. */
  reserve(len: number, align = 64): number {
    const at = Math.ceil(this.used / align) * align
    if (!(len >= 0) || at + len > this.size) {
      throw new RangeError(`arena of ${this.size} octets has no room for ${len} at ${at}`)
    }
    this.used = at + len
    return at
  }

  static {
    baseOf = (arena) => arena.#base
  }
}

/**
 * The address of `len` octets at `at`, checked. The length asked is that of `bytes`, not `size`: of a
 * buffer that somebody transferred to another thread it is 0 (a shared one cannot be).
 */
export function addressOf(arena: Arena, at: number, len: number): number {
  if (!(at >= 0 && len >= 0 && at + len <= arena.bytes.length)) throw outside(arena, at, len)
  return baseOf(arena) + at
}

function outside(arena: Arena, at: number, len: number): RangeError {
  return new RangeError(`${len} octets at ${at} are not in an arena of ${arena.bytes.length}`)
}
