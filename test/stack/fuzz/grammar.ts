/**
 * Frames of a guest that knows the protocols, and means no good: each is well formed but for what is
 * rolled, and near to what the stack's connections are about.
 */
import type { Connection } from '../../../src/stack/tcp/connection.ts'
import * as arp from '../../../src/stack/wire/arp.ts'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as ipv6 from '../../../src/stack/wire/ipv6.ts'
import * as tcp from '../../../src/stack/wire/tcp.ts'
import * as udp from '../../../src/stack/wire/udp.ts'
import { IP, type Octets, viewOf } from '../rig/frames.ts'
import { FROM_GUEST, octetAt } from '../rig/random.ts'
import { DNS, GATEWAY, GUEST, GUEST_MAC, HOST, STACK_MAC } from '../rig/rig.ts'
import { GATEWAY6, GUEST6, HOST6, words } from '../rig/rig6.ts'
import type { Dice } from './dice.ts'
import { frameOf, type Header } from './wire.ts'

export const mapped = (addr: number): Int32Array => Int32Array.of(0, 0, 0xffff, addr)

const PORTS = [40_000, 40_001, 40_002, 40_003]
const HOST_PORTS = [80, 443]
const FLAGS = ['A', 'A', 'A', 'AP', 'AP', 'AF', 'APF', 'R', 'AR', 'S', 'AS', '', 'APFSRU', 'AU']
const BIT: Record<string, number> = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32 }
const ctlOf = (flags: string): number => [...flags].reduce((ctl, flag) => ctl | BIT[flag]!, 0)

export class Grammar {
  readonly #dice: Dice
  /** The connections that there are. */
  readonly #connections: () => readonly Connection[]
  /** Addresses of the two ends of the flows, by version. */
  readonly #ends = [
    { src: mapped(GUEST), dst: mapped(HOST) },
    { src: words(GUEST6), dst: words(HOST6) },
  ]
  #id = 1

  constructor(dice: Dice, connections: () => readonly Connection[]) {
    this.#dice = dice
    this.#connections = connections
  }

  /** Any frame. */
  frame(): Octets {
    const roll = this.#dice.below(100)
    if (roll < 70) return this.#segment()
    if (roll < 78) return this.#datagram()
    if (roll < 88) return this.#fragment()
    if (roll < 94) return this.#message()
    if (roll < 97) return this.#arp()
    return this.#anything()
  }

  #header(): Header {
    const dice = this.#dice
    const header: Header = { ...dice.pick(this.#ends), id: this.#id++ & 0xffff }
    if (dice.chance(0.05)) header.dst = this.#address(header.src)
    if (dice.chance(0.02)) header.src = this.#address(header.src)
    if (dice.chance(0.02)) header.ttl = dice.below(3)
    if (dice.chance(0.03)) this.#addOptions(header)
    return header
  }

  #address(like: Int32Array): Int32Array {
    const dice = this.#dice
    if (like[2] === 0xffff && like[0] === 0) {
      const known = [GATEWAY, DNS, GUEST, GUEST + 1, HOST, 0x7f000001, -1, 0, 0xe0000001 | 0]
      return mapped(dice.pick([...known, dice.bits()]) | 0)
    }
    const known = [GATEWAY6, GUEST6, HOST6, '::', '::1', 'ff02::1', 'fe80::2', 'fd00::ffff']
    return dice.chance(0.2) ? Int32Array.from({ length: 4 }, dice.bits) : words(dice.pick(known))
  }

  /** IP options, or extension headers. */
  #addOptions(header: Header): void {
    const dice = this.#dice
    if (header.src[2] === 0xffff && header.src[0] === 0) {
      header.options = dice.octets(4 * dice.between(1, 10))
      return
    }
    const kinds = [ipv6.HOP_BY_HOP, ipv6.DESTINATION_OPTIONS, ipv6.ROUTING]
    const octets: number[] = []
    const count = dice.between(1, 10)
    for (let i = 0; i < count; i++) {
      const next = i < count - 1 ? dice.pick(kinds) : ipv4.TCP
      octets.push(next, 0, ...dice.octets(6))
    }
    header.first = dice.pick(kinds)
    header.options = octets
  }

  // --- TCP ---

  #segment(): Octets {
    const dice = this.#dice
    const connections = this.#connections()
    if (connections.length === 0 || dice.chance(0.1)) return this.#syn()
    const c = dice.pick(connections)
    const flags = dice.pick(FLAGS)
    const ctl = ctlOf(flags)
    const seq = (c.rcvNxt + this.#near()) | 0
    const ack = (dice.pick([c.sndNxt, c.sndUna]) + this.#near()) | 0
    const wnd = dice.pick([65_535, 65_535, 0, 1, dice.below(3000), dice.below(65_536)])
    const options = this.#options(c)
    // What an octet is follows from its place: whoever gets a wrong one notices.
    const text = new Uint8Array(dice.len())
    const from = (seq - c.irs - (ctl & tcp.SYN ? 0 : 1)) | 0
    for (let i = 0; i < text.length; i++) text[i] = octetAt(FROM_GUEST, from + i)
    const src = c.key.slice(0, 4)
    const dst = c.key.slice(4, 8)
    const body = segment(c.key[8]!, seq, ack, ctl, wnd, options, text)
    const header: Header = { src, dst, id: this.#id++ & 0xffff }
    return frameOf(ipv4.TCP, body, header)
  }

  /** Near the next octet, at the edges of windows, or anywhere. */
  #near(): number {
    const dice = this.#dice
    const roll = dice.below(20)
    if (roll < 10) return 0
    if (roll < 14) return dice.between(-3, 3)
    if (roll < 19) return dice.between(-3000, 70_000)
    return dice.word()
  }

  #syn(): Octets {
    const dice = this.#dice
    const ports = (dice.pick(PORTS) << 16) | dice.pick(HOST_PORTS)
    const options: number[] = [2, 4, ...half(dice.pick([1460, 1460, 536, 1, 0, 65_535]))]
    if (dice.chance(0.7)) options.push(4, 2)
    if (dice.chance(0.7)) options.push(8, 10, ...word(dice.bits()), 0, 0, 0, 0)
    if (dice.chance(0.7)) options.push(3, 3, dice.pick([0, 2, 7, 14, 15, 255]))
    const irs = dice.chance(0.5) ? -3 : dice.bits()
    const ctl = dice.chance(0.95) ? tcp.SYN : ctlOf(dice.pick(FLAGS))
    const body = segment(ports, irs, 0, ctl, dice.pick([65_535, 0, 1]), options, [])
    return frameOf(ipv4.TCP, body, this.#header())
  }

  /** Options that a segment of this connection may have, and others; up to 40 octets. */
  #options(c: Connection): number[] {
    const dice = this.#dice
    const options: number[] = []
    if (c.hasTimestamps && dice.chance(0.95)) {
      const val = (c.tsRecent + dice.pick([0, 1, 5, 1000, -1, -1000])) | 0
      const now = (Math.floor(c.heardAt) + c.tsOffset) | 0
      options.push(1, 1, 8, 10, ...word(val), ...word(now + dice.pick([0, 0, -20, 5, dice.word()])))
    }
    if (dice.chance(0.3)) {
      const blocks = dice.between(1, 4)
      options.push(1, 1, 5, 2 + 8 * blocks)
      for (let i = 0; i < 2 * blocks; i++) {
        options.push(...word((c.sndUna + dice.between(-2000, 30_000)) | 0))
      }
    }
    // Bombs: options of no length, of any length, nothing but NOPs.
    if (dice.chance(0.05)) options.push(...dice.octets(dice.below(40)))
    if (dice.chance(0.02)) options.push(dice.below(256), 0)
    if (dice.chance(0.02)) options.push(dice.below(256), 1)
    if (dice.chance(0.02)) options.push(...new Array<number>(40).fill(1))
    options.length = Math.min(40, options.length)
    while (options.length % 4 !== 0) options.push(dice.pick([0, 1]))
    return options
  }

  // --- the others ---

  #datagram(): Octets {
    return frameOf(ipv4.UDP, this.#datagramOctets(), this.#header())
  }

  #datagramOctets(): Octets {
    const dice = this.#dice
    const text = dice.octets(dice.len())
    const body = new Uint8Array(udp.HEADER_LEN + text.length)
    const len = dice.chance(0.05) ? dice.word() & 0xffff : body.length
    udp.emit(viewOf(body), 0, dice.pick([5000, 68, 0]), dice.pick([53, 67, 9, 0]), len, 0)
    body.set(text, udp.HEADER_LEN)
    return body
  }

  /** A piece of a datagram, or of a segment; some are put together, more of them overlap. */
  #fragment(): Octets {
    const dice = this.#dice
    const { src, dst } = dice.pick(this.#ends)
    const whole = this.#datagramOctets()
    const unit = dice.chance(0.05) ? 0x1ffe : dice.pick([0, 1, 2, 185, dice.below(0x2000)])
    const isLast = dice.chance(0.4)
    const len = isLast ? dice.below(200) : 8 * dice.pick([1, 2, 185, dice.below(180), 0])
    const text = new Uint8Array(len)
    text.set(whole.subarray(0, len))
    const id = dice.below(6)
    const is4 = src[2] === 0xffff && src[0] === 0
    if (is4) {
      const fragment = (isLast ? 0 : ipv4.MF) | unit | (dice.chance(0.02) ? ipv4.DF : 0)
      return frameOf(dice.pick([ipv4.UDP, ipv4.ICMP]), text, { src, dst, id, fragment })
    }
    const head = [ipv4.UDP, 0, (unit >>> 5) & 0xff, ((unit & 31) << 3) | (isLast ? 0 : 1)]
    const options = [...head, ...word(id)]
    return frameOf(ipv4.UDP, text, { src, dst, options, first: ipv6.FRAGMENT })
  }

  /** ICMP: echoes, and errors that quote one of our connections. */
  #message(): Octets {
    const dice = this.#dice
    const header = this.#header()
    const is4 = header.src[2] === 0xffff && header.src[0] === 0
    const protocol = is4 ? ipv4.ICMP : ipv6.ICMPV6
    const kinds = is4
      ? [8, 0, 3, 3, 4, 5, 11, 12, 13, dice.below(256)]
      : [128, 129, 1, 2, 2, 3, 4, 133, 134, 135, 136, dice.below(256)]
    const kind = dice.pick(kinds)
    const connections = this.#connections()
    const quote =
      connections.length > 0 && dice.chance(0.7) ? this.#quote(connections) : new Uint8Array(0)
    const rest = dice.chance(0.5)
      ? word(dice.pick([68, 552, 1280, 1499, 65_535, 0]))
      : dice.octets(4)
    const text = quote.length > 0 ? quote : dice.octets(dice.below(80))
    const body = [kind, dice.pick([0, 0, 1, 2, 3, 4, dice.below(256)]), 0, 0, ...rest, ...text]
    if (!is4 && kind >= 133) header.ttl = 255
    return frameOf(protocol, body, header)
  }

  /** The packet of ours that an error is said to be about. */
  #quote(connections: readonly Connection[]): Octets {
    const dice = this.#dice
    const c = dice.pick(connections)
    const ports = ((c.key[8]! & 0xffff) << 16) | (c.key[8]! >>> 16)
    const seq = (c.sndUna + dice.pick([0, 0, 1, -1, 100_000])) | 0
    const body = segment(ports, seq, c.rcvNxt, tcp.ACK, 100, [], [])
    const quoted = frameOf(ipv4.TCP, body, { src: c.key.slice(4, 8), dst: c.key.slice(0, 4) })
    return quoted.subarray(IP, quoted.length - dice.pick([0, 12, 0, dice.below(30)]))
  }

  #arp(): Octets {
    const dice = this.#dice
    const frame = new Uint8Array(IP + arp.LEN + dice.pick([0, 18]))
    const v = viewOf(frame)
    const to = dice.pick([STACK_MAC, ethernet.BROADCAST])
    ethernet.emit(v, 0, to, GUEST_MAC, ethernet.ARP)
    const sender = dice.pick([GUEST, GUEST, GATEWAY, dice.bits()]) | 0
    const target = dice.pick([GATEWAY, DNS, GUEST, dice.bits()]) | 0
    arp.emit(v, IP, dice.pick([1, 2, 3]), GUEST_MAC, sender, dice.octets(6), target)
    return frame
  }

  /** An Ethernet header, and noise. */
  #anything(): Octets {
    const dice = this.#dice
    const frame = dice.octets(dice.between(0, 120))
    if (frame.length < IP || dice.chance(0.2)) return frame
    const kind = dice.pick([ethernet.IPV4, ethernet.IPV6, ethernet.ARP])
    ethernet.emit(viewOf(frame), 0, STACK_MAC, GUEST_MAC, kind)
    if (dice.chance(0.7)) frame[IP] = kind === ethernet.IPV6 ? 0x60 : 0x45
    return frame
  }
}

const half = (n: number): number[] => [(n >>> 8) & 0xff, n & 0xff]
const word = (n: number): number[] => [...half(n >>> 16), ...half(n)]

/** A TCP segment from `ports >>> 16` to `ports & 0xffff`, its checksum left out. */
export function segment(
  ports: number,
  seq: number,
  ack: number,
  ctl: number,
  wnd: number,
  options: ArrayLike<number>,
  text: ArrayLike<number>,
): Octets {
  const padded = Math.ceil(options.length / 4) * 4
  const headerLen = tcp.HEADER_LEN + padded
  const body = new Uint8Array(headerLen + text.length)
  tcp.emitHeader(viewOf(body), 0, ports >>> 16, ports & 0xffff, seq, ack, ctl, wnd, headerLen)
  body.set(options, tcp.HEADER_LEN)
  body.set(text, headerLen)
  return body
}
