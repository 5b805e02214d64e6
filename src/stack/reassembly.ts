/**
 * One datagram that is put together from fragments (RFC 791 §3.2, RFC 8200 §4.5).
 *
 *   0        60 - header       60                                   65,596
 *   |        | the first one's | text, each fragment at its offset  |
 *   |        | header          |                                    |
 *
 * A bit for every eight octets of text says what came. As fragments never overlap here, all have
 * come when their lengths add up to the length that the last one tells; so neither the order nor
 * the number of fragments costs anything. RFC 815 keeps a list of holes instead.
 */
import type { Memory } from './link.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'
import * as ipv6Fragment from './wire/ipv6-fragment.ts'

/** Where the text is: room for the longest header before it. */
const TEXT = 60
/** The longest text of IPv4: the total length has 16 bits, and counts a header of 20 octets at least. */
export const MAX_TEXT: number = ipv4.MAX_LEN - ipv4.HEADER_LEN
/** … and of IPv6, whose payload length does not count the header. */
export const MAX_TEXT6 = 65_535
/** Octets that a datagram takes, whatever its length. */
export const SLOT_LEN: number = TEXT + MAX_TEXT6 + 1
/** 32-bit words of the map. */
const MAP_WORDS = Math.ceil(MAX_TEXT6 / 8 / 32)
/** Words that tell datagrams apart: source, destination, identification, and for IPv4 the protocol. */
const ID = 8
const PROTOCOL = 9
const KEY_WORDS = 10

/** What a fragment is to a datagram. */
export type Placed = 'added' | 'repeated' | 'overlapping'

/** A fragment as read, of either version: made once and overwritten. Places are in its memory. */
export class Fragment {
  /** Which datagram it is of. */
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  /** Its header is at [header, headerEnd); its text, not empty, at [text, end). */
  header = 0
  headerEnd = 0
  text = 0
  end = 0
  /** Where the text lies in the whole. */
  offset = 0
  isLast = false
  /** The protocol of what the whole carries. */
  protocol = 0

  /** Reads the one in the packet at [at, end), for which `ipv4.check` is true. */
  read4(v: DataView, at: number, end: number): void {
    const { key } = this
    key.fill(0)
    key[3] = ipv4.src(v, at)
    key[7] = ipv4.dst(v, at)
    key[ID] = ipv4.id(v, at)
    key[PROTOCOL] = this.protocol = ipv4.protocol(v, at)
    this.header = at
    this.headerEnd = this.text = at + ipv4.headerLen(v, at)
    this.end = end
    this.offset = ipv4.fragmentOffset(v, at)
    this.isLast = !ipv4.moreFragments(v, at)
  }

  /**
   * Reads the one in the packet at [at, end) whose Fragment header is at `fragment`. The next header
   * does not tell datagrams apart. Extension headers before the Fragment header are for routers, and
   * left behind; deviates from RFC 8200 §4.5, which keeps them: nobody here reads them again.
   */
  read6(v: DataView, at: number, fragment: number, end: number): void {
    const { key } = this
    ipv6.readAddress(v, at + ipv6.SRC, key, 0)
    ipv6.readAddress(v, at + ipv6.DST, key, 4)
    key[ID] = ipv6Fragment.id(v, fragment)
    key[PROTOCOL] = 0
    this.header = at
    this.headerEnd = at + ipv6.HEADER_LEN
    this.text = fragment + ipv6Fragment.HEADER_LEN
    this.end = end
    this.offset = ipv6Fragment.offset(v, fragment)
    this.isLast = !ipv6Fragment.moreFragments(v, fragment)
    this.protocol = ipv6Fragment.nextHeader(v, fragment)
  }
}

/** When complete, a packet at [at, end) of `bytes`, **borrowed** until the next call. */
export class Reassembly {
  readonly bytes: Uint8Array = new Uint8Array(SLOT_LEN)
  readonly view: DataView = new DataView(this.bytes.buffer)
  /** Where the header starts, and the text that came with it ends; 0 until the first came. */
  at = 0
  end = 0

  /** Are fragments missing? When not, and not borrowed, the slot is free. */
  isOpen = false
  /** Given up, and kept so that what is still to come of it is known (RFC 5722 §4). */
  isDead = false
  /** When it is given up, in ms. */
  deadline: number = Infinity
  readonly #key = new Int32Array(KEY_WORDS)
  /** The protocol that the first one tells. */
  #protocol = 0
  /** Octets of text that came, and the end of the furthest of them. */
  #received = 0
  #highest = 0
  /** Octets of text there are, once the last fragment came; before, 0. */
  #textLen = 0
  readonly #map: Int32Array = new Int32Array(MAP_WORDS)

  /** Makes this the datagram of the fragment. */
  open(fragment: Fragment, deadline: number): void {
    this.#key.set(fragment.key)
    this.isOpen = true
    this.isDead = false
    this.deadline = deadline
    this.at = 0
    this.end = 0
    this.#received = 0
    this.#highest = 0
    this.#textLen = 0
    this.#map.fill(0)
  }

  /** Is the fragment one of this datagram? */
  isOf({ key }: Fragment): boolean {
    for (let i = 0; i < KEY_WORDS; i++) if (this.#key[i] !== key[i]) return false
    return true
  }

  /** Places a fragment of `bytes`. */
  place(bytes: Uint8Array, fragment: Fragment): Placed {
    const { text, end, offset: from, isLast } = fragment
    const to = from + end - text
    if (this.#contradicts(to, isLast)) return 'overlapping'
    if (!this.#isFree(from, to)) {
      return this.#holds(from, bytes, text, end) ? 'repeated' : 'overlapping'
    }
    this.#mark(from, to)
    this.bytes.set(bytes.subarray(text, end), TEXT + from)
    if (from === 0) {
      const { header, headerEnd } = fragment
      this.at = TEXT + header - headerEnd
      this.end = TEXT + to
      this.bytes.set(bytes.subarray(header, headerEnd), this.at)
      this.#protocol = fragment.protocol
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
    return this.#emitHeader()
  }

  /** Makes the header that of the text that came with it, to be quoted; there must be some. */
  finishFirst(): void {
    if (ipv6.version(this.view, this.at) === 6) this.#emitHeader()
  }

  #emitHeader(): boolean {
    const { view, at, end } = this
    if (ipv6.version(view, at) === 6) {
      view.setUint16(at + 4, end - at - ipv6.HEADER_LEN)
      view.setUint8(at + 6, this.#protocol)
      return true
    }
    const total = end - at
    if (total > ipv4.MAX_LEN) return false
    view.setUint16(at + 2, total)
    view.setUint16(at + 6, 0) // flags and fragment offset
    ipv4.emitChecksum(this.bytes, view, at)
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
