/**
 * From a 4-tuple to what handles it: open addressing in an Int32Array (DESIGN: 14 ns a look-up).
 *
 * A key is nine words: the guest's address, the host's address (four words each, IPv4 in its
 * v4-mapped form, so that both families are one case), and the ports: `guest << 16 | host`.
 */
export const KEY_WORDS = 9

export interface Keyed {
  readonly key: Int32Array
}

/** Words 0–1 and 4–5 are 0, 2 and 6 are 0x0000ffff in an IPv4 key: RFC 4291 §2.5.5.2. */
export function key4(
  into: Int32Array,
  guestAddr: number,
  guestPort: number,
  hostAddr: number,
  hostPort: number,
): void {
  into[0] = into[1] = into[4] = into[5] = 0
  into[2] = into[6] = 0xffff
  into[3] = guestAddr
  into[7] = hostAddr
  into[8] = (guestPort << 16) | hostPort
}

/** Is the key of IPv4? A guest's IPv6 address is never of the mapped form. */
export const isIpv4 = (key: Int32Array): boolean =>
  key[2] === 0xffff && key[0] === 0 && key[1] === 0

export class FlowTable<T extends Keyed> {
  /** How many entries there are. */
  size = 0
  readonly #seed: number
  readonly #entries: (T | undefined)[] = []
  readonly #free: number[] = []
  /** An index into `#entries` plus 1, or 0. Its length is a power of two. */
  #slots: Int32Array = new Int32Array(64)

  /** `seed`: 32 random bits, so that nobody can choose keys that collide. */
  constructor(seed: number) {
    this.#seed = seed | 1
  }

  get(key: Int32Array): T | undefined {
    const slot = this.#find(key)
    const entry = this.#slots[slot]!
    return entry === 0 ? undefined : this.#entries[entry - 1]
  }

  /** Adds `item`, whose key is not there yet. */
  add(item: T): void {
    if (2 * (this.size + 1) > this.#slots.length) this.#grow()
    const index = this.#free.pop() ?? this.#entries.length
    this.#entries[index] = item
    this.#slots[this.#find(item.key)] = index + 1
    this.size++
  }

  delete(item: T): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let hole = this.#find(item.key)
    const entry = slots[hole]!
    if (entry === 0 || this.#entries[entry - 1] !== item) return
    this.#entries[entry - 1] = undefined
    this.#free.push(entry - 1)
    this.size--
    // Backward shift: what probed past the hole moves up into it.
    for (let i = (hole + 1) & mask; slots[i] !== 0; i = (i + 1) & mask) {
      const home = this.#hash(this.#entries[slots[i]! - 1]!.key) & mask
      if (((i - home) & mask) >= ((i - hole) & mask)) {
        slots[hole] = slots[i]!
        hole = i
      }
    }
    slots[hole] = 0
  }

  /** A list of all entries, as they are now. */
  entries(): T[] {
    return this.#entries.filter((item) => item !== undefined)
  }

  /** The slot that holds `key`, or the empty one in which it would stand. */
  #find(key: Int32Array): number {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let i = this.#hash(key) & mask; ; i = (i + 1) & mask) {
      const entry = slots[i]!
      if (entry === 0 || equals(this.#entries[entry - 1]!.key, key)) return i
    }
  }

  #hash(key: Int32Array): number {
    let h = this.#seed
    h = Math.imul(h ^ key[8]!, 0x9e3779b1)
    h = Math.imul(h ^ (h >>> 15) ^ key[7]!, 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13) ^ key[3]!, 0xc2b2ae35)
    if (key[2] !== 0xffff) {
      for (const i of [0, 1, 2, 4, 5, 6]) h = Math.imul(h ^ (h >>> 14) ^ key[i]!, 0x27d4eb2f)
    }
    return h ^ (h >>> 16)
  }

  #grow(): void {
    this.#slots = new Int32Array(2 * this.#slots.length)
    for (let i = 0; i < this.#entries.length; i++) {
      const item = this.#entries[i]
      if (item !== undefined) this.#slots[this.#find(item.key)] = i + 1
    }
  }
}

function equals(a: Int32Array, b: Int32Array): boolean {
  return (
    a[8] === b[8] &&
    a[3] === b[3] &&
    a[7] === b[7] &&
    a[2] === b[2] &&
    a[6] === b[6] &&
    a[0] === b[0] &&
    a[1] === b[1] &&
    a[4] === b[4] &&
    a[5] === b[5]
  )
}
