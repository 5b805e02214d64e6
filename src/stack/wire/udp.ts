/**
 * UDP datagrams: the header of RFC 768.
 *
 *   0     2     4        6          8
 *   | src | dst | length | checksum | text
 *
 * `at` is where the header starts in `v`.
 */
export const HEADER_LEN = 8
/** Where the checksum field is, from the header's start. */
export const CHECKSUM = 6

export const srcPort = (v: DataView, at: number): number => v.getUint16(at)
export const dstPort = (v: DataView, at: number): number => v.getUint16(at + 2)
/** Header and text, in octets. */
export const length = (v: DataView, at: number): number => v.getUint16(at + 4)
/** Zero when the sender computed none, which IPv4 allows (RFC 768). */
export const checksum = (v: DataView, at: number): number => v.getUint16(at + 6)

/** Is a whole datagram in [at, end)? Its length may be less than the packet's. */
export function check(v: DataView, at: number, end: number): boolean {
  if (end - at < HEADER_LEN) return false
  const len = v.getUint16(at + 4)
  return len >= HEADER_LEN && len <= end - at
}

/** Writes the header; returns where the text starts. A computed checksum of 0 is sent as 0xffff. */
export function emit(
  v: DataView,
  at: number,
  srcPort: number,
  dstPort: number,
  length: number,
  checksum: number,
): number {
  v.setUint16(at, srcPort)
  v.setUint16(at + 2, dstPort)
  v.setUint16(at + 4, length)
  v.setUint16(at + 6, checksum)
  return at + HEADER_LEN
}
