/**
 * What all flows share: the loop, the stack, the memory, and which host address the guest means.
 */

import type { Slices } from '../stack/slices.ts'
import type { Stack } from '../stack/stack.ts'
import * as address from '../stack/wire/address.ts'
import type { Arena } from '../sys/arena.ts'
import type { Endpoint } from '../sys/socket.ts'
import type { Reactor } from './reactor.ts'
import type { Resolvers } from './resolvers.ts'

export interface NatOptions {
  readonly subnet: { readonly network: number; readonly prefix: number }
  /** The address through which the guest reaches the host's loopback. */
  readonly gateway: number
  /** The address at which the guest finds DNS. */
  readonly dnsAddress: number
  /** The guest may reach 127.0.0.1 of the host through the gateway's address. */
  readonly hostLoopback: boolean
  /** DNS at the DNS address is relayed. */
  readonly dns: boolean
  /** The addresses that DHCP lends, both ends among them. */
  readonly dhcpPool: { readonly begin: number; readonly end: number }
  /** What DHCP says of the link. */
  readonly mtu: number
  readonly limits: NatLimits
}

export interface NatLimits {
  /** UDP mappings: guest address and port. */
  datagramFlows: number
}

export interface NatCounters {
  tcpOpened: number
  tcpClosed: number
  tcpDialsFailed: number
  udpOpened: number
  udpClosed: number
  /** accept(2), socket(2) that failed for want of descriptors or memory. */
  resources: number
}

export interface Host {
  readonly arena: Arena
  readonly reactor: Reactor
  readonly stack: Stack
  readonly options: NatOptions
  readonly resolvers: Resolvers
  readonly counters: NatCounters
  /** For one system call: where to read to, or write from. */
  readonly slices: Slices
}

export const LOOPBACK = 0x7f000001
export const DNS_PORT = 53

/** What the guest may not reach. */
export type Denied = 'refused' | 'prohibited'

/**
 * Which endpoint of the host the guest means by `addr` and `port`; `isDns` is true when it is a name
 * server. Writes it into `to`; or says why there is none.
 */
export function translate(
  host: Host,
  addr: number,
  port: number,
  to: Endpoint,
): 'direct' | 'loopback' | 'dns' | Denied {
  const { options } = host
  to.port = port
  if (addr === options.gateway) {
    if (!options.hostLoopback) return 'prohibited'
    address.mapped(LOOPBACK, to.words)
    return 'loopback'
  }
  if (addr === options.dnsAddress) {
    if (!options.dns || port !== DNS_PORT) return 'refused'
    const server = host.resolvers.current()
    if (server === undefined) return 'refused'
    to.words.set(server)
    return 'dns'
  }
  address.mapped(addr, to.words)
  return 'direct'
}

/**
 * As whom the guest sees a client at `words`: itself, but for loopback addresses and addresses of
 * the guest's own subnet, which it could not answer: those appear as the gateway.
 */
export function appearance(options: NatOptions, words: Int32Array): number {
  const addr = words[3]!
  if (!address.isMapped(words) || address.isLoopback(addr)) return options.gateway
  if (address.isIn(addr, options.subnet.network, options.subnet.prefix)) return options.gateway
  return addr
}
