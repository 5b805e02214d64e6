/**
 * The way out for packets to the guest: Ethernet and IPv4 headers, checksums, neighbours.
 *
 * `begin` writes the headers at one place that is used for every packet, and returns where the
 * transport header goes; the caller writes that, adds its text to `departure.slices`, and calls
 * `sendTransport`. Nothing is allocated and no text is copied.
 */
import type { Counters } from './counters.ts'
import { isIpv4 } from './flow-table.ts'
import { HEADERS_LEN as FRAGMENTER_LEN, Fragmenter } from './fragmenter.ts'
import { Departure, GSO_NONE, GSO_UDP_L4, type Link, type Memory } from './link.ts'
import { Neighbour, type Neighbours } from './neighbours.ts'
import type { Slices } from './slices.ts'
import * as arp from './wire/arp.ts'
import * as checksum from './wire/checksum.ts'
import * as ethernet from './wire/ethernet.ts'
import * as icmp from './wire/icmp.ts'
import * as icmpv6 from './wire/icmpv6.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'
import * as udp from './wire/udp.ts'

/** RFC 1700's default TTL, which is Linux'. */
export const DEFAULT_TTL = 64
/** The most octets of a row of datagrams: with IPv6's header and UDP's, an IP packet of 64 KiB less one. */
export const MAX_ROW: number = 0xffff - ipv6.HEADER_LEN - udp.HEADER_LEN
/** Room for the headers of one packet, or all of an ICMP error: 1280 octets and Ethernet's. */
const PACKET_LEN = 1344
/** The memory that a transmitter needs. */
export const TRANSMITTER_LEN: number = PACKET_LEN + FRAGMENTER_LEN

export class Transmitter {
  readonly departure: Departure = new Departure()
  readonly #memory: Memory
  readonly #link: Link
  readonly #counters: Counters
  readonly #mac: Uint8Array
  readonly #arpSource: number
  readonly #solicitSource: Int32Array
  readonly neighbours: Neighbours
  readonly #at: number
  /** The largest IP packet that the link carries. */
  readonly #mtu: number
  readonly #fragmenter: Fragmenter
  #id = 0
  /** Of IPv6, whose identifications have 32 bits: it starts anywhere (RFC 7739 §4), when it is needed. */
  #id6: number | undefined
  readonly #random: () => number
  /** The largest IPv6 packet that may go to the neighbour whose packet is under way. */
  #pathMtu: number

  constructor(options: {
    memory: Memory
    link: Link
    counters: Counters
    neighbours: Neighbours
    /** TRANSMITTER_LEN octets of memory. */
    at: number
    mac: Uint8Array
    mtu: number
    /** The address that ARP requests come from: the gateway's. */
    arpSource: number
    /** The address that neighbor solicitations come from. */
    solicitSource: Int32Array
    /** 32 random bits at each call. */
    random: () => number
  }) {
    this.#memory = options.memory
    this.#link = options.link
    this.#counters = options.counters
    this.neighbours = options.neighbours
    this.#at = options.at
    this.#mac = options.mac
    // What each link must carry (RFC 791 §3.2): less cannot be cut to.
    this.#mtu = Math.max(options.mtu, ipv4.MIN_MTU)
    this.#pathMtu = this.#mtu
    this.#random = options.random
    this.#arpSource = options.arpSource
    this.#solicitSource = options.solicitSource
    this.#fragmenter = new Fragmenter(options.memory, options.at + PACKET_LEN)
  }

  /**
   * Starts a packet from the host's to the guest's side of `key`, with `len` octets behind the IP
   * header. Returns where they start.
   */
  begin(key: Int32Array, neighbour: Neighbour, protocol: number, len: number): number {
    if (!isIpv4(key)) return this.begin6(key, 4, key, 0, neighbour, protocol, len, DEFAULT_TTL)
    return this.begin4(key[7]!, key[3]!, neighbour, protocol, len, DEFAULT_TTL)
  }

  begin4(
    src: number,
    dst: number,
    neighbour: Neighbour,
    protocol: number,
    len: number,
    ttl: number,
  ): number {
    const v = this.#memory.view
    const at = this.#beginFrame(neighbour, ethernet.IPV4)
    const fragment = protocol === ipv4.TCP ? ipv4.DF : 0
    // Of use to what is cut later: fragments here, super-segments by the link (RFC 6864 §4).
    this.#id = (this.#id + 1) & 0xffff
    return ipv4.emit(v, at, ipv4.HEADER_LEN + len, this.#id, fragment, ttl, protocol, src, dst)
  }

  /** Addresses are four words, from an index on. */
  begin6(
    src: Int32Array,
    srcIndex: number,
    dst: Int32Array,
    dstIndex: number,
    neighbour: Neighbour,
    protocol: number,
    len: number,
    hops: number,
  ): number {
    const at = this.#beginFrame(neighbour, ethernet.IPV6)
    const v = this.#memory.view
    return ipv6.emit(v, at, len, protocol, hops, src, srcIndex, dst, dstIndex)
  }

  #beginFrame(neighbour: Neighbour, type: number): number {
    const { departure } = this
    departure.slices.clear()
    departure.slices.push(this.#at, 0)
    departure.csumStart = 0
    departure.gsoType = GSO_NONE
    return ethernet.emit(this.#memory.view, this.#at, neighbour.mac, this.#mac, type)
  }

  /**
   * Sends the packet whose headers end at `end`. The transport checksum, at `csumOffset` in a
   * header and text of `len` octets, is left to the link: only the pseudo-header's sum is written.
   */
  sendTransport(
    key: Int32Array,
    neighbour: Neighbour,
    protocol: number,
    end: number,
    len: number,
    csumOffset: number,
    now: number,
  ): void {
    const { departure } = this
    const is4 = isIpv4(key)
    const start = ethernet.HEADER_LEN + (is4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN)
    departure.csumStart = start
    departure.csumOffset = csumOffset
    const pseudo = is4
      ? checksum.pseudo4(key[7]!, key[3]!, protocol, len)
      : this.#pseudo6(protocol, len)
    this.#memory.view.setUint16(this.#at + start + csumOffset, checksum.fold(pseudo))
    this.#send(neighbour, end, now)
  }

  /** The sum of the pseudo-header of the packet that was begun with `begin6`. */
  #pseudo6(protocol: number, len: number): number {
    const { bytes, view } = this.#memory
    const at = this.#at + ethernet.HEADER_LEN
    return checksum.pseudo6(bytes, view, at + ipv6.SRC, at + ipv6.DST, protocol, len)
  }

  /** Sends an ICMPv6 message [out, end) that was begun with `begin6`: its checksum is written. */
  sendIcmp6(neighbour: Neighbour, out: number, end: number, now: number): void {
    const { bytes, view } = this.#memory
    const pseudo = checksum.fold(this.#pseudo6(ipv6.ICMPV6, end - out))
    const sum = checksum.finish(checksum.sum(bytes, view, out, end, pseudo))
    view.setUint16(out + icmpv6.CHECKSUM, sum)
    this.sendComplete(neighbour, end, now)
  }

  /** Sends the packet whose headers end at `end`; its checksums are complete. */
  sendComplete(neighbour: Neighbour, end: number, now: number): void {
    this.#send(neighbour, end, now)
  }

  #send(neighbour: Neighbour, end: number, now: number): void {
    const { slices } = this.departure
    slices.len[0] = end - this.#at
    slices.total += end - this.#at
    if (neighbour.isKnown) {
      this.#pathMtu = this.#pathMtuTo(neighbour, now)
      return this.#transmit(this.departure)
    }
    if (!this.neighbours.hold(neighbour, this.departure)) this.#counters.drop.neighbourUnknown++
    if (this.neighbours.mayRequest(neighbour, now)) this.#requestAddress(neighbour)
  }

  /** Less than 1280 octets are no path for IPv6 (RFC 8200 §5), whatever somebody says. */
  #pathMtuTo(neighbour: Neighbour, now: number): number {
    return Math.max(ipv6.MIN_MTU, Math.min(this.#mtu, neighbour.pathMtu(now)))
  }

  /** To the link; in fragments, when the packet is larger than it carries (RFC 791 §2.3). */
  readonly #transmit = (departure: Departure): void => {
    const { total } = departure.slices
    const most = ethernet.HEADER_LEN + Math.min(this.#mtu, this.#pathMtu)
    if (departure.gsoType === GSO_NONE && total > most && this.#cut(departure)) return
    this.#counters.framesToGuest++
    this.#counters.octetsToGuest += total
    this.#link.transmit(departure)
  }

  /** Sends the packet in fragments. False when it is none that is cut, or fits as it is. */
  #cut(departure: Departure): boolean {
    const isIpv6 = ethernet.type(this.#memory.view, departure.slices.at[0]!) === ethernet.IPV6
    const mtu = isIpv6 ? this.#pathMtu : this.#mtu
    if (departure.slices.total <= ethernet.HEADER_LEN + mtu) return false
    if (isIpv6) {
      this.#id6 = ((this.#id6 ?? this.#random()) + 1) | 0
      this.#fragmenter.emit6(departure, mtu, this.#id6, this.#transmit)
    } else {
      this.#fragmenter.emit(departure, mtu, this.#transmit)
    }
    return true
  }

  /** Sends what waited for the neighbour's address. */
  release(neighbour: Neighbour): void {
    this.#pathMtu = this.#pathMtuTo(neighbour, 0)
    this.neighbours.release(neighbour, this.departure, this.#transmit)
  }

  /** An ARP request to all (RFC 826), or a neighbor solicitation (RFC 4861 §7.2.2). */
  #requestAddress(neighbour: Neighbour): void {
    if (!isIpv4(neighbour.key)) return this.#solicit(neighbour.key)
    const v = this.#memory.view
    const at = ethernet.emit(v, this.#at, ethernet.BROADCAST, this.#mac, ethernet.ARP)
    this.#sendArp(
      arp.emit(v, at, arp.REQUEST, this.#mac, this.#arpSource, UNKNOWN, neighbour.key[3]!),
    )
  }

  /** To the solicited-node multicast address, which ends as the address asked for (RFC 4291 §2.7.1). */
  #solicit(key: Int32Array): void {
    const v = this.#memory.view
    const group = new Neighbour(
      Int32Array.of(0xff020000 | 0, 0, 1, (0xff << 24) | (key[3]! & 0xffffff)),
    )
    group.isKnown = true
    const last = group.key[3]!
    group.mac.set([0x33, 0x33, last >>> 24, last >>> 16, last >>> 8, last])
    const len = icmpv6.TARGET_OPTIONS + 8
    const source = this.#solicitSource
    const out = this.begin6(source, 0, group.key, 0, group, ipv6.ICMPV6, len, 255)
    const target = icmpv6.emit(v, out, icmpv6.NEIGHBOR_SOLICITATION, 0, 0)
    const options = ipv6.emitAddress(v, target, key, 0)
    const end = icmpv6.emitLinkLayer(v, options, icmpv6.SOURCE_LINK_LAYER, this.#mac)
    this.sendIcmp6(group, out, end, 0)
  }

  /** The ARP reply "`addr` is at our MAC". */
  replyArp(neighbour: Neighbour, asker: number, addr: number): void {
    const v = this.#memory.view
    const at = ethernet.emit(v, this.#at, neighbour.mac, this.#mac, ethernet.ARP)
    this.#sendArp(arp.emit(v, at, arp.REPLY, this.#mac, addr, neighbour.mac, asker))
  }

  #sendArp(end: number): void {
    const { departure } = this
    departure.slices.clear()
    departure.slices.push(this.#at, end - this.#at)
    departure.csumStart = 0
    departure.gsoType = GSO_NONE
    this.#transmit(departure)
  }

  /** Sends `len` octets of memory as a datagram from the host's to the guest's side of `key`. */
  sendUdp(key: Int32Array, neighbour: Neighbour, at: number, len: number, now: number): void {
    const ports = key[8]!
    const udpLen = udp.HEADER_LEN + len
    const out = this.begin(key, neighbour, ipv4.UDP, udpLen)
    const end = udp.emit(this.#memory.view, out, ports & 0xffff, ports >>> 16, udpLen, 0)
    this.departure.slices.push(at, len)
    this.sendTransport(key, neighbour, ipv4.UDP, end, udpLen, udp.CHECKSUM, now)
  }

  /**
   * Sends a row of datagrams of `segment` octets each, of which the last may be shorter: as one super-datagram, which the
   * link cuts (UDP segmentation offload), unless each has to go in fragments. Each text holds whole datagrams; all
   * together are no more than MAX_ROW octets.
   */
  sendUdpRow(
    key: Int32Array,
    neighbour: Neighbour,
    texts: Slices,
    segment: number,
    now: number,
  ): void {
    if (texts.total <= segment || this.#isCut(key, neighbour, segment, now)) {
      return this.#sendUdpEach(key, neighbour, texts, segment, now)
    }
    const ports = key[8]!
    const { departure } = this
    const udpLen = udp.HEADER_LEN + texts.total
    const out = this.begin(key, neighbour, ipv4.UDP, udpLen)
    const end = udp.emit(this.#memory.view, out, ports & 0xffff, ports >>> 16, udpLen, 0)
    for (let i = 0; i < texts.count; i++) departure.slices.push(texts.at[i]!, texts.len[i]!)
    departure.gsoType = GSO_UDP_L4
    departure.gsoSize = segment
    this.sendTransport(key, neighbour, ipv4.UDP, end, udpLen, udp.CHECKSUM, now)
  }

  #sendUdpEach(
    key: Int32Array,
    neighbour: Neighbour,
    texts: Slices,
    segment: number,
    now: number,
  ): void {
    for (let i = 0; i < texts.count; i++) {
      const end = texts.at[i]! + texts.len[i]!
      let at = texts.at[i]!
      do {
        const len = Math.min(segment, end - at)
        this.sendUdp(key, neighbour, at, len, now)
        at += len
      } while (at < end)
    }
  }

  /** Is a datagram of `len` octets more than one packet carries? */
  #isCut(key: Int32Array, neighbour: Neighbour, len: number, now: number): boolean {
    if (isIpv4(key)) return ipv4.HEADER_LEN + udp.HEADER_LEN + len > this.#mtu
    return ipv6.HEADER_LEN + udp.HEADER_LEN + len > this.#pathMtuTo(neighbour, now)
  }

  /**
   * Sends the echo reply at [at, at + len) of memory from the host's to the guest's side of `key`, whose
   * port at the guest takes the place of its identifier.
   */
  sendEchoReply(key: Int32Array, neighbour: Neighbour, at: number, len: number, now: number): void {
    const { bytes, view } = this.#memory
    const is4 = isIpv4(key)
    const out = this.begin(key, neighbour, is4 ? ipv4.ICMP : ipv6.ICMPV6, len)
    const text = at + icmp.HEADER_LEN
    const end = at + len
    view.setUint32(out, is4 ? 0 : (icmpv6.ECHO_REPLY << 24) >>> 0)
    view.setUint32(out + 4, ((key[8]! & 0xffff0000) | icmp.sequence(view, at)) >>> 0)
    const pseudo = is4 ? 0 : checksum.fold(this.#pseudo6(ipv6.ICMPV6, len))
    const header = checksum.sum(bytes, view, out, out + icmp.HEADER_LEN, pseudo)
    const sum = checksum.finish(checksum.sum(bytes, view, text, end, header))
    view.setUint16(out + icmpv6.CHECKSUM, sum)
    this.departure.slices.push(text, end - text)
    this.sendComplete(neighbour, out + icmp.HEADER_LEN, now)
  }

  /** The ICMPv6 echo reply to the request at [at, end) of memory (RFC 4443 §4.2). */
  replyEcho6(key: Int32Array, neighbour: Neighbour, at: number, end: number, now: number): void {
    const out = this.begin(key, neighbour, ipv6.ICMPV6, end - at)
    const v = this.#memory.view
    icmpv6.emit(v, out, icmpv6.ECHO_REPLY, 0, v.getUint32(at + 4))
    this.departure.slices.push(at + icmpv6.HEADER_LEN, end - at - icmpv6.HEADER_LEN)
    // RFC 1624: addresses change places, which sums to the same; type and code are others.
    const before = (~v.getUint16(at + 2) & 0xffff) + (~v.getUint16(at) & 0xffff)
    const sum = checksum.fold(before + (icmpv6.ECHO_REPLY << 8))
    v.setUint16(out + icmpv6.CHECKSUM, ~sum & 0xffff)
    this.sendComplete(neighbour, out + icmpv6.HEADER_LEN, now)
  }

  /** The ICMP echo reply to the request at [at, end) of memory (RFC 792). */
  replyEcho(key: Int32Array, neighbour: Neighbour, at: number, end: number, now: number): void {
    const out = this.begin(key, neighbour, ipv4.ICMP, end - at)
    const v = this.#memory.view
    v.setUint32(out, (icmp.ECHO_REPLY << 24) >>> 0)
    v.setUint32(out + 4, v.getUint32(at + 4)) // identifier and sequence number
    this.departure.slices.push(at + icmp.HEADER_LEN, end - at - icmp.HEADER_LEN)
    // RFC 1624: the request's sum, with its type and code taken away.
    const sum = checksum.fold((~v.getUint16(at + 2) & 0xffff) + (~v.getUint16(at) & 0xffff))
    v.setUint16(out + 2, ~sum & 0xffff || 0xffff) // which of the two zeros is lost; ones fit both
    this.sendComplete(neighbour, out + icmp.HEADER_LEN, now)
  }
}

const UNKNOWN = new Uint8Array(6)
