import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Departure } from '../../src/stack/link.ts'
import { GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4 } from '../../src/stack/link.ts'
import { HEADERS_LEN, Segmenter } from '../../src/stack/segment.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import * as tcp from '../../src/stack/wire/tcp.ts'
import * as udp from '../../src/stack/wire/udp.ts'
import { cutAt, gather, headersOf, type Ip, memory, scatter, text } from './frames.ts'
import { pairSum } from './wire/trap-view.ts'

const SCRATCH = 16
const FRAME = SCRATCH + HEADERS_LEN
const SEQ = -20 // near the wrap
const m = memory(FRAME + 300_000)

interface Source {
  ip: Ip
  ctl?: number
  gsoSize: number
  octets: Uint8Array
  places: number[]
  /** Octets of TCP options. */
  options?: number
  /** Octets of text that stand behind the headers in the first slice. */
  inFirst?: number
}

/** The transport header, with the pseudo-header's sum in its checksum field. */
function transportOf(source: Source, len: number, seq: number, ctl: number, sum: number): number[] {
  if (source.ip.protocol === ipv4.UDP) {
    const header = memory(8)
    udp.emit(header.view, 0, 53, 40_000, 8 + len, sum)
    return [...header.bytes]
  }
  const headerLen = 20 + (source.options ?? 0)
  const { bytes, view } = memory(headerLen)
  tcp.emitHeader(view, 0, 80, 40_000, seq, 99, ctl, 1000, headerLen)
  view.setUint16(tcp.CHECKSUM, sum)
  return [...bytes]
}

const gsoTypeOf = ({ ip, gsoSize }: Source): number => {
  if (gsoSize === 0) return GSO_NONE
  if (ip.protocol === ipv4.UDP) return GSO_UDP_L4
  return ip.family === 4 ? GSO_TCPV4 : GSO_TCPV6
}

function departureOf(source: Source): Departure {
  const { ip, octets, places, ctl = tcp.ACK, inFirst = 0 } = source
  const transportLen = transportOf(source, 0, 0, 0, 0).length
  const { headers, pseudo } = headersOf(ip, transportLen + octets.length)
  const transport = transportOf(source, octets.length, SEQ, ctl, pseudo)
  // What stands in the first slice is a slice of its own afterwards.
  const few = inFirst > 0 ? places.slice(0, 5) : places
  const first = [...headers, ...transport, ...octets.slice(0, inFirst)]
  const departure = scatter(m, FRAME, first, cutAt(octets.slice(inFirst), few))
  departure.csumStart = headers.length
  departure.csumOffset = ip.protocol === ipv4.UDP ? udp.CHECKSUM : tcp.CHECKSUM
  departure.gsoType = gsoTypeOf(source)
  departure.gsoSize = source.gsoSize
  return departure
}

/** The slow twin: each frame made on its own, its checksum by byte pairs. */
function twin(source: Source): Uint8Array[] {
  const { ip, octets, gsoSize, ctl = tcp.ACK } = source
  const size = gsoSize || Math.max(octets.length, 1)
  const count = Math.max(1, Math.ceil(octets.length / size))
  return Array.from({ length: count }, (_, i) => {
    const part = octets.slice(i * size, (i + 1) * size)
    let flags = ctl
    if (i < count - 1) flags &= ~(tcp.FIN | tcp.PSH)
    if (i > 0) flags &= ~tcp.CWR
    const id = ((ip.id ?? 0xffff) + i) & 0xffff
    const transportLen = transportOf(source, 0, 0, 0, 0).length
    const { headers, pseudo } = headersOf({ ...ip, id }, transportLen + part.length)
    const transport = transportOf(source, part.length, SEQ + i * size, flags, 0)
    const whole = [...transport, ...part]
    let sum = 0xffff - pairSum([pseudo >>> 8, pseudo & 255, ...whole])
    if (ip.protocol === ipv4.UDP && sum === 0) sum = 0xffff
    const field = ip.protocol === ipv4.UDP ? udp.CHECKSUM : tcp.CHECKSUM
    whole[field] = sum >>> 8
    whole[field + 1] = sum & 255
    return Uint8Array.from([...headers, ...whole])
  })
}

function segments(departure: Departure): Uint8Array[] {
  const frames: Uint8Array[] = []
  const before = gather(m, departure)
  const octets = new Segmenter(m, SCRATCH).emit(departure, (frame) => {
    expect([frame.csumStart, frame.gsoType]).toEqual([0, GSO_NONE])
    frames.push(gather(m, frame))
    return frame.slices.total
  })
  expect(octets).toBe(frames.reduce((total, frame) => total + frame.length, 0))
  expect(Buffer.compare(gather(m, departure), before)).toBe(0)
  expect(m.bytes.subarray(0, SCRATCH).every((octet) => octet === 0xee)).toBe(true)
  return frames
}

const asText = (frames: Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString('hex'))

const places = fc.array(fc.nat(70_000), { maxLength: 6 })
const ips: Record<string, Ip> = {
  'TCP over IPv4': { family: 4, protocol: ipv4.TCP },
  'TCP over IPv4 with options': { family: 4, protocol: ipv4.TCP, id: 5, options: [1, 1, 1, 0] },
  'TCP over IPv6': { family: 6, protocol: ipv4.TCP },
  'UDP over IPv4': { family: 4, protocol: ipv4.UDP },
  'UDP over IPv6': { family: 6, protocol: ipv4.UDP },
}

describe.each(Object.entries(ips))('%s', (_name, ip) => {
  test('is cut into segments as the twin cuts it, wherever its text lies', () => {
    fc.assert(
      fc.property(
        fc.nat(2500),
        places,
        fc.integer({ min: 1, max: 1500 }),
        fc.nat(255),
        fc.constantFrom(0, 12, 40),
        fc.constantFrom(0, 0, 1, 900),
        (len, places, gsoSize, ctl, options, inFirst) => {
          const size = Math.max(gsoSize, Math.ceil(len / 20))
          const octets = text(len, size)
          const source = { ip, gsoSize: size, ctl, places, options, inFirst, octets }
          expect(asText(segments(departureOf(source)))).toEqual(asText(twin(source)))
        },
      ),
    )
  })

  test('without segmentation has its checksum completed', () => {
    fc.assert(
      fc.property(fc.nat(2000), places, (len, places) => {
        const source = { ip, gsoSize: 0, places, octets: text(len, len) }
        expect(asText(segments(departureOf(source)))).toEqual(asText(twin(source)))
      }),
    )
  })
})

describe('a super-frame', () => {
  const tcp4 = ips['TCP over IPv4']!

  test('of 64 KiB from chunks becomes 46 segments of an MTU of 1500', () => {
    const octets = text(65_483)
    const places = [16_384, 32_768, 49_152]
    const ctl = tcp.ACK | tcp.PSH | tcp.FIN
    const source = { ip: tcp4, gsoSize: 1448, ctl, places, options: 12, octets }
    const frames = segments(departureOf(source))
    expect(asText(frames)).toEqual(asText(twin(source)))
    expect(frames.map((frame) => frame.length)).toEqual([...Array(45).fill(1514), 389])
    const flags = frames.map((frame) => tcp.ctl(new DataView(frame.buffer), 34))
    expect(flags).toEqual([...Array(45).fill(tcp.ACK), ctl])
  })

  test('longer than an IP packet can be becomes 181', () => {
    const places = Array.from({ length: 15 }, (_, i) => (i + 1) * 16_384)
    const source = { ip: tcp4, gsoSize: 1448, places, options: 12, octets: text(181 * 1448) }
    const departure = departureOf(source)
    // What its header says of its length is not looked at.
    m.view.setUint16(departure.slices.at[0]! + 16, 0)
    const frames = segments(departure)
    expect(frames.length).toBe(181)
    expect(asText(frames)).toEqual(asText(twin(source)))
  })

  test('that fits one segment is one, of exactly its octets', () => {
    for (const len of [1447, 1448]) {
      const source = { ip: tcp4, gsoSize: 1448, places: [700], octets: text(len) }
      expect(asText(segments(departureOf(source)))).toEqual(asText(twin(source)))
    }
  })

  test('without a segment size is one frame, not an endless row of empty ones', () => {
    const departure = departureOf({ ip: tcp4, gsoSize: 1, places: [], octets: text(100) })
    departure.gsoSize = 0
    expect(segments(departure).length).toBe(1)
  })

  test('ends with the first frame that cannot be written', () => {
    const departure = departureOf({ ip: tcp4, gsoSize: 10, places: [], octets: text(100) })
    let count = 0
    const write = (): number => (++count === 3 ? -77 : 64)
    expect(new Segmenter(m, SCRATCH).emit(departure, write)).toBe(-77)
    expect(count).toBe(3)
  })
})

test('a UDP checksum that comes out as zero is sent as ones (RFC 768)', () => {
  const ip = ips['UDP over IPv4']!
  const octets = new Uint8Array(4)
  const { pseudo } = headersOf(ip, 12)
  const rest = 0xffff - pairSum([pseudo >>> 8, pseudo & 255, 0, 53, 0x9c, 0x40, 0, 12])
  octets.set([rest >>> 8, rest & 255], 2)
  const [frame] = segments(departureOf({ ip, gsoSize: 0, places: [1], octets }))
  expect(udp.checksum(new DataView(frame!.buffer), 34)).toBe(0xffff)
})

test('a frame with nothing left to do goes as it is', () => {
  const departure = departureOf({
    ip: ips['TCP over IPv4']!,
    gsoSize: 0,
    places: [],
    octets: text(9),
  })
  departure.csumStart = 0
  const written: Departure[] = []
  new Segmenter(m, SCRATCH).emit(departure, (frame) => written.push(frame))
  expect(written).toEqual([departure])
  expect(written[0]).toBe(departure)
})
