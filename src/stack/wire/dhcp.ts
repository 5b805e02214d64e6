/**
 * DHCP messages (RFC 2131 §2) and their options (RFC 2132), as a server reads and writes them.
 *
 *   0    1       2      3      4     8      10      12       16       20       24       28
 *   | op | htype | hlen | hops | xid | secs | flags | ciaddr | yiaddr | siaddr | giaddr |
 *
 *   28       44      108    236      240
 *   | chaddr | sname | file | cookie | options: code, length, octets; PAD and END have no length
 *
 * `at` is where the message starts in `v`.
 */
import { emitMac, MAC_LEN, readMac } from './address.ts'

export const SERVER_PORT = 67
export const CLIENT_PORT = 68

const SNAME_AT = 44
const FILE_AT = 108
const COOKIE_AT = 236
/** Where the options start: no message is shorter. */
export const OPTIONS_AT = 240
/** Shorter messages were once dropped on the way (RFC 1542 §2.1). */
export const MIN_LEN = 300

const BOOTREQUEST = 1
const BOOTREPLY = 2
/** htype and hlen of Ethernet (RFC 1700). */
const ETHERNET = 0x0106
const COOKIE = 0x63825363
/** The one flag: the answer is to be broadcast (RFC 2131 §2, figure 2). */
export const BROADCAST = 0x8000

/** Values of the option MESSAGE_TYPE (RFC 2132 §9.6). */
export const DISCOVER = 1
export const OFFER = 2
export const REQUEST = 3
export const DECLINE = 4
export const ACK = 5
export const NAK = 6
export const RELEASE = 7
export const INFORM = 8

/** Options (RFC 2132; DOMAIN_SEARCH: RFC 3397). */
export const SUBNET_MASK = 1
export const ROUTER = 3
export const DOMAIN_NAME_SERVER = 6
export const INTERFACE_MTU = 26
export const BROADCAST_ADDRESS = 28
export const REQUESTED_ADDRESS = 50
export const LEASE_TIME = 51
export const OVERLOAD = 52
export const MESSAGE_TYPE = 53
export const SERVER_ID = 54
export const PARAMETER_LIST = 55
export const MESSAGE = 56
export const MAX_MESSAGE_LEN = 57
export const RENEWAL_TIME = 58
export const REBINDING_TIME = 59
export const CLIENT_ID = 61
export const DOMAIN_SEARCH = 119
const PAD = 0
const END = 255
/** The most octets of one option. */
export const MAX_OPTION_LEN = 255

/** Where else options are, by the bits of OVERLOAD (RFC 2132 §9.3). */
const IN_FILE = 1
const IN_SNAME = 2

/** Are the fixed fields of a DHCP message in [at, end)? */
export function check(v: DataView, at: number, end: number): boolean {
  return end - at >= OPTIONS_AT && v.getUint32(at + COOKIE_AT) === COOKIE
}

/** Reads a client's message in [at, end). False when it is none, of no type, or malformed. */
export function parse(v: DataView, at: number, end: number, m: Message): boolean {
  if (!check(v, at, end)) return false
  if (v.getUint8(at) !== BOOTREQUEST || v.getUint16(at + 1) !== ETHERNET) return false
  m.xid = v.getInt32(at + 4)
  m.flags = v.getUint16(at + 10)
  m.ciaddr = v.getInt32(at + 12)
  m.giaddr = v.getInt32(at + 24)
  readMac(v, at + 28, m.chaddr)
  m.messageType = m.requestedAddr = m.serverId = m.maxLen = m.overload = 0
  m.parametersLen = m.clientIdLen = 0
  if (!parseOptions(v, at + OPTIONS_AT, end, m)) return false
  // RFC 2131 §4.1: 'file' is read before 'sname'.
  if (m.overload & IN_FILE && !parseOptions(v, at + FILE_AT, at + COOKIE_AT, m)) return false
  if (m.overload & IN_SNAME && !parseOptions(v, at + SNAME_AT, at + FILE_AT, m)) return false
  return m.messageType !== 0
}

/** Reads the options in [at, end); that END is missing is forgiven. */
function parseOptions(v: DataView, at: number, end: number, m: Message): boolean {
  while (at < end) {
    const code = v.getUint8(at++)
    if (code === PAD) continue
    if (code === END) return true
    if (at === end) return false
    const len = v.getUint8(at++)
    if (len > end - at || !parseOption(v, at, len, code, m)) return false
    at += len
  }
  return true
}

/** The length of those options read here that have one length only. */
const FIXED_LEN: Readonly<Record<number, number>> = {
  [REQUESTED_ADDRESS]: 4,
  [OVERLOAD]: 1,
  [MESSAGE_TYPE]: 1,
  [SERVER_ID]: 4,
  [MAX_MESSAGE_LEN]: 2,
}

/**
 * Reads one option; others than these are passed over. What comes twice counts as it comes last: the
 * pieces that RFC 3396 joins are of options longer than 255 octets, which none of these is.
 */
function parseOption(v: DataView, at: number, len: number, code: number, m: Message): boolean {
  if (len !== (FIXED_LEN[code] ?? len)) return false
  if (code === MESSAGE_TYPE) m.messageType = v.getUint8(at)
  else if (code === REQUESTED_ADDRESS) m.requestedAddr = v.getInt32(at)
  else if (code === SERVER_ID) m.serverId = v.getInt32(at)
  else if (code === MAX_MESSAGE_LEN) m.maxLen = v.getUint16(at)
  else if (code === OVERLOAD) m.overload = v.getUint8(at)
  else if (code === PARAMETER_LIST) m.parametersLen = readOctets(v, at, len, m.parameters)
  else if (code === CLIENT_ID) m.clientIdLen = readOctets(v, at, len, m.clientId)
  return true
}

function readOctets(v: DataView, at: number, len: number, into: Uint8Array): number {
  for (let i = 0; i < len; i++) into[i] = v.getUint8(at + i)
  return len
}

/** A client's message as read. What it does not have is 0. */
export class Message {
  xid = 0
  flags = 0
  ciaddr = 0
  giaddr = 0
  readonly chaddr: Uint8Array = new Uint8Array(MAC_LEN)
  messageType = 0
  requestedAddr = 0
  serverId = 0
  /** The longest message that it accepts, with IP and UDP headers. */
  maxLen = 0
  overload = 0
  /** The codes of the options that it asks for. */
  readonly parameters: Uint8Array = new Uint8Array(MAX_OPTION_LEN)
  parametersLen = 0
  readonly clientId: Uint8Array = new Uint8Array(MAX_OPTION_LEN)
  clientIdLen = 0
}

/** Code and octets. */
export type Option = readonly [number, Uint8Array]

/** A server's message. */
export interface Reply {
  readonly xid: number
  readonly flags: number
  readonly ciaddr: number
  readonly yiaddr: number
  readonly giaddr: number
  readonly chaddr: Uint8Array
  readonly options: readonly Option[]
}

/** Writes the message; returns its end. */
export function emit(v: DataView, at: number, reply: Reply): number {
  for (let i = 0; i < OPTIONS_AT; i += 4) v.setInt32(at + i, 0)
  v.setUint8(at, BOOTREPLY)
  v.setUint16(at + 1, ETHERNET)
  v.setInt32(at + 4, reply.xid)
  v.setUint16(at + 10, reply.flags)
  v.setInt32(at + 12, reply.ciaddr)
  v.setInt32(at + 16, reply.yiaddr)
  v.setInt32(at + 24, reply.giaddr)
  emitMac(v, at + 28, reply.chaddr)
  v.setUint32(at + COOKIE_AT, COOKIE)
  let end = at + OPTIONS_AT
  for (const [code, octets] of reply.options) {
    v.setUint8(end, code)
    v.setUint8(end + 1, octets.length)
    end += 2
    for (const octet of octets) v.setUint8(end++, octet)
  }
  v.setUint8(end++, END)
  while (end < at + MIN_LEN) v.setUint8(end++, PAD)
  return end
}
