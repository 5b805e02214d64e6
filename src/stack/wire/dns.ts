/**
 * DNS messages (RFC 1035 §4), as far as a relay reads them.
 *
 *   0    2       4         6         8         10        12
 *   | id | flags | QDCOUNT | ANCOUNT | NSCOUNT | ARCOUNT | question | answers, authority, additional
 *
 *   question:  | QNAME: labels of 1 + n octets, a zero | QTYPE | QCLASS |
 *
 * `at` is where the message starts in `v`; over TCP two octets of length stand before it.
 */
export const HEADER_LEN = 12
/** The most octets of a UDP message without EDNS (RFC 1035 §4.2.1). */
export const UDP_LEN = 512
/** The most octets of a name (RFC 1035 §3.1). */
export const MAX_NAME_LEN = 255

/** Flags, in the 16 bits they share with OPCODE and RCODE. */
export const QR = 0x8000
export const AA = 0x0400
export const TC = 0x0200
export const RD = 0x0100
export const RA = 0x0080
export const CD = 0x0010
const OPCODE = 0x7800

/** OPCODE of a standard query. */
export const QUERY = 0

/** RCODEs (RFC 1035 §4.1.1). */
export const NO_ERROR = 0
export const FORMAT_ERROR = 1
export const SERVER_FAILURE = 2
export const NAME_ERROR = 3
export const NOT_IMPLEMENTED = 4
export const REFUSED = 5

/** QTYPEs (IANA). */
export const A = 1
export const CNAME = 5
export const AAAA = 28

/** QCLASS (RFC 1035 §3.2.4). */
export const IN = 1

export const id = (v: DataView, at: number): number => v.getUint16(at)
/** Flags, OPCODE and RCODE as they stand. */
export const flags = (v: DataView, at: number): number => v.getUint16(at + 2)
export const isQuery = (v: DataView, at: number): boolean => (v.getUint8(at + 2) & 0x80) === 0
export const isTruncated = (v: DataView, at: number): boolean => (v.getUint8(at + 2) & 2) !== 0
export const opcode = (v: DataView, at: number): number => (v.getUint8(at + 2) >>> 3) & 15
export const rcode = (v: DataView, at: number): number => v.getUint8(at + 3) & 15
export const qdcount = (v: DataView, at: number): number => v.getUint16(at + 4)
export const ancount = (v: DataView, at: number): number => v.getUint16(at + 6)
export const nscount = (v: DataView, at: number): number => v.getUint16(at + 8)
export const arcount = (v: DataView, at: number): number => v.getUint16(at + 10)

/** Is a whole header in [at, end)? */
export function check(_v: DataView, at: number, end: number): boolean {
  return end - at >= HEADER_LEN
}

/** Reads the one question of the message in [at, end). False when it has none, more, or half a one. */
export function parseQuestion(v: DataView, at: number, end: number, question: Question): boolean {
  if (end - at < HEADER_LEN || qdcount(v, at) !== 1) return false
  const name = at + HEADER_LEN
  const nameEnd = endOfName(v, name, end)
  if (nameEnd < 0 || end - nameEnd < 4) return false
  question.name = name
  question.nameEnd = nameEnd
  question.qtype = v.getUint16(nameEnd)
  question.qclass = v.getUint16(nameEnd + 2)
  question.end = nameEnd + 4
  return true
}

/** Where a name without compression ends, its zero counted; -1 when it does not before `end`. */
function endOfName(v: DataView, at: number, end: number): number {
  const last = Math.min(end, at + MAX_NAME_LEN)
  while (at < last) {
    const len = v.getUint8(at)
    if (len === 0) return at + 1
    if (len > 63) return -1 // a pointer, which has nothing to point to in a first name
    at += 1 + len
  }
  return -1
}

/** A question as read: places in the view. */
export class Question {
  /** The first label, and one past the zero that ends the name. */
  name = 0
  nameEnd = 0
  qtype = 0
  qclass = 0
  /** One past the question. */
  end = 0
}

/** Is it the same question, letters of either case being the same (RFC 1035 §2.3.3)? */
export function isSameQuestion(v: DataView, a: Question, w: DataView, b: Question): boolean {
  const len = a.nameEnd - a.name
  if (len !== b.nameEnd - b.name || a.qtype !== b.qtype || a.qclass !== b.qclass) return false
  for (let i = 0; i < len; i++) {
    if (lowerCase(v.getUint8(a.name + i)) !== lowerCase(w.getUint8(b.name + i))) return false
  }
  return true
}

// A label's length is at most 63, below every letter: it stays what it is.
const lowerCase = (octet: number): number => (octet >= 65 && octet <= 90 ? octet + 32 : octet)

/**
 * Makes the query at `at` its own response without answers: `flags` are RCODE and TC, or'ed. Returns
 * its end, after the question; when the query's question cannot be read, after the header.
 */
export function emitEmptyResponse(
  v: DataView,
  at: number,
  end: number,
  flags: number,
  question: Question,
): number {
  const hasQuestion = parseQuestion(v, at, end, question)
  const kept = v.getUint16(at + 2) & (OPCODE | RD | CD) // RFC 1035 §4.1.1, RFC 4035 §3.2.2
  v.setUint16(at + 2, QR | kept | RA | flags)
  v.setUint16(at + 4, hasQuestion ? 1 : 0)
  v.setUint16(at + 6, 0)
  v.setInt32(at + 8, 0) // NSCOUNT and ARCOUNT
  return hasQuestion ? question.end : at + HEADER_LEN
}

/** The octets of a resource record with an IPv6 address, whose name is a pointer. */
export const MAX_RECORD_LEN = 28
/** A pointer to the name of the question (RFC 1035 §4.1.4). */
const QUESTION_NAME = 0xc000 | HEADER_LEN

/**
 * Adds an A or AAAA record for the question's name to the response that starts at `start` and ends at `at`; returns
 * its end. `words` is the address; `ttl` is in seconds.
 */
export function emitAddress(
  v: DataView,
  start: number,
  at: number,
  words: Int32Array,
  type: number,
  ttl: number,
): number {
  v.setUint16(start + 6, ancount(v, start) + 1)
  v.setUint16(at, QUESTION_NAME)
  v.setUint16(at + 2, type)
  v.setUint16(at + 4, IN)
  v.setUint32(at + 6, ttl)
  const first = type === A ? 3 : 0
  v.setUint16(at + 10, 4 * (4 - first))
  at += 12
  for (let i = first; i < 4; i++, at += 4) v.setInt32(at, words[i]!)
  return at
}

/** A name without compression as text, in lower case, without the dot at its end. */
export function readName(v: DataView, { name, nameEnd }: Question): string {
  let text = ''
  for (let at = name; at < nameEnd - 1; ) {
    const len = v.getUint8(at++)
    if (text !== '') text += '.'
    for (const end = at + len; at < end; at++)
      text += String.fromCharCode(lowerCase(v.getUint8(at)))
  }
  return text
}
