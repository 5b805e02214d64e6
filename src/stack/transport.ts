/** UDP and TCP on their way up, the same over both IP versions: checked, then handed on by key. */
import type { Counters } from './counters.ts'
import { KEY_WORDS } from './flow-table.ts'
import type { Memory } from './link.ts'
import type { Neighbour } from './neighbours.ts'
import type { Packet } from './packet.ts'
import type { Tcp } from './tcp/tcp.ts'
import * as checksum from './wire/checksum.ts'
import * as ethernet from './wire/ethernet.ts'
import * as icmp from './wire/icmp.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'
import * as udp from './wire/udp.ts'

/**
 * A datagram of the guest, or an echo request, whose text is the ICMP message and whose port at the
 * guest is its identifier. Made once and overwritten.
 */
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
  /** TTL or hop limit, as it came. */
  ttl = 0
  /** It came in one packet, which nobody on its way may cut: DF, or IPv6. */
  dontFragment = false
  /** The text lies in the frame that came, and stays when the link keeps that; else it is gone with the call. */
  isInFrame = false
}

export interface TransportOptions {
  readonly memory: Memory
  readonly counters: Counters
  readonly tcp: Tcp
  /** Who sent the packet; it is learnt by this. */
  readonly senderOf: (packet: Packet) => Neighbour
  readonly onDatagram: (datagram: Datagram) => void
  readonly onEcho: (echo: Datagram) => void
}

export class Transport {
  readonly tcp: Tcp
  readonly #options: TransportOptions
  readonly #memory: Memory
  readonly #datagram = new Datagram()

  constructor(options: TransportOptions) {
    this.#options = options
    this.tcp = options.tcp
    this.#memory = options.memory
  }

  receiveTcp(packet: Packet, now: number): void {
    const { counters, senderOf } = this.#options
    const { tcp } = this
    const { key, transport, end } = packet
    if (end - transport < 4) return void counters.drop.tcpMalformed++
    if (!packet.checksummed && !this.#isSumRight(packet, end, ipv4.TCP)) {
      return void counters.drop.tcpChecksum++
    }
    key[8] = this.#memory.view.getInt32(transport) // both ports, in their order
    if (tcp.receive(key, transport, end, now, packet.more)) return
    tcp.arrivesAtNobody(key, senderOf(packet), this.#ttl(packet.at), now)
  }

  receiveUdp(packet: Packet): void {
    const { counters, onDatagram } = this.#options
    const { view } = this.#memory
    const { transport } = packet
    if (!udp.check(view, transport, packet.end)) return void counters.drop.udpMalformed++
    const end = transport + udp.length(view, transport)
    // No checksum is allowed by IPv4 (RFC 768), not by IPv6 (RFC 8200 §8.1).
    const isSummed = udp.checksum(view, transport) !== 0 || view.getUint8(packet.at) >>> 4 === 6
    if (!packet.checksummed && isSummed && !this.#isSumRight(packet, end, ipv4.UDP)) {
      return void counters.drop.udpChecksum++
    }
    const at = transport + udp.HEADER_LEN
    const datagram = this.#describe(packet, view.getInt32(transport), at, end)
    const { udpSegment } = packet
    if (udpSegment === 0 || end - at <= udpSegment) return onDatagram(datagram)
    for (let next = at; next < end; next += udpSegment) {
      datagram.at = next
      datagram.len = Math.min(udpSegment, end - next)
      onDatagram(datagram)
    }
  }

  /** An echo request to a host outside, over either IP version; its checksum is right. */
  receiveEcho(packet: Packet): void {
    const { transport, end } = packet
    const identifier = icmp.identifier(this.#memory.view, transport)
    this.#options.onEcho(this.#describe(packet, identifier << 16, transport, end))
  }

  #describe(packet: Packet, ports: number, at: number, end: number): Datagram {
    const d = this.#datagram
    d.key.set(packet.key)
    d.key[8] = ports
    d.neighbour = this.#options.senderOf(packet)
    d.at = at
    d.len = end - at
    d.ipAt = packet.at
    d.ipEnd = packet.end
    d.ttl = this.#ttl(packet.at)
    // What was put together from fragments lies elsewhere than its last frame.
    d.isInFrame = packet.at === packet.frame + ethernet.HEADER_LEN
    d.dontFragment = d.isInFrame && this.#dontFragment(packet.at)
    return d
  }

  #dontFragment(at: number): boolean {
    const { view } = this.#memory
    return ipv6.version(view, at) === 6 || ipv4.dontFragment(view, at)
  }

  #ttl(at: number): number {
    const { view } = this.#memory
    return ipv6.version(view, at) === 6 ? ipv6.hopLimit(view, at) : ipv4.ttl(view, at)
  }

  #isSumRight({ at, key, transport }: Packet, end: number, protocol: number): boolean {
    const { bytes, view } = this.#memory
    const len = end - transport
    const pseudo =
      view.getUint8(at) >>> 4 === 4
        ? checksum.pseudo4(key[3]!, key[7]!, protocol, len)
        : checksum.pseudo6(bytes, view, at + 8, at + 24, protocol, len)
    return checksum.finish(checksum.sum(bytes, view, transport, end, checksum.fold(pseudo))) === 0
  }
}
