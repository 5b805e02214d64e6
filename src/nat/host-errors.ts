/**
 * What the host's network says of packets that went out, told to the guest that sent them.
 *
 * With IP_RECVERR a socket keeps each ICMP error that came back (ip(7)): what it says, who says it, and the
 * start of the packet that it is about. An error also fails the next call on its socket, which may be
 * about another peer; so whoever sends takes the errors from the queue and tries once more.
 */
import { LostPacket, Verdict } from '../stack/flow-errors.ts'
import { KEY_WORDS } from '../stack/flow-table.ts'
import type { Reason } from '../stack/icmp-errors.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import * as icmp from '../stack/wire/icmp.ts'
import * as icmpv6 from '../stack/wire/icmpv6.ts'
import {
  AF_INET,
  EACCES,
  EAGAIN,
  EHOSTDOWN,
  EHOSTUNREACH,
  ENETUNREACH,
  ENOBUFS,
  ENOMEM,
  EPERM,
  ETIMEDOUT,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  SO_EE_ORIGIN_ICMP,
  SO_EE_ORIGIN_ICMP6,
  SO_EE_ORIGIN_LOCAL,
} from '../sys/constants.ts'
import { QueuedError, readErrorQueue } from '../sys/message.ts'
import * as socket from '../sys/socket.ts'
import { appearAs, type Host } from './host.ts'
import type { Piece } from './udp-burst.ts'

/** Whose packets they are. */
export interface Sender {
  /** The guest's side; the host's is written anew. */
  readonly key: Int32Array
  readonly neighbour: Neighbour
  /**
   * Fills the transport header of a packet of its own, of which `len` octets from `at` on of memory are
   * what its socket was given. False when it cannot be one.
   */
  describe(lost: LostPacket, at: number, len: number): boolean
}

type Parts = Pick<Host, 'arena' | 'reactor' | 'options' | 'stack'>

/** Room for the packet that an error is about. */
const ROOM = 65536
/** Fairness: errors taken from one socket in a row. */
const MAX_ERRORS = 64

export class HostErrors {
  readonly #host: Parts
  readonly #at: number
  readonly #queued = new QueuedError()
  readonly #verdict = new Verdict()
  readonly #lost = new LostPacket()
  /** The path's MTU, when the host itself refused a packet for its length; else 0. */
  #refusedMtu = 0

  constructor(host: Parts) {
    this.#host = host
    this.#at = host.arena.reserve(ROOM)
  }

  /** Takes all errors from the socket's queue and tells the guest. Were there any? */
  tell(fd: number, sender: Sender): boolean {
    this.#refusedMtu = 0
    let count = 0
    for (; count < MAX_ERRORS; count++) {
      const len = this.#take(fd)
      if (len < 0) break
      if (this.#judge(sender.key)) this.#report(sender, len)
    }
    // The socket's own copy of the error, which the next call would give.
    return socket.getError(fd) < 0 || count > 0
  }

  #take(fd: number): number {
    return readErrorQueue(fd, this.#host.arena, this.#at, ROOM, this.#queued)
  }

  /**
   * Sends the guest's datagram to `to`. When the socket does not take it the guest is told why, if ICMP has
   * a word for it.
   */
  send(fd: number, sender: Sender, datagram: Piece, to: socket.Endpoint): void {
    const { arena, stack } = this.#host
    for (let isAgain = false; ; isAgain = true) {
      const n = socket.sendTo(fd, arena, datagram.at, datagram.len, to)
      if (n >= 0) return
      if (isFull(-n)) return void stack.counters.drop.hostFull++
      // The error of an earlier datagram comes first: this one was not sent.
      const isOfEarlier = this.tell(fd, sender) && this.#refusedMtu === 0
      if (!isOfEarlier || isAgain) return this.#refused(sender, -n, datagram)
    }
  }

  #refused(sender: Sender, errno: number, { key, at, len }: Piece): void {
    const { stack, reactor } = this.#host
    const reason = this.#refusedMtu > 0 ? 'packet-too-big' : reasonOf(errno)
    if (reason === undefined) return void stack.counters.drop.hostRefused++
    const verdict = this.#verdict
    verdict.reason = reason
    verdict.mtu = this.#refusedMtu
    verdict.source.fill(0)
    this.#lost.key.set(key)
    if (!sender.describe(this.#lost, at, len)) return
    stack.flowErrors.about(this.#lost, sender.neighbour, verdict, reactor.now)
  }

  /** Why the dial of `fd` failed, when the network said so; borrowed until the next call. */
  judgeDial(fd: number, key: Int32Array): Verdict | undefined {
    while (this.#take(fd) >= 0) if (this.#judge(key)) return this.#verdict
    return undefined
  }

  #report(sender: Sender, len: number): void {
    const { options, stack, reactor } = this.#host
    const lost = this.#lost
    lost.key.set(sender.key)
    appearAs(options, lost.key, this.#queued.destination)
    if (!sender.describe(lost, this.#at, len)) return
    stack.flowErrors.about(lost, sender.neighbour, this.#verdict, reactor.now)
  }

  /** Says the error that was taken anything about a packet's fate? Then the verdict has it. */
  #judge(key: Int32Array): boolean {
    const { origin, type, code, info } = this.#queued
    const verdict = this.#verdict
    if (origin === SO_EE_ORIGIN_LOCAL) {
      this.#refusedMtu = info
      return false
    }
    const reason = reasonOfIcmp(origin, type, code)
    if (reason === undefined) return false
    verdict.reason = reason
    verdict.mtu = info
    this.#showSource(key)
    return true
  }

  /** The offender as the guest sees it. */
  #showSource(key: Int32Array): void {
    const { offender } = this.#queued
    const { source } = this.#verdict
    shown.set(key)
    appearAs(this.#host.options, shown, offender)
    for (let i = 0; i < 4; i++) source[i] = shown[4 + i]!
  }
}

/** For one call: the offender's place in a key. */
const shown = new Int32Array(KEY_WORDS)

/** The socket keeps the errors that come back. */
export function keepErrors(fd: number, family: number, isOn = true): void {
  if (family === AF_INET) socket.setInt(fd, IPPROTO_IP, IP_RECVERR, isOn ? 1 : 0)
  else socket.setInt(fd, IPPROTO_IPV6, IPV6_RECVERR, isOn ? 1 : 0)
}

/** What the codes of ICMP destination unreachable say; all others: that the host is. */
const REASONS: Readonly<Record<number, Reason>> = {
  [icmp.NET_UNREACHABLE]: 'net-unreachable',
  [icmp.PROTOCOL_UNREACHABLE]: 'protocol-unreachable',
  [icmp.PORT_UNREACHABLE]: 'port-unreachable',
  [icmp.FRAGMENTATION_NEEDED]: 'packet-too-big',
  [icmp.NET_PROHIBITED]: 'prohibited',
  [icmp.HOST_PROHIBITED]: 'prohibited',
  [icmp.ADMINISTRATIVELY_PROHIBITED]: 'prohibited',
}
/** The same of ICMPv6. */
const REASONS6: Readonly<Record<number, Reason>> = {
  [icmpv6.NO_ROUTE]: 'net-unreachable',
  [icmpv6.PROHIBITED]: 'prohibited',
  [icmpv6.PORT_UNREACHABLE]: 'port-unreachable',
}

/** Why a packet did not arrive; undefined when the error says something else. */
export function reasonOfIcmp(origin: number, type: number, code: number): Reason | undefined {
  if (origin === SO_EE_ORIGIN_ICMP) {
    if (type === icmp.UNREACHABLE) return REASONS[code] ?? 'host-unreachable'
    if (type !== icmp.TIME_EXCEEDED) return undefined
    return code === icmp.TTL_EXCEEDED ? 'hop-limit' : 'reassembly-time'
  }
  if (origin !== SO_EE_ORIGIN_ICMP6) return undefined
  if (type === icmpv6.UNREACHABLE) return REASONS6[code] ?? 'host-unreachable'
  if (type === icmpv6.PACKET_TOO_BIG) return 'packet-too-big'
  if (type === icmpv6.TIME_EXCEEDED) {
    return code === icmpv6.HOP_LIMIT_EXCEEDED ? 'hop-limit' : 'reassembly-time'
  }
  const isUnknownProtocol =
    type === icmpv6.PARAMETER_PROBLEM && code === icmpv6.UNRECOGNIZED_NEXT_HEADER
  return isUnknownProtocol ? 'protocol-unreachable' : undefined
}

/** Did a call fail for want of memory in the kernel, for now? It is made again later; nothing is wrong with the socket. */
export const isShortage = (errno: number): boolean => errno === ENOBUFS || errno === ENOMEM

/** Was there no room for a datagram? */
export const isFull = (errno: number): boolean => errno === EAGAIN || isShortage(errno)

/** DESIGN §5: which ICMP error tells the guest what the host's call said; undefined: none does. */
export function reasonOf(errno: number): Reason | undefined {
  switch (errno) {
    case ENETUNREACH:
      return 'net-unreachable'
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ETIMEDOUT:
      return 'host-unreachable'
    case EACCES:
    case EPERM:
      return 'prohibited'
    default:
      return undefined
  }
}
