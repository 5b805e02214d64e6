/**
 * A queue of octets in chunks of the pool: the send and the receive buffer of a connection.
 *
 *        first                         length
 *   ┌──────┼───────┬──────────────┬──────┼───────┐
 *   │ gone │ octet 0 …            │      │ room  │    chunks of 16 KiB
 *   └──────┴───────┴──────────────┴──────┴───────┘
 *
 * Offsets count from the oldest octet. The send side writes by `room` and `commit` (the host's
 * `recv` fills the places directly); the receive side writes by `write`, also beyond what is
 * there, and leaves holes that its assembler knows of. An empty queue owns no chunk.
 */
import type { Memory } from './link.ts'
import { CHUNK, type Pool } from './pool.ts'
import type { Slices } from './slices.ts'

const HOLE = -1

export class OctetQueue {
  /** Octets from the oldest to the newest, holes included. */
  length = 0
  readonly #memory: Memory
  readonly #pool: Pool
  /** Where each chunk is, or HOLE: what came ahead of its turn has chunks only where it is. */
  readonly #chunks: number[] = []
  /** Where in the first chunk octet 0 is. */
  #first = 0

  constructor(memory: Memory, pool: Pool) {
    this.#memory = memory
    this.#pool = pool
  }

  /**
   * Makes places for octets [from, end), or for as many of them as the pool has chunks for, beside the
   * `left` that it keeps. Says where they end.
   */
  grow(from: number, end: number, left = 0): number {
    const chunks = this.#chunks
    const last = Math.ceil((this.#first + end) / CHUNK)
    for (let i = Math.floor((this.#first + from) / CHUNK); i < last; i++) {
      while (chunks.length <= i) chunks.push(HOLE)
      if (chunks[i] !== HOLE) continue
      const chunk = this.#pool.take(left)
      if (chunk < 0) return Math.max(from, i * CHUNK - this.#first)
      chunks[i] = chunk
    }
    return end
  }

  /** Copies `len` octets of memory to `offset`; `grow` came before. */
  write(offset: number, at: number, len: number): void {
    let place = this.#first + offset
    let left = len
    while (left > 0) {
      const within = place % CHUNK
      const n = Math.min(left, CHUNK - within)
      this.#memory.copy(this.#chunks[(place - within) / CHUNK]! + within, at, n)
      at += n
      place += n
      left -= n
    }
    if (offset + len > this.length) this.length = offset + len
  }

  /** Adds the places of [offset, offset + len) to `into`, as far as it has slices free. */
  slices(offset: number, len: number, into: Slices): void {
    let place = this.#first + offset
    const most = into.at.length
    while (len > 0 && into.count < most) {
      const within = place % CHUNK
      const n = Math.min(len, CHUNK - within)
      into.push(this.#chunks[(place - within) / CHUNK]! + within, n)
      place += n
      len -= n
    }
  }

  /** Adds free places behind the newest octet to `into`, at most `len` octets or what the pool has; `commit` follows. */
  room(len: number, into: Slices): void {
    const end = this.grow(this.length, this.length + len, this.#pool.forReceiving)
    this.slices(this.length, end - this.length, into)
  }

  /** The first `len` octets of the room are filled; the rest of it goes back. */
  commit(len: number): void {
    this.length += len
    if (this.length === 0) return this.clear()
    const needed = Math.ceil((this.#first + this.length) / CHUNK)
    while (this.#chunks.length > needed) this.#give(this.#chunks.pop()!)
  }

  /** Forgets the oldest `len` octets. */
  drop(len: number): void {
    this.length -= len
    if (this.length <= 0) return this.clear()
    this.#first += len
    while (this.#first >= CHUNK) {
      this.#give(this.#chunks.shift()!)
      this.#first -= CHUNK
    }
  }

  /** Forgets what is beyond the oldest `len` octets. */
  truncate(len: number): void {
    this.length = len
    this.commit(0)
  }

  clear(): void {
    while (this.#chunks.length > 0) this.#give(this.#chunks.pop()!)
    this.length = 0
    this.#first = 0
  }

  #give(chunk: number): void {
    if (chunk !== HOLE) this.#pool.give(chunk)
  }
}
