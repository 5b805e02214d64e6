/**
 * ICMP errors about a packet of the guest that is gone: the host's network, or the host itself, said what
 * became of it. Its headers are written anew from the flow, so that the guest's kernel finds the socket.
 */
import { isIpv4, KEY_WORDS } from './flow-table.ts'
import { codes4, codes6, type Reason } from './icmp-errors.ts'
import type { Memory } from './link.ts'
import type { Neighbour } from './neighbours.ts'
import { DEFAULT_TTL, type Transmitter } from './transmitter.ts'
import * as icmp from './wire/icmp.ts'
import * as icmpv6 from './wire/icmpv6.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'

/** What became of a packet, and who says so. Made once and overwritten. */
export class Verdict {
  reason: Reason = 'host-unreachable'
  /** Whom the guest hears it from, four words; all zero: from the gateway. */
  readonly source: Int32Array = new Int32Array(4)
  /** Of 'packet-too-big': what fits. */
  mtu = 0
}

/** What is known of the packet. Made once and overwritten. */
export class LostPacket {
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  protocol = 0
  /** The first eight octets of its transport header. */
  first = 0
  second = 0
  /** How long its transport header was; what we do not have of it is not quoted. */
  headerLen = 8
  /** The start of its text is at [at, at + len) of memory, as much as is known. */
  at = 0
  len = 0
}

/** What is quoted of a transport header (RFC 792). */
const QUOTED_HEADER_LEN = 8

export class FlowErrors {
  readonly #memory: Memory
  readonly #transmitter: Transmitter
  readonly #gateway: number
  readonly #gateway6: Int32Array
  readonly #plain = new Verdict()

  constructor(memory: Memory, transmitter: Transmitter, gateway: number, gateway6: Int32Array) {
    this.#memory = memory
    this.#transmitter = transmitter
    this.#gateway = gateway
    this.#gateway6 = gateway6
  }

  /** Tells the guest that sent it. A reason alone comes from the gateway. */
  about(packet: LostPacket, neighbour: Neighbour, why: Reason | Verdict, now: number): void {
    const verdict = typeof why === 'string' ? this.#say(why) : why
    if (isIpv4(packet.key)) this.#about4(packet, neighbour, verdict, now)
    else this.#about6(packet, neighbour, verdict, now)
  }

  #say(reason: Reason): Verdict {
    this.#plain.reason = reason
    return this.#plain
  }

  #about4(packet: LostPacket, neighbour: Neighbour, verdict: Verdict, now: number): void {
    const { bytes, view: v } = this.#memory
    const { key, protocol, headerLen, len: textLen } = packet
    const [type, code] = codes4(verdict.reason)
    const text = Math.min(textLen, icmp.MAX_QUOTE - ipv4.HEADER_LEN - QUOTED_HEADER_LEN)
    const len = icmp.HEADER_LEN + ipv4.HEADER_LEN + QUOTED_HEADER_LEN + text
    const transmitter = this.#transmitter
    const source = isUnspecified(verdict.source) ? this.#gateway : verdict.source[3]!
    const out = transmitter.begin4(source, key[3]!, neighbour, ipv4.ICMP, len, DEFAULT_TTL)
    const quote = out + icmp.HEADER_LEN
    const total = ipv4.HEADER_LEN + headerLen + textLen
    const header = ipv4.emit(v, quote, total, 0, 0, ttlOf(verdict), protocol, key[3]!, key[7]!)
    const end = this.#quoteTransport(packet, header, text)
    const mtu = verdict.reason === 'packet-too-big' ? Math.min(verdict.mtu, 0xffff) : 0
    // The quote stands where it belongs: it is copied onto itself.
    icmp.emitError(bytes, v, out, type, code, mtu, quote, end)
    transmitter.sendComplete(neighbour, end, now)
  }

  #about6(packet: LostPacket, neighbour: Neighbour, verdict: Verdict, now: number): void {
    const { view: v } = this.#memory
    const { key, protocol, headerLen, len: textLen } = packet
    const [type, code, word] = codes6(verdict.reason)
    const text = Math.min(textLen, icmpv6.MAX_QUOTE - ipv6.HEADER_LEN - QUOTED_HEADER_LEN)
    const len = icmpv6.HEADER_LEN + ipv6.HEADER_LEN + QUOTED_HEADER_LEN + text
    const transmitter = this.#transmitter
    const source = isUnspecified(verdict.source) ? this.#gateway6 : verdict.source
    const out = transmitter.begin6(source, 0, key, 0, neighbour, ipv6.ICMPV6, len, DEFAULT_TTL)
    const mtu = verdict.reason === 'packet-too-big' ? verdict.mtu : word
    const quote = icmpv6.emit(v, out, type, code, mtu)
    const hops = ttlOf(verdict)
    const header = ipv6.emit(v, quote, headerLen + textLen, protocol, hops, key, 0, key, 4)
    transmitter.sendIcmp6(neighbour, out, this.#quoteTransport(packet, header, text), now)
  }

  /** Writes what is known of the transport header, and `len` octets of the text; returns the end. */
  #quoteTransport({ first, second, at }: LostPacket, header: number, len: number): number {
    const { bytes, view: v } = this.#memory
    v.setInt32(header, first)
    v.setInt32(header + 4, second)
    const text = header + QUOTED_HEADER_LEN
    bytes.copyWithin(text, at, at + len)
    return text + len
  }
}

const isUnspecified = (words: Int32Array): boolean =>
  (words[0]! | words[1]! | words[2]! | words[3]!) === 0

/** As the router saw it that dropped it. */
const ttlOf = ({ reason }: Verdict): number => (reason === 'hop-limit' ? 1 : DEFAULT_TTL)
