/**
 * One IPv4 datagram that is put together from fragments (RFC 791 §3.2).
 *
 *   0        60 - IHL          60                                   65,575
 *   |        | the first one's | text, each fragment at its offset  |
 *   |        | header          |                                    |
 *
 * A bit for every eight octets of text says what came. As fragments never overlap here, all have
 * come when their lengths add up to the length that the last one tells; so neither the order nor
 * the number of fragments costs anything. RFC 815 keeps a list of holes instead.
 */
import type { Memory } from './link.ts'
import * as ipv4 from './wire/ipv4.ts'

/** Where the text is: room for the longest header before it. */
const TEXT = 60
/** The longest text: the total length has 16 bits, and counts a header of 20 octets at least. */
export const MAX_TEXT: number = ipv4.MAX_LEN - ipv4.HEADER_LEN
/** Octets that a datagram takes, whatever its length. */
export const SLOT_LEN: number = TEXT + MAX_TEXT + 1
/** 32-bit words of the map. */
const MAP_WORDS = Math.ceil(MAX_TEXT / 8 / 32)

/** What a fragment is to a datagram. */
export type Placed = 'added' | 'repeated' | 'overlapping'

/** When complete, a packet at [at, end) of `bytes`, **borrowed** until the next call. */
export class Reassembly {
  readonly bytes: Uint8Array = new Uint8Array(SLOT_LEN)
  readonly view: DataView = new DataView(this.bytes.buffer)
  /** Where the header starts, and the text that came with it ends; 0 until the first came. */
  at = 0
  end = 0

  /** Are fragments missing? When not, and not borrowed, the slot is free. */
  isOpen = false
  /** When it is given up, in ms. */
  deadline: number = Infinity
  #src = 0
  #dst = 0
  #id = 0
  #protocol = 0
  /** Octets of text that came, and the end of the furthest of them. */
  #received = 0
  #highest = 0
  /** Octets of text there are, once the last fragment came; before, 0. */
  #textLen = 0
  readonly #map: Int32Array = new Int32Array(MAP_WORDS)

  /** Makes this the datagram of the fragment whose header is at `at`. */
  open(v: DataView, at: number, deadline: number): void {
    this.#src = ipv4.src(v, at)
    this.#dst = ipv4.dst(v, at)
    this.#id = ipv4.id(v, at)
    this.#protocol = ipv4.protocol(v, at)
    this.isOpen = true
    this.deadline = deadline
    this.at = 0
    this.end = 0
    this.#received = 0
    this.#highest = 0
    this.#textLen = 0
    this.#map.fill(0)
  }

  /** Is the fragment one of this datagram (RFC 791 §3.2)? */
  isOf(v: DataView, at: number): boolean {
    return (
      this.#id === ipv4.id(v, at) &&
      this.#src === ipv4.src(v, at) &&
      this.#dst === ipv4.dst(v, at) &&
      this.#protocol === ipv4.protocol(v, at)
    )
  }

  /** Places the fragment at `at` with its text at [text, end), which is not empty. */
  place(bytes: Uint8Array, v: DataView, at: number, text: number, end: number): Placed {
    const from = ipv4.fragmentOffset(v, at)
    const to = from + end - text
    const isLast = !ipv4.moreFragments(v, at)
    if (this.#contradicts(to, isLast)) return 'overlapping'
    if (!this.#isFree(from, to)) {
      return this.#holds(from, bytes, text, end) ? 'repeated' : 'overlapping'
    }
    this.#mark(from, to)
    this.bytes.set(bytes.subarray(text, end), TEXT + from)
    if (from === 0) {
      this.at = TEXT + at - text
      this.end = TEXT + to
      this.bytes.set(bytes.subarray(at, text), this.at)
    }
    if (isLast) this.#textLen = to
    this.#highest = Math.max(this.#highest, to)
    this.#received += to - from
    return 'added'
  }

  isComplete(): boolean {
    return this.#received === this.#textLen
  }

  /** Makes the header that of the whole. False when the whole is too long for one. */
  finish(): boolean {
    this.end = TEXT + this.#textLen
    const total = this.end - this.at
    if (total > ipv4.MAX_LEN) return false
    this.view.setUint16(this.at + 2, total)
    this.view.setUint16(this.at + 6, 0) // flags and fragment offset
    ipv4.emitChecksum(this.bytes, this.view, this.at)
    return true
  }

  /** Copies the packet to `at` of another memory; returns its end there. */
  copyTo(memory: Memory, at: number): number {
    memory.bytes.set(this.bytes.subarray(this.at, this.end), at)
    return at + this.end - this.at
  }

  /** Does a fragment that ends at `to` say something else about where the datagram ends? */
  #contradicts(to: number, isLast: boolean): boolean {
    if (this.#textLen === 0) return isLast && to <= this.#highest
    return isLast ? to !== this.#textLen : to >= this.#textLen
  }

  /** Is nothing there yet of [from, to)? */
  #isFree(from: number, to: number): boolean {
    for (let word = from >>> 8; word << 8 < to; word++) {
      if ((this.#map[word]! & maskOf(word, from, to)) !== 0) return false
    }
    return true
  }

  #mark(from: number, to: number): void {
    for (let word = from >>> 8; word << 8 < to; word++) {
      this.#map[word]! |= maskOf(word, from, to)
    }
  }

  /** Came the text of [text, end) before, octet for octet? */
  #holds(from: number, bytes: Uint8Array, text: number, end: number): boolean {
    const to = from + end - text
    for (let word = from >>> 8; word << 8 < to; word++) {
      const mask = maskOf(word, from, to)
      if ((this.#map[word]! & mask) !== mask) return false
    }
    for (let i = TEXT + from; text < end; i++, text++) {
      if (this.bytes[i] !== bytes[text]) return false
    }
    return true
  }
}

/** The bits in one word of the map for the octets of [from, to) that it stands for. */
function maskOf(word: number, from: number, to: number): number {
  const low = Math.max(0, (from >>> 3) - (word << 5))
  const high = Math.min(32, ((to + 7) >>> 3) - (word << 5))
  return (high === 32 ? -1 : (1 << high) - 1) & (-1 << low)
}
