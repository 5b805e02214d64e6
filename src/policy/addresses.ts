/**
 * What a rule says of addresses, and which addresses are the host's.
 *
 *                      to: a prefix              to: 'host'       to: 'private'     no `to`
 *   without a name     in it                     the host's       no Internet's     any
 *   with a name        in it, and: an address    the host's       no Internet's     an address of the Internet,
 *                      of the Internet, unless                                      unless `private: true`
 *                      the prefix has none, or
 *                      `private: true`
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
    | readonly { readonly prefix: Prefix; readonly mayBePrivate: boolean }[]
    | undefined
  readonly hasHost: boolean
  readonly hasPrivate: boolean
  /** Without `to`: may it be no address of the Internet? */
  readonly mayBePrivate: boolean
}

export function addressTest({ name, to, private: isOpen }: Rule): AddressTest {
  const mayBePrivate = name === undefined || isOpen
  const texts = (to ?? []).filter((text) => text !== 'host' && text !== 'private')
  const prefixes = texts.map((text) => {
    const prefix = mustRead(text)
    const isInside = PRIVATE.some((block) => isWithin(prefix, block))
    return { prefix, mayBePrivate: mayBePrivate || isInside }
  })
  return {
    prefixes: to === undefined ? undefined : prefixes,
    hasHost: to?.includes('host') ?? false,
    hasPrivate: to?.includes('private') ?? false,
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
}

export function passes(test: AddressTest, { words, isHost, isPrivate }: JudgedAddress): boolean {
  const isInner = isHost || isPrivate
  if (test.prefixes === undefined) return test.mayBePrivate || !isInner
  if ((test.hasHost && isHost) || (test.hasPrivate && isPrivate)) return true
  for (const { prefix, mayBePrivate } of test.prefixes) {
    if ((mayBePrivate || !isInner) && isInPrefix(words, prefix)) return true
  }
  return false
}

/** What a policy must know of the machine that it is used on. */
export class Surroundings {
  readonly #nat64: Prefix | undefined
  #own: ReadonlySet<AddressKey> = new Set()

  /** `nat64`: the host's prefix of NAT64, where it has another than the well-known one. */
  constructor(nat64?: string) {
    this.#nat64 = nat64 === undefined ? undefined : mustRead(nat64)
  }

  /** The addresses that lead to the host besides its loopback: those of its interfaces, and the gateway's. */
  setHostAddresses(addresses: Iterable<string>): void {
    const own = new Set<AddressKey>()
    const words = new Int32Array(4)
    for (const text of addresses) if (address.parse(text, words)) own.add(addressKey(words))
    this.#own = own
  }

  judge(words: Int32Array): JudgedAddress {
    const judged = new Int32Array(4)
    judgedAs(words, this.#nat64, judged)
    const isOwn = (of: Int32Array): boolean => isLoopback(of) || this.#own.has(addressKey(of))
    // An own address of the host's that has another in it is the host's as well.
    const isHost = isOwn(judged) || isOwn(words)
    return { words: judged, isHost, isPrivate: isPrivate(judged) }
  }
}
