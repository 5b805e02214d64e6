/**
 * Ethernet II frames (RFC 894).
 *
 *   0     6     12     14
 *   | dst | src | type | payload
 *
 * `at` is where the frame starts in `v`. No VLAN tag, no checksum at the end: a TAP has neither.
 */
import { emitMac, isMac } from './address.ts'

export const HEADER_LEN = 14

/** Where the addresses are, from the frame's start. */
export const DST = 0
export const SRC = 6

/** EtherTypes (IANA). */
export const IPV4 = 0x0800
export const ARP = 0x0806
export const IPV6 = 0x86dd

/** To every station (RFC 894). */
export const BROADCAST: Uint8Array = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])

export const type = (v: DataView, at: number): number => v.getUint16(at + 12)

/** The group bit of the destination: broadcast or multicast. */
export const isGroup = (v: DataView, at: number): boolean => (v.getUint8(at) & 1) !== 0

/** Is the destination `mac`? */
export const isTo = (v: DataView, at: number, mac: Uint8Array): boolean => isMac(v, at + DST, mac)

export function check(at: number, end: number): boolean {
  return end - at >= HEADER_LEN
}

/** Writes the header; returns where the payload starts. */
export function emit(
  v: DataView,
  at: number,
  dst: Uint8Array,
  src: Uint8Array,
  etherType: number,
): number {
  emitMac(v, at + DST, dst)
  emitMac(v, at + SRC, src)
  v.setUint16(at + 12, etherType)
  return at + HEADER_LEN
}
