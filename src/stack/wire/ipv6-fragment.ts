/**
 * The Fragment header of IPv6 (RFC 8200 §4.5). The packet's other headers stand before it, and what
 * it carries behind it: with an offset of zero that starts with a header of the kind `nextHeader`.
 *
 *   0             1          2                         4                8
 *   | next header | reserved | offset / 8 (13), 0 0, M | identification |
 */
export const HEADER_LEN = 8
/** What an offset is a multiple of. */
export const UNIT = 8

export const nextHeader = (v: DataView, at: number): number => v.getUint8(at)
/** Where the fragment's text lies in the whole, in octets: the field as it stands is that. */
export const offset = (v: DataView, at: number): number => v.getUint16(at + 2) & 0xfff8
export const moreFragments = (v: DataView, at: number): boolean => (v.getUint8(at + 3) & 1) !== 0
export const id = (v: DataView, at: number): number => v.getInt32(at + 4)

export function check(at: number, end: number): boolean {
  return end - at >= HEADER_LEN
}

/** Is it all of its packet (RFC 6946: an atomic fragment)? */
export const isAtomic = (v: DataView, at: number): boolean => (v.getUint16(at + 2) & 0xfff9) === 0

/** Writes the header; returns where the text starts. */
export function emit(
  v: DataView,
  at: number,
  nextHeader: number,
  offset: number,
  moreFragments: boolean,
  id: number,
): number {
  v.setUint16(at, nextHeader << 8)
  v.setUint16(at + 2, offset | (moreFragments ? 1 : 0))
  v.setInt32(at + 4, id)
  return at + HEADER_LEN
}
