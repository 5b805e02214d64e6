/**
 * Reassembly (RFC 791 §3.2, RFC 8200 §4.5), bounded in memory and in time.
 *
 * Overlapping fragments have no honest use, and make filters see another datagram than the host
 * does: the whole datagram is discarded, as RFC 5722 demands for IPv6 and Linux does for both.
 * Deviates from RFC 791, which lets the newer octets win; see 'fragments that overlap'. Of IPv6, what
 * comes of it afterwards is discarded, too. What comes again octet for octet is ignored. When there are too many datagrams, the one that waits longest
 * gives way, so that lost fragments never lock out what comes later.
 *
 * The ECN marks of fragments are not merged (RFC 3168 §5.3): nothing between the guest and us sets
 * any. Not hot: octets are copied in here and out again, and views made for it.
 */
import { Fragment, MAX_TEXT, MAX_TEXT6, Reassembly, SLOT_LEN } from './reassembly.ts'
import * as ipv4 from './wire/ipv4.ts'

/** Linux' ipfrag_time. RFC 1122 §3.3.2 has 60 to 120 s: longer than identifications last today. */
const TIMEOUT = 30_000
/** RFC 8200 §4.5; Linux' ip6frag_time. */
export const TIMEOUT6 = 60_000
/** Ours: 4 MiB, and more datagrams than one guest sends interleaved. */
const DATAGRAMS = 64

export interface FragmentsOptions {
  /** How long a datagram may take, from the first of its fragments to come, in ms. */
  timeout?: number
  /** How many datagrams may be incomplete. */
  datagrams?: number
  /** How many octets they may take; each takes `SLOT_LEN`, and there is always one. */
  octets?: number
}

export interface FragmentCounters {
  completed: number
  /** Fragments that came again, octet for octet; no loss. */
  repeated: number
  /** Fragments of no length, or of one that is no multiple of eight and not the last. */
  malformed: number
  /** Datagrams longer than 65,535 octets. */
  tooLong: number
  /** Datagrams whose fragments overlap, or contradict each other about the end. */
  overlapping: number
  /** Datagrams that were not complete in time. */
  expired: number
  /** Datagrams that gave way to another. */
  evicted: number
}

export class Fragments {
  /** When `timeout` is to be called, in ms; Infinity while no datagram is incomplete. */
  deadline: number = Infinity
  readonly counters: FragmentCounters = {
    completed: 0,
    repeated: 0,
    malformed: 0,
    tooLong: 0,
    overlapping: 0,
    expired: 0,
    evicted: 0,
  }
  readonly #timeout: number
  readonly #most: number
  readonly #fragment = new Fragment()
  /** What `newlyDropped` has told of. */
  #told = 0
  /** Made when first needed, and kept. */
  readonly #slots: Reassembly[] = []

  constructor(options: FragmentsOptions = {}) {
    const { timeout = TIMEOUT, datagrams = DATAGRAMS, octets = DATAGRAMS * SLOT_LEN } = options
    this.#timeout = timeout
    this.#most = Math.max(1, Math.min(datagrams, Math.floor(octets / SLOT_LEN)))
  }

  /**
   * Takes the IPv4 fragment at [at, end), for which `ipv4.check` is true and whose checksum is right.
   * Returns the datagram that it completes, which is **borrowed** until the next call.
   */
  receive(
    bytes: Uint8Array,
    v: DataView,
    at: number,
    end: number,
    now: number,
  ): Reassembly | undefined {
    this.#fragment.read4(v, at, Math.min(end, at + ipv4.totalLen(v, at)))
    return this.#take(bytes, MAX_TEXT, now)
  }

  /** The same of IPv6, for a fragment whose Fragment header is at `fragment`. */
  receive6(
    bytes: Uint8Array,
    v: DataView,
    at: number,
    fragment: number,
    end: number,
    now: number,
  ): Reassembly | undefined {
    this.#fragment.read6(v, at, fragment, end)
    return this.#take(bytes, MAX_TEXT6, now)
  }

  #take(bytes: Uint8Array, maxText: number, now: number): Reassembly | undefined {
    const fragment = this.#fragment
    const len = fragment.end - fragment.text
    // An empty fragment would be neither free nor taken; nobody who cuts datagrams makes one.
    if (len <= 0 || (!fragment.isLast && (len & 7) !== 0)) {
      return void this.counters.malformed++
    }
    const known = this.#find()
    if (known?.isDead) return void this.counters.overlapping++
    if (fragment.offset + len > maxText) return this.#discard(known, 'tooLong')
    const datagram = known ?? this.#open(now)
    const placed = datagram.place(bytes, fragment)
    if (placed === 'overlapping' && maxText === MAX_TEXT6) return this.#bury(datagram)
    if (placed === 'overlapping') return this.#discard(datagram, 'overlapping')
    if (placed === 'repeated') return void this.counters.repeated++
    if (!datagram.isComplete()) return undefined
    if (!datagram.finish()) return this.#discard(datagram, 'tooLong')
    this.#close(datagram)
    this.counters.completed++
    return datagram
  }

  /**
   * Gives up what was not complete in time. `onExpired` is called with each first fragment that
   * came, header and text: RFC 792 has its sender told by a TIME_EXCEEDED of code 1.
   */
  timeout(now: number, onExpired?: (first: Reassembly) => void): void {
    if (now < this.deadline) return
    for (const datagram of this.#slots) {
      if (!datagram.isOpen || datagram.deadline > now) continue
      this.#close(datagram)
      if (datagram.isDead) continue
      this.counters.expired++
      if (datagram.end === 0) continue
      datagram.finishFirst()
      onExpired?.(datagram)
    }
  }

  /** The sum of all counters that are losses. */
  dropped(): number {
    const { malformed, tooLong, overlapping, expired, evicted } = this.counters
    return malformed + tooLong + overlapping + expired + evicted
  }

  /** How much `dropped` is more than at the last call. */
  newlyDropped(): number {
    const dropped = this.dropped()
    const more = dropped - this.#told
    this.#told = dropped
    return more
  }

  #find(): Reassembly | undefined {
    for (const datagram of this.#slots) {
      if (datagram.isOpen && datagram.isOf(this.#fragment)) return datagram
    }
    return undefined
  }

  #open(now: number): Reassembly {
    const datagram = this.#slot()
    datagram.open(this.#fragment, now + this.#timeout)
    this.deadline = Math.min(this.deadline, datagram.deadline)
    return datagram
  }

  /** A free slot: one used before, a new one, or that of the datagram that waits longest. */
  #slot(): Reassembly {
    let oldest: Reassembly | undefined
    for (const datagram of this.#slots) {
      if (!datagram.isOpen) return datagram
      if (oldest === undefined || datagram.deadline < oldest.deadline) oldest = datagram
    }
    if (oldest !== undefined && this.#slots.length >= this.#most) {
      this.#close(oldest)
      this.counters.evicted++
      return oldest
    }
    const made = new Reassembly()
    this.#slots.push(made)
    return made
  }

  #discard(datagram: Reassembly | undefined, reason: 'tooLong' | 'overlapping'): undefined {
    this.counters[reason]++
    if (datagram !== undefined) this.#close(datagram)
    return undefined
  }

  /** RFC 5722 §4: fragments that are still to come are discarded, too; so it is remembered. */
  #bury(datagram: Reassembly): undefined {
    datagram.isDead = true
    this.counters.overlapping++
    return undefined
  }

  #close(datagram: Reassembly): void {
    datagram.isOpen = false
    this.deadline = Infinity
    for (const { isOpen, deadline } of this.#slots) {
      if (isOpen && deadline < this.deadline) this.deadline = deadline
    }
  }
}
