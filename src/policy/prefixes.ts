/**
 * Prefixes of addresses, and the form in which an address is judged.
 *
 * Addresses are four words, IPv4 in its mapped form (stack/wire/address.ts). So `::ffff:10.0.0.1` is 10.0.0.1 wherever it
 * comes from; what else has an IPv4 address in it is brought to that form by {@link judgedAs}.
 */
import * as address from '../stack/wire/address.ts'

export interface Prefix {
  readonly words: Int32Array
  /** In bits of the four words: an IPv4 prefix counts from 96. */
  readonly length: number
  /** Of IPv6: IPv4 addresses, which are below ::/0 in their mapped form, are not in it. */
  readonly isIpv6: boolean
}

/** The prefix of a text such as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1; or why it is none. */
export function readPrefix(text: string): Prefix | { readonly problem: string } {
  const [, host = '', digits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const words = new Int32Array(4)
  if (!address.parse(host, words)) {
    return { problem: 'it is neither an address nor a prefix such as 192.0.2.0/24' }
  }
  const isShort = address.isMapped(words) && !host.includes(':')
  const most = isShort ? 32 : 128
  const given = digits === undefined ? most : Number(digits)
  if (given > most) return { problem: `a prefix has at most ${most} bits` }
  const length = given + 128 - most
  const network = masked(words, length)
  if (!address.equals(network, words)) {
    return {
      problem: `it has bits behind its prefix: ${address.format(network)}/${given} is meant?`,
    }
  }
  return { words, length, isIpv6: !(address.isMapped(words) && length >= 96) }
}

/** As `readPrefix` reads it, a single address without its length. */
export function formatPrefix({ words, length, isIpv6 }: Prefix): string {
  const text = address.format(words)
  if (length === 128) return text
  return `${text}/${isIpv6 ? length : length - 96}`
}

/** The first `length` bits, the others zero. */
export function masked(words: Int32Array, length: number): Int32Array {
  return words.map((word, i) => word & address.mask(Math.min(Math.max(length - 32 * i, 0), 32)))
}

export function isInPrefix(words: Int32Array, { words: network, length, isIpv6 }: Prefix): boolean {
  if (isIpv6 && address.isMapped(words)) return false
  for (let i = 0, left = length; left > 0; i++, left -= 32) {
    if (((words[i]! ^ network[i]!) & address.mask(Math.min(left, 32))) !== 0) return false
  }
  return true
}

/** Is each address of `inner` in `outer`? */
export const isWithin = (inner: Prefix, outer: Prefix): boolean =>
  inner.length >= outer.length && inner.isIpv6 === outer.isIpv6 && isInPrefix(inner.words, outer)

/** 64:ff9b::/96, the well-known prefix of NAT64 (RFC 6052 §2.1). */
const WELL_KNOWN: Prefix = { words: Int32Array.of(0x64ff9b, 0, 0, 0), length: 96, isIpv6: true }

/** RFC 6052 §2.2: the lengths that a prefix of NAT64 may have. */
export const NAT64_LENGTHS: readonly number[] = [32, 40, 48, 56, 64, 96]

/**
 * The address that decides: the IPv4 address in one of 64:ff9b::/96 (NAT64), 2002::/16 (6to4, RFC 3056 §2) or the
 * host's own prefix of NAT64; else the address itself. Written into `into`.
 */
export function judgedAs(words: Int32Array, nat64: Prefix | undefined, into: Int32Array): void {
  let addr: number | undefined
  if (isInPrefix(words, WELL_KNOWN)) addr = words[3]!
  else if (words[0]! >>> 16 === 0x2002) addr = (words[0]! << 16) | (words[1]! >>> 16)
  else if (nat64 !== undefined && isInPrefix(words, nat64)) addr = embeddedIn(words, nat64.length)
  if (addr === undefined) into.set(words.subarray(0, 4))
  else address.mapped(addr, into)
}

/** RFC 6052 §2.2: the 32 bits behind the prefix, bits 64 to 71 left out. */
function embeddedIn(words: Int32Array, length: number): number {
  let addr = 0
  for (let octet = length / 8, i = 0; i < 4; octet++) {
    if (octet === 8) continue
    addr = (addr << 8) | ((words[octet >> 2]! >>> (24 - 8 * (octet & 3))) & 0xff)
    i++
  }
  return addr
}
