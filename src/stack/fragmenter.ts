/**
 * A packet that is too large for the link leaves as fragments (RFC 791 §3.2, RFC 8200 §4.5).
 *
 *   | Ethernet, IP, transport | text                              |     the packet
 *   | Ethernet, IP, transport | text |                                  the first fragment
 *                      | Ethernet, IP | text |                          the others, offsets in
 *                                    | Ethernet, IP | text |             units of eight octets
 *
 * With IPv6 a Fragment header stands behind each IP header.
 *
 * Headers are written to a place of this one's own, text is not copied. A transport checksum that
 * was left to the link is completed first: no link can do it for a part.
 */
import { completeChecksum, HEADERS_LEN, TextCursor } from './cutting.ts'
import { Departure, type Memory } from './link.ts'
import { HEADER_LEN as ETHERNET_LEN } from './wire/ethernet.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'
import * as ipv6Fragment from './wire/ipv6-fragment.ts'

export { HEADERS_LEN }

/** The header of UDP and ICMP. It fits the first fragment: a link's MTU is 68 or more (RFC 791). */
const TRANSPORT_LEN = 8

export class Fragmenter {
  readonly #memory: Memory
  readonly #at: number
  readonly #cursor = new TextCursor()
  readonly #fragment = new Departure()

  /** `at`: HEADERS_LEN octets of the memory, used only here. */
  constructor(memory: Memory, at: number) {
    this.#memory = memory
    this.#at = at
  }

  /**
   * Calls `write` with each fragment, for a link that carries IPv4 packets of `mtu` octets; returns
   * how many there were. The packet's identification must be one of its own, and DF not set. Its
   * checksum is completed in place.
   */
  emit(departure: Departure, mtu: number, write: (fragment: Departure) => void): number {
    const { bytes, view } = this.#memory
    const { slices } = departure
    if (departure.csumStart !== 0) completeChecksum(this.#memory, departure)
    const headerLen = ipv4.headerLen(view, slices.at[0]! + ETHERNET_LEN)
    const kept = ETHERNET_LEN + headerLen
    const headers = Math.min(slices.len[0]!, kept + TRANSPORT_LEN)
    bytes.copyWithin(this.#at, slices.at[0]!, slices.at[0]! + headers)
    this.#cursor.begin(slices, headers)
    const ip = this.#at + ETHERNET_LEN
    const most = (mtu - headerLen) & ~7
    const len = slices.total - kept
    let count = 0
    for (let offset = 0; offset < len; offset += most) {
      const n = Math.min(most, len - offset)
      const head = offset === 0 ? headers : kept
      view.setUint16(ip + 2, headerLen + n)
      view.setUint16(ip + 6, (offset >>> 3) | (offset + n < len ? ipv4.MF : 0))
      ipv4.emitChecksum(bytes, view, ip)
      const into = this.#fragment.slices
      into.clear()
      into.push(this.#at, head)
      this.#cursor.take(n - (head - kept), into)
      write(this.#fragment)
      count++
    }
    return count
  }

  /**
   * The same of an IPv6 packet without extension headers, for a path that carries packets of `mtu`
   * octets, 1280 or more. `id`: an identification of its own.
   */
  emit6(
    departure: Departure,
    mtu: number,
    id: number,
    write: (fragment: Departure) => void,
  ): number {
    const { bytes, view } = this.#memory
    const { slices } = departure
    if (departure.csumStart !== 0) completeChecksum(this.#memory, departure)
    const before = ETHERNET_LEN + ipv6.HEADER_LEN
    const kept = before + ipv6Fragment.HEADER_LEN
    const transport = Math.min(slices.len[0]! - before, TRANSPORT_LEN)
    const from = slices.at[0]!
    bytes.copyWithin(this.#at, from, from + before)
    bytes.copyWithin(this.#at + kept, from + before, from + before + transport)
    this.#cursor.begin(slices, before + transport)
    const ip = this.#at + ETHERNET_LEN
    const protocol = ipv6.nextHeader(view, ip)
    view.setUint8(ip + ipv6.NEXT_HEADER, ipv6.FRAGMENT)
    const most = (mtu - ipv6.HEADER_LEN - ipv6Fragment.HEADER_LEN) & ~7
    const len = slices.total - before
    let count = 0
    for (let offset = 0; offset < len; offset += most) {
      const n = Math.min(most, len - offset)
      const head = offset === 0 ? transport : 0
      view.setUint16(ip + ipv6.PAYLOAD_LEN, ipv6Fragment.HEADER_LEN + n)
      const isMore = offset + n < len
      ipv6Fragment.emit(view, ip + ipv6.HEADER_LEN, protocol, offset, isMore, id)
      const into = this.#fragment.slices
      into.clear()
      into.push(this.#at, kept + head)
      this.#cursor.take(n - head, into)
      write(this.#fragment)
      count++
    }
    return count
  }
}
