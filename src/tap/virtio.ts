/**
 * The header that stands before each frame of a TAP with IFF_VNET_HDR: what is left to do for it
 * (struct virtio_net_hdr; virtio 1.2 §5.1.6).
 *
 *   0       1          2         4          6            8              10            12
 *   | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset | num_buffers |
 *
 * Numbers are in the machine's order, little-endian. `num_buffers` is there when the header has 12
 * octets (TUNGETVNETHDRSZ); a TAP does not look at it.
 */
import { type Departure, GSO_UDP_L4 } from '../stack/link.ts'
import * as checksum from '../stack/wire/checksum.ts'
import * as ethernet from '../stack/wire/ethernet.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import * as ipv6 from '../stack/wire/ipv6.ts'

export const HEADER_LEN = 10
export const HEADER_LEN_WITH_BUFFERS = 12

/** The checksum from `csum_start` on is missing; its field holds the pseudo-header's sum. */
export const NEEDS_CSUM = 0x01
/** The checksum was found right. */
export const DATA_VALID = 0x02

/** Does the sender vouch for the transport checksum? */
export const isChecksummed = (v: DataView, at: number): boolean =>
  (v.getUint8(at) & (NEEDS_CSUM | DATA_VALID)) !== 0

/** The octets of each datagram in a UDP super-datagram; 0 for any other frame. */
export const udpSegment = (v: DataView, at: number): number =>
  v.getUint8(at + 1) === GSO_UDP_L4 ? v.getUint16(at + 4, true) : 0

/**
 * Finishes the sum that is missing further in than the frame's own transport header: that of a tunnel's inner TCP
 * or UDP. A guest that sends VXLAN leaves it so, and has summed the outer datagram as if it were there (Linux,
 * lco_csum). What stands behind an IPv6 extension header is finished, too: that is never wrong. Answers whether
 * there was one: then nobody vouches for the outer sum.
 */
export function finishInner(
  bytes: Uint8Array,
  v: DataView,
  header: number,
  at: number,
  end: number,
): boolean {
  if ((v.getUint8(header) & NEEDS_CSUM) === 0) return false
  const start = v.getUint16(header + 6, true)
  if (start === transportOffset(v, at)) return false
  const field = at + start + v.getUint16(header + 8, true)
  if (field + 2 <= end) {
    // A sum of zero would say that there is none (RFC 768); TCP does not mind.
    v.setUint16(field, checksum.finish(checksum.sum(bytes, v, at + start, end)) || 0xffff)
  }
  return true
}

/** Where the transport header of a frame is, if there is one: after IPv4's options, or right after IPv6's header. */
function transportOffset(v: DataView, at: number): number {
  const network = at + ethernet.HEADER_LEN
  const isIpv4 = ipv6.version(v, network) === 4
  return ethernet.HEADER_LEN + (isIpv4 ? ipv4.headerLen(v, network) : ipv6.HEADER_LEN)
}

/**
 * Writes the header for a frame that goes to the guest, 10 octets; `num_buffers` stays 0.
 * `hdr_len` is all headers with TCP's options: the first slice.
 */
export function emit(v: DataView, at: number, departure: Departure): void {
  const { csumStart, gsoType } = departure
  if (csumStart === 0) {
    v.setInt32(at, 0)
    v.setInt32(at + 4, 0)
    v.setInt16(at + 8, 0)
    return
  }
  v.setUint8(at, NEEDS_CSUM)
  v.setUint8(at + 1, gsoType)
  v.setUint16(at + 2, gsoType === 0 ? 0 : departure.slices.len[0]!, true)
  v.setUint16(at + 4, gsoType === 0 ? 0 : departure.gsoSize, true)
  v.setUint16(at + 6, csumStart, true)
  v.setUint16(at + 8, departure.csumOffset, true)
}
