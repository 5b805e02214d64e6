import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCounters } from '../../src/stack/counters.ts'
import { Fragmenter, HEADERS_LEN } from '../../src/stack/fragmenter.ts'
import { Fragments } from '../../src/stack/fragments.ts'
import type { Departure } from '../../src/stack/link.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import * as udp from '../../src/stack/wire/udp.ts'
import { cutAt, gather, headersOf, memory, scatter, text } from './frames.ts'
import { pairSum } from './wire/trap-view.ts'

const SCRATCH = 16
const FRAME = SCRATCH + HEADERS_LEN

/** The fragments of a UDP datagram, as frames. */
function fragmentsOf(
  octets: Uint8Array,
  places: number[],
  mtu: number,
  options: number[] = [],
  inFirst = 0,
): { frames: Uint8Array[]; pseudo: number; source: Uint8Array } {
  const m = memory(FRAME + 70_000)
  const udpLen = 8 + octets.length
  const ip = { family: 4 as const, protocol: ipv4.UDP, id: 77, fragment: 0, options }
  const { headers, pseudo } = headersOf(ip, udpLen)
  const header = memory(8)
  udp.emit(header.view, 0, 53, 40_000, udpLen, pseudo)
  // What stands in the first slice is a slice of its own afterwards.
  const few = inFirst > 0 ? places.slice(0, 5) : places
  const first = [...headers, ...header.bytes, ...octets.slice(0, inFirst)]
  const departure = scatter(m, FRAME, first, cutAt(octets.slice(inFirst), few))
  departure.csumStart = headers.length
  departure.csumOffset = udp.CHECKSUM
  const frames: Uint8Array[] = []
  const write = (fragment: Departure): void => {
    expect([fragment.csumStart, fragment.gsoType]).toEqual([0, 0])
    frames.push(gather(m, fragment))
  }
  expect(new Fragmenter(m, SCRATCH).emit(departure, mtu, write)).toBe(frames.length)
  expect(m.bytes.subarray(0, SCRATCH).every((octet) => octet === 0xee)).toBe(true)
  return { frames, pseudo, source: gather(m, departure) }
}

test('each fragment fits the link, has a right header, and all make up the packet (RFC 791 §3.2)', () => {
  const places = fc.array(fc.nat(70_000), { maxLength: 6 })
  const options = fc.constantFrom<number[]>([], [1, 1, 1, 0])
  fc.assert(
    fc.property(
      ...([fc.nat(6000), places, fc.integer({ min: 68, max: 2000 }), options] as const),
      fc.constantFrom(0, 0, 1, 900),
      (len, places, mtu, options, inFirst) => {
        const octets = text(len, mtu)
        const { frames, pseudo, source } = fragmentsOf(octets, places, mtu, options, inFirst)
        const fragments = new Fragments(createCounters().drop)
        let whole: ReturnType<Fragments['receive']>
        for (const [i, frame] of frames.entries()) {
          const v = new DataView(frame.buffer)
          expect(frame.length - 14).toBeLessThanOrEqual(mtu)
          expect(Buffer.compare(frame.slice(0, 14), source.slice(0, 14))).toBe(0)
          expect(ipv4.check(v, 14, frame.length)).toBe(true)
          expect(ipv4.totalLen(v, 14)).toBe(frame.length - 14)
          expect(ipv4.checksumOk(frame, v, 14)).toBe(true)
          expect(ipv4.moreFragments(v, 14)).toBe(i < frames.length - 1)
          expect(ipv4.id(v, 14)).toBe(77)
          whole = fragments.receive(frame, v, 14, frame.length, 0)
          expect(whole !== undefined).toBe(i === frames.length - 1)
        }
        // As large as they can be, so as few as there can be.
        const most = (mtu - 20 - options.length) & ~7
        expect(frames.length).toBe(Math.ceil((8 + len) / most))
        const packet = whole!.bytes.slice(whole!.at, whole!.end)
        expect(Buffer.compare(packet, source.slice(14))).toBe(0)
        const datagram = packet.slice(20 + options.length)
        expect(Buffer.compare(datagram.slice(8), octets)).toBe(0)
        expect(pairSum([pseudo >>> 8, pseudo & 255, ...datagram])).toBe(0xffff)
      },
    ),
  )
})

test('a datagram of 65,507 octets leaves an MTU of 1500 as 45 fragments', () => {
  const { frames } = fragmentsOf(text(65_507), [16_384, 32_768, 49_152], 1500)
  expect(frames.map((frame) => frame.length - 34)).toEqual([...Array(44).fill(1480), 395])
})

test('a packet that fits leaves as it is', () => {
  const { frames, source } = fragmentsOf(text(1472), [700], 1500)
  expect(frames).toEqual([source])
})

test('a checksum that comes out as zero is sent as ones (RFC 768)', () => {
  const octets = new Uint8Array(2000)
  const { pseudo } = fragmentsOf(octets, [], 1500)
  // The two last octets such that all others and they sum up to ones.
  const rest = 0xffff - pairSum([pseudo >>> 8, pseudo & 255, 0, 53, 0x9c, 0x40, 0x07, 0xd8])
  octets.set([rest >>> 8, rest & 255], 1998)
  const { source } = fragmentsOf(octets, [], 1500)
  expect(udp.checksum(new DataView(source.buffer), 34)).toBe(0xffff)
})
