/** IPv6 in fragments, in and out (RFC 8200 §4.5, RFC 5722, RFC 6946, RFC 6980, RFC 7112). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Drops } from '../../src/stack/counters.ts'
import * as icmpv6 from '../../src/stack/wire/icmpv6.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import * as ipv6 from '../../src/stack/wire/ipv6.ts'
import * as ipv6Fragment from '../../src/stack/wire/ipv6-fragment.ts'
import { type Octets, viewOf } from './rig/frames.ts'
import {
  cut6,
  fragment6,
  GATEWAY6,
  GUEST6,
  HOST6,
  icmpOctets,
  line6,
  type Options6,
  OTHER_GUEST6,
  packet6,
  Rig6,
  TRANSPORT6,
  udpOctets,
  words,
} from './rig/rig6.ts'

const text = (len: number, seed = 0): Octets =>
  Uint8Array.from({ length: len }, (_, i) => (i * 167 + (i >>> 8) * 3 + seed) & 0xff)

const texts = (rig: Rig6): Octets[] => rig.datagrams.map((datagram) => datagram.text)

describe('a datagram of the guest is put together', () => {
  test('in any order and from any cuts, repeated or not', () => {
    const arbitrary = fc.record({
      len: fc.integer({ min: 0, max: 5000 }),
      most: fc.integer({ min: 1, max: 180 }).map((n) => 8 * n),
      order: fc.array(fc.nat(), { maxLength: 20 }),
    })
    fc.assert(
      fc.property(arbitrary, ({ len, most, order }) => {
        const rig = new Rig6()
        const frames = cut6(udpOctets(text(len)), most)
        const missing = new Set(frames)
        for (const frame of [...order.map((n) => frames[n % frames.length]!), ...frames]) {
          if (missing.size === 0) break
          missing.delete(frame)
          rig.receive(frame)
          expect(rig.datagrams.length).toBe(missing.size === 0 ? 1 : 0)
        }
        expect(texts(rig)).toEqual([text(len)])
        expect([...rig.datagrams[0]!.key.subarray(0, 8)]).toEqual([
          ...words(GUEST6),
          ...words(HOST6),
        ])
        expect([rig.drops(), rig.lines()]).toEqual([{}, []])
      }),
      { numRuns: 100 },
    )
  })

  test('of 65,527 octets, the most there can be', () => {
    const rig = new Rig6()
    rig.receive(...cut6(udpOctets(text(65_527)), 1448))
    expect(texts(rig)).toEqual([text(65_527)])
  })

  test('while others are under way: source, destination and identification tell them apart', () => {
    const rig = new Rig6()
    const kinds: [number, Options6][] = [
      [7, {}],
      [8, {}],
      [7, { src: OTHER_GUEST6 }],
      [7, { dst: '2001:db8::8' }],
    ]
    const all = kinds.map(([id, o], i) => cut6(udpOctets(text(100, i), o), 64, { id }, o))
    for (const [first] of all) rig.receive(first!)
    for (const [, last] of all) rig.receive(last!)
    expect(texts(rig)).toEqual(kinds.map((_, i) => text(100, i)))
  })

  test('whatever the next header of fragments that are not the first says', () => {
    const rig = new Rig6()
    const whole = udpOctets(text(100))
    rig.receive(fragment6(whole.subarray(64), { offset: 64, nextHeader: 99 }))
    rig.receive(fragment6(whole.subarray(0, 64), { offset: 0, more: true }))
    expect(texts(rig)).toEqual([text(100)])
  })

  test('with extension headers before the Fragment header and behind it', () => {
    const rig = new Rig6()
    // Hop-by-hop options before, destination options behind: PadN, each eight octets.
    const before = { extensions: [ipv6.FRAGMENT, 0, 1, 4, 0, 0, 0, 0], first: ipv6.HOP_BY_HOP }
    const whole = Uint8Array.of(ipv4.UDP, 0, 1, 4, 0, 0, 0, 0, ...udpOctets(text(200)))
    const nextHeader = ipv6.DESTINATION_OPTIONS
    rig.receive(...cut6(whole, 104, { nextHeader }, before))
    expect([texts(rig), rig.drops()]).toEqual([[text(200)], {}])
  })

  test('and its checksum is looked at', () => {
    const rig = new Rig6()
    const whole = udpOctets(text(100))
    whole[50]! ^= 1
    rig.receive(...cut6(whole, 64))
    expect([rig.datagrams, rig.drops()]).toEqual([[], { udpChecksum: 1 }])
  })

  test('and refused whole, with what was quoted being the packet without its fragments', () => {
    const rig = new Rig6()
    rig.onDatagram = (datagram) => rig.stack.refuseDatagram(datagram, 'port-unreachable', rig.now)
    rig.receive(...cut6(udpOctets(text(3000)), 1448))
    const quote = rig.frames[0]!.subarray(TRANSPORT6 + icmpv6.HEADER_LEN)
    expect(rig.lines()).toEqual([`${GATEWAY6} > ${GUEST6}: ICMPv6 1/4 0, ${1280 - 48}`])
    const whole = packet6(ipv4.UDP, udpOctets(text(3000)))
    expect(Buffer.compare(quote, whole.subarray(14, 14 + quote.length))).toBe(0)
  })
})

describe('an atomic fragment (RFC 6946)', () => {
  const atomic = (id: number) => fragment6(udpOctets(text(50)), { offset: 0, id })

  test('is a whole packet', () => {
    const rig = new Rig6()
    rig.receive(atomic(7))
    expect([texts(rig), rig.drops()]).toEqual([[text(50)], {}])
  })

  test('has nothing to do with others of its identification', () => {
    const rig = new Rig6()
    const [first, last] = cut6(udpOctets(text(100, 1)), 64)
    rig.receive(first!, atomic(7), last!)
    expect([texts(rig), rig.drops()]).toEqual([[text(50), text(100, 1)], {}])
  })
})

describe('fragments that overlap discard the datagram (RFC 5722 §4)', () => {
  const whole = udpOctets(text(300))
  const piece = (from: number, to: number, seed = 0): Octets =>
    fragment6(
      Uint8Array.from(whole.subarray(from, to), (octet) => octet ^ seed),
      { offset: from, more: to < whole.length },
    )

  test.each<[string, Octets, Octets]>([
    ['in some octets', piece(0, 128), piece(64, 192)],
    ['in all, with others', piece(0, 128), piece(0, 128, 1)],
    ['within another', piece(0, 192), piece(64, 128)],
    ['past the end', piece(192, 308), fragment6([1, 2], { offset: 304 })],
  ])('%s', (name, one, other) => {
    const rig = new Rig6()
    rig.receive(one, other)
    // A part of another octet for octet is none, and harmless.
    const isHarmless = name === 'within another'
    expect(rig.drops()).toEqual(isHarmless ? {} : { fragmentOverlap: 1 })
    // What comes of it later is discarded, too, and nobody is told.
    rig.receive(piece(0, 64), piece(64, 128), piece(128, 192), piece(192, 308))
    expect([rig.datagrams.length, rig.lines()]).toEqual([isHarmless ? 1 : 0, []])
    rig.now += 60_000
    rig.stack.timeout(rig.now)
    expect(rig.lines().filter((line) => !line.includes('134/0'))).toEqual([])
    rig.receive(piece(0, 128), piece(128, 308))
    expect(rig.datagrams.length).toBe(isHarmless ? 2 : 1)
  })
})

describe('what cannot be put together', () => {
  test('for a length that is no multiple of eight is told so, by its payload length', () => {
    const rig = new Rig6()
    rig.receive(fragment6(udpOctets(text(53)), { offset: 0, more: true }))
    const about = `${GATEWAY6} > ${GUEST6}: ICMPv6 4/0 ${ipv6.PAYLOAD_LEN}, ${40 + 8 + 61}`
    expect([rig.lines(), rig.drops()]).toEqual([[about], { fragmentMalformed: 1 }])
  })

  test('for a length beyond 65,535 is told so, by its offset', () => {
    const rig = new Rig6()
    rig.receive(fragment6(text(16), { offset: 65_528 }))
    const about = `${GATEWAY6} > ${GUEST6}: ICMPv6 4/0 42, ${40 + 8 + 16}`
    expect([rig.lines(), rig.drops()]).toEqual([[about], { fragmentTooLong: 1 }])
  })

  test.each<[string, Octets, number]>([
    ['no text', text(0), ipv4.UDP],
    ['half a TCP header', text(16), ipv4.TCP],
    [
      'an extension header that goes on',
      Uint8Array.of(17, 5, 0, 0, 0, 0, 0, 0),
      ipv6.DESTINATION_OPTIONS,
    ],
  ])('for a first fragment with %s is told so (RFC 7112 §5)', (_, octets, nextHeader) => {
    const rig = new Rig6()
    rig.receive(fragment6(octets, { offset: 0, more: true, nextHeader }))
    const about = `${GATEWAY6} > ${GUEST6}: ICMPv6 4/3 0, ${48 + octets.length}`
    expect([rig.lines(), rig.drops()]).toEqual([[about], { fragmentMalformed: 1 }])
  })

  test('in 60 s is told of by its first fragment (RFC 8200 §4.5)', () => {
    const rig = new Rig6()
    rig.receive(packet6(ipv4.UDP, udpOctets([])))
    rig.receive(fragment6(udpOctets(text(56)), { offset: 0, more: true }))
    rig.receive(fragment6(text(8), { offset: 64, more: true, id: 8 }))
    rig.now += 59_999
    rig.stack.timeout(rig.now)
    const told = (): string[] => rig.lines().filter((line) => !line.includes('134/0'))
    expect(told()).toEqual([])
    rig.now += 1
    expect(rig.stack.deadline()).toBeLessThanOrEqual(rig.now)
    rig.stack.timeout(rig.now)
    expect(told()).toEqual([`${GATEWAY6} > ${GUEST6}: ICMPv6 3/1 0, ${40 + 64}`])
    expect(rig.drops()).toEqual({ fragmentTimeout: 2 })
  })

  const solicitation = icmpOctets(icmpv6.NEIGHBOR_SOLICITATION, 0, 0, [
    ...Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2),
  ])
  const local = { dst: GATEWAY6, hops: 255 }

  test.each<[string, Octets[], keyof Drops]>([
    [
      'Neighbor Discovery (RFC 6980 §5)',
      cut6(solicitation, 16, { nextHeader: ipv6.ICMPV6 }, local),
      'icmpv6Malformed',
    ],
    [
      'the same in an atomic fragment',
      [fragment6(solicitation, { offset: 0, nextHeader: ipv6.ICMPV6 }, local)],
      'icmpv6Malformed',
    ],
    [
      'a fragment in a fragment',
      [fragment6(text(16).fill(0), { offset: 0, nextHeader: ipv6.FRAGMENT })],
      'ipv6Malformed',
    ],
    ['half a Fragment header', [packet6(ipv6.FRAGMENT, [17, 0, 0, 0])], 'fragmentMalformed'],
    ['of nobody', [fragment6(text(8), { offset: 0 }, { src: '2001:db8::9' })], 'ipv6Src'],
    ['for a group', [fragment6(text(8), { offset: 0 }, { dst: 'ff02::1' })], 'ipv6Dst'],
    ['for a loopback', [fragment6(text(8), { offset: 0 }, { dst: '::1' })], 'ipv6Dst'],
  ])('%s is dropped in silence', (_, frames, reason) => {
    const rig = new Rig6()
    rig.receive(...frames)
    expect([rig.drops(), rig.lines(), rig.datagrams]).toEqual([{ [reason]: 1 }, [], []])
  })

  test('whatever the octets are, it costs nothing but itself', () => {
    const rig = new Rig6()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(3), (octets, id) => {
        const header = new Uint8Array(8)
        const nextHeader = octets[0] ?? 0
        const offset = (octets[1] ?? 0) & 0xf8
        ipv6Fragment.emit(viewOf(header), 0, nextHeader, offset, (octets[2] ?? 0) > 99, id)
        rig.receive(packet6(ipv6.FRAGMENT, [...header, ...octets]))
        rig.lines()
      }),
      { numRuns: 1000 },
    )
    rig.receive(packet6(ipv4.UDP, udpOctets(text(9))))
    expect(texts(rig).at(-1)).toEqual(text(9))
  })
})

describe('echo (RFC 4443 §4)', () => {
  test('of 8,000 octets is answered in fragments', () => {
    const rig = new Rig6()
    const request = icmpOctets(icmpv6.ECHO, 0, 77, text(8000))
    rig.receive(...cut6(request, 1448, { nextHeader: ipv6.ICMPV6 }, { dst: GATEWAY6 }))
    const frames = rig.frames.slice()
    expect(rig.lines()).toEqual([
      ...Array.from(
        { length: 5 },
        (_, i) => `${GATEWAY6} > ${GUEST6}: fragment ${i * 1448}:${(i + 1) * 1448}+ of 58`,
      ),
      `${GATEWAY6} > ${GUEST6}: fragment 7240:8008 of 58`,
    ])
    const body = frames.flatMap((frame) => [...frame.subarray(TRANSPORT6 + 8)])
    const expected = icmpOctets(icmpv6.ECHO_REPLY, 0, 77, text(8000), {
      src: GATEWAY6,
      dst: GUEST6,
    })
    expect(body).toEqual([...expected])
  })
})

describe('a datagram for the guest leaves', () => {
  /** With the guest's MAC known. */
  function rigFor(mtu: number): Rig6 {
    const rig = new Rig6(mtu)
    rig.receive(packet6(ipv4.UDP, udpOctets([])))
    return rig
  }

  test.each([
    [1500, 1452, 1],
    [1500, 1453, 2],
    [1500, 65_527, 46],
    [1280, 60_000, 49],
    // Less than IPv6 can do with: it is the link that will not carry it.
    [1279, 60_000, 49],
    [68, 1_200, 1],
    [65_520, 65_472, 1],
    [65_520, 65_527, 2],
  ])('at MTU %i, with %i octets, in %i packets that make it up again', (mtu, len, count) => {
    const rig = rigFor(mtu)
    rig.sendUdp(text(len))
    const frames = rig.frames.slice()
    expect(frames.map((frame) => line6(frame, Math.max(mtu, ipv6.MIN_MTU)))).toHaveLength(count)
    const skip = count > 1 ? 8 : 0
    const octets = frames.flatMap((frame) => [...frame.subarray(TRANSPORT6 + skip)])
    const whole = Uint8Array.from(octets)
    const v = viewOf(whole)
    // As the other way round, but for the ports.
    expect([v.getUint16(0), v.getUint16(2), v.getUint16(4)]).toEqual([53, 5000, len + 8])
    expect(Buffer.compare(whole.subarray(8), text(len))).toBe(0)
  })

  test('with an identification of its own', () => {
    const rig = rigFor(1500)
    rig.sendUdp(text(3000))
    rig.sendUdp(text(3000))
    const ids = rig.frames.map((frame) => ipv6Fragment.id(viewOf(frame), TRANSPORT6))
    expect(ids).toEqual([ids[0], ids[0], ids[0], ids[0]! + 1, ids[0]! + 1, ids[0]! + 1])
  })

  test('in fragments also when it waited for the neighbour', () => {
    const rig = new Rig6()
    rig.sendUdp(text(3000))
    expect(rig.lines()).toEqual(['fe80::2 > ff02::1:ff00:64: ICMPv6 135/0 0, 24'])
    rig.receive(packet6(ipv4.UDP, udpOctets([])))
    expect(rig.lines()).toHaveLength(3)
  })
})
