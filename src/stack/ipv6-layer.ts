/** IPv6 on its way up (RFC 8200), with ICMPv6 (RFC 4443) beside it; ndp.ts finds neighbours. */
import type { Counters } from './counters.ts'
import { Fragments, TIMEOUT6 } from './fragments.ts'
import type { IcmpErrors, Reason } from './icmp-errors.ts'
import type { Arrival, Memory } from './link.ts'
import { NeighborDiscovery } from './ndp.ts'
import type { Neighbour } from './neighbours.ts'
import { Packet } from './packet.ts'
import { Quote } from './quote.ts'
import type { Transmitter } from './transmitter.ts'
import type { Transport } from './transport.ts'
import * as checksum from './wire/checksum.ts'
import * as dhcpv6 from './wire/dhcpv6.ts'
import * as ethernet from './wire/ethernet.ts'
import * as icmpv6 from './wire/icmpv6.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'
import * as ipv6Fragment from './wire/ipv6-fragment.ts'
import * as tcp from './wire/tcp.ts'
import * as udp from './wire/udp.ts'

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
  /** A place of 68 KiB, where a datagram that was put together is put. */
  readonly whole: number
  /** How many datagrams may wait for fragments. */
  readonly fragments: number | undefined
  /** The guest at the address in `key` is where the octets at `macAt` say. */
  readonly learn: (key: Int32Array, macAt: number) => Neighbour
}

export class Ipv6Layer {
  readonly #options: Ipv6Options
  readonly #memory: Memory
  readonly #ndp: NeighborDiscovery
  readonly #packet = new Packet()
  readonly #upper = new ipv6.UpperLayer()
  readonly #quote = new Quote()
  readonly #fragments: Fragments
  /** Addresses of ours besides those of the subnet, four words each. */
  readonly #claimed: Int32Array[] = []

  constructor(options: Ipv6Options) {
    this.#options = options
    this.#memory = options.memory
    this.#ndp = new NeighborDiscovery(options, (key) => this.#isOurs(key, 4))
    const { counters, fragments: datagrams } = options
    this.#fragments = new Fragments(counters.drop, { timeout: TIMEOUT6, datagrams })
  }

  /** One more address is ours. */
  claim(words: Int32Array): void {
    this.#claimed.push(words)
  }

  unclaim(words: Int32Array): void {
    const i = this.#claimed.findIndex((claimed) => ipv6.isAddress(words, 0, claimed))
    this.#claimed.splice(i, 1)
  }

  /** The packet at `at`, in the frame that came. */
  receive(at: number, arrival: Arrival, now: number): void {
    const { at: frame, end, checksummed, udpSegment, more } = arrival
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
    packet.udpSegment = udpSegment
    packet.more = more
    const upper = this.#upper
    if (!upper.find(v, at, packet.end)) return void drop.ipv6Malformed++
    packet.transport = upper.at
    const isOurs = this.#isOurs(key, 4)
    if (upper.protocol === ipv6.ICMPV6 && this.#receiveNdp(now)) return
    if (!this.#isGuest(key)) return void drop.ipv6Src++
    if (this.#isForDhcp()) return this.#options.transport.receiveUdp(packet)
    if (!isOurs && !isGlobalUnicast(key)) return void drop.ipv6Dst++
    if (upper.protocol === ipv6.FRAGMENT && !this.#isWhole(now)) return
    const hopLimit = ipv6.hopLimit(v, packet.at)
    if (hopLimit === 0) return void drop.ipv6HopLimit++
    if (!isOurs && hopLimit === 1) {
      drop.ipv6HopLimit++
      return this.#error('hop-limit', now)
    }
    if (!isOurs && this.#isOnLink(key, 4)) {
      drop.ipv6Dst++
      return this.#error('host-unreachable', now)
    }
    this.#receiveWhole(isOurs, now)
  }

  /** RFC 8415 §7.1: who looks for servers asks all of them. */
  #isForDhcp(): boolean {
    const { key, transport, end } = this.#packet
    if (!ipv6.isAddress(key, 4, dhcpv6.ALL_SERVERS) || this.#upper.protocol !== ipv4.UDP)
      return false
    const v = this.#memory.view
    return udp.check(v, transport, end) && udp.dstPort(v, transport) === dhcpv6.SERVER_PORT
  }

  /**
   * Takes the fragment (RFC 8200 §4.5); true when the packet is a whole one then: the one that it
   * completes, or itself, when it is an atomic one, which has nothing to do with others (RFC 6946).
   */
  #isWhole(now: number): boolean {
    const { bytes, view: v } = this.#memory
    const packet = this.#packet
    const upper = this.#upper
    const { at, end, transport } = packet
    const { drop } = this.#options.counters
    const wrong = this.#whatIsWrongWithFragment(now)
    if (wrong !== undefined) {
      drop[wrong]++
      return false
    }
    if (!ipv6Fragment.isAtomic(v, transport)) {
      const whole = this.#fragments.receive6(bytes, v, at, transport, end, now)
      if (whole === undefined) return false
      packet.at = this.#options.whole
      packet.end = whole.copyTo(this.#memory, packet.at)
      packet.checksummed = false
      packet.udpSegment = 0
      packet.more = false
      upper.find(v, packet.at, packet.end)
    }
    packet.transport = upper.at
    const isIcmp = upper.protocol === ipv6.ICMPV6
    // RFC 6980 §5: Neighbor Discovery never comes in fragments.
    if (isIcmp && (this.#isNdp() || !this.#isIcmpRight())) drop.icmpv6Malformed++
    else if (upper.protocol === ipv6.FRAGMENT) drop.ipv6Malformed++
    else return true
    return false
  }

  /** What each fragment has to be (RFC 8200 §4.5); its sender is told when it is not. */
  #whatIsWrongWithFragment(now: number): 'fragmentMalformed' | 'fragmentTooLong' | undefined {
    const { view: v } = this.#memory
    const { at, end, transport } = this.#packet
    if (!ipv6Fragment.check(transport, end)) return 'fragmentMalformed'
    const text = transport + ipv6Fragment.HEADER_LEN
    const offset = ipv6Fragment.offset(v, transport)
    const isLast = !ipv6Fragment.moreFragments(v, transport)
    if (!isLast && (end - text) % ipv6Fragment.UNIT !== 0) {
      this.#problem(icmpv6.ERRONEOUS_FIELD, at + ipv6.PAYLOAD_LEN, now)
      return 'fragmentMalformed'
    }
    if (offset + end - text > 0xffff) {
      this.#problem(icmpv6.ERRONEOUS_FIELD, transport + 2, now)
      return 'fragmentTooLong'
    }
    if (offset !== 0) return undefined
    const upper = this.#upper
    const isChain = upper.findFrom(v, transport, text, end)
    if (isChain && end - upper.at >= headerLenOf(upper.protocol)) return undefined
    this.#problem(icmpv6.INCOMPLETE_HEADER_CHAIN, at, now) // RFC 7112 §5
    return 'fragmentMalformed'
  }

  #receiveWhole(isOurs: boolean, now: number): void {
    const packet = this.#packet
    const { transport, counters } = this.#options
    const { protocol, pointer } = this.#upper
    if (protocol === ipv4.TCP) transport.receiveTcp(packet, now)
    else if (protocol === ipv4.UDP) transport.receiveUdp(packet)
    else if (protocol === ipv6.ICMPV6) this.#receiveIcmp(isOurs, now)
    else {
      counters.drop.ipv6Protocol++
      this.#problem(icmpv6.UNRECOGNIZED_NEXT_HEADER, pointer, now)
    }
  }

  /** Neighbor Discovery: is the message one of it? Then it is done with. */
  #receiveNdp(now: number): boolean {
    const { view: v } = this.#memory
    const { drop } = this.#options.counters
    const { transport } = this.#packet
    if (!this.#isIcmpRight()) {
      drop.icmpv6Malformed++
      return true
    }
    if (!this.#isNdp()) return false
    // RFC 4861 §7.1: what came through a router has a lower hop limit, and is none of this link.
    const isLocal = ipv6.hopLimit(v, this.#packet.at) === 255 && icmpv6.code(v, transport) === 0
    if (!isLocal || !this.#ndp.receive(this.#packet, now)) drop.icmpv6Malformed++
    return true
  }

  #isNdp(): boolean {
    const { transport, end } = this.#packet
    if (!icmpv6.check(transport, end)) return false
    const kind = icmpv6.type(this.#memory.view, transport)
    return kind >= icmpv6.ROUTER_SOLICITATION && kind <= icmpv6.NEIGHBOR_ADVERTISEMENT
  }

  /** Is it a whole message with a right checksum? */
  #isIcmpRight(): boolean {
    const { transport, end } = this.#packet
    return icmpv6.check(transport, end) && this.#isSumRight()
  }

  #isSumRight(): boolean {
    const { bytes, view } = this.#memory
    const { at, transport, end } = this.#packet
    const len = end - transport
    const pseudo = checksum.pseudo6(bytes, view, at + 8, at + 24, ipv6.ICMPV6, len)
    return checksum.finish(checksum.sum(bytes, view, transport, end, checksum.fold(pseudo))) === 0
  }

  /** RFC 4443 §4.1: our addresses answer echo requests, those to others go on; errors are told. */
  #receiveIcmp(isOurs: boolean, now: number): void {
    const { counters, transmitter, transport: upper } = this.#options
    const { key, transport, end } = this.#packet
    const v = this.#memory.view
    const isEcho = icmpv6.type(v, transport) === icmpv6.ECHO
    if (!isEcho && this.#receiveError(now)) return
    if (!isEcho || (!isOurs && icmpv6.code(v, transport) !== 0)) {
      return void counters.drop.icmpUnwanted++
    }
    if (!isOurs) return upper.receiveEcho(this.#packet)
    transmitter.replyEcho6(key, this.#sender(), transport, end, now)
  }

  /** A packet of ours did not get there: true when somebody wants to know. */
  #receiveError(now: number): boolean {
    const { view: v } = this.#memory
    const { transport: at, end } = this.#packet
    const quote = this.#quote
    const kind = icmpv6.type(v, at)
    if (!quote.read6(v, at + icmpv6.HEADER_LEN, end)) return false
    const { key, second, protocol } = quote
    const { tcp } = this.#options.transport
    if (kind === icmpv6.UNREACHABLE && protocol === ipv4.TCP)
      return tcp.unreachableArrives(key, second)
    if (kind !== icmpv6.PACKET_TOO_BIG) return false
    const mtu = v.getUint32(at + 4)
    if (mtu < ipv6.MIN_MTU) return false // RFC 8201 §4
    if (protocol === ipv4.TCP) return tcp.tooBigArrives(key, second, mtu, now)
    // Of a datagram nobody knows whether it was sent. A lie has the next ones cut for no reason.
    const neighbour = this.#options.transmitter.neighbours.known(key)
    neighbour?.limitPath(mtu, now)
    return neighbour !== undefined
  }

  #error(reason: Reason, now: number): void {
    const { at, end, frame } = this.#packet
    if (ethernet.isGroup(this.#memory.view, frame)) return // RFC 4443 §2.4 (e.4)
    this.#options.errors.about(at, end, this.#sender(), reason, now)
  }

  /** A parameter problem: the octet at `pointer` is what it is about. */
  #problem(code: number, pointer: number, now: number): void {
    const { at, end, frame } = this.#packet
    if (ethernet.isGroup(this.#memory.view, frame)) return
    this.#options.errors.parameterProblem(at, end, this.#sender(), code, pointer, now)
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
      ipv6.isAddress(key, index, linkLocal) ||
      this.#isClaimed(key, index)
    )
  }

  #isClaimed(key: Int32Array, index: number): boolean {
    for (let i = 0; i < this.#claimed.length; i++) {
      if (ipv6.isAddress(key, index, this.#claimed[i]!)) return true
    }
    return false
  }

  deadline(): number {
    return Math.min(this.#ndp.deadline, this.#fragments.deadline)
  }

  timeout(now: number): void {
    this.#ndp.timeout(now)
    this.#fragments.timeout(now, (first) => {
      const { errors, transmitter, whole } = this.#options
      const end = first.copyTo(this.#memory, whole)
      const { key } = this.#packet
      ipv6.readAddress(this.#memory.view, whole + ipv6.SRC, key, 0)
      errors.about(whole, end, transmitter.neighbours.find(key), 'reassembly-time', now)
    })
  }
}

/** What a first fragment has to hold of the header of its protocol (RFC 7112 §5), as Linux asks it. */
function headerLenOf(protocol: number): number {
  if (protocol === ipv4.TCP) return tcp.HEADER_LEN
  if (protocol === ipv4.UDP) return udp.HEADER_LEN
  return protocol === ipv6.ICMPV6 ? icmpv6.HEADER_LEN : 0
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
