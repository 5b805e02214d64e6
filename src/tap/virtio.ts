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
import type { Departure } from '../stack/link.ts'

export const HEADER_LEN = 10
export const HEADER_LEN_WITH_BUFFERS = 12

/** The checksum from `csum_start` on is missing; its field holds the pseudo-header's sum. */
export const NEEDS_CSUM = 0x01
/** The checksum was found right. */
export const DATA_VALID = 0x02

/** Does the sender vouch for the transport checksum? */
export const isChecksummed = (v: DataView, at: number): boolean =>
  (v.getUint8(at) & (NEEDS_CSUM | DATA_VALID)) !== 0

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
