/**
 * The structures that system calls want besides the octets: iovecs, addresses, message headers,
 * option values. They lie in an arena of this folder that nobody outside can see, since iovecs hold
 * raw addresses. Each thread has its own, and each call fills its part anew: no call is pending
 * while another one is made.
 */
import { Arena, addressOf } from './arena.ts'

/** The most slices of one readv, writev or sendmsg (ours; the kernel takes 1,024). */
export const MAX_IOVECS = 64

// The map of the scratch arena. sizeof(struct iovec) is 16, of msghdr 56, of sockaddr_in6 28.
const IOVECS = 0
/** Where an address starts, and 32 octets further a second one. */
export const SOCKADDR: number = IOVECS + MAX_IOVECS * 16
export const SOCKADDR_2: number = SOCKADDR + 32
/** A length that the kernel reads and writes (socklen_t), or an int option. */
export const LENGTH: number = SOCKADDR_2 + 32
export const VALUE: number = LENGTH + 16
export const MSGHDR: number = VALUE + 16
export const CONTROL: number = MSGHDR + 64
export const CONTROL_LEN = 512
/** The argument of an ioctl, a path, a pair of descriptors. */
export const BLOCK: number = CONTROL + CONTROL_LEN
export const BLOCK_LEN = 4352
const SIZE = BLOCK + BLOCK_LEN

/** What a readv or writev is about, as the stack's `Slices`: places in an arena. */
export interface Places {
  readonly at: Int32Array
  readonly len: Int32Array
  readonly count: number
}

export interface Scratch {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** The address of everything in it: `base + SOCKADDR`. */
  readonly base: number
  readonly iovecs: Int32Array
}

let made: Scratch | undefined

export function scratch(): Scratch {
  if (made === undefined) made = make()
  return made
}

function make(): Scratch {
  const arena = new Arena(SIZE)
  return {
    bytes: arena.bytes,
    view: arena.view,
    base: addressOf(arena, 0, SIZE),
    iovecs: new Int32Array(arena.bytes.buffer, IOVECS, MAX_IOVECS * 4),
  }
}

const INVERSE_OF_2_32 = 1 / 0x1_0000_0000

/**
 * Writes the slices as iovecs and returns the address of the first. An Int32Array stores a number
 * modulo 2^32: that is the low half of an address, without a BigInt.
 */
export function fillIovecs(arena: Arena, slices: Places): number {
  return fill(arena, slices, 0)
}

/** The same behind [at, at + len): one iovec more than there are slices. */
export function fillPrefixedIovecs(arena: Arena, at: number, len: number, slices: Places): number {
  fillIovec(arena, at, len)
  return fill(arena, slices, 1)
}

function fill(arena: Arena, slices: Places, first: number): number {
  const { iovecs, base } = scratch()
  const count = slices.count
  if (!(count + first <= MAX_IOVECS)) throw new RangeError(`${count} slices are too many`)
  for (let i = 0, word = first * 4; i < count; i++, word += 4) {
    const len = slices.len[i]!
    const address = addressOf(arena, slices.at[i]!, len)
    iovecs[word] = address
    iovecs[word + 1] = address * INVERSE_OF_2_32
    iovecs[word + 2] = len
  }
  return base + IOVECS
}

/** One iovec; returns its address. */
export function fillIovec(arena: Arena, at: number, len: number): number {
  const { iovecs, base } = scratch()
  const address = addressOf(arena, at, len)
  iovecs[0] = address
  iovecs[1] = address * INVERSE_OF_2_32
  iovecs[2] = len
  return base + IOVECS
}

/** One iovec of the BLOCK, for messages whose octets do not matter; returns its address. */
export function fillIovecOfBlock(): number {
  const { view, base } = scratch()
  setPointer(view, IOVECS, base + BLOCK)
  view.setInt32(IOVECS + 8, BLOCK_LEN, true)
  return base + IOVECS
}

/** Writes an address where a structure has a pointer. */
export function setPointer(view: DataView, at: number, address: number): void {
  view.setInt32(at, address, true)
  view.setInt32(at + 4, address * INVERSE_OF_2_32, true)
}
