/**
 * A stack that speaks IPv6 on a test bench: packets of the guest made by hand, and what comes back in
 * a line each. Slow and obvious; {@link Rig} is the one for TCP.
 */

import type { Drops } from '../../../src/stack/counters.ts'
import { completeChecksum } from '../../../src/stack/cutting.ts'
import {
  Arrival,
  type Departure,
  GSO_NONE,
  type Memory,
  memoryOf,
} from '../../../src/stack/link.ts'
import { CHUNK } from '../../../src/stack/pool.ts'
import { HEADERS_LEN, Segmenter } from '../../../src/stack/segment.ts'
import { Slices } from '../../../src/stack/slices.ts'
import { type Datagram, Stack, type Upper } from '../../../src/stack/stack.ts'
import { type Connection, reserve, sent } from '../../../src/stack/tcp/connection.ts'
import type { SynRequest } from '../../../src/stack/tcp/syn-request.ts'
import * as address from '../../../src/stack/wire/address.ts'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import * as icmpv6 from '../../../src/stack/wire/icmpv6.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as ipv6 from '../../../src/stack/wire/ipv6.ts'
import * as ipv6Fragment from '../../../src/stack/wire/ipv6-fragment.ts'
import * as tcp from '../../../src/stack/wire/tcp.ts'
import * as udp from '../../../src/stack/wire/udp.ts'
import { pairSum } from '../wire/trap-view.ts'
import { fail, gather, type Octets, viewOf } from './frames.ts'
import { seededRandom } from './random.ts'

export const words = (text: string): Int32Array => {
  const into = new Int32Array(4)
  return address.parse(text, into) ? into : fail(`no address: ${text}`)
}

export const GATEWAY6 = 'fd00::2'
export const GUEST6 = 'fd00::64'
export const OTHER_GUEST6 = 'fd00::65'
export const HOST6 = '2001:db8::7'
export const STACK_MAC: Uint8Array = Uint8Array.of(0x52, 0x55, 10, 0, 2, 2)
export const GUEST_MAC: Uint8Array = Uint8Array.of(0x02, 0, 0, 0, 0, 0x64)

const IP = ethernet.HEADER_LEN
/** Where the transport header is without extension headers. */
export const TRANSPORT6: number = IP + ipv6.HEADER_LEN
const OVERHEAD = 256 * 1024

export class Rig6 implements Upper {
  readonly stack: Stack
  readonly frames: Octets[] = []
  readonly datagrams: { key: Int32Array; text: Octets }[] = []
  readonly requests: SynRequest[] = []
  onDatagram: ((datagram: Datagram) => void) | undefined
  readonly mtu: number
  now = 1_000_000
  readonly #slices = new Slices(16)
  readonly memory: Memory
  readonly #segmenter: Segmenter
  readonly #arrivalAt = OVERHEAD + 16 * CHUNK

  constructor(mtu = 1500, advertiseDns = true) {
    this.mtu = mtu
    this.memory = memoryOf(new Uint8Array(this.#arrivalAt + 70_000 + HEADERS_LEN))
    this.#segmenter = new Segmenter(this.memory, this.#arrivalAt + 70_000)
    this.stack = new Stack({
      memory: this.memory,
      at: 0,
      end: this.#arrivalAt,
      link: { transmit: (departure) => this.#transmit(departure) },
      mtu,
      mac: STACK_MAC,
      subnet: { network: 0x0a000200, prefix: 24 },
      addresses: [0x0a000202, 0x0a000203],
      ipv6: {
        prefix: words('fd00::'),
        gateway: words(GATEWAY6),
        dns: words('fd00::3'),
        linkLocal: words('fe80::2'),
        advertiseDns,
      },
      limits: { sendBuffer: 1 << 18, receiveBuffer: 1 << 18, connections: 100, halfOpen: 50 },
      random: seededRandom(1),
    })
    this.stack.upper = this
    this.stack.timeout(this.now) // its first router advertisement
    this.frames.length = 0
  }

  #transmit(departure: Departure): void {
    if (departure.gsoType !== GSO_NONE) {
      this.#segmenter.emit(departure, (frame) => this.frames.push(gather(this.memory, frame)))
      return
    }
    if (departure.csumStart !== 0) completeChecksum(this.memory, departure)
    this.frames.push(gather(this.memory, departure))
  }

  synArrives(request: SynRequest): void {
    this.requests.push(request)
  }

  datagramArrives(datagram: Datagram): void {
    const { key, at, len } = datagram
    const text = this.memory.bytes.slice(at, at + len)
    this.datagrams.push({ key: key.slice(), text })
    this.onDatagram?.(datagram)
  }

  echoArrives(echo: Datagram): void {
    this.datagramArrives(echo)
  }

  receive(...frames: Octets[]): void {
    for (const frame of frames) {
      const { bytes } = this.memory
      const arrival = new Arrival()
      bytes.set(frame, this.#arrivalAt)
      arrival.at = this.#arrivalAt
      arrival.end = this.#arrivalAt + frame.length
      this.stack.receive(arrival, this.now)
      bytes.fill(0xdd, arrival.at, arrival.end)
    }
    this.stack.flush(this.now)
  }

  /** Sends a datagram of the host to the guest, whose MAC it has learnt. */
  sendUdp(text: Uint8Array, guest = GUEST6): void {
    const key = new Int32Array(9)
    key.set(words(guest), 0)
    key.set(words(HOST6), 4)
    key[8] = (5000 << 16) | 53
    const at = this.#arrivalAt
    this.memory.bytes.set(text, at)
    const { transmitter, neighbours } = this.stack
    transmitter.sendUdp(key, neighbours.find(key), at, text.length, this.now)
  }

  /** The host sends `len` octets on a connection. */
  send(c: Connection, len: number): void {
    this.#slices.clear()
    reserve(c, len, this.#slices)
    sent(c, len)
    this.stack.flush(this.now)
  }

  /** Why what was dropped was dropped. */
  drops(): Partial<Drops> {
    const { drop } = this.stack.counters
    return Object.fromEntries(Object.entries(drop).filter(([, count]) => count > 0))
  }

  /** What was sent and nobody has looked at, router advertisements left out, in a line each. */
  lines(): string[] {
    return this.frames.splice(0).map((frame) => line6(frame, this.mtu))
  }
}

export interface Options6 {
  src?: string
  dst?: string
  hops?: number
  /** Octets of extension headers, the first of which is of the kind `first`. */
  extensions?: ArrayLike<number>
  first?: number
  /** Of UDP. */
  ports?: [src: number, dst: number]
}

/** An IPv6 packet in its frame. */
export function packet6(protocol: number, text: ArrayLike<number>, o: Options6 = {}): Octets {
  const { src = GUEST6, dst = HOST6, hops = 64, extensions = [], first = protocol } = o
  const at = TRANSPORT6 + extensions.length
  const frame = new Uint8Array(at + text.length)
  const v = viewOf(frame)
  ethernet.emit(v, 0, STACK_MAC, GUEST_MAC, ethernet.IPV6)
  ipv6.emit(v, IP, at + text.length - TRANSPORT6, first, hops, words(src), 0, words(dst), 0)
  frame.set(extensions, TRANSPORT6)
  frame.set(text, at)
  return frame
}

/** The sum of the pseudo-header of a packet without extension headers, and its payload. */
function sum6(src: string, dst: string, protocol: number, octets: Uint8Array): number {
  const pseudo = new Uint8Array(40)
  const v = viewOf(pseudo)
  ipv6.emitAddress(v, ipv6.emitAddress(v, 0, words(src), 0), words(dst), 0)
  v.setUint32(32, octets.length)
  v.setUint32(36, protocol)
  return pairSum([...pseudo, ...octets])
}

/** A UDP header and text, checksum and all. */
export function udpOctets(text: ArrayLike<number>, options: Options6 = {}): Octets {
  const { src = GUEST6, dst = HOST6, ports = [5000, 53] } = options
  const octets = new Uint8Array(udp.HEADER_LEN + text.length)
  const v = viewOf(octets)
  // The field has 16 bits: of a jumbogram nobody speaks.
  udp.emit(v, 0, ...ports, octets.length & 0xffff, 0)
  octets.set(text, udp.HEADER_LEN)
  v.setUint16(udp.CHECKSUM, ~sum6(src, dst, ipv4.UDP, octets) & 0xffff || 0xffff)
  return octets
}

/** An ICMPv6 message. */
export function icmpOctets(
  type: number,
  code: number,
  word: number,
  text: ArrayLike<number> = [],
  { src = GUEST6, dst = GATEWAY6 }: Options6 = {},
): Octets {
  const octets = new Uint8Array(icmpv6.HEADER_LEN + text.length)
  const v = viewOf(octets)
  icmpv6.emit(v, 0, type, code, word)
  octets.set(text, icmpv6.HEADER_LEN)
  v.setUint16(icmpv6.CHECKSUM, ~sum6(src, dst, ipv6.ICMPV6, octets) & 0xffff)
  return octets
}

/** A TCP segment of the guest's, checksum and all, from port 5000 to 80. */
export function tcpOctets(seq: number, ack: number, ctl: number, options: number[] = []): Octets {
  const octets = new Uint8Array(tcp.HEADER_LEN + options.length)
  const v = viewOf(octets)
  tcp.emitHeader(v, 0, 5000, 80, seq, ack, ctl, 65_535, octets.length)
  octets.set(options, tcp.HEADER_LEN)
  v.setUint16(tcp.CHECKSUM, ~sum6(GUEST6, HOST6, ipv4.TCP, octets) & 0xffff)
  return octets
}

export interface Piece {
  offset: number
  more?: boolean
  id?: number
  nextHeader?: number
}

/** A fragment: `text` at its offset of what has the protocol `nextHeader`. */
export function fragment6(text: ArrayLike<number>, piece: Piece, o: Options6 = {}): Octets {
  const { offset, more = false, id = 7, nextHeader = ipv4.UDP } = piece
  const octets = new Uint8Array(ipv6Fragment.HEADER_LEN + text.length)
  ipv6Fragment.emit(viewOf(octets), 0, nextHeader, offset, more, id)
  octets.set(text, ipv6Fragment.HEADER_LEN)
  return packet6(ipv6.FRAGMENT, octets, o)
}

/** All fragments of `whole`, of at most `most` octets each, a multiple of eight. */
export function cut6(whole: Octets, most: number, piece: Partial<Piece> = {}, o?: Options6) {
  return Array.from({ length: Math.ceil(whole.length / most) }, (_, i) => {
    const offset = i * most
    const more = offset + most < whole.length
    return fragment6(whole.subarray(offset, offset + most), { ...piece, offset, more }, o)
  })
}

/** A frame of the stack in a line; throws when it is not as each has to be. */
export function line6(frame: Octets, mtu: number): string {
  const v = viewOf(frame)
  if (!ethernet.isTo(v, ethernet.SRC, STACK_MAC)) fail('a frame of another MAC')
  if (!ipv6.check(v, IP, frame.length)) fail('no IPv6 packet')
  if (ipv6.payloadLen(v, IP) !== frame.length - TRANSPORT6) fail('the payload length is wrong')
  if (frame.length - IP > mtu) fail(`a packet of ${frame.length - IP} octets for MTU ${mtu}`)
  const [src, dst] = [addressAt(v, IP + ipv6.SRC), addressAt(v, IP + ipv6.DST)]
  const way = `${src} > ${dst}`
  const protocol = ipv6.nextHeader(v, IP)
  if (protocol === ipv6.FRAGMENT) {
    const at = TRANSPORT6
    const offset = ipv6Fragment.offset(v, at)
    const end = offset + frame.length - at - ipv6Fragment.HEADER_LEN
    const more = ipv6Fragment.moreFragments(v, at) ? '+' : ''
    return `${way}: fragment ${offset}:${end}${more} of ${ipv6Fragment.nextHeader(v, at)}`
  }
  if (sum6(src, dst, protocol, frame.subarray(TRANSPORT6)) !== 0xffff) fail('transport checksum')
  if (protocol !== ipv6.ICMPV6) return `${way}: protocol ${protocol}, ${frame.length - TRANSPORT6}`
  const [type, code] = [icmpv6.type(v, TRANSPORT6), icmpv6.code(v, TRANSPORT6)]
  const word = v.getUint32(TRANSPORT6 + 4)
  const rest = frame.length - TRANSPORT6 - icmpv6.HEADER_LEN
  return `${way}: ICMPv6 ${type}/${code} ${word}, ${rest}`
}

const addressAt = (v: DataView, at: number): string => {
  const into = new Int32Array(4)
  ipv6.readAddress(v, at, into, 0)
  return address.format(into)
}
