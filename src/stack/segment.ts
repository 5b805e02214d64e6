/**
 * Segmentation and checksums in software, for a device without a vnet header: what the kernel or a
 * card does for a super-frame (Linux' tcp_gso_segment, virtio's VIRTIO_NET_F_HOST_TSO4).
 *
 *   | Ethernet, IP, TCP | text, in slices                 |     a departure
 *   | Ethernet, IP, TCP | gsoSize |                             segment by segment, headers written
 *             | Ethernet, IP, TCP | gsoSize |                   to one place, text where it lies
 *                       | Ethernet, IP, TCP | rest |
 *
 * Pure: octets in a memory, and a callback that writes. Hot on such devices. The arguments of a
 * departure are link.ts's; its headers may have IP options and IPv6, but no extension headers. Text
 * may stand behind the headers in the first slice, as in a frame that waited for its neighbour, when
 * there is a slice to spare for it.
 */
import { completeChecksum, HEADERS_LEN, TextCursor } from './cutting.ts'
import { Departure, GSO_NONE, GSO_UDP_L4, type Memory } from './link.ts'
import * as checksum from './wire/checksum.ts'
import { HEADER_LEN as ETHERNET_LEN } from './wire/ethernet.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as tcp from './wire/tcp.ts'
import * as udp from './wire/udp.ts'

export { HEADERS_LEN }

/** RFC 8200 §3: the fields of an IPv6 header that change or are summed, and its length. */
const IPV6_PAYLOAD_LEN = 4
const IPV6_SRC = 8
const IPV6_DST = 24
const IPV6_HEADER_LEN = 40

/** Writes a frame that needs nothing more and is borrowed. A result below zero ends the work. */
export type Write = (frame: Departure) => number

export class Segmenter {
  readonly #memory: Memory
  /** Where the headers of a segment are written, and where in them IP and transport start. */
  readonly #at: number
  readonly #ip: number
  #transport = 0
  /** Octets of all headers. */
  #headers = 0
  readonly #cursor = new TextCursor()
  readonly #segment = new Departure()

  /** `at`: HEADERS_LEN octets of the memory, used only here. */
  constructor(memory: Memory, at: number) {
    this.#memory = memory
    this.#at = at
    this.#ip = at + ETHERNET_LEN
  }

  /**
   * Calls `write` with each frame that the departure becomes: itself when nothing is left to do,
   * one with its checksum complete, or one for each segment. The departure stays as it is. Returns
   * the sum of what `write` returned, or the first of it below zero.
   */
  emit(departure: Departure, write: Write): number {
    if (departure.csumStart === 0) return write(departure)
    const { slices, gsoType, gsoSize } = departure
    const headers = departure.csumStart + this.#transportLen(departure)
    this.#memory.bytes.copyWithin(this.#at, slices.at[0]!, slices.at[0]! + headers)
    this.#headers = headers
    this.#transport = this.#at + departure.csumStart
    this.#cursor.begin(slices, headers)
    const len = slices.total - headers
    if (gsoType === GSO_NONE || gsoSize <= 0 || len <= gsoSize) {
      return this.#write(departure, len, write)
    }
    return this.#cut(departure, len, write)
  }

  /** Octets of the transport header; of an unknown one, what its checksum field ends. */
  #transportLen({ slices, csumStart, csumOffset }: Departure): number {
    if (csumOffset === udp.CHECKSUM) return udp.HEADER_LEN
    if (csumOffset !== tcp.CHECKSUM) return csumOffset + 2
    return tcp.headerLen(this.#memory.view, slices.at[0]! + csumStart)
  }

  #cut(departure: Departure, len: number, write: Write): number {
    const { view } = this.#memory
    const { gsoType, gsoSize } = departure
    const transport = this.#transport
    const isUdp = gsoType === GSO_UDP_L4
    const ctl = tcp.ctl(view, transport)
    const seq = tcp.seq(view, transport)
    const headers = this.#headers
    let octets = 0
    for (let offset = 0; offset < len; offset += gsoSize) {
      const n = Math.min(gsoSize, len - offset)
      this.#emitIp(headers + n, offset > 0)
      if (isUdp) view.setUint16(transport + 4, udp.HEADER_LEN + n)
      else this.#emitTcp(seq + offset, ctlOf(ctl, offset, offset + n === len))
      this.#emitPseudo(isUdp ? ipv4.UDP : ipv4.TCP, headers - departure.csumStart + n, departure)
      const result = this.#write(departure, n, write)
      if (result < 0) return result
      octets += result
    }
    return octets
  }

  /** Writes the headers that are at `#at`, with the next `len` octets of text. */
  #write(departure: Departure, len: number, write: Write): number {
    const segment = this.#segment
    segment.slices.clear()
    segment.slices.push(this.#at, this.#headers)
    this.#cursor.take(len, segment.slices)
    segment.csumStart = departure.csumStart
    segment.csumOffset = departure.csumOffset
    completeChecksum(this.#memory, segment)
    return write(segment)
  }

  /** The frame's length, and for IPv4 an identification of its own and the checksum. */
  #emitIp(frameLen: number, isNext: boolean): void {
    const { bytes, view } = this.#memory
    const ip = this.#ip
    const len = frameLen - ETHERNET_LEN
    if (this.#isIpv6()) {
      view.setUint16(ip + IPV6_PAYLOAD_LEN, len - IPV6_HEADER_LEN)
      return
    }
    view.setUint16(ip + 2, len)
    if (isNext) view.setUint16(ip + 4, (ipv4.id(view, ip) + 1) & 0xffff)
    ipv4.emitChecksum(bytes, view, ip)
  }

  #emitTcp(seq: number, ctl: number): void {
    const { view } = this.#memory
    view.setInt32(this.#transport + 4, seq)
    view.setUint8(this.#transport + 13, ctl)
  }

  /** The pseudo-header's sum, for transport header and text of `len` octets. */
  #emitPseudo(protocol: number, len: number, departure: Departure): void {
    const { bytes, view } = this.#memory
    const ip = this.#ip
    const partial = this.#isIpv6()
      ? checksum.pseudo6(bytes, view, ip + IPV6_SRC, ip + IPV6_DST, protocol, len)
      : checksum.pseudo4(ipv4.src(view, ip), ipv4.dst(view, ip), protocol, len)
    view.setUint16(this.#transport + departure.csumOffset, checksum.fold(partial))
  }

  #isIpv6(): boolean {
    return this.#memory.view.getUint8(this.#ip) >>> 4 === 6
  }
}

/** FIN and PSH are for the last octet (RFC 9293 §3.9.1.2), CWR for the first (RFC 3168 §6.1.2). */
function ctlOf(ctl: number, offset: number, isLast: boolean): number {
  if (!isLast) ctl &= ~(tcp.FIN | tcp.PSH)
  if (offset > 0) ctl &= ~tcp.CWR
  return ctl
}
