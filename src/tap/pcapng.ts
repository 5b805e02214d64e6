/**
 * pcapng (draft-ietf-opsawg-pcapng): blocks, little-endian, of one section with one interface.
 *
 *   0      4       8                                     len-4  len
 *   | type | len   | fields, then options                | len    |     everything padded to 32 bits
 *   option: | code | length | value, padded |                          the list ends with code 0
 *
 * Emitters write at `at` and return the end. Timestamps are in microseconds since 1970, the format's default.
 */
const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const INTERFACE_STATISTICS = 5
const ENHANCED_PACKET = 6

const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const LINKTYPE_ETHERNET = 1

/** Options of each kind of block. */
const OPT_END = 0
const SHB_USER_APPLICATION = 4
const IF_NAME = 2
const IF_DESCRIPTION = 3
const IF_IPV4_ADDRESS = 4
const EPB_FLAGS = 2
const EPB_DROP_COUNT = 4
const ISB_START_TIME = 2
const ISB_END_TIME = 3
const ISB_RECEIVED = 4
const ISB_DROPPED = 5

/** The direction in an enhanced packet's flags. */
export const INBOUND = 1
export const OUTBOUND = 2

/** What an enhanced packet has besides its octets, at most: 28 before, 7 for padding and flags, drop count and end behind. */
export const PACKET_OVERHEAD: number = 28 + 3 + 8 + 12 + 4 + 4
/** Where the octets of an enhanced packet start. */
export const PACKET_OCTETS = 28

const TWO32 = 0x1_0000_0000
const padded = (len: number): number => (len + 3) & ~3

function emitText(v: DataView, at: number, code: number, text: string): number {
  const octets = new TextEncoder().encode(text)
  v.setUint16(at, code, true)
  v.setUint16(at + 2, octets.length, true)
  const end = at + 4 + padded(octets.length)
  for (let to = at + 4; to < end; to++) v.setUint8(to, octets[to - at - 4] ?? 0)
  return end
}

/** A 64-bit number in two words of 32 bits, as a counter has them: the low one first. */
function emitCount(v: DataView, at: number, code: number, count: number): number {
  v.setUint16(at, code, true)
  v.setUint16(at + 2, 8, true)
  v.setUint32(at + 4, count % TWO32, true)
  v.setUint32(at + 8, Math.floor(count / TWO32), true)
  return at + 12
}

/** A timestamp is two words, too, but the high one comes first. */
function emitTime(v: DataView, at: number, us: number): number {
  v.setUint32(at, Math.floor(us / TWO32), true)
  v.setUint32(at + 4, us % TWO32, true)
  return at + 8
}

function emitTimeOption(v: DataView, at: number, code: number, us: number): number {
  v.setUint16(at, code, true)
  v.setUint16(at + 2, 8, true)
  return emitTime(v, at + 4, us)
}

/** Ends the list of options that is written up to `at`, and the block that starts at `start`. */
function emitEnd(v: DataView, start: number, at: number, type: number): number {
  v.setUint32(at, OPT_END, true)
  const end = at + 8
  v.setUint32(start, type, true)
  v.setUint32(start + 4, end - start, true)
  v.setUint32(end - 4, end - start, true)
  return end
}

export function emitSectionHeader(v: DataView, at: number, application: string): number {
  v.setUint32(at + 8, BYTE_ORDER_MAGIC, true)
  v.setUint16(at + 12, 1, true) // major version
  v.setUint16(at + 14, 0, true)
  v.setBigInt64(at + 16, -1n, true) // the section's length is not known
  return emitEnd(v, at, emitText(v, at + 24, SHB_USER_APPLICATION, application), SECTION_HEADER)
}

export interface CapturedInterface {
  readonly name: string
  readonly description: string
  /** Our address on it, and the netmask. */
  readonly address: number
  readonly netmask: number
}

export function emitInterface(
  v: DataView,
  at: number,
  snapLength: number,
  { name, description, address, netmask }: CapturedInterface,
): number {
  v.setUint16(at + 8, LINKTYPE_ETHERNET, true)
  v.setUint16(at + 10, 0, true)
  v.setUint32(at + 12, snapLength, true)
  let to = emitText(v, at + 16, IF_NAME, name)
  to = emitText(v, to, IF_DESCRIPTION, description)
  v.setUint16(to, IF_IPV4_ADDRESS, true)
  v.setUint16(to + 2, 8, true)
  v.setInt32(to + 4, address) // addresses stay in network order
  v.setInt32(to + 8, netmask)
  return emitEnd(v, at, to + 12, INTERFACE_DESCRIPTION)
}

/**
 * Completes the packet whose octets stand at `at + PACKET_OCTETS`: `captured` of them, of `len` that there were.
 * `dropped` frames were lost between the packet before and this one.
 */
export function emitPacket(
  v: DataView,
  at: number,
  us: number,
  captured: number,
  len: number,
  direction: number,
  dropped: number,
): number {
  v.setUint32(at + 8, 0, true) // the interface
  emitTime(v, at + 12, us)
  v.setUint32(at + 20, captured, true)
  v.setUint32(at + 24, len, true)
  const octets = at + PACKET_OCTETS + captured
  let to = at + PACKET_OCTETS + padded(captured)
  for (let pad = octets; pad < to; pad++) v.setUint8(pad, 0)
  v.setUint16(to, EPB_FLAGS, true)
  v.setUint16(to + 2, 4, true)
  v.setUint32(to + 4, direction, true)
  to += 8
  if (dropped > 0) to = emitCount(v, to, EPB_DROP_COUNT, dropped)
  return emitEnd(v, at, to, ENHANCED_PACKET)
}

/** How much there was from `start` to `us`: frames of which `dropped` are not in the file. */
export function emitStatistics(
  v: DataView,
  at: number,
  start: number,
  us: number,
  received: number,
  dropped: number,
): number {
  v.setUint32(at + 8, 0, true) // the interface
  emitTime(v, at + 12, us)
  let to = emitTimeOption(v, at + 20, ISB_START_TIME, start)
  to = emitTimeOption(v, to, ISB_END_TIME, us)
  to = emitCount(v, to, ISB_RECEIVED, received)
  to = emitCount(v, to, ISB_DROPPED, dropped)
  return emitEnd(v, at, to, INTERFACE_STATISTICS)
}
