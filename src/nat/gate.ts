/**
 * What the NAT asks before it lets anything of the guest out. It knows nothing of rules: a flow gets a passage, or it does
 * not. Without a gate nothing is asked, and nothing it costs.
 *
 *   the NAT                                           the gate
 *   a SYN of the guest                            →   dial(passage), now or later; or it answers the SYN itself
 *   the socket is connected: octets of the guest  →   passage.inspector: how many of them may be sent
 *   a datagram, the first to that destination     →   a passage, or none, which the guest was told of
 *   a datagram from a host that was not sent to   →   may it reach the guest?
 *   a question to the name server                 →   all of it is the gate's
 *   a flow is over                                →   passage.closed
 *   the flow is reset                             ←   passage.revoke(): the rules have changed, or a time-out
 */
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import type { SynRequest } from '../stack/tcp/syn-request.ts'
import type { Endpoint } from '../sys/socket.ts'

/** Reads what the guest sends, and says how much of it may be sent on. */
export interface Inspector {
  /** `'open'`: all, and nobody needs to look any more. `'denied'`: the flow has to be reset. */
  readonly state: 'reading' | 'open' | 'denied'
  /** Octets, from the first on, that may be sent. */
  readonly passed: number
  /** The octets that follow those before; borrowed. Each is shown once. */
  feed(octets: Uint8Array, at: number, len: number): void
  /** The guest has sent its last octet. */
  end(): void
}

/** What a flow goes by. */
export interface Passage {
  /** Where it goes in place of where the guest thinks that it goes; tried one after another. */
  readonly destinations?: readonly Endpoint[]
  /** Of TCP: reads before anything is sent. */
  readonly inspector?: Inspector | undefined
  /** Set by the flow: resets it. */
  revoke: (() => void) | undefined
  /** The inspector has read something: it may be time to judge, or too late. */
  inspected?(): void
  /** The flow is over. */
  closed(octetsFromGuest: number, octetsToGuest: number): void
}

export type DatagramProtocol = 'udp' | 'icmp'

export interface Gate {
  /** The guest opens a connection. `dial` is called when it may; else the request is answered, now or later. */
  openTcp(request: SynRequest, dial: (passage: Passage) => void): void
  /** … to an end point of the program's own, whose registration is the permission. */
  tookEndpoint(request: SynRequest): void
  /** … to the name server. */
  openDns(request: SynRequest): void
  /** A datagram to the name server. */
  receiveQuestion(datagram: Datagram): void
  /** May the guest send to the host's side of the datagram's key? Undefined: not, or not yet; it was told what is to be told. */
  admit(protocol: DatagramProtocol, datagram: Datagram): Passage | undefined
  /** May what comes from the host's side of the key reach the guest, which has not sent there? */
  admitsReply(protocol: DatagramProtocol, key: Int32Array, neighbour: Neighbour): boolean
  /** A connection that was there before the gate. May it stay? */
  adopt(key: Int32Array): boolean
  deadline(): number
  timeout(now: number): void
  destroy(): void
}
