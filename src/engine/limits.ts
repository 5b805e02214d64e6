/** What every way to ask for a network has in common: defaults, and what can be had at most. */

/** What a forward may be: of one IP version at both ends, or of any. */
export const FORWARD_PROTOS = ['tcp', 'udp', 'tcp4', 'udp4', 'tcp6', 'udp6'] as const

/** How published TCP ports lead to the guest. */
export const FORWARD_MODES = ['tap', 'splice'] as const

export const DEFAULT_MTU = 1500
/** As upstream's: 65,535 less the 14 octets of an Ethernet header. */
export const MAX_MTU = 65521
/** Of IPv4 (RFC 791 §3.2): a smaller one that the command was given is taken for this. */
export const MIN_MTU = 68
export const DEFAULT_CIDR = '10.0.2.0/24'
/** With a longer prefix there is no network address + 100 for the guest. */
export const MAX_PREFIX = 25
