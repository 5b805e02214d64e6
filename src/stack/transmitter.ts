/**
 * The way out for packets to the guest: Ethernet and IPv4 headers, checksums, neighbours.
 *
 * `begin` writes the headers at one place that is used for every packet, and returns where the
 * transport header goes; the caller writes that, adds its text to `departure.slices`, and calls
 * `sendTransport`. Nothing is allocated and no text is copied.
 */
import type { Counters } from './counters.ts'
import { HEADERS_LEN as FRAGMENTER_LEN, Fragmenter } from './fragmenter.ts'
import { Departure, GSO_NONE, type Link, type Memory } from './link.ts'
import type { Neighbour, Neighbours } from './neighbours.ts'
import * as arp from './wire/arp.ts'
import * as checksum from './wire/checksum.ts'
import * as ethernet from './wire/ethernet.ts'
import * as icmp from './wire/icmp.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as udp from './wire/udp.ts'

/** RFC 1700's default TTL, which is Linux'. */
export const DEFAULT_TTL = 64
/** Room for the headers of one packet, or all of an ICMP error: 576 octets and Ethernet's. */
const PACKET_LEN = 640
/** The memory that a transmitter needs. */
export const TRANSMITTER_LEN: number = PACKET_LEN + FRAGMENTER_LEN

export class Transmitter {
  readonly departure: Departure = new Departure()
  readonly #memory: Memory
  readonly #link: Link
  readonly #counters: Counters
  readonly #mac: Uint8Array
  readonly #arpSource: number
  readonly neighbours: Neighbours
  readonly #at: number
  /** The largest IP packet that the link carries. */
  readonly #mtu: number
  readonly #fragmenter: Fragmenter
  #id = 0

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
  }) {
    this.#memory = options.memory
    this.#link = options.link
    this.#counters = options.counters
    this.neighbours = options.neighbours
    this.#at = options.at
    this.#mac = options.mac
    this.#mtu = options.mtu
    this.#arpSource = options.arpSource
    this.#fragmenter = new Fragmenter(options.memory, options.at + PACKET_LEN)
  }

  /**
   * Starts a packet from the host's to the guest's side of `key`, with `len` octets behind the IP
   * header. Returns where they start.
   */
  begin(key: Int32Array, neighbour: Neighbour, protocol: number, len: number): number {
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
    const { departure } = this
    departure.slices.clear()
    departure.slices.push(this.#at, 0)
    departure.csumStart = 0
    departure.gsoType = GSO_NONE
    const v = this.#memory.view
    const at = ethernet.emit(v, this.#at, neighbour.mac, this.#mac, ethernet.IPV4)
    const fragment = protocol === ipv4.TCP ? ipv4.DF : 0
    // Of use to what is cut later: fragments here, super-segments by the link (RFC 6864 §4).
    this.#id = (this.#id + 1) & 0xffff
    return ipv4.emit(v, at, ipv4.HEADER_LEN + len, this.#id, fragment, ttl, protocol, src, dst)
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
    const start = ethernet.HEADER_LEN + ipv4.HEADER_LEN
    const { departure } = this
    departure.csumStart = start
    departure.csumOffset = csumOffset
    const pseudo = checksum.fold(checksum.pseudo4(key[7]!, key[3]!, protocol, len))
    this.#memory.view.setUint16(this.#at + start + csumOffset, pseudo)
    this.#send(neighbour, end, now)
  }

  /** Sends the packet whose headers end at `end`; its checksums are complete. */
  sendComplete(neighbour: Neighbour, end: number, now: number): void {
    this.#send(neighbour, end, now)
  }

  #send(neighbour: Neighbour, end: number, now: number): void {
    const { slices } = this.departure
    slices.len[0] = end - this.#at
    slices.total += end - this.#at
    if (neighbour.isKnown) return this.#transmit(this.departure)
    if (!this.neighbours.hold(neighbour, this.departure)) this.#counters.drop.neighbourUnknown++
    if (this.neighbours.mayRequest(neighbour, now)) this.#requestAddress(neighbour)
  }

  /** To the link; in fragments, when the packet is larger than it carries (RFC 791 §2.3). */
  readonly #transmit = (departure: Departure): void => {
    const { total } = departure.slices
    if (departure.gsoType === GSO_NONE && total > ethernet.HEADER_LEN + this.#mtu) {
      this.#fragmenter.emit(departure, this.#mtu, this.#transmit)
      return
    }
    this.#counters.framesToGuest++
    this.#counters.octetsToGuest += total
    this.#link.transmit(departure)
  }

  /** Sends what waited for the neighbour's address. */
  release(neighbour: Neighbour): void {
    this.neighbours.release(neighbour, this.departure, this.#transmit)
  }

  /** An ARP request to all (RFC 826). */
  #requestAddress(neighbour: Neighbour): void {
    const v = this.#memory.view
    const at = ethernet.emit(v, this.#at, ethernet.BROADCAST, this.#mac, ethernet.ARP)
    this.#sendArp(
      arp.emit(v, at, arp.REQUEST, this.#mac, this.#arpSource, UNKNOWN, neighbour.key[3]!),
    )
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

  /** The ICMP echo reply to the request at [at, end) of memory (RFC 792). */
  replyEcho(key: Int32Array, neighbour: Neighbour, at: number, end: number, now: number): void {
    const out = this.begin(key, neighbour, ipv4.ICMP, end - at)
    const v = this.#memory.view
    v.setUint32(out, (icmp.ECHO_REPLY << 24) >>> 0)
    v.setUint32(out + 4, v.getUint32(at + 4)) // identifier and sequence number
    this.departure.slices.push(at + icmp.HEADER_LEN, end - at - icmp.HEADER_LEN)
    // RFC 1624: the request's sum, with its type taken away.
    const sum = checksum.fold((~v.getUint16(at + 2) & 0xffff) + (~(icmp.ECHO << 8) & 0xffff))
    v.setUint16(out + 2, ~sum & 0xffff)
    this.sendComplete(neighbour, out + icmp.HEADER_LEN, now)
  }
}

const UNKNOWN = new Uint8Array(6)
