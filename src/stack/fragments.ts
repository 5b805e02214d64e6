/**
 * Reassembly (RFC 791 §3.2, RFC 8200 §4.5), bounded in memory and in time.
 *
 * Overlapping fragments have no honest use, and make filters see another datagram than the host
 * does: the whole datagram is discarded, as RFC 5722 demands for IPv6 and Linux does for both.
 * Deviates from RFC 791, which lets the newer octets win; see 'fragments that overlap'. What comes of it
 * afterwards is discarded, too, for as long as it would have been waited for. What comes again octet for octet is ignored.
 * When there are too many datagrams, the one that waits longest gives way, so that lost fragments never lock out what comes
 * later.
 *
 * The ECN marks of fragments are not merged (RFC 3168 §5.3): nothing between the guest and us sets
 * any. Not hot: octets are copied in here and out again, and views made for it.
 */
import type { Drops } from './counters.ts'
import { Fragment, MAX_TEXT, MAX_TEXT6, Reassembly } from './reassembly.ts'
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
  /** How many datagrams may be incomplete; each takes 64 KiB. */
  datagrams?: number | undefined
}

/** Where losses are counted. */
export type FragmentDrops = Pick<
  Drops,
  'fragmentMalformed' | 'fragmentTooLong' | 'fragmentOverlap' | 'fragmentTimeout' | 'fragmentLimit'
>

export class Fragments {
  /** When `timeout` is to be called, in ms; Infinity while no datagram is incomplete. */
  deadline: number = Infinity
  /** Datagrams that became whole. */
  completed = 0
  /** Fragments that came again, octet for octet; no loss. */
  repeated = 0
  readonly #drop: FragmentDrops
  readonly #timeout: number
  readonly #most: number
  readonly #fragment = new Fragment()
  /** Made when first needed, and kept. */
  readonly #slots: Reassembly[] = []

  constructor(drop: FragmentDrops, options: FragmentsOptions = {}) {
    this.#drop = drop
    const { timeout = TIMEOUT, datagrams = DATAGRAMS } = options
    this.#timeout = timeout
    this.#most = datagrams
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
      return void this.#drop.fragmentMalformed++
    }
    const known = this.#find()
    if (known?.isDead) return void this.#drop.fragmentOverlap++
    if (fragment.offset + len > maxText) return this.#discard(known)
    const datagram = known ?? this.#open(now)
    const placed = datagram.place(bytes, fragment)
    if (placed === 'overlapping') return this.#bury(datagram)
    if (placed === 'repeated') return void this.repeated++
    if (!datagram.isComplete()) return undefined
    if (!datagram.finish()) return this.#discard(datagram)
    this.#close(datagram)
    this.completed++
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
      this.#drop.fragmentTimeout++
      if (datagram.end === 0) continue
      datagram.finishFirst()
      onExpired?.(datagram)
    }
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
      this.#drop.fragmentLimit++
      return oldest
    }
    const made = new Reassembly()
    this.#slots.push(made)
    return made
  }

  #discard(datagram: Reassembly | undefined): undefined {
    this.#drop.fragmentTooLong++
    if (datagram !== undefined) this.#close(datagram)
    return undefined
  }

  /** RFC 5722 §4: fragments that are still to come are discarded, too; so it is remembered. */
  #bury(datagram: Reassembly): undefined {
    datagram.isDead = true
    this.#drop.fragmentOverlap++
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
