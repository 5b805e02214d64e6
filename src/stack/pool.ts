/**
 * Chunks of one size in the stack's memory, taken while octets are queued and given back when they
 * are gone: an idle connection owns none. A chunk is known by where it starts.
 *
 * Chunks are handed out last in, first out, so that what was just given back is warm in the cache,
 * and those never needed are never touched: their pages cost nothing.
 */
export const CHUNK = 16384

export class Pool {
  /** Chunks that may still be taken. */
  free: number
  readonly size: number
  readonly #at: number
  /** Chunks given back, a stack of `#returned` entries. */
  readonly #chunks: Int32Array
  #returned = 0
  /** Chunks from here on have never been taken. */
  #fresh = 0

  /** A pool of the whole chunks in [at, end). */
  constructor(at: number, end: number) {
    this.#at = at
    this.size = Math.max(0, Math.floor((end - at) / CHUNK))
    this.free = this.size
    this.#chunks = new Int32Array(this.size)
  }

  /** Where a free chunk starts, or -1 when there is none. */
  take(): number {
    if (this.free === 0) return -1
    this.free--
    if (this.#returned > 0) return this.#chunks[--this.#returned]!
    return this.#at + CHUNK * this.#fresh++
  }

  give(chunk: number): void {
    this.#chunks[this.#returned++] = chunk
    this.free++
  }
}
