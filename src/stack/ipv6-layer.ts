/** IPv6 on its way up (RFC 8200), with ICMPv6 (RFC 4443) beside it; ndp.ts finds neighbours. */
import type { Counters } from './counters.ts'
import type { IcmpErrors, Reason } from './icmp-errors.ts'
import type { Memory } from './link.ts'
import { NeighborDiscovery } from './ndp.ts'
import type { Neighbour } from './neighbours.ts'
import { Packet } from './packet.ts'
import type { Transmitter } from './transmitter.ts'
import type { Transport } from './transport.ts'
import * as checksum from './wire/checksum.ts'
import * as ethernet from './wire/ethernet.ts'
import * as icmpv6 from './wire/icmpv6.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'

/** Our side of an IPv6 link. Addresses are four words each. */
export interface Ipv6Subnet {
  /** The first 64 bits of guests' addresses. */
  readonly prefix: Int32Array
  readonly gateway: Int32Array
  readonly dns: Int32Array
  /** Our address as a router. */
  readonly linkLocal: Int32Array
  /** Guests are told of `dns` as their name server. */
  readonly advertiseDns: boolean
}

export interface Ipv6Options {
  readonly memory: Memory
  readonly counters: Counters
  readonly transmitter: Transmitter
  readonly transport: Transport
  readonly errors: IcmpErrors
  readonly subnet: Ipv6Subnet
  readonly mtu: number
  readonly mac: Uint8Array
  readonly random: () => number
  /** The guest at the address in `key` is where the octets at `macAt` say. */
  readonly learn: (key: Int32Array, macAt: number) => Neighbour
}

/** Ours: more extension headers than this are nobody's wish. */
const MAX_EXTENSIONS = 8

export class Ipv6Layer {
  readonly #options: Ipv6Options
  readonly #memory: Memory
  readonly #ndp: NeighborDiscovery
  readonly #packet = new Packet()

  constructor(options: Ipv6Options) {
    this.#options = options
    this.#memory = options.memory
    this.#ndp = new NeighborDiscovery(options)
  }

  receive(frame: number, at: number, end: number, checksummed: boolean, now: number): void {
    const { view: v } = this.#memory
    const { drop } = this.#options.counters
    const packet = this.#packet
    const { key } = packet
    if (!ipv6.check(v, at, end)) return void drop.ipv6Malformed++
    ipv6.readAddress(v, at + ipv6.SRC, key, 0)
    ipv6.readAddress(v, at + ipv6.DST, key, 4)
    packet.frame = frame
    packet.at = at
    packet.end = at + ipv6.HEADER_LEN + ipv6.payloadLen(v, at)
    packet.checksummed = checksummed
    const protocol = this.#walk()
    if (protocol < 0) return void drop.ipv6Malformed++
    const isOurs = this.#isOurs(key, 4)
    if (protocol === ipv6.ICMPV6 && this.#receiveNdp(now)) return
    if (!this.#isGuest(key)) return void drop.ipv6Src++
    if (!isOurs && !isGlobalUnicast(key)) return void drop.ipv6Dst++
    if (ipv6.hopLimit(v, at) === 0) return void drop.ipv6HopLimit++
    if (!isOurs && ipv6.hopLimit(v, at) === 1) {
      drop.ipv6HopLimit++
      return this.#error('hop-limit', now)
    }
    if (!isOurs && this.#isOnLink(key, 4)) {
      drop.ipv6Dst++
      return this.#error('host-unreachable', now)
    }
    if (protocol === ipv6.FRAGMENT) return void drop.fragments++
    this.#receiveWhole(protocol, isOurs, now)
  }

  /** Walks over extension headers: sets `transport`, returns its protocol, or -1. */
  #walk(): number {
    const { view: v } = this.#memory
    const packet = this.#packet
    let protocol = ipv6.nextHeader(v, packet.at)
    let at = packet.at + ipv6.HEADER_LEN
    for (let i = 0; i < MAX_EXTENSIONS; i++) {
      const next = ipv6.extensionEnd(v, at, packet.end, protocol)
      if (next < 0) break
      protocol = v.getUint8(at)
      at = next
    }
    packet.transport = at
    return at <= packet.end ? protocol : -1
  }

  #receiveWhole(protocol: number, isOurs: boolean, now: number): void {
    const packet = this.#packet
    const { transport, counters } = this.#options
    if (protocol === ipv4.TCP) transport.receiveTcp(packet, now)
    else if (protocol === ipv4.UDP) transport.receiveUdp(packet)
    else if (protocol === ipv6.ICMPV6) this.#receiveEcho(isOurs, now)
    else {
      counters.drop.ipv6Protocol++
      this.#error('protocol-unreachable', now)
    }
  }

  /** Neighbor Discovery: is the message one of it? Then it is done with. */
  #receiveNdp(now: number): boolean {
    const { view: v } = this.#memory
    const { drop } = this.#options.counters
    const { transport, end } = this.#packet
    if (!icmpv6.check(transport, end) || !this.#isSumRight()) {
      drop.icmpv6Malformed++
      return true
    }
    const kind = icmpv6.type(v, transport)
    if (kind < icmpv6.ROUTER_SOLICITATION || kind > icmpv6.NEIGHBOR_ADVERTISEMENT) return false
    // RFC 4861 §7.1: what came through a router has a lower hop limit, and is none of this link.
    const isLocal = ipv6.hopLimit(v, this.#packet.at) === 255 && icmpv6.code(v, transport) === 0
    if (!isLocal || !this.#ndp.receive(this.#packet, now)) drop.icmpv6Malformed++
    return true
  }

  #isSumRight(): boolean {
    const { bytes, view } = this.#memory
    const { at, transport, end } = this.#packet
    const len = end - transport
    const pseudo = checksum.pseudo6(bytes, view, at + 8, at + 24, ipv6.ICMPV6, len)
    return checksum.finish(checksum.sum(bytes, view, transport, end, checksum.fold(pseudo))) === 0
  }

  /** RFC 4443 §4.1: our addresses answer echo requests, those to others go on. */
  #receiveEcho(isOurs: boolean, now: number): void {
    const { counters, transmitter, transport: upper } = this.#options
    const { key, transport, end } = this.#packet
    const v = this.#memory.view
    const isEcho = icmpv6.type(v, transport) === icmpv6.ECHO
    if (!isEcho || (!isOurs && icmpv6.code(v, transport) !== 0)) {
      return void counters.drop.icmpUnwanted++
    }
    if (!isOurs) return upper.receiveEcho(this.#packet)
    transmitter.replyEcho6(key, this.#sender(), transport, end, now)
  }

  #error(reason: Reason, now: number): void {
    const { at, end, frame } = this.#packet
    if (ethernet.isGroup(this.#memory.view, frame)) return // RFC 4443 §2.4 (e.4)
    this.#options.errors.about(at, end, this.#sender(), reason, now)
  }

  #sender(): Neighbour {
    return this.#options.learn(this.#packet.key, this.#packet.frame + ethernet.SRC)
  }

  /** Guests are on the prefix, or link-local, and are not us. */
  #isGuest(key: Int32Array): boolean {
    return (this.#isOnLink(key, 0) || ipv6.isLinkLocal(key, 0)) && !this.#isOurs(key, 0)
  }

  #isOnLink(key: Int32Array, index: number): boolean {
    const { prefix } = this.#options.subnet
    return key[index] === prefix[0] && key[index + 1] === prefix[1]
  }

  #isOurs(key: Int32Array, index: number): boolean {
    const { gateway, dns, linkLocal } = this.#options.subnet
    return (
      ipv6.isAddress(key, index, gateway) ||
      ipv6.isAddress(key, index, dns) ||
      ipv6.isAddress(key, index, linkLocal)
    )
  }

  deadline(): number {
    return this.#ndp.deadline
  }

  timeout(now: number): void {
    this.#ndp.timeout(now)
  }
}

/**
 * The host's side of `key`: no multicast, link-local, loopback, unspecified, nor IPv4 in disguise:
 * `::ffff:127.0.0.1` would be the host's loopback to a socket.
 */
function isGlobalUnicast(key: Int32Array): boolean {
  const first = key[4]!
  if (first >>> 24 === 0xff || ipv6.isLinkLocal(key, 4)) return false
  return first !== 0 || key[5] !== 0 || (key[6] !== 0xffff && key[6] !== 0)
}
