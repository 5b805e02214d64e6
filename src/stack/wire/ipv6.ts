/**
 * IPv6: the header of RFC 8200 §3.
 *
 *   0             4         6      7       8             24            40
 *   | ver, class, | payload | next | hop   | source      | destination | extension headers,
 *   | flow label  | length  | hdr  | limit | (16 octets) | (16 octets) | payload
 *
 * An address is four words, read into and written from an Int32Array at an index: flow keys hold
 * two of them in a row.
 */
export const HEADER_LEN = 40
/** Where the payload length is, the next header, and the addresses. */
export const PAYLOAD_LEN = 4
export const NEXT_HEADER = 6
export const SRC = 8
export const DST = 24

/** Next headers (RFC 8200 §4.1). */
export const HOP_BY_HOP = 0
export const ROUTING = 43
export const FRAGMENT = 44
export const ICMPV6 = 58
export const DESTINATION_OPTIONS = 60

/** RFC 8200 §5: every link carries this. */
export const MIN_MTU = 1280

export const version = (v: DataView, at: number): number => v.getUint8(at) >>> 4
export const payloadLen = (v: DataView, at: number): number => v.getUint16(at + 4)
export const nextHeader = (v: DataView, at: number): number => v.getUint8(at + 6)
export const hopLimit = (v: DataView, at: number): number => v.getUint8(at + 7)

/** Is there a whole header, and the payload that it tells of, in [at, end)? */
export function check(v: DataView, at: number, end: number): boolean {
  if (end - at < HEADER_LEN || version(v, at) !== 6) return false
  return HEADER_LEN + payloadLen(v, at) <= end - at
}

/** Reads the address at `at` into four words from `index` on. */
export function readAddress(v: DataView, at: number, into: Int32Array, index: number): void {
  for (let i = 0; i < 4; i++) into[index + i] = v.getInt32(at + 4 * i)
}

/** Are the four words from `index` on those of `address`? */
export function isAddress(words: Int32Array, index: number, address: Int32Array): boolean {
  for (let i = 0; i < 4; i++) if (words[index + i] !== address[i]) return false
  return true
}

/** fe80::/10. */
export const isLinkLocal = (words: Int32Array, index: number): boolean =>
  words[index]! >>> 22 === 0x3fa

/** Writes the four words from `index` on; returns the end. */
export function emitAddress(v: DataView, at: number, words: Int32Array, index: number): number {
  for (let i = 0; i < 4; i++) v.setInt32(at + 4 * i, words[index + i]!)
  return at + 16
}

/**
 * Where the extension header at [at, end) ends that `protocol` says it is, or -1: it is cut off, or
 * none that is walked over. Its next header is its first octet.
 */
export function extensionEnd(v: DataView, at: number, end: number, protocol: number): number {
  if (!isExtension(protocol) || end - at < 8) return -1
  const next = at + 8 + 8 * v.getUint8(at + 1)
  return next <= end ? next : -1
}

const isExtension = (protocol: number): boolean =>
  protocol === HOP_BY_HOP || protocol === DESTINATION_OPTIONS || protocol === ROUTING

/** Ours: more extension headers than this are nobody's wish. */
const MAX_EXTENSIONS = 8

/** What is behind extension headers: made once, overwritten. */
export class UpperLayer {
  /** What it is; a FRAGMENT counts as such. */
  protocol = 0
  /** Where it starts. */
  at = 0
  /** Where the octet is that says what it is. */
  pointer = 0

  /** Goes to what is behind the headers of the packet at `at`. False when one is cut off, or they are too many. */
  find(v: DataView, at: number, end: number): boolean {
    return this.findFrom(v, at + 6, at + HEADER_LEN, end)
  }

  /** The same from `at` on, for which the octet at `pointer` says what is there. */
  findFrom(v: DataView, pointer: number, at: number, end: number): boolean {
    this.pointer = pointer
    this.at = at
    for (let i = 0; i < MAX_EXTENSIONS; i++) {
      const next = extensionEnd(v, this.at, end, v.getUint8(this.pointer))
      if (next < 0) break
      this.pointer = this.at
      this.at = next
    }
    this.protocol = v.getUint8(this.pointer)
    return !isExtension(this.protocol)
  }
}

/** Writes the header; returns where the payload starts. */
export function emit(
  v: DataView,
  at: number,
  len: number,
  protocol: number,
  hops: number,
  src: Int32Array,
  srcIndex: number,
  dst: Int32Array,
  dstIndex: number,
): number {
  v.setUint32(at, 0x60000000)
  v.setUint16(at + 4, len)
  v.setUint8(at + 6, protocol)
  v.setUint8(at + 7, hops)
  return emitAddress(v, emitAddress(v, at + SRC, src, srcIndex), dst, dstIndex)
}
