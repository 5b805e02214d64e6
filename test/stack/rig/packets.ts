/** Frames of the guest, made by hand, and those of the stack in a line each, as tcpdump has them. */
import * as address from '../../../src/stack/wire/address.ts'
import * as arp from '../../../src/stack/wire/arp.ts'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import * as icmp from '../../../src/stack/wire/icmp.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as udp from '../../../src/stack/wire/udp.ts'
import { pairSum } from '../wire/trap-view.ts'
import { IP, type Octets, TRANSPORT, transportSum, viewOf } from './frames.ts'
import { GUEST, GUEST_MAC, HOST, STACK_MAC } from './rig.ts'

export interface PacketOptions {
  src?: number
  dst?: number
  srcMac?: Uint8Array
  dstMac?: Uint8Array
  ttl?: number
  id?: number
  /** Flags and offset, as they stand. */
  fragment?: number
  /** IP options, a multiple of four octets. */
  options?: readonly number[]
}

/** An IPv4 packet in its frame. */
export function packet(protocol: number, text: ArrayLike<number>, o: PacketOptions = {}): Octets {
  const options = o.options ?? []
  const at = TRANSPORT + options.length
  const frame = new Uint8Array(at + text.length)
  const v = viewOf(frame)
  ethernet.emit(v, 0, o.dstMac ?? STACK_MAC, o.srcMac ?? GUEST_MAC, ethernet.IPV4)
  const { ttl = 64, id = 1, fragment = 0, src = GUEST, dst = HOST } = o
  ipv4.emit(v, IP, frame.length - IP, id, fragment, ttl, protocol, src, dst)
  frame[IP] = 0x45 + options.length / 4
  frame.set(options, TRANSPORT)
  frame.set(text, at)
  ipv4.emitChecksum(frame, v, IP)
  return frame
}

/** An IPv4 packet without options, in two fragments. */
export function fragmentsOf(frame: Octets, id: number): Octets[] {
  const v = viewOf(frame)
  const half = TRANSPORT + (((frame.length - TRANSPORT) >> 1) & ~7)
  const common = {
    id,
    ttl: ipv4.ttl(v, IP),
    src: ipv4.src(v, IP),
    dst: ipv4.dst(v, IP),
    srcMac: frame.subarray(ethernet.SRC, ethernet.SRC + 6),
    dstMac: frame.subarray(ethernet.DST, ethernet.SRC),
  }
  const protocol = ipv4.protocol(v, IP)
  return [
    packet(protocol, frame.subarray(TRANSPORT, half), { ...common, fragment: ipv4.MF }),
    packet(protocol, frame.subarray(half), { ...common, fragment: (half - TRANSPORT) >> 3 }),
  ]
}

export interface DatagramOptions extends PacketOptions {
  srcPort?: number
  dstPort?: number
}

/** A UDP datagram in its frame. */
export function datagram(text: ArrayLike<number>, o: DatagramOptions = {}): Octets {
  const body = new Uint8Array(udp.HEADER_LEN + text.length)
  const v = viewOf(body)
  udp.emit(v, 0, o.srcPort ?? 5000, o.dstPort ?? 53, body.length, 0)
  body.set(text, udp.HEADER_LEN)
  const { src = GUEST, dst = HOST } = o
  const whole = packet(ipv4.UDP, body, { src, dst })
  const sum = ~transportSum(whole) & 0xffff
  v.setUint16(udp.CHECKSUM, sum === 0 ? 0xffff : sum)
  return packet(ipv4.UDP, body, o)
}

/** An ICMP message in its frame. */
export function message(
  type: number,
  code: number,
  rest: number,
  text: ArrayLike<number> = [],
  o: PacketOptions = {},
): Octets {
  const body = new Uint8Array(icmp.HEADER_LEN + text.length)
  const v = viewOf(body)
  body[0] = type
  body[1] = code
  v.setInt32(4, rest)
  body.set(text, icmp.HEADER_LEN)
  v.setUint16(2, ~pairSum(body) & 0xffff)
  return packet(ipv4.ICMP, body, o)
}

export interface ArpOptions {
  op?: number
  sha?: Uint8Array
  spa?: number
  tha?: Uint8Array
  tpa?: number
  srcMac?: Uint8Array
  dstMac?: Uint8Array
}

/** An ARP packet in its frame; without options, the guest asks for `tpa`. */
export function arpPacket(o: ArpOptions = {}): Octets {
  const frame = new Uint8Array(IP + arp.LEN)
  const v = viewOf(frame)
  const { op = arp.REQUEST, sha = GUEST_MAC, spa = GUEST, tha = new Uint8Array(6), tpa = 0 } = o
  ethernet.emit(v, 0, o.dstMac ?? ethernet.BROADCAST, o.srcMac ?? GUEST_MAC, ethernet.ARP)
  arp.emit(v, IP, op, sha, spa, tha, tpa)
  return frame
}

const addr = address.formatIpv4

/** A frame in a line. */
export function line(frame: Octets): string {
  const v = viewOf(frame)
  const dst = address.formatMac(frame, 0)
  if (ethernet.type(v, 0) === ethernet.ARP) {
    const [spa, tpa] = [addr(arp.spa(v, IP)), addr(arp.tpa(v, IP))]
    if (arp.op(v, IP) === arp.REQUEST) return `${dst} ARP who-has ${tpa} tell ${spa}`
    const tha = address.formatMac(frame, IP + arp.THA)
    return `${dst} ARP ${spa} is-at ${address.formatMac(frame, IP + arp.SHA)} to ${tpa} at ${tha}`
  }
  const way = `${addr(ipv4.src(v, IP))} > ${addr(ipv4.dst(v, IP))}`
  const end = IP + ipv4.totalLen(v, IP)
  if (ipv4.isFragment(v, IP)) {
    const offset = ipv4.fragmentOffset(v, IP)
    return `${way}: fragment ${offset}:${offset + end - TRANSPORT}${ipv4.moreFragments(v, IP) ? '+' : ''}`
  }
  const protocol = ipv4.protocol(v, IP)
  if (protocol === ipv4.ICMP) return `${way}: ${icmpLine(v, end)}`
  if (protocol === ipv4.UDP) {
    const ports = `${udp.srcPort(v, TRANSPORT)} > ${udp.dstPort(v, TRANSPORT)}`
    return `${way}: UDP ${ports}, length ${udp.length(v, TRANSPORT) - udp.HEADER_LEN}`
  }
  return `${way}: protocol ${protocol}, length ${end - TRANSPORT}`
}

function icmpLine(v: DataView, end: number): string {
  const type = icmp.type(v, TRANSPORT)
  const code = icmp.code(v, TRANSPORT)
  const text = TRANSPORT + icmp.HEADER_LEN
  if (type === icmp.ECHO_REPLY) {
    const id = icmp.identifier(v, TRANSPORT)
    return `echo reply, id ${id}, seq ${icmp.sequence(v, TRANSPORT)}, length ${end - text}`
  }
  const quoted = `${addr(ipv4.src(v, text))} > ${addr(ipv4.dst(v, text))}`
  return `ICMP ${type}/${code} about ${quoted} protocol ${ipv4.protocol(v, text)}, ${end - text} quoted`
}
