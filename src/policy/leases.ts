/**
 * Which addresses a container has for which names: it asked, the name was allowed, and they were the answer.
 *
 * A lease is of a container, a name and an address. It holds until some time after the last answer that had it, and as long as a
 * flow uses it. Later answers add leases and take none away, since pools of connections keep addresses for long.
 *
 * The names by which an answer came there (CNAME and the like) are remembered as well: a container may ask for them, and what
 * they have is leased to the name that was asked for first.
 */
import type { AddressKey } from './addresses.ts'

/** Who asks: the container's Ethernet address, as a number. */
export type Guest = number

export interface Lease {
  readonly name: string
  readonly address: AddressKey
  expiresAt: number
  /** Flows that go on by it. */
  uses: number
}

export interface LeaseLimits {
  /** Of one container. */
  readonly leases: number
  readonly aliases: number
  /** Containers that are known. */
  readonly guests: number
}

/** Ours. */
export const LEASE_LIMITS: LeaseLimits = { leases: 4096, aliases: 1024, guests: 1024 }

interface Alias {
  readonly origin: string
  expiresAt: number
}

/** The leases of one container. */
class GuestLeases {
  /** The one whose answer is longest ago first. */
  readonly leases = new Map<string, Lease>()
  readonly byAddress = new Map<AddressKey, Lease[]>()
  readonly aliases = new Map<string, Alias>()
}

export class Leases {
  /** Leases that made room for others. */
  evicted = 0
  readonly #limits: LeaseLimits
  /** The one that got a lease longest ago first. */
  readonly #guests = new Map<Guest, GuestLeases>()

  constructor(limits: LeaseLimits = LEASE_LIMITS) {
    this.#limits = limits
  }

  /** An answer for the name had the address. False when there is no room, for all leases are in use. */
  grant(guest: Guest, name: string, address: AddressKey, now: number, until: number): boolean {
    const { leases, byAddress } = this.#hear(guest)
    const key = keyOf(name, address)
    const known = leases.get(key)
    if (known !== undefined) {
      known.expiresAt = Math.max(known.expiresAt, until)
      leases.delete(key)
      leases.set(key, known)
      return true
    }
    if (leases.size >= this.#limits.leases && !this.#makeRoom(leases, byAddress, now)) return false
    const lease = { name, address, expiresAt: until, uses: 0 }
    leases.set(key, lease)
    const others = byAddress.get(address)
    if (others === undefined) byAddress.set(address, [lease])
    else others.push(lease)
    return true
  }

  /** The names that the container has the address for; the latest first. */
  namesOf(guest: Guest, address: AddressKey, now: number): string[] {
    const leases = this.#guests.get(guest)?.byAddress.get(address) ?? []
    return leases
      .filter((lease) => isAlive(lease, now))
      .toSorted((a, b) => b.expiresAt - a.expiresAt)
      .map(({ name }) => name)
  }

  /** A flow goes on by the lease, until its `uses` is counted down. Undefined when there is none. */
  use(guest: Guest, name: string, address: AddressKey): Lease | undefined {
    const lease = this.#guests.get(guest)?.leases.get(keyOf(name, address))
    if (lease !== undefined) lease.uses++
    return lease
  }

  has(guest: Guest, name: string, address: AddressKey, now: number): boolean {
    const lease = this.#guests.get(guest)?.leases.get(keyOf(name, address))
    return lease !== undefined && isAlive(lease, now)
  }

  /** The answer for `origin` came by way of `name`. */
  alias(guest: Guest, name: string, origin: string, until: number): void {
    const { aliases } = this.#hear(guest)
    const expiresAt = Math.max(until, aliases.get(name)?.expiresAt ?? 0)
    aliases.delete(name)
    aliases.set(name, { origin, expiresAt })
    if (aliases.size > this.#limits.aliases) aliases.delete(aliases.keys().next().value!)
  }

  /** The name that was asked for first, when the container knows `name` by an answer only. */
  originOf(guest: Guest, name: string, now: number): string | undefined {
    const alias = this.#guests.get(guest)?.aliases.get(name)
    return alias !== undefined && alias.expiresAt > now ? alias.origin : undefined
  }

  #hear(guest: Guest): GuestLeases {
    let found = this.#guests.get(guest)
    if (found === undefined) {
      if (this.#guests.size >= this.#limits.guests) this.#forgetGuest()
      found = new GuestLeases()
    } else this.#guests.delete(guest)
    this.#guests.set(guest, found)
    return found
  }

  #forgetGuest(): void {
    for (const [guest, { leases }] of this.#guests) {
      if ([...leases.values()].some(({ uses }) => uses > 0)) continue
      this.evicted += leases.size
      this.#guests.delete(guest)
      return
    }
  }

  /** The oldest that nobody uses goes; those in use, which are met on the way, are as good as new. */
  #makeRoom(leases: Map<string, Lease>, byAddress: Map<AddressKey, Lease[]>, now: number): boolean {
    for (const [key, lease] of [...leases]) {
      leases.delete(key)
      if (lease.uses > 0) {
        leases.set(key, lease)
        continue
      }
      const others = byAddress.get(lease.address)!.filter((other) => other !== lease)
      if (others.length === 0) byAddress.delete(lease.address)
      else byAddress.set(lease.address, others)
      if (lease.expiresAt > now) this.evicted++
      return true
    }
    return false
  }
}

const keyOf = (name: string, address: AddressKey): string => `${name} ${typeof address} ${address}`

const isAlive = ({ uses, expiresAt }: Lease, now: number): boolean => uses > 0 || expiresAt > now
