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
