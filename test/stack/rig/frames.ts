/**
 * Frames as they stand on the wire: what a link makes of a departure, and what must be true of any
 * frame of the stack. Slow and obvious, with no help of what is under test but its wire readers.
 */
import {
  type Departure,
  GSO_NONE,
  GSO_TCPV4,
  GSO_UDP_L4,
  type Memory,
} from '../../../src/stack/link.ts'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as tcp from '../../../src/stack/wire/tcp.ts'
import * as udp from '../../../src/stack/wire/udp.ts'
import { pairSum } from '../wire/trap-view.ts'

export type Octets = Uint8Array<ArrayBuffer>

export const IP = ethernet.HEADER_LEN
export const TRANSPORT: number = IP + ipv4.HEADER_LEN

export const viewOf = (frame: Octets): DataView =>
  new DataView(frame.buffer, frame.byteOffset, frame.length)

export function fail(message: string): never {
  throw new Error(message)
}

/** The ones' complement sum of the pseudo-header and the transport octets of a whole packet. */
export function transportSum(frame: Octets): number {
  const len = frame.length - TRANSPORT
  const pseudo = [...frame.subarray(IP + 12, IP + 20), 0, frame[IP + 9]!, len >>> 8, len & 0xff]
  return pairSum([...pseudo, ...frame.subarray(TRANSPORT)])
}

/** Writes IP length and checksum and the transport checksum at `csumOffset` anew. */
export function complete(frame: Octets, csumOffset: number): void {
  const v = viewOf(frame)
  v.setUint16(IP + 2, frame.length - IP)
  v.setUint16(IP + 10, 0)
  v.setUint16(IP + 10, ~pairSum(frame.subarray(IP, TRANSPORT)) & 0xffff)
  v.setUint16(TRANSPORT + csumOffset, 0)
  v.setUint16(TRANSPORT + csumOffset, ~transportSum(frame) & 0xffff)
}

/** The octets of a departure in one piece. */
export function gather(memory: Memory, { slices }: Departure): Octets {
  const frame = new Uint8Array(slices.total)
  let to = 0
  for (let i = 0; i < slices.count; i++) {
    const at = slices.at[i]!
    frame.set(memory.bytes.subarray(at, at + slices.len[i]!), to)
    to += slices.len[i]!
  }
  if (to !== frame.length) fail(`slices of ${to} octets say that they are ${frame.length}`)
  return frame
}

/** What a kernel puts on the wire for a departure: segments cut, checksums complete. */
export function cut(memory: Memory, departure: Departure): Octets[] {
  const whole = gather(memory, departure)
  const { csumStart, csumOffset, gsoType, gsoSize } = departure
  if (csumStart === 0) {
    if (gsoType !== GSO_NONE) fail('segmentation without a checksum to complete')
    return [whole]
  }
  if (csumStart !== TRANSPORT) fail(`the transport header is at ${TRANSPORT}, not ${csumStart}`)
  const v = viewOf(whole)
  const field = v.getUint16(csumStart + csumOffset)
  const pseudo = transportSum(whole.slice(0, TRANSPORT)) + whole.length - TRANSPORT
  if (field % 0xffff !== pseudo % 0xffff) fail('the checksum field has not the pseudo-header’s sum')
  if (gsoType === GSO_NONE) {
    complete(whole, csumOffset)
    return [whole]
  }
  if (gsoType !== GSO_TCPV4 && gsoType !== GSO_UDP_L4) fail(`gso type ${gsoType}`)
  const headers = departure.slices.len[0]!
  const text = whole.subarray(headers)
  const transportLen = gsoType === GSO_UDP_L4 ? udp.HEADER_LEN : tcp.headerLen(v, TRANSPORT)
  if (headers !== TRANSPORT + transportLen) fail('the first slice is not the headers')
  if (text.length <= gsoSize) fail(`${text.length} octets to be cut into segments of ${gsoSize}`)
  const segments: Octets[] = []
  for (let at = 0; at < text.length; at += gsoSize) {
    const part = text.subarray(at, at + gsoSize)
    const frame = new Uint8Array(headers + part.length)
    frame.set(whole.subarray(0, headers))
    frame.set(part, headers)
    const s = viewOf(frame)
    s.setUint16(IP + 4, (ipv4.id(v, IP) + segments.length) & 0xffff)
    if (gsoType === GSO_UDP_L4) s.setUint16(TRANSPORT + 4, udp.HEADER_LEN + part.length)
    else {
      s.setInt32(TRANSPORT + 4, tcp.seq(v, TRANSPORT) + at)
      const isLast = at + gsoSize >= text.length
      if (!isLast) frame[TRANSPORT + 13]! &= ~(tcp.FIN | tcp.PSH)
    }
    complete(frame, csumOffset)
    segments.push(frame)
  }
  return segments
}

/** Throws when an IPv4 frame of the stack is not as each has to be. */
export function inspect(frame: Octets, mtu: number): void {
  const v = viewOf(frame)
  if (!ipv4.check(v, IP, frame.length)) fail('no IPv4 packet')
  if (ipv4.headerLen(v, IP) !== ipv4.HEADER_LEN) fail('IP options')
  if (ipv4.totalLen(v, IP) !== frame.length - IP) fail('the total length is not the frame’s')
  if (frame.length - IP > mtu) fail(`a packet of ${frame.length - IP} octets for an MTU of ${mtu}`)
  if (pairSum(frame.subarray(IP, TRANSPORT)) !== 0xffff) fail('IP checksum')
  if (ipv4.ttl(v, IP) !== 64) fail(`a TTL of ${ipv4.ttl(v, IP)}`)
  const isTcp = ipv4.protocol(v, IP) === ipv4.TCP
  if (isTcp && ipv4.fragment(v, IP) !== ipv4.DF) fail('TCP without DF')
  if (ipv4.isFragment(v, IP)) return
  if (ipv4.protocol(v, IP) === ipv4.ICMP) {
    if (pairSum(frame.subarray(TRANSPORT)) !== 0xffff) fail('ICMP checksum')
  } else if (transportSum(frame) !== 0xffff) fail('transport checksum')
}
