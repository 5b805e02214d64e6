/**
 * Datagrams on their way to the guest: those of one peer and one length that came in a row go as one super-datagram,
 * which the guest's kernel takes with one look. Nothing waits: what came with one read is sent before the next.
 */
import { KEY_WORDS } from '../stack/flow-table.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import { Slices } from '../stack/slices.ts'
import type { Stack } from '../stack/stack.ts'
import { MAX_ROW } from '../stack/transmitter.ts'

/** Datagrams received with one system call. */
export const BATCH = 32

export class UdpRow {
  readonly #stack: Stack
  readonly #key = new Int32Array(KEY_WORDS)
  readonly #texts = new Slices(BATCH)
  #neighbour: Neighbour | undefined
  /** Octets of each datagram. */
  #segment = 0

  constructor(stack: Stack) {
    this.#stack = stack
  }

  /**
   * Adds the text at [at, at + len) of memory, which stays until `send`: a datagram, or several of `segment` octets. It
   * goes from the host's to the guest's side of `key`.
   */
  add(
    key: Int32Array,
    neighbour: Neighbour,
    at: number,
    len: number,
    segment: number,
    now: number,
  ): void {
    const own = segment > 0 && segment < len ? segment : len
    if (!this.#goesOn(key, neighbour, len, own)) {
      this.send(now)
      this.#key.set(key)
      this.#neighbour = neighbour
      this.#segment = own
    }
    this.#texts.push(at, len)
    // One that is shorter, or none at all, is the last of its row.
    if (len === 0 || len % this.#segment !== 0) this.send(now)
  }

  #goesOn(key: Int32Array, neighbour: Neighbour, len: number, segment: number): boolean {
    const texts = this.#texts
    if (this.#neighbour !== neighbour || texts.count === BATCH || len === 0) return false
    if (segment > this.#segment || (segment < this.#segment && segment < len)) return false
    if (texts.total + len > MAX_ROW) return false
    for (let i = 0; i < KEY_WORDS; i++) if (this.#key[i] !== key[i]) return false
    return true
  }

  /** Sends what there is. */
  send(now: number): void {
    const neighbour = this.#neighbour
    if (neighbour === undefined) return
    this.#neighbour = undefined
    this.#stack.transmitter.sendUdpRow(this.#key, neighbour, this.#texts, this.#segment, now)
    this.#texts.clear()
  }
}
