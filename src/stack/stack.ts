/**
 * The stack: frames of the guest in, frames to the guest out, and what concerns the host in between
 * handed to an {@link Upper}. A function of bytes and time: it asks for neither.
 *
 *     receive(frame, now) …  flush(now)  →  link.transmit(frame)
 *     timeout(now) when `deadline()` is here
 *
 * The functions stand in the order in which a frame meets them: Ethernet, ARP, IPv4, ICMP, UDP, TCP.
 * The host's side of every address is "here": the stack answers for every host there is.
 */
import { type Counters, createCounters } from './counters.ts'
import { KEY_WORDS, key4 } from './flow-table.ts'
import { Fragments } from './fragments.ts'
import type { Arrival, Link, Memory } from './link.ts'
import { type Neighbour, Neighbours } from './neighbours.ts'
import { Pool } from './pool.ts'
import type { Reassembly } from './reassembly.ts'
import { type SynRequest, Tcp, type TcpLimits } from './tcp/tcp.ts'
import { TRANSMITTER_LEN, Transmitter } from './transmitter.ts'
import * as address from './wire/address.ts'
import * as arp from './wire/arp.ts'
import * as checksum from './wire/checksum.ts'
import * as dhcp from './wire/dhcp.ts'
import * as ethernet from './wire/ethernet.ts'
import * as icmp from './wire/icmp.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as udp from './wire/udp.ts'

/** What sits above the stack: the NAT, or a test. Everything it is given is borrowed. */
export interface Upper {
  /** The guest opens a connection; to be answered by `accept`, `refuse` or `fail`, now or later. */
  synArrives(request: SynRequest): void
  /** A datagram of the guest. */
  datagramArrives(datagram: Datagram): void
}

/** Nobody is above the stack (yet): connections are refused, datagrams go nowhere. */
const NOBODY: Upper = {
  synArrives: (request) => request.refuse(),
  datagramArrives: () => {},
}

/** A datagram of the guest, made once and overwritten. */
export class Datagram {
  /** Addresses and ports: flow-table.ts. */
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  neighbour!: Neighbour
  /** The text is at [at, at + len) of memory. */
  at = 0
  len = 0
  /** The IP packet is at [ipAt, ipEnd): what an ICMP error quotes. */
  ipAt = 0
  ipEnd = 0
}

export interface StackOptions {
  readonly memory: Memory
  /** The part of the memory that is the stack's. */
  readonly at: number
  readonly end: number
  readonly link: Link
  readonly mtu: number
  /** Our Ethernet address. */
  readonly mac: Uint8Array
  readonly subnet: { readonly network: number; readonly prefix: number }
  /** Our addresses in the subnet: they answer ARP and echo requests. The first is the gateway. */
  readonly addresses: readonly number[]
  readonly limits: TcpLimits
  /** 32 random bits at each call. */
  readonly random: () => number
}

/** A frame as large as a link may carry, and its headers. */
const FRAME_LEN = 68 * 1024

export class Stack {
  readonly counters: Counters = createCounters()
  readonly tcp: Tcp
  readonly transmitter: Transmitter
  readonly neighbours: Neighbours
  readonly pool: Pool
  upper: Upper = NOBODY
  readonly #options: StackOptions
  readonly #memory: Memory
  readonly #fragments = new Fragments()
  /** Where a datagram that was put together is put. */
  readonly #whole: number
  readonly #datagram = new Datagram()
  readonly #key = new Int32Array(KEY_WORDS)

  constructor(options: StackOptions) {
    const { memory, link } = options
    this.#options = options
    this.#memory = memory
    const headers = options.at
    const held = headers + TRANSMITTER_LEN
    this.#whole = held + FRAME_LEN
    this.pool = new Pool(this.#whole + FRAME_LEN, options.end)
    this.neighbours = new Neighbours(memory, held)
    this.transmitter = new Transmitter({
      memory,
      link,
      counters: this.counters,
      neighbours: this.neighbours,
      at: headers,
      mac: options.mac,
      mtu: options.mtu,
      arpSource: options.addresses[0]!,
    })
    this.tcp = new Tcp({
      memory,
      pool: this.pool,
      transmitter: this.transmitter,
      counters: this.counters,
      mtu: options.mtu,
      limits: options.limits,
      random: options.random,
      onSyn: (request) => this.upper.synArrives(request),
    })
  }

  /** A frame arrived. What it makes due is sent by the `flush` that ends the batch. */
  receive(frame: Arrival, now: number): void {
    const { at, end } = frame
    const v = this.#memory.view
    const { counters } = this
    counters.framesFromGuest++
    counters.octetsFromGuest += end - at
    if (!ethernet.check(at, end)) return void counters.drop.ethernetShort++
    if (!ethernet.isTo(v, at, this.#options.mac) && !ethernet.isGroup(v, at)) {
      return void counters.drop.ethernetDst++
    }
    const type = ethernet.type(v, at)
    const network = at + ethernet.HEADER_LEN
    if (type === ethernet.IPV4) this.#receiveIpv4(at, network, end, frame.checksummed, now)
    else if (type === ethernet.ARP) this.#receiveArp(at, network, end)
    else counters.drop.ethernetType++
  }

  /** When `timeout` is to be called, in ms; Infinity: not until something arrives. */
  deadline(): number {
    return Math.min(this.tcp.deadlines.next(), this.#fragments.deadline)
  }

  timeout(now: number): void {
    this.#fragments.timeout(now, (first) => this.#expired(first, now))
    this.tcp.timeout(now)
    this.flush(now)
  }

  /** A datagram of the guest was not complete in time (RFC 792: time exceeded, code 1). */
  #expired(first: Reassembly, now: number): void {
    const at = this.#whole
    const end = first.copyTo(this.#memory, at)
    this.counters.drop.fragments = this.#fragments.dropped()
    const neighbour = this.neighbours.find(ipv4.src(this.#memory.view, at))
    const { TIME_EXCEEDED, REASSEMBLY_EXCEEDED } = icmp
    this.#error(neighbour, TIME_EXCEEDED, REASSEMBLY_EXCEEDED, at, end, now)
  }

  /** Sends what has become due since the last flush. */
  flush(now: number): void {
    this.tcp.flush(now)
  }

  /** RFC 826: who asks is learnt, and told our address when it asks for one of ours. */
  #receiveArp(frame: number, at: number, end: number): void {
    const v = this.#memory.view
    if (!arp.check(v, at, end)) return void this.counters.drop.arpMalformed++
    const sender = arp.spa(v, at)
    // A probe (RFC 5227 §1.1) has no sender's address: it asks whether one is taken.
    if (!this.#isGuest(sender) && sender !== 0) return void this.counters.drop.ipv4Src++
    const mac = at + arp.SHA
    const isOurs = this.#options.addresses.includes(arp.tpa(v, at))
    if (ethernet.isGroup(v, frame + ethernet.SRC)) return void this.counters.drop.arpMalformed++
    const neighbour = this.#learn(sender, mac)
    if (arp.op(v, at) === arp.REQUEST && isOurs) {
      this.transmitter.replyArp(neighbour, arp.tpa(v, at))
    }
  }

  /** The sender of the packet at `at` is where the frame came from. */
  #sender(frame: number, at: number): Neighbour {
    return this.#learn(ipv4.src(this.#memory.view, at), frame + ethernet.SRC)
  }

  #learn(addr: number, macAt: number): Neighbour {
    const neighbour = this.neighbours.learn(addr, macAt)
    if (neighbour.held.length > 0) this.transmitter.release(neighbour)
    return neighbour
  }

  /** A guest may have any address of the subnet that is not ours, its network's or its broadcast. */
  #isGuest(addr: number): boolean {
    const { subnet, addresses } = this.#options
    if (!address.isIn(addr, subnet.network, subnet.prefix)) return false
    const host = addr & ~address.mask(subnet.prefix)
    return host !== 0 && host !== ~address.mask(subnet.prefix) && !addresses.includes(addr)
  }

  #receiveIpv4(frame: number, at: number, end: number, checksummed: boolean, now: number): void {
    const { view: v, bytes } = this.#memory
    const { drop } = this.counters
    if (!ipv4.check(v, at, end)) return void drop.ipv4Malformed++
    if (!ipv4.checksumOk(bytes, v, at)) return void drop.ipv4Checksum++
    const src = ipv4.src(v, at)
    const dst = ipv4.dst(v, at)
    end = at + ipv4.totalLen(v, at)
    if (this.#isForDhcp(src, dst, at, end)) {
      return this.#receiveUdp(frame, at, at + ipv4.headerLen(v, at), end, checksummed)
    }
    if (!this.#isGuest(src)) return void drop.ipv4Src++
    if (!isUnicast(dst) || this.#isDirectedBroadcast(dst)) return void drop.ipv4Dst++
    if (ipv4.isFragment(v, at)) {
      const whole = this.#fragments.receive(bytes, v, at, end, now)
      drop.fragments = this.#fragments.dropped()
      if (whole === undefined) return
      at = this.#whole
      end = whole.copyTo(this.#memory, at)
      checksummed = false
    }
    if (ipv4.ttl(v, at) === 0) return void drop.ipv4Ttl++
    const isOurs = this.#options.addresses.includes(dst)
    if (!isOurs && ipv4.ttl(v, at) === 1) {
      drop.ipv4Ttl++
      return this.#timeExceeded(frame, at, end, now)
    }
    if (!isOurs && this.#isOnLink(dst)) {
      drop.ipv4Dst++
      const neighbour = this.#sender(frame, at)
      const { UNREACHABLE, HOST_UNREACHABLE } = icmp
      return this.#error(neighbour, UNREACHABLE, HOST_UNREACHABLE, at, end, now)
    }
    this.#receivePacket(frame, at, end, checksummed, isOurs, now)
  }

  /** RFC 2131 §4.1: a guest without an address comes from 0.0.0.0, and asks all or our gateway. */
  #isForDhcp(src: number, dst: number, at: number, end: number): boolean {
    if (!address.isBroadcast(dst) && !address.isUnspecified(src)) return false
    const { addresses } = this.#options
    if (!address.isUnspecified(src) && !this.#isGuest(src)) return false
    if (!address.isBroadcast(dst) && dst !== addresses[0]) return false
    const v = this.#memory.view
    if (ipv4.protocol(v, at) !== ipv4.UDP || ipv4.isFragment(v, at)) return false
    const transport = at + ipv4.headerLen(v, at)
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

  #receivePacket(
    frame: number,
    at: number,
    end: number,
    checksummed: boolean,
    isOurs: boolean,
    now: number,
  ): void {
    const v = this.#memory.view
    const transport = at + ipv4.headerLen(v, at)
    const protocol = ipv4.protocol(v, at)
    if (protocol === ipv4.TCP) this.#receiveTcp(frame, at, transport, end, checksummed, now)
    else if (protocol === ipv4.UDP) this.#receiveUdp(frame, at, transport, end, checksummed)
    else if (protocol === ipv4.ICMP) this.#receiveIcmp(frame, at, transport, end, isOurs, now)
    else {
      this.counters.drop.ipv4Protocol++
      const neighbour = this.#sender(frame, at)
      this.#error(neighbour, icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE, at, end, now)
    }
  }

  #receiveTcp(
    frame: number,
    at: number,
    transport: number,
    end: number,
    checksummed: boolean,
    now: number,
  ): void {
    const { view: v } = this.#memory
    if (end - transport < 4) return void this.counters.drop.tcpMalformed++
    if (!checksummed && !this.#isTransportSumRight(at, transport, end, ipv4.TCP)) {
      return void this.counters.drop.tcpChecksum++
    }
    const key = this.#key
    key4(key, ipv4.src(v, at), v.getUint16(transport), ipv4.dst(v, at), v.getUint16(transport + 2))
    if (this.tcp.receive(key, transport, end, now)) return
    this.tcp.arrivesAtNobody(key, this.#sender(frame, at))
  }

  #receiveUdp(
    frame: number,
    at: number,
    transport: number,
    end: number,
    checksummed: boolean,
  ): void {
    const { view: v } = this.#memory
    if (!udp.check(v, transport, end)) return void this.counters.drop.udpMalformed++
    const udpEnd = transport + udp.length(v, transport)
    const isChecked = checksummed || udp.checksum(v, transport) === 0
    if (!isChecked && !this.#isTransportSumRight(at, transport, udpEnd, ipv4.UDP)) {
      return void this.counters.drop.udpChecksum++
    }
    const d = this.#datagram
    const srcPort = udp.srcPort(v, transport)
    key4(d.key, ipv4.src(v, at), srcPort, ipv4.dst(v, at), udp.dstPort(v, transport))
    d.neighbour = this.#sender(frame, at)
    d.at = transport + udp.HEADER_LEN
    d.len = udpEnd - d.at
    d.ipAt = at
    d.ipEnd = end
    this.upper.datagramArrives(d)
  }

  #isTransportSumRight(at: number, transport: number, end: number, protocol: number): boolean {
    const { view: v, bytes } = this.#memory
    const pseudo = checksum.pseudo4(ipv4.src(v, at), ipv4.dst(v, at), protocol, end - transport)
    return checksum.finish(checksum.sum(bytes, v, transport, end, pseudo)) === 0
  }

  /** RFC 792: our addresses answer echo requests. */
  #receiveIcmp(
    frame: number,
    at: number,
    transport: number,
    end: number,
    isOurs: boolean,
    now: number,
  ): void {
    const { view: v, bytes } = this.#memory
    const { drop } = this.counters
    if (!icmp.check(transport, end)) return void drop.icmpMalformed++
    if (!icmp.checksumOk(bytes, v, transport, end)) return void drop.icmpChecksum++
    if (!isOurs || icmp.type(v, transport) !== icmp.ECHO) return void drop.icmpUnwanted++
    const neighbour = this.#sender(frame, at)
    this.transmitter.replyEcho(ipv4.dst(v, at), neighbour, transport, end, now)
  }

  #timeExceeded(frame: number, at: number, end: number, now: number): void {
    const neighbour = this.#sender(frame, at)
    this.#error(neighbour, icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED, at, end, now)
  }

  /** An ICMP error about a packet; never about another ICMP error (RFC 1122 §3.2.2). */
  #error(
    neighbour: Neighbour,
    type: number,
    code: number,
    at: number,
    end: number,
    now: number,
  ): void {
    const v = this.#memory.view
    if (ipv4.protocol(v, at) === ipv4.ICMP) {
      const message = at + ipv4.headerLen(v, at)
      if (message >= end || icmp.isError(icmp.type(v, message))) return
    }
    const gateway = this.#options.addresses[0]!
    this.transmitter.icmpError(gateway, neighbour, type, code, 0, at, end, now)
  }

  /** A datagram of the guest finds nobody: port unreachable, with the datagram quoted. */
  refuseDatagram(d: Datagram, code: number, now: number): void {
    this.#error(d.neighbour, icmp.UNREACHABLE, code, d.ipAt, d.ipEnd, now)
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
