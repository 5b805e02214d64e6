/**
 * ICMP errors to the guest, by what happened rather than by number: the same reason has one type and
 * code in IPv4 (RFC 792, 1812) and another in IPv6 (RFC 4443).
 */
import type { Memory } from './link.ts'
import type { Neighbour } from './neighbours.ts'
import { DEFAULT_TTL, type Transmitter } from './transmitter.ts'
import * as address from './wire/address.ts'
import * as icmp from './wire/icmp.ts'
import * as ipv4 from './wire/ipv4.ts'

export type Reason =
  | 'net-unreachable'
  | 'host-unreachable'
  | 'port-unreachable'
  | 'protocol-unreachable'
  /** Forbidden: by us, or by the host's rules. */
  | 'prohibited'
  | 'hop-limit'
  | 'reassembly-time'

/** Type and code of each reason in IPv4. */
const CODES4: Record<Reason, readonly [type: number, code: number]> = {
  'net-unreachable': [icmp.UNREACHABLE, icmp.NET_UNREACHABLE],
  'host-unreachable': [icmp.UNREACHABLE, icmp.HOST_UNREACHABLE],
  'port-unreachable': [icmp.UNREACHABLE, icmp.PORT_UNREACHABLE],
  'protocol-unreachable': [icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE],
  prohibited: [icmp.UNREACHABLE, icmp.ADMINISTRATIVELY_PROHIBITED],
  'hop-limit': [icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED],
  'reassembly-time': [icmp.TIME_EXCEEDED, icmp.REASSEMBLY_EXCEEDED],
}

export class IcmpErrors {
  readonly #memory: Memory
  readonly #transmitter: Transmitter
  /** Whom they come from: the gateway. */
  readonly #source: number

  constructor(memory: Memory, transmitter: Transmitter, source: number) {
    this.#memory = memory
    this.#transmitter = transmitter
    this.#source = source
  }

  /** About the guest's IP packet at [at, end), as much of which is quoted as may be. */
  about(at: number, end: number, neighbour: Neighbour, reason: Reason, now: number): void {
    const { bytes, view: v } = this.#memory
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
   * About a packet of the flow `key` whose octets are gone: its headers are written anew. `word` is
   * the second word of its transport header: TCP's sequence number, or UDP's length and checksum.
   */
  aboutFlow(
    key: Int32Array,
    neighbour: Neighbour,
    protocol: number,
    word: number,
    reason: Reason,
    now: number,
  ): void {
    const [type, code] = CODES4[reason]
    const { bytes, view: v } = this.#memory
    const len = icmp.HEADER_LEN + ipv4.HEADER_LEN + 8
    const transmitter = this.#transmitter
    const out = transmitter.begin4(this.#source, key[3]!, neighbour, ipv4.ICMP, len, DEFAULT_TTL)
    const quote = out + icmp.HEADER_LEN
    const total = ipv4.HEADER_LEN + (protocol === ipv4.UDP ? word >>> 16 : 20)
    const end = ipv4.emit(v, quote, total, 0, 0, DEFAULT_TTL, protocol, key[3]!, key[7]!)
    v.setInt32(end, key[8]!)
    v.setInt32(end + 4, word)
    // The quote stands where it belongs: it is copied onto itself.
    icmp.emitError(bytes, v, out, type, code, 0, quote, end + 8)
    transmitter.sendComplete(neighbour, end + 8, now)
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
