/** What every way to ask for a network has in common: defaults, and what can be had at most. */

/** What a forward may be: of one IP version at both ends, or of any. */
export const FORWARD_PROTOS = ['tcp', 'udp', 'tcp4', 'udp4', 'tcp6', 'udp6'] as const

/** How published TCP ports lead to the guest. */
export const FORWARD_MODES = ['tap', 'splice'] as const

/** Ours: ports in a row, as one forward. They are bound in one go, 60 µs each, and the network waits. */
export const MAX_COUNT = 1024

export const DEFAULT_MTU = 1500
/** As upstream's: 65,535 less the 14 octets of an Ethernet header. */
export const MAX_MTU = 65521
/** Of IPv4 (RFC 791 §3.2): a smaller one that the command was given is taken for this. */
export const MIN_MTU = 68
export const DEFAULT_CIDR = '10.0.2.0/24'
/** With a longer prefix there is no network address + 100 for the guest. */
export const MAX_PREFIX = 25

/** Whom a UDP port of the container hears, in RFC 4787's words. */
export const FILTERINGS = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
] as const

/** What a network may hold at most. At each limit what is new is refused or waits, and what is there goes on. */
export interface Limits {
  /** TCP connections, those that are being opened among them. */
  readonly connections: number
  /** Of those, TCP handshakes of the container's that are under way. */
  readonly halfOpen: number
  /** UDP ports of the container. */
  readonly udpFlows: number
  /** Pings to the outside: identifiers of the container's echo requests. */
  readonly pings: number
  /** Datagrams that wait for fragments, of each IP version; 64 KiB each. */
  readonly fragments: number
  /** Octets that a TCP connection may buffer, each way. */
  readonly buffer: number
  /** Octets that all of them may buffer. */
  readonly memory: number
}

const MIB = 1024 * 1024

/** What each may be. */
export const LIMITS: Readonly<
  Record<keyof Limits, { readonly least: number; readonly most: number }>
> = {
  connections: { least: 1, most: 1_000_000 },
  halfOpen: { least: 1, most: 1_000_000 },
  udpFlows: { least: 1, most: 1_000_000 },
  pings: { least: 1, most: 65_536 },
  fragments: { least: 1, most: 4096 },
  buffer: { least: 65_536, most: 64 * MIB },
  memory: { least: MIB, most: 1024 * MIB },
}

export type LimitName = keyof typeof LIMITS
export const LIMIT_NAMES: readonly LimitName[] = Object.keys(LIMITS) as LimitName[]

/** Descriptors that are not flows': the TAP, Node's, and the spare ones. */
const RESERVED_DESCRIPTORS = 32
/** Of those, whatever the limits are: for the API's clients, published ports, resolv.conf. */
export const SPARE_DESCRIPTORS = 16
/** Ours: a Gbit/s over 30 ms. Connections begin with less (stack/tcp/buffers.ts). */
const BUFFER = 4 * MIB
/** Ours: address space. Pages are taken when they are touched, so an idle network has a fraction of it. */
const MEMORY = 224 * MIB

/**
 * The limits that hold: those given, and for the rest what a process may have that may open `descriptors`
 * (getrlimit(2): RLIMIT_NOFILE), of which each flow needs one.
 */
export function limitsOf(given: Partial<Limits>, descriptors: number): Limits {
  const flows = Math.max(16, descriptors - RESERVED_DESCRIPTORS)
  const { connections = flows } = given
  return {
    connections,
    // Half of them, so that a flood of SYNs leaves room to those that answer.
    halfOpen: Math.min(4096, Math.max(1, connections >> 1)),
    udpFlows: Math.max(16, flows >> 1),
    pings: Math.max(4, Math.min(1024, flows >> 3)),
    fragments: 64,
    buffer: BUFFER,
    memory: MEMORY,
    ...given,
  }
}

/** In ms, as far as Linux takes them (tcp(7): TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT). */
export const KEEP_ALIVE = {
  idle: { least: 1000, most: 32_767_000, default: 7_200_000 },
  interval: { least: 1000, most: 32_767_000, default: 75_000 },
  probes: { least: 1, most: 127, default: 9 },
} as const
