/**
 * ARP for IPv4 over Ethernet (RFC 826).
 *
 *   0       2       4      5      6    8     14    18    24    28
 *   | htype | ptype | hlen | plen | op | sha | spa | tha | tpa |
 *
 * `at` is where the packet starts in `v`, behind the Ethernet header.
 */
import { emitMac } from './address.ts'

export const LEN = 28

export const REQUEST = 1
export const REPLY = 2

/** Where the hardware addresses are, from the packet's start. */
export const SHA = 8
export const THA = 18

const HTYPE_ETHERNET = 1
const PTYPE_IPV4 = 0x0800

export const op = (v: DataView, at: number): number => v.getUint16(at + 6)
export const spa = (v: DataView, at: number): number => v.getInt32(at + 14)
export const tpa = (v: DataView, at: number): number => v.getInt32(at + 24)

/** Is there a whole packet of IPv4 over Ethernet in [at, end)? */
export function check(v: DataView, at: number, end: number): boolean {
  if (end - at < LEN) return false
  return (
    v.getUint16(at) === HTYPE_ETHERNET &&
    v.getUint16(at + 2) === PTYPE_IPV4 &&
    v.getUint16(at + 4) === 0x0604 // hlen 6, plen 4
  )
}

/** Writes the packet; returns the end. The hardware addresses are six octets each. */
export function emit(
  v: DataView,
  at: number,
  operation: number,
  sha: Uint8Array,
  spa: number,
  tha: Uint8Array,
  tpa: number,
): number {
  v.setUint16(at, HTYPE_ETHERNET)
  v.setUint16(at + 2, PTYPE_IPV4)
  v.setUint16(at + 4, 0x0604)
  v.setUint16(at + 6, operation)
  emitMac(v, at + SHA, sha)
  v.setInt32(at + 14, spa)
  emitMac(v, at + THA, tha)
  v.setInt32(at + 24, tpa)
  return at + LEN
}
