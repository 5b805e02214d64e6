/**
 * DHCPv6 without leases (RFC 8415 §6.1): guests make their addresses themselves, and who asks for the rest is told
 * the name server and its search list. A function of a client's message. Who wants an address gets no answer: router
 * advertisements say that there are none by DHCPv6 (the M flag is off, the O flag is on).
 */
import * as dhcpv6 from '../stack/wire/dhcpv6.ts'
import { searchList } from './search-list.ts'

/** Ours: with all else, the answer fits the least MTU of IPv6. */
const MAX_SEARCH_LEN = 512
/** The largest message that is answered with: identifiers, name server, search list, and a header for each. */
export const MAX_LEN: number = dhcpv6.OPTIONS_AT + 4 * 4 + 130 + 10 + 16 + MAX_SEARCH_LEN

/** What there is to be told of the network. */
export interface Dhcpv6Network {
  /** The server's DUID. */
  readonly serverId: Uint8Array
  /** The name server, 16 octets. */
  readonly dns: Uint8Array
  readonly search: readonly string[]
}

/** What the message is answered with (RFC 8415 §18.3.6), as options of a Reply; undefined: nothing. */
export function answer(m: dhcpv6.Message, network: Dhcpv6Network): dhcpv6.Option[] | undefined {
  if (m.messageType !== dhcpv6.INFORMATION_REQUEST) return undefined
  // RFC 8415 §16.12: it is for another server, or is no such request.
  if (m.serverIdLen > 0 && !isEqual(m.serverId.subarray(0, m.serverIdLen), network.serverId)) {
    return undefined
  }
  if (m.wantsAddress) return undefined
  const options: dhcpv6.Option[] = []
  if (m.clientIdLen > 0) options.push([dhcpv6.CLIENT_ID, m.clientId.subarray(0, m.clientIdLen)])
  options.push([dhcpv6.SERVER_ID, network.serverId])
  const isAsked = (code: number): boolean =>
    m.requestedCount === 0 || m.requested.subarray(0, m.requestedCount).includes(code)
  if (isAsked(dhcpv6.DNS_SERVERS)) options.push([dhcpv6.DNS_SERVERS, network.dns])
  const search = searchList(network.search, MAX_SEARCH_LEN)
  if (search.length > 0 && isAsked(dhcpv6.DOMAIN_LIST)) options.push([dhcpv6.DOMAIN_LIST, search])
  return options
}

const isEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((octet, i) => octet === b[i])
