/**
 * Socket addresses: between an {@link Endpoint} and `struct sockaddr_in`, `sockaddr_in6`.
 *
 *   0        2      4            8                24
 *   | family | port | IPv4                        |          16 octets, the last 8 zero
 *   | family | port | flow label | IPv6           | scope |  28 octets
 *
 * The family is in the machine's order (little-endian), all else in network order but the scope.
 */
import { AF_INET, AF_INET6 } from './constants.ts'

/** An IP address, four words in network order with IPv4 as ::ffff:a.b.c.d, and a port. */
export interface Endpoint {
  readonly words: Int32Array
  port: number
  /** Of a link-local IPv6 address: the index of its interface. */
  scope?: number
  /** Which of our addresses it has sent to, and is to be answered from. Without it: the system's choice. */
  from?: Int32Array | undefined
}

export const SOCKADDR_LEN = 16
export const SOCKADDR6_LEN = 28

/** AF_INET for an IPv4-mapped address, else AF_INET6. */
export function familyOf(endpoint: Endpoint): number {
  return isMapped(endpoint.words) ? AF_INET : AF_INET6
}

export function isMapped(words: Int32Array): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === 0xffff
}

export function setMapped(words: Int32Array, addr: number): void {
  words[0] = 0
  words[1] = 0
  words[2] = 0xffff
  words[3] = addr
}

/** Writes the address at `at` and returns its length. */
export function setSockaddr(view: DataView, at: number, endpoint: Endpoint): number {
  const { words, port, scope = 0 } = endpoint
  view.setUint16(at + 2, port)
  if (familyOf(endpoint) === AF_INET) {
    view.setUint16(at, AF_INET, true)
    view.setInt32(at + 4, words[3]!)
    view.setInt32(at + 8, 0)
    view.setInt32(at + 12, 0)
    return SOCKADDR_LEN
  }
  view.setUint16(at, AF_INET6, true)
  view.setInt32(at + 4, 0)
  view.setInt32(at + 8, words[0]!)
  view.setInt32(at + 12, words[1]!)
  view.setInt32(at + 16, words[2]!)
  view.setInt32(at + 20, words[3]!)
  view.setInt32(at + 24, scope, true)
  return SOCKADDR6_LEN
}

/** Reads the address at `at`; false (and `::`, port 0) when it is of no family that we know. */
export function getSockaddr(view: DataView, at: number, endpoint: Endpoint): boolean {
  const { words } = endpoint
  const family = view.getUint16(at, true)
  if (family === AF_INET) {
    setMapped(words, view.getInt32(at + 4))
  } else if (family === AF_INET6) {
    words[0] = view.getInt32(at + 8)
    words[1] = view.getInt32(at + 12)
    words[2] = view.getInt32(at + 16)
    words[3] = view.getInt32(at + 20)
    const scope = view.getInt32(at + 24, true)
    if (scope !== 0 || endpoint.scope !== undefined) endpoint.scope = scope
  } else {
    words.fill(0)
    endpoint.port = 0
    return false
  }
  endpoint.port = view.getUint16(at + 2)
  return true
}
