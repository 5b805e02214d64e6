/**
 * The DHCP server of a network (RFC 2131 §4.3): a function of a client's message, the leases and now.
 *
 * Theory of Operation
 *
 *  Clients are told apart by MAC, whatever identifier they give (deviates from RFC 2131 §4.2, as
 *  slirp4netns does): a container has its address again whichever of its programs asks.
 *
 *  Nobody else serves the network, and leases are lost with the process. So a client that knows of an
 *  address which we do not know it has may have it when it is free (deviates from RFC 2131 §4.3.2,
 *  which would have us silent about it; see 'a client that remembers a free address gets it').
 */
import * as address from '../stack/wire/address.ts'
import * as dhcp from '../stack/wire/dhcp.ts'
import { LEASE_TIME, type Leases } from './dhcp-leases.ts'
import { searchList } from './search-list.ts'

/** T1 and T2 (RFC 2131 §4.4.5), in seconds. */
const RENEWAL_TIME = LEASE_TIME / 2
const REBINDING_TIME = (LEASE_TIME * 7) / 8
/** The octets that every client takes, with IP and UDP headers (RFC 2131 §2), and those of a frame. */
const MIN_MAX_LEN = 576
const MAX_MAX_LEN = 1500
const HEADERS_LEN = 28
/** The largest message that is answered with. */
export const MAX_LEN: number = MAX_MAX_LEN - HEADERS_LEN
/** The least that INTERFACE_MTU may say (RFC 2132 §5.1). */
const MIN_MTU = 68

/** What there is to be told of the network. */
export interface DhcpNetwork {
  readonly subnet: { readonly network: number; readonly prefix: number }
  /** The router, and we: the server identifier. */
  readonly gateway: number
  /** The name server and its search list; absent: no names are served. */
  readonly dns?: number
  readonly search?: readonly string[]
  readonly mtu: number
}

/** An answer and where it goes (RFC 2131 §4.1). */
export interface DhcpReply extends dhcp.Reply {
  readonly to: Destination
}

export interface Destination {
  readonly addr: number
  readonly port: number
  /** Absent: to be found by ARP. */
  readonly mac?: Uint8Array
}

const EVERYBODY: Destination = {
  addr: -1,
  port: dhcp.CLIENT_PORT,
  mac: new Uint8Array(address.MAC_LEN).fill(0xff),
}

/** What the message is answered with; undefined: nothing. The reply borrows from the message. */
export function answer(
  m: dhcp.Message,
  leases: Leases,
  network: DhcpNetwork,
  now: number,
): DhcpReply | undefined {
  if (m.chaddr[0]! & 1) return undefined // a group is no client
  if (m.giaddr !== 0 && !isGuest(network, m.giaddr)) return undefined // we have no pool for it
  if (m.messageType === dhcp.DISCOVER) return dhcpDiscover(m, leases, network, now)
  if (m.messageType === dhcp.REQUEST) return dhcpRequest(m, leases, network, now)
  if (m.messageType === dhcp.DECLINE) dhcpDecline(m, leases, network, now)
  if (m.messageType === dhcp.RELEASE) dhcpRelease(m, leases, network, now)
  if (m.messageType === dhcp.INFORM) return dhcpInform(m, network)
  return undefined
}

/** RFC 2131 §4.3.1: a client looks for an address; it may say which. */
function dhcpDiscover(
  m: dhcp.Message,
  leases: Leases,
  network: DhcpNetwork,
  now: number,
): DhcpReply | undefined {
  const addr = leases.offer(clientOf(m), m.requestedAddr, now)
  if (addr === undefined) return undefined
  return reply(m, dhcp.OFFER, 0, addr, [...lease(), ...parameters(m, network)], network)
}

/**
 * RFC 2131 §4.3.2: a client takes what was offered (SELECTING: it names the server), or says which
 * address it remembers (INIT-REBOOT) or has (RENEWING, REBINDING: in ciaddr).
 */
function dhcpRequest(
  m: dhcp.Message,
  leases: Leases,
  network: DhcpNetwork,
  now: number,
): DhcpReply | undefined {
  const client = clientOf(m)
  if (m.serverId !== 0 && m.serverId !== network.gateway) {
    leases.withdraw(client, now)
    return undefined
  }
  const isSelecting = m.serverId !== 0
  const isRebooting = !isSelecting && m.requestedAddr !== 0
  const addr = isSelecting || isRebooting ? m.requestedAddr : m.ciaddr
  if (addr === 0) return undefined
  if (!leases.bind(client, addr, now)) {
    const text = new TextEncoder().encode('address not available')
    return reply(m, dhcp.NAK, 0, 0, [[dhcp.MESSAGE, text]], network)
  }
  const ciaddr = m.ciaddr === addr ? addr : 0
  return reply(m, dhcp.ACK, ciaddr, addr, [...lease(), ...parameters(m, network)], network)
}

/** RFC 2131 §4.3.3: a client found that somebody else uses the address. */
function dhcpDecline(m: dhcp.Message, leases: Leases, network: DhcpNetwork, now: number): void {
  if (m.serverId === network.gateway) leases.decline(clientOf(m), m.requestedAddr, now)
}

/** RFC 2131 §4.3.4: a client gives its address back. */
function dhcpRelease(m: dhcp.Message, leases: Leases, network: DhcpNetwork, now: number): void {
  if (m.serverId === network.gateway) leases.release(clientOf(m), m.ciaddr, now)
}

/** RFC 2131 §4.3.5: a client that has an address of its own asks for the rest. */
function dhcpInform(m: dhcp.Message, network: DhcpNetwork): DhcpReply | undefined {
  if (!isGuest(network, m.ciaddr)) return undefined
  return reply(m, dhcp.ACK, m.ciaddr, 0, parameters(m, network), network)
}

/** RFC 2131 §4.3.1, table 3; `options` are cut to what the client takes. */
function reply(
  m: dhcp.Message,
  type: number,
  ciaddr: number,
  yiaddr: number,
  options: readonly dhcp.Option[],
  network: DhcpNetwork,
): DhcpReply {
  const { xid, giaddr, chaddr } = m
  // A relay agent cannot tell that the client does not have its address (RFC 2131 §4.3.2).
  const flags = type === dhcp.NAK && giaddr !== 0 ? m.flags | dhcp.BROADCAST : m.flags
  const all: dhcp.Option[] = [
    [dhcp.MESSAGE_TYPE, Uint8Array.of(type)],
    [dhcp.SERVER_ID, word(network.gateway)],
  ]
  // RFC 6842 §3: as it came, for clients that share a MAC.
  if (m.clientIdLen > 0) all.push([dhcp.CLIENT_ID, m.clientId.subarray(0, m.clientIdLen)])
  const most = Math.min(Math.max(m.maxLen, MIN_MAX_LEN), MAX_MAX_LEN) - HEADERS_LEN
  const room = most - dhcp.OPTIONS_AT - 1 // END
  let used = all.reduce((sum, [, octets]) => sum + 2 + octets.length, 0)
  for (const option of options) {
    const len = 2 + option[1].length
    if (used + len > room) continue
    used += len
    all.push(option)
  }
  const to = destination(m, type, ciaddr, yiaddr)
  return { xid, flags, ciaddr, yiaddr, giaddr, chaddr, options: all, to }
}

/** RFC 2131 §4.1: the relay agent, the address the client has, everybody, or the address it gets. */
function destination(m: dhcp.Message, type: number, ciaddr: number, yiaddr: number): Destination {
  if (m.giaddr !== 0) return { addr: m.giaddr, port: dhcp.SERVER_PORT }
  if (type === dhcp.NAK) return EVERYBODY
  if (ciaddr === 0 && m.flags & dhcp.BROADCAST) return EVERYBODY
  // It does not answer ARP for `yiaddr` yet.
  return { addr: ciaddr === 0 ? yiaddr : ciaddr, port: dhcp.CLIENT_PORT, mac: m.chaddr }
}

function lease(): dhcp.Option[] {
  return [
    [dhcp.LEASE_TIME, word(LEASE_TIME)],
    [dhcp.RENEWAL_TIME, word(RENEWAL_TIME)],
    [dhcp.REBINDING_TIME, word(REBINDING_TIME)],
  ]
}

/** What the client asks for, in its order (RFC 2132 §9.8); all there is when it does not say. */
function parameters(m: dhcp.Message, network: DhcpNetwork): dhcp.Option[] {
  const known = new Map(describe(network))
  if (m.parametersLen === 0) return [...known]
  const asked = new Set(m.parameters.subarray(0, m.parametersLen))
  // RFC 2132 §3.3: the mask is in front of the router.
  const codes = asked.has(dhcp.SUBNET_MASK) ? new Set([dhcp.SUBNET_MASK, ...asked]) : asked
  const chosen: dhcp.Option[] = []
  for (const code of codes) {
    const octets = known.get(code)
    if (octets !== undefined) chosen.push([code, octets])
  }
  return chosen
}

function describe({ subnet, gateway, dns, search = [], mtu }: DhcpNetwork): dhcp.Option[] {
  const mask = address.mask(subnet.prefix)
  const options: dhcp.Option[] = [
    [dhcp.SUBNET_MASK, word(mask)],
    [dhcp.ROUTER, word(gateway)],
    [dhcp.BROADCAST_ADDRESS, word(subnet.network | ~mask)],
  ]
  if (mtu >= MIN_MTU) options.push([dhcp.INTERFACE_MTU, Uint8Array.of(mtu >>> 8, mtu & 255)])
  if (dns === undefined) return options
  options.push([dhcp.DOMAIN_NAME_SERVER, word(dns)])
  const domains = searchList(search, dhcp.MAX_OPTION_LEN)
  if (domains.length > 0) options.push([dhcp.DOMAIN_SEARCH, domains])
  return options
}

/** May a guest have the address? */
function isGuest({ subnet, gateway, dns }: DhcpNetwork, addr: number): boolean {
  const { network, prefix } = subnet
  if (!address.isIn(addr, network, prefix) || addr === gateway || addr === dns) return false
  return addr !== network && addr !== (network | ~address.mask(prefix))
}

/** The MAC as a number. */
function clientOf(m: dhcp.Message): number {
  return m.chaddr.reduce((number, octet) => number * 256 + octet, 0)
}

/** 32 bits in network order. */
function word(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
}
