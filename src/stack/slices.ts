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
}
