/**
 * What the control plane knows of a network: how one is asked for, and the handle that it is served by. Types
 * only, so that the command line can be read and refused before the engine, the stack or koffi is loaded.
 */

import type { NetworkEgress } from '../egress/network-egress.ts'
import type { ClosedFlow, Flow, FlowListener } from '../nat/flow-journal.ts'
import type { KeepAliveOption } from '../nat/keep-alive.ts'
import type { Filtering } from '../nat/udp-filter.ts'
import type { Decision } from '../policy/decisions.ts'
import type { Policy } from '../policy/policy.ts'
import type { Drops } from '../stack/counters.ts'
import type { FORWARD_MODES, Limits } from './limits.ts'

export type { ClosedFlow, Flow, FlowAddress, FlowEnd, FlowListener } from '../nat/flow-journal.ts'
export type { KeepAliveOption } from '../nat/keep-alive.ts'
export type { Filtering } from '../nat/udp-filter.ts'
export type { Drops } from '../stack/counters.ts'

/** How a network is made. Everything in here has been checked. */
export interface NetworkOptions {
  /** Where the TAP is: in the namespaces of a process, in a namespace file, or open already. Or a socket for a switch. */
  readonly target:
    | { readonly pid: number }
    | { readonly netns: string; readonly userns?: string }
    | { readonly fd: number }
    | { readonly bess: string }
  /** The TAP's name; '' for an open one, which has its name. */
  readonly tapName: string
  readonly mtu: number
  /** `network` is in host order, as a signed or unsigned 32-bit number; `prefix` is 1 to 25. */
  readonly cidr: { readonly network: number; readonly prefix: number }
  /** Bring the interface up, with addresses and the default route. */
  readonly configure: boolean
  /** Six octets. Absent: the kernel's choice. */
  readonly macAddress?: Uint8Array
  /** Speak IPv6 as well: fd00::/64, advertised by us as its router. */
  readonly ipv6: boolean
  /** May the guest reach the host's 127.0.0.1 through the gateway's address? */
  readonly hostLoopback: boolean
  /** The host's IPv4 address that flows go out from, or the interface that has it. Absent: the system's choice. */
  readonly outboundAddr?: string
  /** The same for IPv6. */
  readonly outboundAddr6?: string
  /** Does the DNS address answer? */
  readonly dns: boolean
  /** Where the guest may go. Absent: anywhere. */
  readonly egress?: NetworkEgress
  /** How published TCP ports lead to the guest: by the TAP (the default), or past it to the guest's loopback. */
  readonly forwardMode?: ForwardMode
  /** Absent: as the system has it. */
  readonly keepAlive?: KeepAliveOption
  /** Absent: endpoint-independent. */
  readonly filtering?: Filtering
  /** Those that are absent follow from RLIMIT_NOFILE, or are ours. */
  readonly limits?: Partial<Limits>
}

export type ForwardMode = (typeof FORWARD_MODES)[number]

/**
 * With a number, both ends are of that IP version. Without one each is of the version of its address, and at `::` the
 * host takes clients of both.
 */
export type ForwardProto = 'tcp' | 'udp' | 'tcp4' | 'udp4' | 'tcp6' | 'udp6'

/** A port of the host that leads to a port of a guest; or several in a row, each to its own. */
export interface Forward {
  /** From 1, never used again in one network. */
  readonly id: number
  readonly proto: ForwardProto
  readonly hostAddr: string
  readonly hostPort: number
  readonly guestAddr: string
  readonly guestPort: number
  /** How many: `hostPort` and `guestPort` are the first of them. */
  readonly count: number
}

/** What a forward is asked for by; one port when it does not say how many. */
export interface ForwardRequest extends Omit<Forward, 'id' | 'count'> {
  readonly count?: number
}

export interface Forwards {
  /**
   * A `guestAddr` of '' is the guest that was configured; the answer has its address. With IPv6 that is the address
   * that its kernel makes of its MAC. Rejects with the cause (an
   * address in use, no permission) when the host refuses a port: then none of them is published.
   */
  add(forward: ForwardRequest): Promise<Forward>
  list(): Promise<Forward[]>
  /** False when no forward has this id. */
  remove(id: number): Promise<boolean>
}

/** A port of the program itself on the container's network. Checked, but for whether the port is free. */
export interface EndpointOptions {
  readonly proto: 'tcp' | 'udp'
  readonly address: string
  /** 0 is any that is free. */
  readonly port: number
  /** Asked for by this name, the name server's address answers with the address. In lower case. */
  readonly name: string | undefined
  /** Octets that may be under way to a connection's stream, each way. */
  readonly window: number
}

/** The addresses that follow from the CIDR, in text form. */
export interface Addresses {
  readonly network: string
  readonly netmask: string
  readonly gateway: string
  readonly dns: string
  readonly guest: string
  readonly dhcpBegin: string
  readonly dhcpEnd: string
}

/** Why a network ended. 'closed' is its own `close()`; everything else was not asked for. */
export interface Ending {
  readonly reason: 'closed' | 'tap-gone' | 'failed'
  readonly error?: Error
}

/** Frames and their octets. With segmentation offload a frame has up to 64 KiB, to the guest up to 256 KiB. */
export interface Traffic {
  readonly frames: number
  readonly octets: number
}

export interface DatagramFlows {
  readonly opened: number
  readonly closed: number
  /** Of those closed, how many made room for others: a limit was reached. */
  readonly evicted: number
}

/** What was counted since the network began. */
export interface Stats {
  readonly fromGuest: Traffic
  readonly toGuest: Traffic
  readonly tcp: {
    readonly opened: number
    readonly closed: number
    /** Connections of the guest that the host, or who is behind it, refused. */
    readonly dialsFailed: number
    readonly retransmits: number
    readonly timeouts: number
    /** Answers to segments that somebody else may have made up (RFC 5961). */
    readonly challengeAcks: number
    /** Idle guests that were asked whether they live. */
    readonly keepAlives: number
  }
  /** Of UDP a flow is a socket of the guest, or one question to a name server. */
  readonly udp: DatagramFlows
  /** Of ICMP echo one is an identifier of the guest: a ping(8), say. */
  readonly echo: DatagramFlows
  /** Frames and packets that were dropped, by reason. */
  readonly drops: Readonly<Drops> & {
    /** To the guest: its interface is down. */
    readonly tapDown: number
    /** To the guest: its kernel had no room. */
    readonly tapFull: number
    /** To the guest: its kernel refused the frame. */
    readonly tapRefused: number
    /** From the guest: no frame in it. */
    readonly tapShort: number
  }
  /** Sockets that could not be opened or accepted for want of descriptors or memory. */
  readonly socketsFailed: number
  /** Where there is an egress policy: what it said. */
  readonly egress?: {
    readonly flowsAllowed: number
    readonly flowsDenied: number
    readonly questionsAllowed: number
    readonly questionsDenied: number
    /** Addresses that had to be forgotten for others: flows to them are denied. */
    readonly leasesEvicted: number
  }
}

/** The network goes on, but something is not as it should be. */
export interface Warning {
  readonly code:
    | 'WARN_CONNECTIONS'
    | 'WARN_MEMORY'
    | 'WARN_SOCKETS'
    | 'WARN_TAP'
    | 'WARN_CAPTURE'
    | 'WARN_HOOK'
  /** How often it happened since the last warning of this code. */
  readonly count: number
  /** For people. */
  readonly message: string
}

/** Where a capture goes: a file that is made, or an open descriptor. One of the two. */
export interface CaptureOptions {
  readonly path?: string | undefined
  readonly fd?: number | undefined
  /** The most octets of a frame that are kept. */
  readonly snapLength: number
}

/** What there was in a capture. */
export interface CaptureResult {
  readonly frames: number
  /** Frames that are not in it, since who should have read it did not, or the disk was full. */
  readonly dropped: number
}

/** What can be told as it happens. */
export interface Observer extends FlowListener {
  warned(warning: Warning): void
}

/** One thing that has happened, on its way to another thread. */
export type Happening =
  | { readonly kind: 'flow-open'; readonly flow: Flow }
  | { readonly kind: 'flow-close'; readonly flow: ClosedFlow }
  | { readonly kind: 'warning'; readonly warning: Warning }

/** What somebody wants to be told of. */
export interface Interest {
  readonly flows: boolean
  readonly warnings: boolean
}

/** A network on the main thread. */
export interface Network {
  readonly addresses: Addresses
  readonly macAddress?: string
  /** The TAP's descriptor in this process. Only shown (`received tapfd=…`), never used by who reads it. */
  readonly tapFd?: number
  readonly forwards: Forwards
  /** Settles once, when the network has ended for whatever reason. Never rejects. */
  readonly closed: Promise<Ending>
  /**
   * Calls back once, when `fd` hangs up or is in error. Octets on it are left alone. False when `fd` is not open;
   * true without ever calling back for what cannot hang up (a regular file).
   */
  watchHangup(fd: number, callback: () => void): boolean
  /** What was counted until now. */
  stats(): Stats
  /** Starts a capture. Throws the system's error when its file cannot be had. */
  capture(options: CaptureOptions): void
  /** Calls the observer from now on, in the data plane's turn, for what it is interested in. */
  observe(observer: Observer, interest: Interest): void
  /** Records from now on what is decided of the guest's egress. */
  recordDecisions(): void
  /** What was decided since it was asked last. */
  decisions(): Decision[]
  /** Throws when the network was made without an egress policy. */
  setPolicy(policy: Policy): void
  close(): Promise<void>
}

/** `startNetwork` of main-thread.ts. */
export type StartNetwork = (options: NetworkOptions) => Promise<Network>
