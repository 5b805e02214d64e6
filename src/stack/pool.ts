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
  /**
   * So many are left for what is received. Had sending everything, two ends that both wait for room
   * would wait for ever: neither could take the text that its acknowledgments come with.
   */
  readonly forReceiving: number
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
    this.forReceiving = this.size > 1 ? Math.ceil(this.size / 8) : 0
    this.#chunks = new Int32Array(this.size)
  }

  /** Where a free chunk starts, or -1 when there is none but the `left` ones. */
  take(left = 0): number {
    if (this.free <= left) return -1
    this.free--
    if (this.#returned > 0) return this.#chunks[--this.#returned]!
    return this.#at + CHUNK * this.#fresh++
  }

  /**
   * How much of a buffer one of many may fill: the less is free, the less. So a few may have whole
   * buffers, thousands that nobody reads leave a chunk for each, and none of them stops the others.
   */
  share(buffer: number): number {
    const free = this.free / this.size
    return Math.min(buffer, Math.max(CHUNK, Math.floor(buffer * free * free * free)))
  }

  give(chunk: number): void {
    this.#chunks[this.#returned++] = chunk
    this.free++
  }
}
