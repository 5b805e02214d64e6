/** Frames looked at by hand: IPv4 without options, as the tests' guest sends them. */
import { type Arrival, Departure, GSO_UDP_L4 } from '../../src/stack/link.ts'
import type { Arena } from '../../src/sys/arena.ts'
import type { Tap } from '../../src/tap/tap.ts'

const IP = 14
const TRANSPORT = 34
const SYN = 0x02
const ACK = 0x10

export function isUdp(v: DataView, { at }: Arrival): boolean {
  return v.getUint16(at + 12) === 0x0800 && v.getUint8(at + IP + 9) === 17
}

export function isTcp(v: DataView, { at }: Arrival): boolean {
  return v.getUint16(at + 12) === 0x0800 && v.getUint8(at + IP + 9) === 6
}

function sum(v: DataView, at: number, end: number): number {
  let total = 0
  for (; at + 1 < end; at += 2) total += v.getUint16(at)
  if (at < end) total += v.getUint8(at) << 8
  return total
}

function fold(total: number): number {
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000)
  return total
}

function pseudoHeader(v: DataView, at: number, len: number): number {
  return sum(v, at + IP + 12, at + IP + 20) + v.getUint8(at + IP + 9) + len
}

/** Does the transport checksum cover what is there? */
export function transportSumIsRight(v: DataView, { at }: Arrival): boolean {
  const end = at + IP + v.getUint16(at + IP + 2)
  const total = pseudoHeader(v, at, end - at - TRANSPORT) + sum(v, at + TRANSPORT, end)
  return fold(total) === 0xffff
}

/**
 * Plays the server of one connection by hand until `text` octets have come: how large the largest
 * frame was, and whether the link vouched for all of them.
 */
export async function acceptAndCount(
  tap: Tap,
  arena: Arena,
  text: number,
): Promise<{ came: boolean; largest: number; checksummed: boolean; partial: boolean }> {
  const { Arrival } = await import('../../src/stack/link.ts')
  const v = arena.view
  const arrival = new Arrival()
  const out = arena.reserve(64)
  const result = { came: false, largest: 0, checksummed: true, partial: true }
  let first = 0
  for (const end = performance.now() + 5000; performance.now() < end && !result.came; ) {
    if (tap.receive(arrival) <= 0) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      continue
    }
    if (!isTcp(v, arrival)) continue
    const { at } = arrival
    const tcp = at + TRANSPORT
    const isSyn = (v.getUint8(tcp + 13) & SYN) !== 0
    const len = v.getUint16(at + IP + 2) - 20 - ((v.getUint8(tcp + 12) >>> 4) << 2)
    if (isSyn) first = (v.getInt32(tcp + 4) + 1) | 0
    const next = (v.getInt32(tcp + 4) + len + (isSyn ? 1 : 0)) | 0
    result.largest = Math.max(result.largest, arrival.end - at)
    result.checksummed &&= arrival.checksummed
    result.partial &&= !transportSumIsRight(v, arrival)
    result.came = ((next - first) | 0) >= text
    if (isSyn || len > 0) tap.transmit(answer(v, at, out, next, isSyn))
  }
  return result
}

/** SYN-ACK or ACK for the frame at `at`, with our sequence numbers 0 and 1, without options. */
function answer(v: DataView, at: number, out: number, ack: number, isSyn: boolean): Departure {
  for (let i = 0; i < 54; i++) v.setUint8(out + i, v.getUint8(at + i))
  for (let i = 0; i < 6; i++) {
    v.setUint8(out + i, v.getUint8(at + 6 + i))
    v.setUint8(out + 6 + i, v.getUint8(at + i))
  }
  v.setUint16(out + IP + 2, 40)
  v.setInt32(out + IP + 12, v.getInt32(at + IP + 16))
  v.setInt32(out + IP + 16, v.getInt32(at + IP + 12))
  v.setUint16(out + IP + 10, 0)
  v.setUint16(out + IP + 10, ~fold(sum(v, out + IP, out + TRANSPORT)))
  const tcp = out + TRANSPORT
  v.setUint16(tcp, v.getUint16(at + TRANSPORT + 2))
  v.setUint16(tcp + 2, v.getUint16(at + TRANSPORT))
  v.setInt32(tcp + 4, isSyn ? 0 : 1)
  v.setInt32(tcp + 8, ack)
  v.setUint8(tcp + 12, 0x50)
  v.setUint8(tcp + 13, isSyn ? SYN | ACK : ACK)
  v.setUint16(tcp + 14, 65535)
  v.setUint16(tcp + 16, fold(pseudoHeader(v, out, 20)))
  v.setUint16(tcp + 18, 0)
  const departure = new Departure()
  departure.slices.push(out, 54)
  departure.csumStart = TRANSPORT
  departure.csumOffset = 16
  return departure
}

/** A super-datagram from us, port 7, to the guest's port 9: texts of 1000, 1000 and 500 octets of 1, 2 and 3. */
export function rowOfDatagrams(arena: Arena, mac: Uint8Array): Departure {
  const v = arena.view
  const at = arena.reserve(42)
  const texts = arena.reserve(2500)
  arena.bytes.set(mac, at)
  arena.bytes.set([0x52, 0x55, 10, 0, 2, 2, 8, 0, 0x45, 0], at + 6)
  v.setUint16(at + IP + 2, 28 + 2500)
  v.setUint32(at + IP + 8, (64 << 24) | (17 << 16))
  v.setInt32(at + IP + 12, 0x0a000202)
  v.setInt32(at + IP + 16, 0x0a000264)
  v.setUint16(at + IP + 10, ~fold(sum(v, at + IP, at + TRANSPORT)))
  v.setUint32(at + TRANSPORT, (7 << 16) | 9)
  v.setUint16(at + TRANSPORT + 4, 8 + 2500)
  v.setUint16(at + TRANSPORT + 6, fold(pseudoHeader(v, at, 8 + 2500)))
  const departure = new Departure()
  departure.slices.push(at, 42)
  for (const [i, len] of [1000, 1000, 500].entries()) {
    arena.bytes.fill(i + 1, texts + i * 1000, texts + i * 1000 + len)
    departure.slices.push(texts + i * 1000, len)
  }
  departure.csumStart = TRANSPORT
  departure.csumOffset = 6
  departure.gsoType = GSO_UDP_L4
  departure.gsoSize = 1000
  return departure
}
