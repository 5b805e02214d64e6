/** Departures for tests: headers and text scattered over a memory, and what arrives of them. */
import { Departure, type Memory, memoryOf } from '../../src/stack/link.ts'
import * as address from '../../src/stack/wire/address.ts'
import * as checksum from '../../src/stack/wire/checksum.ts'
import * as ethernet from '../../src/stack/wire/ethernet.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'

export const GATEWAY_MAC: Uint8Array = address.parseMac('52:55:0a:00:02:02')!
export const GUEST_MAC: Uint8Array = address.parseMac('02:11:aa:bb:cc:dd')!
export const HOST = 0x0a000202
export const GUEST = 0x0a000264

export function memory(len: number): Memory {
  return memoryOf(new Uint8Array(len).fill(0xee))
}

/** Octets that differ at each place and carry in checksums. */
export const text = (len: number, seed = 0): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => (i * 167 + (i >>> 8) * 3 + seed) & 0xff)

/** The octets that the slices name, one after another. */
export function gather({ bytes }: Memory, { slices }: Departure): Uint8Array {
  const octets = new Uint8Array(slices.total)
  let end = 0
  for (let i = 0; i < slices.count; i++) {
    octets.set(bytes.subarray(slices.at[i]!, slices.at[i]! + slices.len[i]!), end)
    end += slices.len[i]!
  }
  if (end !== slices.total) throw new Error('total is not the sum of the slices')
  return octets
}

/** Puts the frame into the memory from `at` on: the headers, then text slices with gaps between. */
export function scatter(
  { bytes }: Memory,
  at: number,
  headers: ArrayLike<number>,
  parts: ArrayLike<number>[],
): Departure {
  const departure = new Departure()
  for (const [i, part] of [headers, ...parts].entries()) {
    at += 1 + (i % 3) // so that each alignment occurs
    bytes.set(part, at)
    departure.slices.push(at, part.length)
    at += part.length
  }
  return departure
}

export interface Ip {
  family: 4 | 6
  protocol: number
  id?: number
  fragment?: number
  /** IPv4 options, a multiple of four octets. */
  options?: ArrayLike<number>
}

/** Ethernet and IP headers in front of `len` octets, and the pseudo-header's sum for them. */
export function headersOf(ip: Ip, len: number): { headers: number[]; pseudo: number } {
  const { bytes, view } = memory(14 + 60)
  const v6 = ip.family === 6
  const type = v6 ? ethernet.IPV6 : ethernet.IPV4
  const at = ethernet.emit(view, 0, GUEST_MAC, GATEWAY_MAC, type)
  if (v6) {
    view.setUint32(at, 0x60012345)
    view.setUint32(at + 4, (len << 16) | (ip.protocol << 8) | 64)
    bytes.set(text(32, 0xfd), at + 8)
    const pseudo = checksum.pseudo6(bytes, view, at + 8, at + 24, ip.protocol, len)
    return { headers: [...bytes.subarray(0, at + 40)], pseudo: checksum.fold(pseudo) }
  }
  const options = ip.options ?? []
  const headerLen = ipv4.HEADER_LEN + options.length
  const { id = 0xffff, fragment = ipv4.DF, protocol } = ip
  ipv4.emit(view, at, headerLen + len, id, fragment, 64, protocol, HOST, GUEST)
  view.setUint8(at, 0x40 | (headerLen >>> 2))
  bytes.set(options, at + 20)
  ipv4.emitChecksum(bytes, view, at)
  const pseudo = checksum.fold(checksum.pseudo4(HOST, GUEST, protocol, len))
  return { headers: [...bytes.subarray(0, at + headerLen)], pseudo }
}

/** Cuts octets at these places, in parts of which some may be empty. */
export function cutAt(octets: Uint8Array, places: number[]): Uint8Array[] {
  const bounds = [0, ...places.map((n) => n % (octets.length + 1)).sort((a, b) => a - b)]
  return bounds.map((from, i) => octets.slice(from, bounds[i + 1] ?? octets.length))
}
