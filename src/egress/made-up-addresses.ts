/**
 * Addresses for names that the program has still to be asked about: a container that wants to go to one needs an address
 * before it can say where to. They are of 198.18.0.0/15 (RFC 2544), which no host of the Internet has.
 */
import type { Guest } from '../policy/leases.ts'

/** 198.18.0.1 … */
const FIRST = 0xc6120001 | 0
/** Ours: of one container; the oldest makes room. */
const MOST = 1024
/** Ours: containers. */
const MAX_GUESTS = 64

interface Given {
  readonly byName: Map<string, number>
  readonly byAddress: Map<number, string>
  readonly place: number
  count: number
}

export class MadeUpAddresses {
  readonly #guests = new Map<Guest, Given>()

  /** The address for a name, as a signed number. */
  addressFor(guest: Guest, name: string): number {
    const given = this.#given(guest)
    const known = given.byName.get(name)
    if (known !== undefined) return known
    const addr = FIRST + given.place * MOST + (given.count++ % MOST)
    const before = given.byAddress.get(addr)
    if (before !== undefined) given.byName.delete(before)
    given.byName.set(name, addr)
    given.byAddress.set(addr, name)
    return addr
  }

  /** The name that the container was given the address for. */
  nameOf(guest: Guest, addr: number): string | undefined {
    return this.#guests.get(guest)?.byAddress.get(addr)
  }

  #given(guest: Guest): Given {
    let given = this.#guests.get(guest)
    if (given !== undefined) return given
    let place = this.#guests.size
    if (place >= MAX_GUESTS) {
      const [oldest, { place: free }] = this.#guests.entries().next().value!
      this.#guests.delete(oldest)
      place = free
    }
    given = { byName: new Map(), byAddress: new Map(), place, count: 0 }
    this.#guests.set(guest, given)
    return given
  }
}
