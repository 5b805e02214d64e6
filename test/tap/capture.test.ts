/** What a capture writes, read by a reader that knows nothing but the format. */
import { describe, expect, test } from 'vitest'
import { Arrival, Departure, GSO_TCPV4, memoryOf } from '../../src/stack/link.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import { Capture, sumUp } from '../../src/tap/capture.ts'
import { complete, type Octets, TRANSPORT, transportSum } from '../stack/rig/frames.ts'

const LINK = { name: 'tap0', description: 'a test', address: 0x0a000202, netmask: 0xffffff00 | 0 }

interface Block {
  type: number
  body: DataView
}

/** The blocks of a file; throws where it is not as the format has it. */
function read(file: Uint8Array): Block[] {
  const v = new DataView(file.buffer, file.byteOffset, file.length)
  const blocks: Block[] = []
  for (let at = 0; at < file.length; ) {
    const len = v.getUint32(at + 4, true)
    if (len % 4 !== 0 || len < 12) throw new Error(`a block of ${len} octets`)
    if (v.getUint32(at + len - 4, true) !== len) throw new Error('the lengths of a block differ')
    const body = new DataView(file.buffer, file.byteOffset + at + 8, len - 12)
    blocks.push({ type: v.getUint32(at, true), body })
    at += len
  }
  return blocks
}

/** The options that follow the fields and the data of a block. */
function optionsOf(body: DataView, at: number): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>()
  for (;;) {
    const code = body.getUint16(at, true)
    const len = body.getUint16(at + 2, true)
    if (code === 0) {
      expect([len, at + 4]).toEqual([0, body.byteLength])
      return options
    }
    options.set(code, new Uint8Array(body.buffer, body.byteOffset + at + 4, len).slice())
    at += 4 + ((len + 3) & ~3)
  }
}

function packetOf({ type, body }: Block): {
  octets: Octets
  len: number
  us: number
  direction: number
  dropped: number
} {
  expect(type).toBe(6)
  const captured = body.getUint32(12, true)
  const options = optionsOf(body, 20 + ((captured + 3) & ~3))
  const drops = options.get(4)
  return {
    octets: new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset + 20, captured).slice(),
    len: body.getUint32(16, true),
    us: body.getUint32(4, true) * 2 ** 32 + body.getUint32(8, true),
    direction: options.get(2)![0]!,
    dropped: drops ? Number(new DataView(drops.buffer).getBigUint64(0, true)) : 0,
  }
}

const text = (octets: Uint8Array | undefined): string => new TextDecoder().decode(octets)
const count = (octets: Uint8Array | undefined): number =>
  Number(new DataView(octets!.buffer).getBigUint64(0, true))

const memory = memoryOf(new Uint8Array(600_000))

/** An IPv4 frame of TCP with `len` octets of text and right checksums. */
function frame(len: number, protocol: number = ipv4.TCP): Octets {
  const octets = new Uint8Array(TRANSPORT + 20 + len)
  const v = new DataView(octets.buffer)
  octets.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0])
  v.setUint8(14, 0x45)
  v.setUint8(22, 64)
  v.setUint8(23, protocol)
  octets.set([10, 0, 2, 100, 192, 0, 2, 1], 26)
  v.setUint32(TRANSPORT, 0x9c4001bb)
  if (protocol === ipv4.TCP) v.setUint8(TRANSPORT + 12, 0x50)
  else v.setUint16(TRANSPORT + 4, 20 + len)
  for (let i = 0; i < len; i++) octets[TRANSPORT + 20 + i] = i * 7
  complete(octets, protocol === ipv4.TCP ? 16 : 6)
  return octets
}

function arrivalOf(octets: Uint8Array, checksummed: boolean): Arrival {
  const arrival = new Arrival()
  memory.bytes.set(octets, 1001)
  arrival.at = 1001
  arrival.end = 1001 + octets.length
  arrival.checksummed = checksummed
  return arrival
}

class File {
  octets = new Uint8Array(0)
  /** How many octets it takes before it is full; below zero: it is broken. */
  room = Infinity

  readonly write = (bytes: Uint8Array, len: number): number => {
    if (this.room < 0) return -1
    const n = Math.min(len, this.room)
    this.octets = Uint8Array.from([...this.octets, ...bytes.subarray(0, n)])
    this.room -= n
    return n
  }
}

describe('the file', () => {
  test('tells of the writer, the interface, and in the end how much there was', () => {
    const file = new File()
    const capture = new Capture(memory, LINK, 1000, file.write)
    capture.fromGuest(arrivalOf(frame(10), false))
    capture.finish()
    const [section, link, packet, statistics, ...more] = read(file.octets)
    expect(more).toEqual([])
    expect(section!.type).toBe(0x0a0d0d0a)
    expect(section!.body.getUint32(0, true)).toBe(0x1a2b3c4d)
    expect(text(optionsOf(section!.body, 16).get(4))).toBe('slipway')
    expect(link!.type).toBe(1)
    expect([link!.body.getUint16(0, true), link!.body.getUint32(4, true)]).toEqual([1, 1000])
    const described = optionsOf(link!.body, 8)
    expect([text(described.get(2)), text(described.get(3))]).toEqual(['tap0', 'a test'])
    expect([...described.get(4)!]).toEqual([10, 0, 2, 2, 255, 255, 255, 0])
    expect(Math.abs(packetOf(packet!).us / 1000 - Date.now())).toBeLessThan(10_000)
    expect(statistics!.type).toBe(5)
    const counts = optionsOf(statistics!.body, 12)
    expect([count(counts.get(4)), count(counts.get(5))]).toEqual([1, 0])
    expect([capture.frames, capture.dropped]).toEqual([1, 0])
  })

  test('has frames of every length as they were, with their direction', () => {
    const file = new File()
    const capture = new Capture(memory, LINK, 262_144, file.write)
    const lengths = [0, 1, 2, 3, 4, 1400, 65_000, 262_144 - TRANSPORT - 20]
    for (const len of lengths) capture.fromGuest(arrivalOf(frame(len), false))
    capture.flush()
    const packets = read(file.octets).slice(2).map(packetOf)
    expect(packets.map(({ octets }) => octets)).toEqual(lengths.map((len) => frame(len)))
    expect(
      packets.every(({ direction, len, octets }) => direction === 1 && len === octets.length),
    ).toBe(true)
  })

  test('has no more of a frame than was asked for, and says how long it was', () => {
    const file = new File()
    const capture = new Capture(memory, LINK, 50, file.write)
    capture.fromGuest(arrivalOf(frame(101), true))
    capture.flush()
    const packet = packetOf(read(file.octets)[2]!)
    expect(packet.len).toBe(frame(101).length)
    expect(packet.octets).toEqual(frame(101).subarray(0, 50))
  })
})

describe('checksums that were left to the link are complete', () => {
  test.each([
    ['TCP', ipv4.TCP, 16],
    ['UDP', ipv4.UDP, 6],
  ])('of %s from the guest', (_, protocol, offset) => {
    for (const len of [0, 1, 2, 1400]) {
      const whole = frame(len, protocol)
      const left = whole.slice()
      new DataView(left.buffer).setUint16(TRANSPORT + offset, 0x1234)
      const file = new File()
      const capture = new Capture(memory, LINK, 262_144, file.write)
      capture.fromGuest(arrivalOf(left, true))
      capture.flush()
      expect(packetOf(read(file.octets)[2]!).octets).toEqual(whole)
    }
  })

  test.each([5001, 262_001])(
    'of a super-frame to the guest, of %i octets, which the link gets as it was',
    (len) => {
      const whole = frame(len)
      const left = whole.slice()
      const v = new DataView(left.buffer)
      const pseudo = transportSum(left.slice(0, TRANSPORT)) + left.length - TRANSPORT
      v.setUint16(TRANSPORT + 16, pseudo % 0xffff)
      memory.bytes.set(left, 200_000)
      const departure = new Departure()
      departure.slices.push(200_000, TRANSPORT + 20)
      departure.slices.push(200_000 + TRANSPORT + 20, 3000)
      departure.slices.push(200_000 + TRANSPORT + 3020, len - 3000)
      departure.csumStart = TRANSPORT
      departure.csumOffset = 16
      departure.gsoType = GSO_TCPV4
      departure.gsoSize = 1448
      const file = new File()
      const capture = new Capture(memory, LINK, 262_144, file.write)
      capture.toGuest(departure)
      capture.flush()
      const packet = packetOf(read(file.octets)[2]!)
      expect(packet.direction).toBe(2)
      expect(packet.octets).toEqual(whole)
      expect(memory.bytes.slice(200_000, 200_000 + left.length)).toEqual(left)
    },
  )

  test('and whatever else says that it is left to the link is not harmed', () => {
    const octets = new Uint8Array(200).map((_, i) => i * 31)
    const v = new DataView(octets.buffer)
    for (const type of [0x0800, 0x86dd, 0x0806]) {
      for (const version of [0x45, 0x60, 0x4f]) {
        for (const end of [14, 20, 34, 40, 54, 60, 200]) {
          v.setUint16(12, type)
          v.setUint8(14, version)
          v.setUint8(23, 6)
          v.setUint8(20, 17)
          const before = octets.slice()
          sumUp(octets, v, 0, end)
          const changed = octets.findIndex((octet, i) => octet !== before[i])
          if (changed < 0) continue
          // At most a checksum's two octets, within the frame and behind the IP header.
          expect(changed).toBeGreaterThanOrEqual(34)
          expect(changed + 1).toBeLessThan(end)
          expect(octets.slice(changed + 2)).toEqual(before.slice(changed + 2))
        }
      }
    }
  })
})

describe('who does not read', () => {
  test('loses frames, which the next packet and the end tell of', () => {
    const file = new File()
    const capture = new Capture(memory, LINK, 262_144, file.write)
    file.room = 0
    for (let i = 0; i < 100; i++) capture.fromGuest(arrivalOf(frame(60_000), false))
    const { frames, dropped } = capture
    expect(frames + dropped).toBe(100)
    expect(dropped).toBeGreaterThan(50)
    file.room = Infinity
    capture.fromGuest(arrivalOf(frame(1), false))
    capture.finish()
    const blocks = read(file.octets)
    expect(blocks.length).toBe(2 + frames + 1 + 1)
    expect(packetOf(blocks.at(-2)!)).toMatchObject({ octets: frame(1), dropped })
    const counts = optionsOf(blocks.at(-1)!.body, 12)
    expect([count(counts.get(4)), count(counts.get(5))]).toEqual([101, dropped])
  })

  test('gets whole blocks all the same when there is room in pieces', () => {
    const file = new File()
    const capture = new Capture(memory, LINK, 262_144, file.write)
    for (let i = 0; i < 50; i++) {
      file.room = i * 3
      capture.fromGuest(arrivalOf(frame(i), false))
      capture.flush()
    }
    file.room = Infinity
    capture.finish()
    const packets = read(file.octets).slice(2, -1).map(packetOf)
    expect(packets.map(({ octets }) => octets.length)).toEqual(
      Array.from({ length: 50 }, (_, i) => frame(i).length),
    )
  })

  test('and has gone is not written to again', () => {
    const file = new File()
    const capture = new Capture(memory, LINK, 262_144, file.write)
    file.room = -1
    capture.flush()
    capture.fromGuest(arrivalOf(frame(1), false))
    capture.finish()
    expect([capture.frames, capture.dropped, file.octets.length]).toEqual([0, 1, 0])
  })
})
