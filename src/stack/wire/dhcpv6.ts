/**
 * DHCPv6 messages (RFC 8415 §8) and their options (§21), as a server reads and writes them.
 *
 *   0      1                4       | an option:  0      2        4
 *   | type | transaction-id | options …           | code | length | octets
 *
 * `at` is where the message starts in `v`.
 */

export const SERVER_PORT = 547
export const CLIENT_PORT = 546
/** All_DHCP_Relay_Agents_and_Servers, ff02::1:2 (RFC 8415 §7.1). */
export const ALL_SERVERS: Int32Array = Int32Array.of(0xff020000 | 0, 0, 0, 0x00010002)

/** Where the options start. */
export const OPTIONS_AT = 4

/** Message types (RFC 8415 §7.3). */
export const REPLY = 7
export const INFORMATION_REQUEST = 11

/** Options (RFC 8415 §24; DNS_SERVERS and DOMAIN_LIST: RFC 3646). */
export const CLIENT_ID = 1
export const SERVER_ID = 2
export const IA_NA = 3
export const IA_TA = 4
export const OPTION_REQUEST = 6
export const DNS_SERVERS = 23
export const DOMAIN_LIST = 24
export const IA_PD = 25

/** DUID-LL, of Ethernet (RFC 8415 §11.4). */
const DUID_LL = 0x00030001
/** RFC 8415 §11.1: a type of two octets, and at most 128 more. */
const MAX_DUID_LEN = 130
/** Ours: no client asks for more. */
const MAX_REQUESTED = 64

/** Reads a client's message in [at, end). False when it is malformed. */
export function parse(v: DataView, at: number, end: number, m: Message): boolean {
  if (end - at < OPTIONS_AT) return false
  m.messageType = v.getUint8(at)
  m.transactionId = v.getUint32(at) & 0xffffff
  m.clientIdLen = m.serverIdLen = m.requestedCount = 0
  m.wantsAddress = false
  for (at += OPTIONS_AT; at < end; ) {
    if (end - at < 4) return false
    const code = v.getUint16(at)
    const len = v.getUint16(at + 2)
    at += 4
    if (len > end - at || !parseOption(v, at, len, code, m)) return false
    at += len
  }
  return true
}

/** Reads one option; others than these are passed over. */
function parseOption(v: DataView, at: number, len: number, code: number, m: Message): boolean {
  if (code === CLIENT_ID) m.clientIdLen = readOctets(v, at, len, m.clientId)
  else if (code === SERVER_ID) m.serverIdLen = readOctets(v, at, len, m.serverId)
  else if (code === OPTION_REQUEST) return parseRequest(v, at, len, m)
  else if (code === IA_NA || code === IA_TA || code === IA_PD) m.wantsAddress = true
  return (code !== CLIENT_ID && code !== SERVER_ID) || (len > 2 && len <= MAX_DUID_LEN)
}

function parseRequest(v: DataView, at: number, len: number, m: Message): boolean {
  if (len % 2 !== 0) return false
  m.requestedCount = Math.min(len / 2, MAX_REQUESTED)
  for (let i = 0; i < m.requestedCount; i++) m.requested[i] = v.getUint16(at + 2 * i)
  return true
}

function readOctets(v: DataView, at: number, len: number, into: Uint8Array): number {
  const count = Math.min(len, into.length)
  for (let i = 0; i < count; i++) into[i] = v.getUint8(at + i)
  return count
}

/** A client's message as read. What it does not have is 0. */
export class Message {
  messageType = 0
  transactionId = 0
  /** DUIDs: who asks, and whom. */
  readonly clientId: Uint8Array = new Uint8Array(MAX_DUID_LEN)
  clientIdLen = 0
  readonly serverId: Uint8Array = new Uint8Array(MAX_DUID_LEN)
  serverIdLen = 0
  /** The codes of the options that it asks for. */
  readonly requested: Uint16Array = new Uint16Array(MAX_REQUESTED)
  requestedCount = 0
  /** It has an option of addresses or prefixes. */
  wantsAddress = false
}

/** Code and octets. */
export type Option = readonly [number, Uint8Array]

/** The DUID of who has this MAC. */
export function duidOf(mac: Uint8Array): Uint8Array {
  const duid = new Uint8Array(4 + mac.length)
  new DataView(duid.buffer).setUint32(0, DUID_LL)
  duid.set(mac, 4)
  return duid
}

/** Writes a message; returns its end. */
export function emit(
  v: DataView,
  at: number,
  messageType: number,
  transactionId: number,
  options: readonly Option[],
): number {
  v.setUint32(at, ((messageType << 24) | transactionId) >>> 0)
  let end = at + OPTIONS_AT
  for (const [code, octets] of options) {
    v.setUint16(end, code)
    v.setUint16(end + 2, octets.length)
    end += 4
    for (const octet of octets) v.setUint8(end++, octet)
  }
  return end
}
