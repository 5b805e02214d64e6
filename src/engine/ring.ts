/**
 * Two rings of records in shared memory, one each way between the data plane's thread and the main thread. Neither side
 * ever waits for the other, nothing is allocated per record, and who finds a ring full is told when there is room.
 *
 *         head (the reader's)             tail (the writer's)
 *   ───────┬───────────┬──────────┬────────┬─────────
 *   read   │ record    │ record   │ record │   room
 *   ───────┴───────────┴──────────┴────────┴─────────
 *   record: │ length │ kind │ id │ 0 │ payload, to a multiple of eight octets │
 *
 * Head and tail count octets for ever, as unsigned 32-bit numbers; a place is such a number modulo the ring's size, and
 * a payload may go on at the ring's start. Records are seen by the reader once they are published.
 */

/** Octets of each ring; a power of two. */
const SIZE = 1 << 20
/** Four words. */
const HEADER_LEN = 16
/**
 * The most octets of one record of text, for which its reader makes a buffer: larger ones cost fresh pages each, and
 * with them more than the copy.
 */
const MAX_TEXT = 16384
/** The most of any record: a datagram, and who it is from. */
const MAX_PAYLOAD = 66_560
/** What text may not use, so that what ends a connection finds room when text does not. */
const RESERVE = 65536

/** What is started by less is not worth a record of its own. */
const LEAST_TEXT = 64

/** Words at the start of the shared memory, for each direction, and the octets that they take. */
const HEAD = 0
const TAIL = 1
/** 1: the reader was woken, and has not looked yet. */
const RUNG = 2
/** 1: the writer waits for room. */
const WAITING = 3
const WORDS = 16
const CONTROL_LEN = 2 * WORDS * 4

/** Memory for both rings. Pages are taken when they are touched. */
export const createRings = (): SharedArrayBuffer => new SharedArrayBuffer(CONTROL_LEN + 2 * SIZE)

/** `toMain` is written by the data plane, `toPlane` by the main thread. */
export type Direction = 'toMain' | 'toPlane'

/**
 * What both ends of a ring share. V8 copies to and from shared memory octet by octet when the two places do not lie alike
 * in their words of eight octets, and eight times as fast when they do: `aligned` is where they are made to.
 */
class End {
  protected readonly aligned: Uint8Array = new Uint8Array(MAX_PAYLOAD + 8)
  protected readonly control: Int32Array
  protected readonly words: Int32Array
  protected readonly bytes: Uint8Array

  constructor(rings: SharedArrayBuffer, direction: Direction) {
    const i = direction === 'toMain' ? 0 : 1
    this.control = new Int32Array(rings, i * WORDS * 4, WORDS)
    this.words = new Int32Array(rings, CONTROL_LEN + i * SIZE, SIZE / 4)
    this.bytes = new Uint8Array(rings, CONTROL_LEN + i * SIZE, SIZE)
  }
}

export class RingWriter extends End {
  /** Where the next record goes; ahead of the published tail by what is not published yet. */
  #tail: number
  /** A record of text that is not published yet can be added to: where it starts, or -1. */
  #open = -1
  readonly #wake: () => void

  /** `wake` makes the other thread look. */
  constructor(rings: SharedArrayBuffer, direction: Direction, wake: () => void) {
    super(rings, direction)
    this.#tail = Atomics.load(this.control, TAIL)
    this.#wake = wake
  }

  #free(): number {
    return SIZE - ((this.#tail - Atomics.load(this.control, HEAD)) >>> 0)
  }

  /** Is there room for a record of `len` octets? When there is not, the other side wakes us when it has read. */
  hasRoom(len: number, reserve = 0): boolean {
    const needed = HEADER_LEN + padded(len) + reserve
    if (this.#free() >= needed) return true
    Atomics.store(this.control, WAITING, 1)
    return this.#free() >= needed // it may have read meanwhile
  }

  /** A record of a few octets. False, and nothing is written, when there is no room. */
  write(kind: number, id: number, payload: Uint8Array = NOTHING): boolean {
    if (!this.hasRoom(payload.length)) return false
    this.#begin(kind, id, payload.length)
    this.#put(payload, 0, payload.length)
    this.#finish()
    return true
  }

  /** A record of two parts: a datagram, with who it is from. Datagrams may be lost, and leave half of the ring to streams. */
  datagram(
    kind: number,
    id: number,
    head: Uint8Array,
    from: Uint8Array,
    at: number,
    len: number,
  ): boolean {
    if (!this.hasRoom(head.length + len, SIZE / 2)) return false
    this.#begin(kind, id, head.length + len)
    this.#put(head, 0, head.length)
    this.#put(from, at, len)
    this.#finish()
    return true
  }

  /**
   * Text: as many of the `len` octets at `from[at]` as there is room for; returns how many. What comes in a row for the
   * same id and is not published yet becomes one record.
   */
  text(kind: number, id: number, from: Uint8Array, at: number, len: number): number {
    let taken = 0
    while (taken < len) {
      const n = this.#extend(id, from, at + taken, len - taken)
      taken += n
      if (n > 0) continue
      if (!this.hasRoom(LEAST_TEXT, RESERVE)) break
      const most = Math.min(len - taken, MAX_TEXT, this.#free() - HEADER_LEN - RESERVE)
      const start = this.#tail
      this.#begin(kind, id, most)
      this.#put(from, at + taken, most)
      this.#open = start
      taken += most
    }
    return taken
  }

  /** Adds to the record of text that is under way. */
  #extend(id: number, from: Uint8Array, at: number, len: number): number {
    if (this.#open < 0) return 0
    const header = (this.#open & (SIZE - 1)) >>> 2
    if (this.words[(header + 2) & WORD_MASK] !== (id | 0)) return this.#finish()
    const known = this.words[header]!
    const n = Math.min(len, MAX_TEXT - known, this.#free() - RESERVE)
    if (n <= 0) return this.#finish()
    this.#put(from, at, n)
    this.words[header] = known + n
    return n
  }

  #begin(kind: number, id: number, len: number): void {
    this.#finish()
    const at = (this.#tail & (SIZE - 1)) >>> 2
    this.words[at] = len
    this.words[(at + 1) & WORD_MASK] = kind
    this.words[(at + 2) & WORD_MASK] = id
    this.#tail = (this.#tail + HEADER_LEN) >>> 0
  }

  #put(from: Uint8Array, at: number, len: number): void {
    const place = this.#tail & (SIZE - 1)
    if (((from.byteOffset + at) ^ place) & 7) {
      const lead = place & 7
      this.aligned.set(from.subarray(at, at + len), lead)
      from = this.aligned
      at = lead
    }
    const first = Math.min(len, SIZE - place)
    this.bytes.set(from.subarray(at, at + first), place)
    if (first < len) this.bytes.set(from.subarray(at + first, at + len), 0)
    this.#tail = (this.#tail + len) >>> 0
  }

  /** Ends the record that is under way: nothing is added to it any more. */
  #finish(): 0 {
    this.#open = -1
    this.#tail = padded(this.#tail) >>> 0
    return 0
  }

  /** The other side sees all that was written, and is woken unless it is about to look anyway. */
  publish(): void {
    this.#finish()
    if (this.#tail === Atomics.load(this.control, TAIL) >>> 0) return
    Atomics.store(this.control, TAIL, this.#tail)
    if (Atomics.exchange(this.control, RUNG, 1) === 0) this.#wake()
  }
}

export class RingReader extends End {
  kind = 0
  id = 0
  /** Octets of payload. */
  length = 0
  #head: number
  /** Where the published records end. */
  #tail: number
  /** Where the payload starts. */
  #payload = 0
  readonly #wake: () => void

  /** `wake` makes the other thread look: it has waited for room. */
  constructor(rings: SharedArrayBuffer, direction: Direction, wake: () => void) {
    super(rings, direction)
    this.#head = Atomics.load(this.control, HEAD) >>> 0
    this.#tail = this.#head
    this.#wake = wake
  }

  /** Called before records are read: sees what is published by now. True when there is something. */
  look(): boolean {
    Atomics.store(this.control, RUNG, 0)
    this.#tail = Atomics.load(this.control, TAIL) >>> 0
    return this.#tail !== this.#head
  }

  /** The next record, of those that `look` saw. Its payload is to be read before the next call. */
  next(): boolean {
    if (this.#head === this.#tail) return false
    const at = (this.#head & (SIZE - 1)) >>> 2
    this.length = this.words[at]!
    this.kind = this.words[(at + 1) & WORD_MASK]!
    this.id = this.words[(at + 2) & WORD_MASK]! >>> 0
    this.#payload = (this.#head + HEADER_LEN) >>> 0
    this.#head = (this.#payload + padded(this.length)) >>> 0
    return true
  }

  /** Copies [from, from + len) of the payload to `into[at]`. */
  copy(from: number, into: Uint8Array, at: number, len: number): void {
    const place = (this.#payload + from) & (SIZE - 1)
    if (((into.byteOffset + at) ^ place) & 7) {
      const lead = place & 7
      this.#copyFrom(place, this.aligned, lead, len)
      into.set(this.aligned.subarray(lead, lead + len), at)
    } else {
      this.#copyFrom(place, into, at, len)
    }
  }

  #copyFrom(place: number, into: Uint8Array, at: number, len: number): void {
    const first = Math.min(len, SIZE - place)
    into.set(this.bytes.subarray(place, place + first), at)
    if (first < len) into.set(this.bytes.subarray(0, len - first), at + first)
  }

  /** What was read is room again. Who waits for it is woken when half of the ring is free, not for each record. */
  release(): void {
    Atomics.store(this.control, HEAD, this.#head)
    if ((this.#tail - this.#head) >>> 0 > SIZE / 2) return
    if (Atomics.exchange(this.control, WAITING, 0) === 1) this.#wake()
  }
}

const NOTHING = new Uint8Array(0)
const WORD_MASK = SIZE / 4 - 1
const padded = (len: number): number => (len + 7) & ~7
