/**
 * ICMPv6 (RFC 4443), and Neighbor Discovery in it (RFC 4861).
 *
 *   0      1      2          4                8
 *   | type | code | checksum | by the type    | body …          all types
 *   | 128  | 0    | checksum | id  | sequence | text            echo
 *   | 135  | 0    | checksum | reserved       | target (16) | options     neighbor solicitation
 *   | 136  | 0    | checksum | R S O, …       | target (16) | options     neighbor advertisement
 *   | 133  | 0    | checksum | reserved       | options                   router solicitation
 *   | 134  | 0    | checksum | hops, M O, life| reachable, retransmit | options   advertisement
 *
 * The checksum covers a pseudo-header (RFC 8200 §8.1): it is computed by whoever knows the addresses.
 */
export const HEADER_LEN = 8
export const CHECKSUM = 2
/** RFC 4443 §2.4 (c): an error fits the minimum MTU, with its IPv6 header and its own. */
export const MAX_QUOTE: number = 1280 - 40 - HEADER_LEN

export const UNREACHABLE = 1
export const PACKET_TOO_BIG = 2
export const TIME_EXCEEDED = 3
export const PARAMETER_PROBLEM = 4
export const ECHO = 128
export const ECHO_REPLY = 129
export const ROUTER_SOLICITATION = 133
export const ROUTER_ADVERTISEMENT = 134
export const NEIGHBOR_SOLICITATION = 135
export const NEIGHBOR_ADVERTISEMENT = 136

/** Codes of UNREACHABLE. */
export const NO_ROUTE = 0
export const PROHIBITED = 1
export const ADDRESS_UNREACHABLE = 3
export const PORT_UNREACHABLE = 4
/** Codes of TIME_EXCEEDED. */
export const HOP_LIMIT_EXCEEDED = 0
export const REASSEMBLY_EXCEEDED = 1
/** Codes of PARAMETER_PROBLEM. */
export const ERRONEOUS_FIELD = 0
export const UNRECOGNIZED_NEXT_HEADER = 1
/** RFC 7112 §8. */
export const INCOMPLETE_HEADER_CHAIN = 3

/** Options of Neighbor Discovery (RFC 4861 §4.6, RFC 8106). */
export const SOURCE_LINK_LAYER = 1
export const TARGET_LINK_LAYER = 2
export const PREFIX_INFORMATION = 3
export const MTU_OPTION = 5
export const RDNSS = 25

/** Where the target of a solicitation or advertisement is, and where their options start. */
export const TARGET = 8
export const TARGET_OPTIONS = 24
export const SOLICITED = 0x40000000
export const OVERRIDE = 0x20000000
export const IS_ROUTER = 0x80000000
/** In a router advertisement: there is more to be known by DHCPv6 (RFC 4861 §4.2, the O flag). */
export const OTHER_CONFIGURATION = 0x00400000

export const type = (v: DataView, at: number): number => v.getUint8(at)
export const code = (v: DataView, at: number): number => v.getUint8(at + 1)
export const isError = (kind: number): boolean => kind < 128

export function check(at: number, end: number): boolean {
  return end - at >= HEADER_LEN
}

/**
 * Where the option of that type starts in [at, end); -1 when there is none, -2 when the options are
 * malformed: then the whole message is to be dropped (RFC 4861 §4.6).
 */
export function findOption(v: DataView, at: number, end: number, wanted: number): number {
  let found = -1
  while (at < end) {
    if (end - at < 8) return -2
    const len = 8 * v.getUint8(at + 1)
    if (len === 0 || at + len > end) return -2
    if (v.getUint8(at) === wanted && found < 0) found = at
    at += len
  }
  return found
}

/** Writes type, code and the second word, and no checksum yet; returns where the body starts. */
export function emit(v: DataView, at: number, kind: number, what: number, word: number): number {
  v.setUint32(at, ((kind << 24) | (what << 16)) >>> 0)
  v.setUint32(at + 4, word >>> 0)
  return at + HEADER_LEN
}

/** A link-layer address option; returns its end. */
export function emitLinkLayer(v: DataView, at: number, option: number, mac: Uint8Array): number {
  v.setUint16(at, (option << 8) | 1)
  for (let i = 0; i < 6; i++) v.setUint8(at + 2 + i, mac[i]!)
  return at + 8
}

/** The prefix of a link, on which hosts make their own addresses (RFC 4861 §4.6.2). Times in s. */
export function emitPrefix(
  v: DataView,
  at: number,
  prefixLen: number,
  valid: number,
  preferred: number,
): number {
  v.setUint32(at, (PREFIX_INFORMATION << 24) | (4 << 16) | (prefixLen << 8) | 0xc0)
  v.setUint32(at + 4, valid)
  v.setUint32(at + 8, preferred)
  v.setUint32(at + 12, 0)
  return at + 16
}

export function emitMtu(v: DataView, at: number, mtu: number): number {
  v.setUint32(at, (MTU_OPTION << 24) | (1 << 16))
  v.setUint32(at + 4, mtu)
  return at + 8
}

/** One recursive name server (RFC 8106 §5.1), whose address follows. `lifetime` in s. */
export function emitRdnss(v: DataView, at: number, lifetime: number): number {
  v.setUint32(at, (RDNSS << 24) | (3 << 16))
  v.setUint32(at + 4, lifetime)
  return at + 8
}
