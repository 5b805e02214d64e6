/** Packets of either IP version, slow and obvious: made from parts, and their checksums written anew. */
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as ipv6 from '../../../src/stack/wire/ipv6.ts'
import { IP, type Octets, viewOf } from '../rig/frames.ts'
import { GUEST_MAC, STACK_MAC } from '../rig/rig.ts'
import { pairSum } from '../wire/trap-view.ts'

const CHECKSUM_AT: Record<number, number> = { 1: 2, 6: 16, 17: 6, 58: 2 }

export interface Header {
  /** Four words each, IPv4 in its mapped form. */
  src: Int32Array
  dst: Int32Array
  ttl?: number
  id?: number
  /** Flags and offset of IPv4, as they stand. */
  fragment?: number
  /** Options of IPv4; or extension headers of IPv6, whose first has the kind `first`. */
  options?: ArrayLike<number>
  first?: number
}

const isMapped = (words: Int32Array): boolean =>
  words[2] === 0xffff && words[0] === 0 && words[1] === 0

/** A frame of the guest with `body` as the payload of IP; its checksums are right. */
export function frameOf(protocol: number, body: ArrayLike<number>, header: Header): Octets {
  const { src, dst, ttl = 64, id = 1, fragment = 0, options = [], first = protocol } = header
  const is4 = isMapped(src)
  const at = IP + (is4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN)
  const frame = new Uint8Array(at + options.length + body.length)
  const v = viewOf(frame)
  ethernet.emit(v, 0, STACK_MAC, GUEST_MAC, is4 ? ethernet.IPV4 : ethernet.IPV6)
  if (is4) {
    ipv4.emit(v, IP, frame.length - IP, id, fragment, ttl, protocol, src[3]!, dst[3]!)
    frame[IP] = 0x45 + options.length / 4
  } else ipv6.emit(v, IP, frame.length - at, first, ttl, src, 0, dst, 0)
  frame.set(options, at)
  frame.set(body, at + options.length)
  sum(frame)
  return frame
}

/** Writes IP header and transport checksums anew, as far as there are any; lengths stay as they are. */
export function sum(frame: Octets): void {
  const v = viewOf(frame)
  if (frame.length < IP + ipv4.HEADER_LEN) return
  const isIpv4 = frame[IP]! >>> 4 === 4
  let at = IP + (isIpv4 ? (frame[IP]! & 15) * 4 : ipv6.HEADER_LEN)
  if (at > frame.length || at < IP + ipv4.HEADER_LEN) return
  if (isIpv4) {
    v.setUint16(IP + 10, 0)
    v.setUint16(IP + 10, ~pairSum(frame.subarray(IP, at)) & 0xffff)
    if (v.getUint16(IP + 6) & 0x3fff) return
  }
  let protocol = frame[IP + (isIpv4 ? 9 : 6)]!
  while (!isIpv4 && [0, 43, 60].includes(protocol) && at + 8 <= frame.length) {
    protocol = frame[at]!
    at += 8 + 8 * frame[at + 1]!
  }
  const field = at + (CHECKSUM_AT[protocol] ?? Infinity)
  if (!(field + 2 <= frame.length)) return
  const said = isIpv4 ? v.getUint16(IP + 2) : ipv6.HEADER_LEN + v.getUint16(IP + 4)
  const end = Math.max(at, Math.min(frame.length, IP + said))
  if (field + 2 > end) return
  const len = end - at
  const addresses = frame.subarray(IP + (isIpv4 ? 12 : 8), IP + (isIpv4 ? 20 : 40))
  const pseudo = protocol === 1 ? [] : [...addresses, 0, protocol, len >>> 8, len & 0xff]
  v.setUint16(field, 0)
  v.setUint16(field, ~pairSum([...pseudo, ...frame.subarray(at, end)]) & 0xffff)
}
