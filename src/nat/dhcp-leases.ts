/**
 * The addresses that DHCP lends (RFC 2131 §4.3), and to whom: each to one client at a time, each client
 * one at a time. A client is its MAC, as a number.
 *
 * An address that is free is still remembered as its last client's, who gets it again; others get the
 * one that has been free for longest. When none is free, the oldest offer that nobody has taken makes
 * room: clients that only ask, with ever new MACs, keep nobody out. When all are lent, who is new gets
 * none.
 */

/** Ours, as slirp4netns has it: a day. In seconds, as the field is. */
export const LEASE_TIME = 86400
/** Ours: how long an offered address is kept, in ms. Clients answer at once, or after a probe. */
const OFFER_TIME = 60_000
/** Ours: how long an address that somebody else was found to use is not lent, in ms. */
const DECLINE_TIME = 600_000
/** No MAC: of an address that nobody has, or had. */
const NOBODY = -1

interface Lease {
  readonly addr: number
  /** Who has it or had it last; a client has one at most. */
  client: number
  /** It is held for the client, who has not taken it yet. */
  isOffer: boolean
  /** From then on the address is free, in ms; -Infinity when it always was. */
  expires: number
}

/** The addresses of the pool, and who has them. */
export class Leases {
  readonly #all: Lease[] = []

  constructor(begin: number, end: number) {
    for (let addr = begin; addr <= end; addr++) {
      this.#all.push({ addr, client: NOBODY, isOffer: false, expires: -Infinity })
    }
  }

  /** The address to offer, in the order of RFC 2131 §4.3.1; undefined when all are lent. */
  offer(client: number, wish: number, now: number): number | undefined {
    const wished = this.#at(wish)
    const lease =
      this.#of(client) ??
      (wished !== undefined && wished.expires <= now ? wished : undefined) ??
      this.#oldest((lease) => lease.expires <= now) ??
      this.#oldest((lease) => lease.isOffer)
    if (lease === undefined) return undefined
    if (lease.client !== client || lease.expires <= now) lease.isOffer = true
    lease.client = client
    lease.expires = Math.max(lease.expires, now + OFFER_TIME)
    return lease.addr
  }

  /** Lends the address to the client. False when it is not the client's to have. */
  bind(client: number, addr: number, now: number): boolean {
    const lease = this.#at(addr)
    if (lease === undefined) return false
    const own = this.#of(client)
    if (own !== lease) {
      if (lease.expires > now) return false
      if (own !== undefined && own.expires > now && !own.isOffer) return false
      if (own !== undefined) this.#forget(own, now)
    }
    lease.client = client
    lease.isOffer = false
    lease.expires = now + LEASE_TIME * 1000
    return true
  }

  /** The client took another server's offer. */
  withdraw(client: number, now: number): void {
    const lease = this.#of(client)
    if (lease?.isOffer) this.#forget(lease, now)
  }

  release(client: number, addr: number, now: number): void {
    const lease = this.#of(client)
    if (lease?.addr !== addr || lease.expires <= now) return
    lease.isOffer = false
    lease.expires = now
  }

  decline(client: number, addr: number, now: number): void {
    const lease = this.#of(client)
    if (lease?.addr !== addr) return
    this.#forget(lease, now + DECLINE_TIME)
  }

  #forget(lease: Lease, expires: number): void {
    lease.client = NOBODY
    lease.isOffer = false
    lease.expires = expires
  }

  #at(addr: number): Lease | undefined {
    return this.#all.find((lease) => lease.addr === addr)
  }

  #of(client: number): Lease | undefined {
    return this.#all.find((lease) => lease.client === client)
  }

  /** Of those, the one that expires or expired first; the lower address of two. */
  #oldest(isOne: (lease: Lease) => boolean): Lease | undefined {
    let oldest: Lease | undefined
    for (const lease of this.#all) {
      if (isOne(lease) && (oldest === undefined || lease.expires < oldest.expires)) oldest = lease
    }
    return oldest
  }
}
