/** IPv4 on its way up (RFC 791, RFC 1122 §3), with ARP (RFC 826) and ICMP (RFC 792) beside it. */
import type { Counters } from './counters.ts'
import { key4 } from './flow-table.ts'
import { Fragments } from './fragments.ts'
import type { IcmpErrors } from './icmp-errors.ts'
import type { Arrival, Memory } from './link.ts'
import type { Neighbour } from './neighbours.ts'
import { Packet } from './packet.ts'
import { Quote } from './quote.ts'
import type { Reassembly } from './reassembly.ts'
import type { Transmitter } from './transmitter.ts'
import type { Transport } from './transport.ts'
import * as address from './wire/address.ts'
import * as arp from './wire/arp.ts'
import * as dhcp from './wire/dhcp.ts'
import * as ethernet from './wire/ethernet.ts'
import * as icmp from './wire/icmp.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as udp from './wire/udp.ts'

/** RFC 1191 §3: an old router does not say what fits. Linux' min_pmtu. */
const UNTOLD_MTU = 552

export interface Ipv4Options {
  readonly memory: Memory
  readonly counters: Counters
  readonly transmitter: Transmitter
  readonly transport: Transport
  readonly errors: IcmpErrors
  readonly subnet: { readonly network: number; readonly prefix: number }
  /** Our addresses, for a start; the first is the gateway. */
  readonly addresses: readonly number[]
  /** A place of 64 KiB, where a datagram that was put together is put. */
  readonly whole: number
  /** How many datagrams may wait for fragments. */
  readonly fragments: number | undefined
  /** The guest at the address in `key` is where the octets at `macAt` say. */
  readonly learn: (key: Int32Array, macAt: number) => Neighbour
}

export class Ipv4Layer {
  readonly #options: Ipv4Options
  readonly #memory: Memory
  readonly #counters: Counters
  /** Our addresses; the first is the gateway. */
  readonly #addresses: number[]
  readonly #fragments: Fragments
  readonly #packet = new Packet()
  readonly #quote = new Quote()

  constructor(options: Ipv4Options) {
    this.#options = options
    this.#memory = options.memory
    this.#counters = options.counters
    this.#fragments = new Fragments(options.counters.drop, { datagrams: options.fragments })
    this.#addresses = [...options.addresses]
  }

  /** One more address is ours. */
  claim(addr: number): void {
    this.#addresses.push(addr)
  }

  unclaim(addr: number): void {
    this.#addresses.splice(this.#addresses.lastIndexOf(addr), 1)
  }

  /** RFC 826: who asks is learnt, and told our address when it asks for one of ours. */
  receiveArp(at: number, end: number): void {
    const v = this.#memory.view
    const { drop } = this.#counters
    if (!arp.check(v, at, end)) return void drop.arpMalformed++
    const sender = arp.spa(v, at)
    // A probe (RFC 5227 §1.1) has no sender's address: it asks whether one is taken.
    if (!this.#isGuest(sender) && sender !== 0) return void drop.ipv4Src++
    if (ethernet.isGroup(v, at + arp.SHA)) return void drop.arpMalformed++
    const { learn, transmitter } = this.#options
    const { key } = this.#packet
    const target = arp.tpa(v, at)
    key4(key, sender, 0, target, 0)
    const neighbour = learn(key, at + arp.SHA)
    const isAsked = arp.op(v, at) === arp.REQUEST && this.#addresses.includes(target)
    if (isAsked) transmitter.replyArp(neighbour, sender, target)
  }

  /** A guest may have any address of the subnet that is not ours, its network's or its broadcast. */
  #isGuest(addr: number): boolean {
    const { subnet } = this.#options
    if (!address.isIn(addr, subnet.network, subnet.prefix)) return false
    const host = addr & ~address.mask(subnet.prefix)
    return host !== 0 && host !== ~address.mask(subnet.prefix) && !this.#addresses.includes(addr)
  }

  /** The packet at `at`, in the frame that came. */
  receive(at: number, arrival: Arrival, now: number): void {
    const { at: frame, end, checksummed, udpSegment, more } = arrival
    const { view: v, bytes } = this.#memory
    const { drop } = this.#counters
    const packet = this.#packet
    if (!ipv4.check(v, at, end)) return void drop.ipv4Malformed++
    if (!ipv4.checksumOk(bytes, v, at)) return void drop.ipv4Checksum++
    const src = ipv4.src(v, at)
    const dst = ipv4.dst(v, at)
    key4(packet.key, src, 0, dst, 0)
    packet.frame = frame
    packet.udpSegment = udpSegment
    packet.more = more
    this.#locate(at, at + ipv4.totalLen(v, at), checksummed)
    if (this.#isForDhcp(src, dst)) return this.#options.transport.receiveUdp(packet)
    if (!this.#isGuest(src)) return void drop.ipv4Src++
    if (!isUnicast(dst) || this.#isDirectedBroadcast(dst)) return void drop.ipv4Dst++
    if (ipv4.isFragment(v, at) && !this.#isWhole(now)) return
    const ttl = ipv4.ttl(v, packet.at)
    if (ttl === 0) return void drop.ipv4Ttl++
    const isOurs = this.#addresses.includes(dst)
    if (!isOurs && ttl === 1) {
      drop.ipv4Ttl++
      return this.#error('hop-limit', now)
    }
    if (!isOurs && this.#isOnLink(dst)) {
      drop.ipv4Dst++
      return this.#error('host-unreachable', now)
    }
    this.#receiveWhole(isOurs, now)
  }

  #locate(at: number, end: number, checksummed: boolean): void {
    const packet = this.#packet
    packet.at = at
    packet.transport = at + ipv4.headerLen(this.#memory.view, at)
    packet.end = end
    packet.checksummed = checksummed
  }

  /** Takes the fragment; true when it completes a datagram, which is the packet then. */
  #isWhole(now: number): boolean {
    const { bytes, view } = this.#memory
    const { at, end } = this.#packet
    const whole = this.#fragments.receive(bytes, view, at, end, now)
    if (whole === undefined) return false
    this.#locateWhole(whole)
    return true
  }

  #locateWhole(whole: Reassembly): void {
    const at = this.#options.whole
    this.#packet.udpSegment = 0
    this.#packet.more = false
    this.#locate(at, whole.copyTo(this.#memory, at), false)
  }

  /** RFC 2131 §4.1: a guest without an address comes from 0.0.0.0, and asks all or our gateway. */
  #isForDhcp(src: number, dst: number): boolean {
    if (!address.isBroadcast(dst) && !address.isUnspecified(src)) return false
    if (!address.isUnspecified(src) && !this.#isGuest(src)) return false
    if (!address.isBroadcast(dst) && dst !== this.#addresses[0]) return false
    const v = this.#memory.view
    const { at, transport, end } = this.#packet
    if (ipv4.protocol(v, at) !== ipv4.UDP || ipv4.isFragment(v, at)) return false
    return udp.check(v, transport, end) && udp.dstPort(v, transport) === dhcp.SERVER_PORT
  }

  /** To all of the subnet: nobody but the guests is there, and no error is about it (RFC 1122 §3.2.2). */
  #isDirectedBroadcast(addr: number): boolean {
    const { network, prefix } = this.#options.subnet
    return addr === (network | ~address.mask(prefix))
  }

  #isOnLink(addr: number): boolean {
    const { subnet } = this.#options
    return address.isIn(addr, subnet.network, subnet.prefix)
  }

  #receiveWhole(isOurs: boolean, now: number): void {
    const packet = this.#packet
    const { transport } = this.#options
    const protocol = ipv4.protocol(this.#memory.view, packet.at)
    if (protocol === ipv4.TCP) transport.receiveTcp(packet, now)
    else if (protocol === ipv4.UDP) transport.receiveUdp(packet)
    else if (protocol === ipv4.ICMP) this.#receiveIcmp(isOurs, now)
    else {
      this.#counters.drop.ipv4Protocol++
      this.#error('protocol-unreachable', now)
    }
  }

  /** RFC 792: our addresses answer echo requests, those to others go on. */
  #receiveIcmp(isOurs: boolean, now: number): void {
    const { view: v, bytes } = this.#memory
    const { drop } = this.#counters
    const { key, transport, end } = this.#packet
    if (!icmp.check(transport, end)) return void drop.icmpMalformed++
    if (!icmp.checksumOk(bytes, v, transport, end)) return void drop.icmpChecksum++
    if (icmp.type(v, transport) === icmp.UNREACHABLE && this.#receiveUnreachable(now)) return
    // One of another code is answered, but no ping socket would send it.
    const isWanted =
      icmp.type(v, transport) === icmp.ECHO && (isOurs || icmp.code(v, transport) === 0)
    if (!isWanted) return void drop.icmpUnwanted++
    if (!isOurs) return this.#options.transport.receiveEcho(this.#packet)
    this.#options.transmitter.replyEcho(key, this.#sender(), transport, end, now)
  }

  /**
   * A packet of ours did not get there (RFC 1122 §3.2.2.1): true when somebody wants to know. UDP does not: who sent
   * the datagram is far away by now.
   */
  #receiveUnreachable(now: number): boolean {
    const { view: v } = this.#memory
    const { transport: at, end } = this.#packet
    const quote = this.#quote
    if (!quote.read4(v, at + icmp.HEADER_LEN, end) || quote.protocol !== ipv4.TCP) return false
    const { tcp } = this.#options.transport
    const { key, second } = quote
    if (icmp.code(v, at) !== icmp.FRAGMENTATION_NEEDED) return tcp.unreachableArrives(key, second)
    return tcp.tooBigArrives(key, second, icmp.rest(v, at) & 0xffff || UNTOLD_MTU, now)
  }

  #error(reason: 'hop-limit' | 'host-unreachable' | 'protocol-unreachable', now: number): void {
    const { at, end, frame } = this.#packet
    if (ethernet.isGroup(this.#memory.view, frame)) return // RFC 1122 §3.2.2
    this.#options.errors.about(at, end, this.#sender(), reason, now)
  }

  /** The sender of the packet is where its frame came from. */
  #sender(): Neighbour {
    return this.#options.learn(this.#packet.key, this.#packet.frame + ethernet.SRC)
  }

  deadline(): number {
    return this.#fragments.deadline
  }

  /** Datagrams of the guest that were not complete in time (RFC 792: time exceeded, code 1). */
  timeout(now: number): void {
    this.#fragments.timeout(now, (first) => {
      this.#locateWhole(first)
      const { at, end, key } = this.#packet
      key4(key, ipv4.src(this.#memory.view, at), 0, 0, 0)
      const neighbour = this.#options.transmitter.neighbours.find(key)
      this.#options.errors.about(at, end, neighbour, 'reassembly-time', now)
    })
  }
}

/** An address that a packet of the guest may be for. */
function isUnicast(addr: number): boolean {
  return !(
    address.isThisNetwork(addr) ||
    address.isLoopback(addr) ||
    address.isMulticast(addr) ||
    address.isReserved(addr)
  )
}
