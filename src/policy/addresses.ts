/**
 * What a rule says of addresses, and which addresses are the host's.
 *
 *                      to: a prefix              to: 'host'       to: 'private'     no `to`
 *   without a name     in it                     the host's       no Internet's     any
 *   with a name        in it, and: an address    the host's       no Internet's     an address of the Internet,
 *                      of the Internet, unless                                      unless `private: true`
 *                      the prefix has none, or
 *                      `private: true`
 *
 * A rule that allows has the gateway in mind only where it says `host` or that very address, or nothing of addresses: to the
 * container it is one of a private prefix, and it leads to the host's loopback.
 */
import * as address from '../stack/wire/address.ts'
import type { Rule } from './policy.ts'
import { isInPrefix, isWithin, judgedAs, type Prefix, readPrefix } from './prefixes.ts'
import { isLoopback, isPrivate, PRIVATE } from './special-addresses.ts'

/** An address as a key of a map: a number where it is IPv4, over IPv6 a text. */
export type AddressKey = number | string

export function addressKey(w: Int32Array): AddressKey {
  return address.isMapped(w) ? w[3]! >>> 0 : `${w[0]} ${w[1]} ${w[2]} ${w[3]}`
}

/** What a rule asks of an address. */
export interface AddressTest {
  /** Absent: any. */
  readonly prefixes:
    | readonly {
        readonly prefix: Prefix
        readonly mayBePrivate: boolean
        readonly mayBeGateway: boolean
      }[]
    | undefined
  readonly hasHost: boolean
  readonly hasPrivate: boolean
  /** Is the gateway one of the private addresses? */
  readonly hasGateway: boolean
  /** Without `to`: may it be no address of the Internet? */
  readonly mayBePrivate: boolean
}

export function addressTest({ action, name, to, private: isOpen }: Rule): AddressTest {
  const mayBePrivate = name === undefined || isOpen
  // It leads to the host's loopback: who allows a block of addresses has not that in mind.
  const hasGateway = action === 'deny'
  const texts = (to ?? []).filter((text) => text !== 'host' && text !== 'private')
  const prefixes = texts.map((text) => {
    const prefix = mustRead(text)
    const isInside = PRIVATE.some((block) => isWithin(prefix, block))
    const mayBeGateway = hasGateway || prefix.length === 128
    return { prefix, mayBePrivate: mayBePrivate || isInside, mayBeGateway }
  })
  return {
    prefixes: to === undefined ? undefined : prefixes,
    hasHost: to?.includes('host') ?? false,
    hasPrivate: to?.includes('private') ?? false,
    hasGateway,
    mayBePrivate,
  }
}

function mustRead(text: string): Prefix {
  const prefix = readPrefix(text)
  if ('problem' in prefix) throw new TypeError(`${text}: ${prefix.problem}`)
  return prefix
}

/** An address as it is judged: its words, and what it is. */
export interface JudgedAddress {
  /** IPv4 in its mapped form, also where it came in an IPv6 address. */
  readonly words: Int32Array
  readonly isHost: boolean
  /** No address of the Internet. */
  readonly isPrivate: boolean
  /** One of the host's that is so for the container alone. */
  readonly isGateway: boolean
}

export function passes(test: AddressTest, address: JudgedAddress): boolean {
  const { words, isHost, isPrivate, isGateway } = address
  const isInner = isHost || isPrivate
  if (test.prefixes === undefined) return test.mayBePrivate || !isInner
  if (test.hasHost && isHost) return true
  if (test.hasPrivate && isPrivate && (test.hasGateway || !isGateway)) return true
  for (const { prefix, mayBePrivate, mayBeGateway } of test.prefixes) {
    if (isGateway && !mayBeGateway) continue
    if ((mayBePrivate || !isInner) && isInPrefix(words, prefix)) return true
  }
  return false
}

/** What a policy must know of the machine that it is used on. */
export class Surroundings {
  readonly #nat64: Prefix | undefined
  #own: ReadonlySet<AddressKey> = new Set()
  #gateways: ReadonlySet<AddressKey> = new Set()

  /** `nat64`: the host's prefix of NAT64, where it has another than the well-known one. */
  constructor(nat64?: string) {
    this.#nat64 = nat64 === undefined ? undefined : mustRead(nat64)
  }

  /** The addresses that lead to the host besides its loopback: those of its interfaces; and those of them that are the gateway's. */
  setHostAddresses(addresses: Iterable<string>, gateways: readonly string[] = []): void {
    this.#own = keysOf([...addresses, ...gateways])
    this.#gateways = keysOf(gateways)
  }

  judge(words: Int32Array): JudgedAddress {
    const judged = new Int32Array(4)
    judgedAs(words, this.#nat64, judged)
    const isOwn = (of: Int32Array): boolean => isLoopback(of) || this.#own.has(addressKey(of))
    // An own address of the host's that has another in it is the host's as well.
    const isHost = isOwn(judged) || isOwn(words)
    const isGateway =
      this.#gateways.has(addressKey(judged)) || this.#gateways.has(addressKey(words))
    return { words: judged, isHost, isPrivate: isPrivate(judged), isGateway }
  }
}

function keysOf(texts: Iterable<string>): Set<AddressKey> {
  const keys = new Set<AddressKey>()
  const words = new Int32Array(4)
  for (const text of texts) if (address.parse(text, words)) keys.add(addressKey(words))
  return keys
}
