/**
 * What all flows share: the loop, the stack, the memory, and which host address the guest means.
 */

import { isIpv4 } from '../stack/flow-table.ts'
import type { Ipv6Subnet } from '../stack/ipv6-layer.ts'
import type { Slices } from '../stack/slices.ts'
import type { Stack } from '../stack/stack.ts'
import * as address from '../stack/wire/address.ts'
import * as ipv6 from '../stack/wire/ipv6.ts'
import type { Arena } from '../sys/arena.ts'
import type { Endpoint } from '../sys/socket.ts'
import type { FlowJournal } from './flow-journal.ts'
import type { Gate } from './gate.ts'
import type { HostErrors } from './host-errors.ts'
import type { KeepAliveOption } from './keep-alive.ts'
import type { Names } from './names.ts'
import type { OutboundAddresses } from './outbound.ts'
import type { Splicing } from './pipes.ts'
import type { Reactor } from './reactor.ts'
import { DNS_PORT, type Resolvers } from './resolvers.ts'
import type { Filtering } from './udp-filter.ts'

export interface NatOptions {
  readonly subnet: { readonly network: number; readonly prefix: number }
  /** The address through which the guest reaches the host's loopback. */
  readonly gateway: number
  /** The address at which the guest finds DNS. */
  readonly dnsAddress: number
  /** The same over IPv6, four words each; without it IPv6 is not spoken. */
  readonly ipv6?: Ipv6Subnet | undefined
  /** The guest may reach 127.0.0.1 and ::1 of the host through the gateway's addresses. */
  readonly hostLoopback: boolean
  /** The host's addresses that flows go out from; without them, the system chooses. */
  readonly outbound?: OutboundAddresses
  /** DNS at the DNS address is relayed. */
  readonly dns: boolean
  /** The addresses that DHCP lends, both ends among them. */
  readonly dhcpPool: { readonly begin: number; readonly end: number }
  /** What DHCP says of the link. */
  readonly mtu: number
  /** Of both sides of a TCP flow. */
  readonly keepAlive: KeepAliveOption
  /** Who may send to a UDP port of the guest. */
  readonly filtering: Filtering
  readonly limits: NatLimits
  /** TCP sockets in the guest's namespace: published ports lead to its loopback, past the TAP. */
  readonly guestSockets?: readonly number[] | undefined
}

export interface NatLimits {
  /** UDP mappings: guest address and port. */
  datagramFlows: number
  /** ICMP echo mappings: guest address and identifier. */
  echoFlows: number
}

export interface NatCounters {
  tcpOpened: number
  tcpClosed: number
  tcpDialsFailed: number
  udpOpened: number
  udpClosed: number
  /** Of those, flows that made room for others. */
  udpEvicted: number
  echoOpened: number
  echoClosed: number
  echoEvicted: number
  /** accept(2), socket(2) that failed for want of descriptors or memory. */
  resources: number
}

/** What the stack does not know: a flow past the TAP, or one that has text to deliver after its connection's end. */
export interface Orphan {
  destroy(): void
}

export interface Host {
  readonly arena: Arena
  readonly reactor: Reactor
  readonly stack: Stack
  readonly options: NatOptions
  readonly resolvers: Resolvers
  readonly names: Names
  readonly errors: HostErrors
  readonly counters: NatCounters
  readonly journal: FlowJournal
  /** Who is asked before anything of the guest goes out; absent: nobody. */
  gate: Gate | undefined
  /** Flows that have a socket, and that the stack does not know (any more). */
  readonly orphans: Set<Orphan>
  /** Published ports may lead past the TAP. */
  readonly splicing: Splicing | undefined
  /** For one system call: where to read to, or write from. */
  readonly slices: Slices
}

/** 127.0.0.1 and ::1. */
export const LOOPBACK: Int32Array = Int32Array.of(0, 0, 0xffff, 0x7f000001)
export const LOOPBACK6: Int32Array = Int32Array.of(0, 0, 0, 1)

/** What the guest may not reach. */
export type Denied = 'refused' | 'prohibited'

/**
 * Which endpoint of the host the guest means by the host's side of `key`: written into `to`, with what
 * kind it is; or why there is none.
 */
export function translate(
  host: Host,
  key: Int32Array,
  to: Endpoint,
): 'direct' | 'loopback' | 'dns' | Denied {
  const { options } = host
  to.port = key[8]! & 0xffff
  to.scope = 0
  if (isGateway(options, key)) {
    if (!options.hostLoopback) return 'prohibited'
    to.words.set(isIpv4(key) ? LOOPBACK : LOOPBACK6)
    return 'loopback'
  }
  if (isDnsAddress(options, key)) {
    if (!options.dns || to.port !== DNS_PORT) return 'refused'
    const server = host.resolvers.servers()[0]!
    to.words.set(server.words)
    to.scope = server.scope ?? 0
    return 'dns'
  }
  if (isRouterAddress(options, key)) return 'refused'
  for (let i = 0; i < 4; i++) to.words[i] = key[4 + i]!
  return 'direct'
}

/** Our link-local address: a router's, and nobody's port is behind it. */
function isRouterAddress({ ipv6: subnet }: NatOptions, key: Int32Array): boolean {
  return subnet !== undefined && ipv6.isAddress(key, 4, subnet.linkLocal)
}

function isGateway({ gateway, ipv6: subnet }: NatOptions, key: Int32Array): boolean {
  if (isIpv4(key)) return key[7] === gateway
  return subnet !== undefined && ipv6.isAddress(key, 4, subnet.gateway)
}

/** Is it for the name server? */
export function isForDns(options: NatOptions, key: Int32Array): boolean {
  return options.dns && (key[8]! & 0xffff) === DNS_PORT && isDnsAddress(options, key)
}

function isDnsAddress({ dnsAddress, ipv6: subnet }: NatOptions, key: Int32Array): boolean {
  if (isIpv4(key)) return key[7] === dnsAddress
  return subnet !== undefined && ipv6.isAddress(key, 4, subnet.dns)
}

/** Makes the DNS address the host's side of `key`, in the guest's IP version. */
export function appearAsDns({ dnsAddress, ipv6: subnet }: NatOptions, key: Int32Array): void {
  if (isIpv4(key)) key[7] = dnsAddress
  else key.set(subnet!.dns, 4)
  key[8] = (key[8]! & ~0xffff) | DNS_PORT
}

/**
 * Makes the host's side of `key` what the guest sees of a client or server at `peer`: itself, but for
 * loopback addresses, addresses of the guest's own subnet, which it could not answer, and those of the
 * other IP version: they appear as the gateway.
 */
export function appearAs(options: NatOptions, key: Int32Array, peer: Endpoint): void {
  const { words, port } = peer
  const isForeign = address.isMapped(words) !== isIpv4(key)
  if (isIpv4(key)) {
    const addr = words[3]!
    const { network, prefix } = options.subnet
    const isHidden = isForeign || isHostLoopback(words) || address.isIn(addr, network, prefix)
    key[4] = key[5] = 0
    key[6] = 0xffff
    key[7] = isHidden ? options.gateway : addr
  } else {
    const { prefix, gateway } = options.ipv6!
    const isOnLink = words[0] === prefix[0] && words[1] === prefix[1]
    const isLocal = isOnLink || ipv6.isLinkLocal(words, 0)
    key.set(isForeign || isLocal || isHostLoopback(words) ? gateway : words, 4)
  }
  key[8] = (key[8]! & ~0xffff) | port
}

/** 127.0.0.0/8 or ::1. */
export function isHostLoopback(words: Int32Array): boolean {
  return address.isMapped(words)
    ? address.isLoopback(words[3]!)
    : ipv6.isAddress(words, 0, LOOPBACK6)
}
