/**
 * The packet of ours that an ICMP error of the guest's network is about: what the error quotes of it, as much as there
 * is (RFC 792, RFC 4443 §3). Made once and overwritten; not hot.
 */
import { KEY_WORDS, key4 } from './flow-table.ts'
import * as ipv4 from './wire/ipv4.ts'
import * as ipv6 from './wire/ipv6.ts'

/** What an error must quote of a transport header (RFC 792). */
const TRANSPORT_LEN = 8

export class Quote {
  /** The flow that it was of: the packet went from the host's side to the guest's. */
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  protocol = 0
  /** The second word of its transport header; of TCP, the sequence number. */
  second = 0
  readonly #upper = new ipv6.UpperLayer()

  /** Reads what is quoted at [at, end). False when it cannot be a packet of ours. */
  read4(v: DataView, at: number, end: number): boolean {
    if (end - at < ipv4.HEADER_LEN || v.getUint8(at) >>> 4 !== 4) return false
    const transport = at + ipv4.headerLen(v, at)
    if (transport < at + ipv4.HEADER_LEN || transport + TRANSPORT_LEN > end) return false
    if (ipv4.fragmentOffset(v, at) !== 0) return false
    key4(this.key, ipv4.dst(v, at), 0, ipv4.src(v, at), 0)
    this.protocol = ipv4.protocol(v, at)
    this.#readTransport(v, transport)
    return true
  }

  /** The same of IPv6. */
  read6(v: DataView, at: number, end: number): boolean {
    if (end - at < ipv6.HEADER_LEN || ipv6.version(v, at) !== 6) return false
    const upper = this.#upper
    if (!upper.find(v, at, end) || upper.at + TRANSPORT_LEN > end) return false
    ipv6.readAddress(v, at + ipv6.DST, this.key, 0)
    ipv6.readAddress(v, at + ipv6.SRC, this.key, 4)
    this.protocol = upper.protocol
    this.#readTransport(v, upper.at)
    return true
  }

  #readTransport(v: DataView, at: number): void {
    this.key[8] = (v.getUint16(at + 2) << 16) | v.getUint16(at)
    this.second = v.getInt32(at + 4)
  }
}
