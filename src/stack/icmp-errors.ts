/**
 * ICMP errors to the guest, by what happened rather than by number: the same reason has one type and
 * code in IPv4 (RFC 792, 1812) and another in IPv6 (RFC 4443).
 */
import type { Memory } from './link.ts'
import type { Neighbour } from './neighbours.ts'
import { DEFAULT_TTL, type Transmitter } from './transmitter.ts'
import * as address from './wire/address.ts'
import * as icmp from './wire/icmp.ts'
import * as icmpv6 from './wire/icmpv6.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'
import * as ipv6Fragment from './wire/ipv6-fragment.ts'

export type Reason =
  | 'net-unreachable'
  | 'host-unreachable'
  | 'port-unreachable'
  | 'protocol-unreachable'
  /** Forbidden: by us, or by the host's rules. */
  | 'prohibited'
  /** Not to be cut, and larger than the next link's MTU. */
  | 'packet-too-big'
  | 'hop-limit'
  | 'reassembly-time'

/** Type and code of each reason in IPv4. */
const CODES4: Record<Reason, readonly [type: number, code: number]> = {
  'net-unreachable': [icmp.UNREACHABLE, icmp.NET_UNREACHABLE],
  'host-unreachable': [icmp.UNREACHABLE, icmp.HOST_UNREACHABLE],
  'port-unreachable': [icmp.UNREACHABLE, icmp.PORT_UNREACHABLE],
  'protocol-unreachable': [icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE],
  prohibited: [icmp.UNREACHABLE, icmp.ADMINISTRATIVELY_PROHIBITED],
  'packet-too-big': [icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED],
  'hop-limit': [icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED],
  'reassembly-time': [icmp.TIME_EXCEEDED, icmp.REASSEMBLY_EXCEEDED],
}

/** … and in IPv6. */
const CODES6: Record<Reason, readonly [type: number, code: number]> = {
  'net-unreachable': [icmpv6.UNREACHABLE, icmpv6.NO_ROUTE],
  'host-unreachable': [icmpv6.UNREACHABLE, icmpv6.ADDRESS_UNREACHABLE],
  'port-unreachable': [icmpv6.UNREACHABLE, icmpv6.PORT_UNREACHABLE],
  'protocol-unreachable': [icmpv6.PARAMETER_PROBLEM, icmpv6.UNRECOGNIZED_NEXT_HEADER],
  prohibited: [icmpv6.UNREACHABLE, icmpv6.PROHIBITED],
  'packet-too-big': [icmpv6.PACKET_TOO_BIG, 0],
  'hop-limit': [icmpv6.TIME_EXCEEDED, icmpv6.HOP_LIMIT_EXCEEDED],
  'reassembly-time': [icmpv6.TIME_EXCEEDED, icmpv6.REASSEMBLY_EXCEEDED],
}
/** A parameter problem points at what is unknown: the next header of an IPv6 header. */
const NEXT_HEADER_POINTER = 6

/** Type and code by which IPv4 says it. */
export const codes4 = (reason: Reason): readonly [type: number, code: number] => CODES4[reason]

/** Type and code by which IPv6 says it, and the word behind them. */
export function codes6(reason: Reason): readonly [type: number, code: number, word: number] {
  const [type, code] = CODES6[reason]
  return [type, code, type === icmpv6.PARAMETER_PROBLEM ? NEXT_HEADER_POINTER : 0]
}

export class IcmpErrors {
  readonly #memory: Memory
  readonly #transmitter: Transmitter
  /** Whom they come from: the gateway. */
  readonly #source: number
  readonly #source6: Int32Array
  readonly #dst6 = new Int32Array(4)

  constructor(memory: Memory, transmitter: Transmitter, source: number, source6: Int32Array) {
    this.#memory = memory
    this.#transmitter = transmitter
    this.#source = source
    this.#source6 = source6
  }

  /** About the guest's IP packet at [at, end), as much of which is quoted as may be. */
  about(at: number, end: number, neighbour: Neighbour, reason: Reason, now: number): void {
    const { bytes, view: v } = this.#memory
    if (ipv6.version(v, at) === 6) return this.#about6(at, end, neighbour, reason, now)
    if (isAboutNothing(v, at, end)) return
    const [type, code] = CODES4[reason]
    const len = icmp.HEADER_LEN + Math.min(end - at, icmp.MAX_QUOTE)
    const dst = ipv4.src(v, at)
    const transmitter = this.#transmitter
    const out = transmitter.begin4(this.#source, dst, neighbour, ipv4.ICMP, len, DEFAULT_TTL)
    icmp.emitError(bytes, v, out, type, code, 0, at, end)
    transmitter.sendComplete(neighbour, out + len, now)
  }

  /**
   * A parameter problem (RFC 4443 §3.4) of the guest's IPv6 packet at [at, end): the octet at `pointer`
   * of memory is what it is about.
   */
  parameterProblem(
    at: number,
    end: number,
    neighbour: Neighbour,
    code: number,
    pointer: number,
    now: number,
  ): void {
    this.#quote6(at, end, neighbour, icmpv6.PARAMETER_PROBLEM, code, pointer - at, now)
  }

  #about6(at: number, end: number, neighbour: Neighbour, reason: Reason, now: number): void {
    const [type, code] = CODES6[reason]
    const word = type === icmpv6.PARAMETER_PROBLEM ? NEXT_HEADER_POINTER : 0
    this.#quote6(at, end, neighbour, type, code, word, now)
  }

  #quote6(
    at: number,
    end: number,
    neighbour: Neighbour,
    type: number,
    code: number,
    word: number,
    now: number,
  ): void {
    const { bytes, view: v } = this.#memory
    if (isAboutNothing6(v, at, end)) return
    const quoteLen = Math.min(end - at, icmpv6.MAX_QUOTE)
    ipv6.readAddress(v, at + ipv6.SRC, this.#dst6, 0)
    const quote = this.#begin6(this.#dst6, neighbour, type, code, word, quoteLen)
    bytes.copyWithin(quote, at, at + quoteLen)
    this.#transmitter.sendIcmp6(neighbour, quote - icmpv6.HEADER_LEN, quote + quoteLen, now)
  }

  /** Writes the headers of an error whose quote has `len` octets; returns where that goes. */
  #begin6(
    dst: Int32Array,
    neighbour: Neighbour,
    type: number,
    code: number,
    word: number,
    len: number,
  ): number {
    const all = icmpv6.HEADER_LEN + len
    const { ICMPV6 } = ipv6
    const transmitter = this.#transmitter
    const source = this.#source6
    const out = transmitter.begin6(source, 0, dst, 0, neighbour, ICMPV6, all, DEFAULT_TTL)
    return icmpv6.emit(this.#memory.view, out, type, code, word)
  }
}

/** Never about another ICMP error, or what was for several (RFC 1122 §3.2.2). */
function isAboutNothing(v: DataView, at: number, end: number): boolean {
  const dst = ipv4.dst(v, at)
  if (address.isBroadcast(dst) || address.isMulticast(dst)) return true
  if (ipv4.protocol(v, at) !== ipv4.ICMP) return false
  const message = at + ipv4.headerLen(v, at)
  return message >= end || icmp.isError(icmp.type(v, message))
}

/** Never about another error, or what was for several (RFC 4443 §2.4 (e)). */
function isAboutNothing6(v: DataView, at: number, end: number): boolean {
  if (v.getUint8(at + ipv6.DST) === 0xff) return true
  if (!upper.find(v, at, end)) return true
  if (upper.protocol === ipv6.FRAGMENT && ipv6Fragment.check(upper.at, end)) {
    if (ipv6Fragment.offset(v, upper.at) !== 0) return false
    upper.findFrom(v, upper.at, upper.at + ipv6Fragment.HEADER_LEN, end)
  }
  if (upper.protocol !== ipv6.ICMPV6) return false
  return upper.at >= end || icmpv6.isError(icmpv6.type(v, upper.at))
}

const upper = new ipv6.UpperLayer()
