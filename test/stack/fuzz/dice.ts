/** What happens next, by a seed. */
import { seededRandom } from '../rig/random.ts'

export class Dice {
  readonly bits: () => number

  constructor(seed: number) {
    this.bits = seededRandom(seed)
  }

  /** An integer in [0, n). */
  below(n: number): number {
    return (this.bits() >>> 0) % n
  }

  /** An integer in [least, most]. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  chance(probability: number): boolean {
    return (this.bits() >>> 0) / 2 ** 32 < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  octets(len: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(len).map(() => this.bits())
  }

  /** A number of 32 bits: at the edges of things, or anything. */
  word(): number {
    return this.pick([0, 1, -1, 0x7fffffff, -0x80000000, 0xffff, this.bits(), this.bits()]) | 0
  }

  /** Octets of a text: nothing, a few, a segment, more than fits one. */
  len(): number {
    return this.pick([0, 0, 1, this.below(20), this.below(1460), 1460, this.below(9000)])
  }
}
