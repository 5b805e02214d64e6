/**
 * ICMP messages (RFC 792).
 *
 *   0      1      2          4            6          8
 *   | type | code | checksum | identifier | sequence | text        echo
 *   | type | code | checksum | rest                  | quote       errors: the packet they answer
 *
 * `at` is where the message starts in `v`; the packet's end is the message's.
 */
import { finish, sum } from './checksum.ts'

export const HEADER_LEN = 8
/** Of the packet that an error answers, this much is quoted: 576 octets in all (RFC 1812 §4.3.2.3). */
export const MAX_QUOTE = 548

export const ECHO_REPLY = 0
export const UNREACHABLE = 3
export const SOURCE_QUENCH = 4
export const REDIRECT = 5
export const ECHO = 8
export const TIME_EXCEEDED = 11
export const PARAMETER_PROBLEM = 12

/** Codes of UNREACHABLE (RFC 792, RFC 1812 §5.2.7.1). */
export const NET_UNREACHABLE = 0
export const HOST_UNREACHABLE = 1
export const PROTOCOL_UNREACHABLE = 2
export const PORT_UNREACHABLE = 3
/** The low 16 bits of the rest are the next hop's MTU (RFC 1191 §4). */
export const FRAGMENTATION_NEEDED = 4
export const NET_PROHIBITED = 9
export const HOST_PROHIBITED = 10
export const ADMINISTRATIVELY_PROHIBITED = 13

/** Codes of TIME_EXCEEDED. */
export const TTL_EXCEEDED = 0
export const REASSEMBLY_EXCEEDED = 1

export const type = (v: DataView, at: number): number => v.getUint8(at)
export const code = (v: DataView, at: number): number => v.getUint8(at + 1)
export const checksum = (v: DataView, at: number): number => v.getUint16(at + 2)
export const identifier = (v: DataView, at: number): number => v.getUint16(at + 4)
export const sequence = (v: DataView, at: number): number => v.getUint16(at + 6)
/** The second word as a whole. */
export const rest = (v: DataView, at: number): number => v.getInt32(at + 4)

/** Is it an error, which is never answered with another (RFC 1122 §3.2.2)? */
export const isError = (type: number): boolean =>
  type === UNREACHABLE ||
  type === SOURCE_QUENCH ||
  type === REDIRECT ||
  type === TIME_EXCEEDED ||
  type === PARAMETER_PROBLEM

export function check(at: number, end: number): boolean {
  return end - at >= HEADER_LEN
}

export function checksumOk(bytes: Uint8Array, v: DataView, at: number, end: number): boolean {
  return sum(bytes, v, at, end) === 0xffff
}

/** Writes an echo or its reply, with the text of [textAt, textEnd) of the same memory. */
export function emitEcho(
  bytes: Uint8Array,
  v: DataView,
  at: number,
  type: number,
  identifier: number,
  sequence: number,
  textAt: number,
  textEnd: number,
): number {
  return emit(bytes, v, at, type, 0, (identifier << 16) | sequence, textAt, textEnd)
}

/** Writes an error with its quote: the IP packet at [quoteAt, quoteEnd), or what fits of it. */
export function emitError(
  bytes: Uint8Array,
  v: DataView,
  at: number,
  type: number,
  code: number,
  rest: number,
  quoteAt: number,
  quoteEnd: number,
): number {
  const end = Math.min(quoteEnd, quoteAt + MAX_QUOTE)
  return emit(bytes, v, at, type, code, rest, quoteAt, end)
}

function emit(
  bytes: Uint8Array,
  v: DataView,
  at: number,
  type: number,
  code: number,
  rest: number,
  textAt: number,
  textEnd: number,
): number {
  const text = at + HEADER_LEN
  const end = text + textEnd - textAt
  // First the text: it may lie where the header will, as when an echo is answered in its place.
  if (textAt !== text) bytes.copyWithin(text, textAt, textEnd)
  v.setUint16(at, (type << 8) | code)
  v.setUint16(at + 2, 0)
  v.setInt32(at + 4, rest)
  v.setUint16(at + 2, finish(sum(bytes, v, at, end)))
  return end
}
