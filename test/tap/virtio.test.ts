import { expect, test } from 'vitest'
import { Departure, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4 } from '../../src/stack/link.ts'
import * as virtio from '../../src/tap/virtio.ts'

function departure(fill: Partial<Departure>, headers = 66, text = 3000): Departure {
  const one = Object.assign(new Departure(), fill)
  one.slices.push(0, headers)
  one.slices.push(1000, text)
  return one
}

function emitted(one: Departure): number[] {
  const v = new DataView(new ArrayBuffer(16))
  for (let at = 0; at < 16; at++) v.setUint8(at, 0xee)
  virtio.emit(v, 2, one)
  const octets = [...new Uint8Array(v.buffer)]
  expect([octets[0], octets[1], octets[12]]).toEqual([0xee, 0xee, 0xee])
  return octets.slice(2, 12)
}

test('a finished frame has a header of zeros', () => {
  expect(emitted(departure({}))).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
})

test('a frame without its sum says where it starts and where it goes', () => {
  expect(emitted(departure({ csumStart: 34, csumOffset: 16, gsoType: GSO_NONE }))).toEqual([
    1, 0, 0, 0, 0, 0, 34, 0, 16, 0,
  ])
})

test('a super-frame says how long its headers and its segments are, little-endian', () => {
  const common = { csumStart: 34, csumOffset: 16, gsoSize: 1448 }
  for (const gsoType of [GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4]) {
    expect(emitted(departure({ ...common, gsoType }))).toEqual([
      1,
      gsoType,
      66,
      0,
      1448 & 0xff,
      1448 >> 8,
      34,
      0,
      16,
      0,
    ])
  }
})

test('a checksum is vouched for when it is half done or found right', () => {
  const v = new DataView(new ArrayBuffer(10))
  const answers = [0, virtio.NEEDS_CSUM, virtio.DATA_VALID, 3, 4].map((flags) => {
    v.setUint8(0, flags)
    return virtio.isChecksummed(v, 0)
  })
  expect(answers).toEqual([false, true, true, true, false])
})

/**
 * An Ethernet frame at 6: IPv4 with UDP from 34 on, text, and an inner TCP header at 84 as VXLAN's is, whose checksum
 * field at 100 holds its pseudo-header's sum. The octets behind the frame are not its own.
 */
function nested(start: number, offset: number, flags = virtio.NEEDS_CSUM) {
  const bytes = new Uint8Array(200)
  const v = new DataView(bytes.buffer, 0)
  const at = 6 + 14
  for (let i = at; i < bytes.length; i++) bytes[i] = (i * 7) & 0xff
  bytes[at + 14] = 0x45
  v.setUint16(at + 100, 0x1234)
  const header = 4
  v.setUint8(header, flags)
  v.setUint16(header + 6, start, true)
  v.setUint16(header + 8, offset, true)
  const end = at + 84 + 41
  const before = bytes.slice()
  const finished = virtio.finishInner(bytes, v, header, at, end)
  const changed = [...bytes.keys()].filter((i) => bytes[i] !== before[i])
  return { finished, changed: changed.map((i) => i - at), field: v.getUint16(at + 100), before, at }
}

/** RFC 1071 word by word. */
function slowSum(octets: Uint8Array): number {
  let total = 0
  for (let i = 0; i < octets.length; i += 2) total += (octets[i]! << 8) | (octets[i + 1] ?? 0)
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
  return ~total & 0xffff
}

test("the sum of a tunnel's inner header is finished, and the outer one is not vouched for", () => {
  const { finished, changed, field, before, at } = nested(84, 16)
  expect(finished).toBe(true)
  expect(changed).toEqual([100, 101])
  expect(field).toBe(slowSum(before.subarray(at + 84, at + 84 + 41)))
})

test("the sum of the frame's own transport header is left to whoever needs it", () => {
  expect(nested(34, 6)).toMatchObject({ finished: false, changed: [] })
})

test('without a missing sum nothing is written', () => {
  expect(nested(84, 16, virtio.DATA_VALID)).toMatchObject({ finished: false, changed: [] })
  expect(nested(84, 16, 0)).toMatchObject({ finished: false, changed: [] })
})

test('a field beyond the frame is not written, and nobody vouches for such a frame', () => {
  expect(nested(84, 40)).toMatchObject({ finished: true, changed: [] })
  expect(nested(0xffff, 0xffff)).toMatchObject({ finished: true, changed: [] })
})

test('an inner sum of zero is written as 0xffff (RFC 768)', () => {
  const bytes = new Uint8Array(14 + 20 + 8 + 4)
  const v = new DataView(bytes.buffer)
  bytes[14] = 0x45
  const header = new DataView(new ArrayBuffer(10))
  header.setUint8(0, virtio.NEEDS_CSUM)
  // The text's words and the field add up to 0xffff, whose complement is zero.
  v.setUint16(42, 0xff00)
  v.setUint16(44, 0x00ff)
  const joined = new Uint8Array([...new Uint8Array(header.buffer), ...bytes])
  const whole = new DataView(joined.buffer)
  whole.setUint16(6, 42, true)
  whole.setUint16(8, 2, true)
  expect(virtio.finishInner(joined, whole, 0, 10, joined.length)).toBe(true)
  expect(whole.getUint16(10 + 44)).toBe(0xffff)
})

test('over IPv6 the own transport header follows the fixed one', () => {
  const bytes = new Uint8Array(10 + 14 + 40 + 20)
  const v = new DataView(bytes.buffer)
  v.setUint8(0, virtio.NEEDS_CSUM)
  bytes[10 + 14] = 0x60
  v.setUint16(8, 16, true)
  for (const [start, inner] of [
    [54, false],
    [62, true],
  ] as const) {
    v.setUint16(6, start, true)
    expect(virtio.finishInner(bytes, v, 0, 10, bytes.length)).toBe(inner)
  }
})
