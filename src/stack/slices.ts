/**
 * A list of places in one memory: what an iovec array is to the kernel, without pointers.
 *
 * Made once and overwritten for each frame or read; `sys` turns it into `struct iovec`s, a test
 * or a browser copies the octets it names.
 */
export class Slices {
  readonly at: Int32Array
  readonly len: Int32Array
  /** How many slices are in use. */
  count = 0
  /** The sum of their lengths, in octets. */
  total = 0

  constructor(most: number) {
    this.at = new Int32Array(most)
    this.len = new Int32Array(most)
  }

  clear(): void {
    this.count = 0
    this.total = 0
  }

  push(at: number, len: number): void {
    this.at[this.count] = at
    this.len[this.count] = len
    this.count++
    this.total += len
  }

  /** The places of the first `len` octets of another list. */
  pushFirst(len: number, { at, len: lens, count }: Slices): void {
    for (let i = 0; len > 0 && i < count; i++) {
      const n = Math.min(len, lens[i]!)
      this.push(at[i]!, n)
      len -= n
    }
  }
}
