/**
 * Who is at which Ethernet address (RFC 826). Any address of the subnet may be a guest; one is
 * learnt from its ARP messages and from the packets that open a flow.
 *
 * Frames for a neighbour whose address is not known yet are held, a few of them, while it is asked
 * for; a connection keeps its Neighbour, so a guest that moves to another MAC takes its flows along.
 */
import { FlowTable, KEY_WORDS, type Keyed } from './flow-table.ts'
import type { Departure, Memory } from './link.ts'

/** Linux' unres_qlen is in octets; a handful of frames is what a SYN or a datagram needs. */
const MAX_HELD = 8
/** A place for one held frame: as large as IP's lengths can tell, and its headers. */
export const HELD_LEN: number = 68 * 1024
/** Ours: a guest that invents source addresses does not fill the memory. */
const MAX_NEIGHBOURS = 4096
/** RFC 1191 §6.3, RFC 8201 §4: then a larger one is tried. */
const PATH_MTU_LIFE = 600_000
/** RFC 1122 §2.3.2.1: at most one request per second and destination. */
const REQUEST_INTERVAL = 1000

interface HeldFrame {
  readonly bytes: Uint8Array
  /** Of those, the first slice. */
  readonly headersLen: number
  readonly csumStart: number
  readonly csumOffset: number
  readonly gsoType: number
  readonly gsoSize: number
}

export class Neighbour implements Keyed {
  /** Its address is the guest's of flow-table.ts; the other words are 0. */
  readonly key: Int32Array
  readonly mac: Uint8Array = new Uint8Array(6)
  isKnown = false
  /** When it was asked for last, ms. */
  requestedAt: number = -Infinity
  readonly held: HeldFrame[] = []
  /** The largest packet that goes all the way to it, and until when that counts (RFC 1191, RFC 8201). */
  #pathMtu = Infinity
  #pathMtuUntil = -Infinity

  /** The first four words of `key` are its address. */
  constructor(key: Int32Array) {
    this.key = new Int32Array(KEY_WORDS)
    this.key.set(key.subarray(0, 4))
  }

  /** The largest packet that goes all the way to it; Infinity: none was too large. */
  pathMtu(now: number): number {
    return now < this.#pathMtuUntil ? this.#pathMtu : Infinity
  }

  /** One was too large: no more than `mtu` goes there for ten minutes. A larger one changes nothing. */
  limitPath(mtu: number, now: number): void {
    if (mtu >= this.pathMtu(now)) return
    this.#pathMtu = mtu
    this.#pathMtuUntil = now + PATH_MTU_LIFE
  }
}

export class Neighbours {
  readonly #table: FlowTable<Neighbour>
  /** The oldest first. */
  readonly #order: Neighbour[] = []
  readonly #key = new Int32Array(KEY_WORDS)
  readonly #memory: Memory
  /** A place of HELD_LEN octets in which a held frame is sent from. */
  readonly #at: number

  constructor(memory: Memory, at: number, seed: number) {
    this.#table = new FlowTable(seed)
    this.#memory = memory
    this.#at = at
  }

  /** The neighbour with the guest's address of `key`, made when it is new. */
  find(key: Int32Array): Neighbour {
    const known = this.known(key)
    if (known !== undefined) return known
    if (this.#table.size >= MAX_NEIGHBOURS) this.#table.delete(this.#order.shift()!)
    const neighbour = new Neighbour(this.#key)
    this.#table.add(neighbour)
    this.#order.push(neighbour)
    return neighbour
  }

  /** The same, if it is known. */
  known(key: Int32Array): Neighbour | undefined {
    for (let i = 0; i < 4; i++) this.#key[i] = key[i]!
    return this.#table.get(this.#key)
  }

  /** Has the guest with that address been heard of? */
  isKnown(key: Int32Array): boolean {
    return this.known(key)?.isKnown === true
  }

  /** The guest of `key` is at the MAC that stands in memory at `macAt`. What is held may go. */
  learn(key: Int32Array, macAt: number): Neighbour {
    const neighbour = this.find(key)
    const { bytes } = this.#memory
    for (let i = 0; i < 6; i++) neighbour.mac[i] = bytes[macAt + i]!
    neighbour.isKnown = true
    return neighbour
  }

  /** Keeps a copy of the frame until the neighbour is known. False when too many wait already, or it has no room. */
  hold(neighbour: Neighbour, departure: Departure): boolean {
    const { slices, csumStart, csumOffset, gsoType, gsoSize } = departure
    if (neighbour.held.length >= MAX_HELD || slices.total > HELD_LEN) return false
    const bytes = new Uint8Array(slices.total)
    for (let i = 0, to = 0; i < slices.count; i++) {
      const at = slices.at[i]!
      bytes.set(this.#memory.bytes.subarray(at, at + slices.len[i]!), to)
      to += slices.len[i]!
    }
    const headersLen = slices.len[0]!
    neighbour.held.push({ bytes, headersLen, csumStart, csumOffset, gsoType, gsoSize })
    return true
  }

  /** Is it time to ask for it (again)? */
  mayRequest(neighbour: Neighbour, now: number): boolean {
    if (now - neighbour.requestedAt < REQUEST_INTERVAL) return false
    neighbour.requestedAt = now
    return true
  }

  /** Sends what was held for the neighbour, by way of `departure`. */
  release(neighbour: Neighbour, departure: Departure, transmit: (d: Departure) => void): void {
    for (const frame of neighbour.held.splice(0)) {
      this.#memory.bytes.set(frame.bytes, this.#at)
      this.#memory.bytes.set(neighbour.mac, this.#at)
      departure.slices.clear()
      departure.slices.push(this.#at, frame.headersLen)
      departure.slices.push(this.#at + frame.headersLen, frame.bytes.length - frame.headersLen)
      departure.csumStart = frame.csumStart
      departure.csumOffset = frame.csumOffset
      departure.gsoType = frame.gsoType
      departure.gsoSize = frame.gsoSize
      transmit(departure)
    }
  }
}
