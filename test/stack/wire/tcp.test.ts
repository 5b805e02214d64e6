import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as tcp from '../../../src/stack/wire/tcp.ts'
import { hex, TrapView } from './trap-view.ts'

/** A header with these options, padded to words with END, and this text. */
function segment(
  options: ArrayLike<number>,
  text: ArrayLike<number> = [],
  ctl: number = tcp.ACK,
): TrapView {
  const headerLen = 20 + ((options.length + 3) & ~3)
  const v = new TrapView(new Uint8Array(headerLen + text.length))
  tcp.emitHeader(v, v.from, 40_000, 80, -2, 7, ctl, 0xfffe, headerLen)
  v.bytes.set(options, v.from + 20)
  v.bytes.set(text, v.from + headerLen)
  return v
}

function parse(v: TrapView): tcp.Segment {
  const seg = new tcp.Segment()
  // What an earlier segment left behind may not be seen.
  Object.assign(seg, { mss: 99, windShift: 9, sackPermitted: true, hasTimestamp: true })
  seg.sackCount = 4
  if (!tcp.parse(v, v.from, v.to, seg)) throw new Error('malformed')
  return seg
}

const options = (text: string): tcp.Segment => parse(segment(hex(text)))
const NO_OPTION = { mss: 0, windShift: -1, sackPermitted: false, hasTimestamp: false, sackCount: 0 }

describe('a header', () => {
  test('reads back as written (RFC 9293 §3.1)', () => {
    const v = segment([], hex('68656c6c6f'), tcp.PSH | tcp.ACK)
    expect(parse(v)).toMatchObject({
      ...{ srcPort: 40_000, dstPort: 80, seq: -2, ack: 7, ctl: tcp.PSH | tcp.ACK, wnd: 0xfffe },
      ...{ urg: 0, text: v.from + 20, textLen: 5, len: 5 },
      ...NO_OPTION,
    })
    expect(tcp.srcPort(v, v.from)).toBe(40_000)
    expect(tcp.dstPort(v, v.from)).toBe(80)
    expect(tcp.seq(v, v.from)).toBe(-2)
    expect(tcp.ack(v, v.from)).toBe(7)
    expect(tcp.headerLen(v, v.from)).toBe(20)
    expect(tcp.ctl(v, v.from)).toBe(tcp.PSH | tcp.ACK)
    expect(tcp.wnd(v, v.from)).toBe(0xfffe)
    expect(tcp.checksum(v, v.from)).toBe(0)
    expect(tcp.urg(v, v.from)).toBe(0)
  })

  test('any fields read back, and all octets are written', () => {
    const u16 = fc.nat(65_535)
    const words = fc.integer({ min: 5, max: 15 })
    fc.assert(
      fc.property(
        ...([u16, u16, fc.integer(), fc.integer(), fc.nat(255), u16, words] as const),
        (srcPort, dstPort, seq, ack, ctl, wnd, words) => {
          const v = new TrapView(new Uint8Array(60).fill(1)) // 1: NOP
          const end = tcp.emitHeader(v, v.from, srcPort, dstPort, seq, ack, ctl, wnd, 4 * words)
          expect(end).toBe(v.from + 20)
          expect(v.getInt32(v.from + 16)).toBe(0)
          expect(parse(v)).toMatchObject({ srcPort, dstPort, seq, ack, ctl, wnd })
          expect(parse(v).text).toBe(v.from + 4 * words)
        },
      ),
    )
  })

  test.each([
    ['nothing', 0, 0],
    ['SYN', tcp.SYN, 1],
    ['FIN', tcp.FIN, 1],
    ['SYN and FIN', tcp.SYN | tcp.FIN, 2],
    ['RST, PSH, ACK, URG', tcp.RST | tcp.PSH | tcp.ACK | tcp.URG, 0],
    ['ECE and CWR', tcp.ECE | tcp.CWR, 0],
  ])('%s counts in SEG.LEN as it takes sequence space (RFC 9293 §3.4)', (_name, ctl, more) => {
    const seg = parse(segment([], hex('0102'), ctl))
    expect([seg.textLen, seg.len]).toEqual([2, 2 + more])
  })

  test('shorter than 20 octets, or than it says, is malformed', () => {
    const seg = new tcp.Segment()
    const v = segment(hex('01010101'))
    for (let end = v.from; end < v.from + 24; end++) {
      expect(tcp.parse(v, v.from, end, seg)).toBe(false)
    }
    expect(tcp.parse(v, v.from, v.from + 24, seg)).toBe(true)
  })

  test('with a data offset below five is malformed', () => {
    const v = segment(hex('01010101'))
    for (let words = 0; words < 5; words++) {
      v.setUint8(v.from + 12, words << 4)
      expect(tcp.parse(v, v.from, v.to, new tcp.Segment())).toBe(false)
    }
  })
})

describe('options', () => {
  test('of a SYN of Linux are read (RFC 9293 §3.2, RFC 7323, RFC 2018)', () => {
    expect(options('020405b4 0402080a 00000065 00000000 01030307')).toMatchObject({
      mss: 1460,
      sackPermitted: true,
      hasTimestamp: true,
      tsVal: 101,
      tsEcr: 0,
      windShift: 7,
      sackCount: 0,
    })
  })

  test('the usual block NOP NOP TIMESTAMP is read as by the long way (RFC 7323 appendix A)', () => {
    const short = options('0101080a fffffffe 80000001')
    expect(short).toMatchObject({ ...NO_OPTION, hasTimestamp: true, tsVal: -2, tsEcr: -0x7fffffff })
    const long = options('080afffffffe800000010101')
    expect({ ...long }).toEqual({ ...short })
  })

  test('up to four SACK blocks are read in their order (RFC 2018 §3)', () => {
    const seg = options(
      '0101 0522 00000001 00000002 00000003 00000004 fffffffd fffffffe 07 000000 00000008',
    )
    expect(seg.sackCount).toBe(4)
    expect([...seg.sack]).toEqual([1, 2, 3, 4, -3, -2, 0x07000000, 8])
  })

  test('a shift above 14 is taken as 14 (RFC 7323 §2.3)', () => {
    expect(options('030300').windShift).toBe(0)
    expect(options('03030e').windShift).toBe(14)
    expect(options('0303ff').windShift).toBe(14)
  })

  test.each([
    ['MSS', '02050000 00020405b4'],
    ['window scale', '03020204 05b4'],
    ['SACK permitted', '040300 020405b4'],
    ['timestamp', '08090000000000 0000 020405b4'],
    ['SACK without a block', '0502 020405b4'],
    ['SACK with half a block', '050600000000 020405b4'],
    ['unknown', 'fd0400ff 020405b4'],
  ])('%s of a wrong length is passed over, and the next is read', (_name, text) => {
    expect(options(text)).toMatchObject({ ...NO_OPTION, mss: 1460 })
  })

  test.each([
    ['of length 0', '02000000 020405b4'],
    ['of length 1', 'fe010000 020405b4'],
    ['past the header', 'fe0b0000 020405b4'],
    ['MSS past the header', '01010204'],
    ['whose length is past the header', '01010102'],
    ['END', '00010101 020405b4'],
  ])('an option %s ends the walk and leaves the segment valid', (_name, text) => {
    expect(options(text)).toMatchObject(NO_OPTION)
  })

  test('what is emitted reads back, each a whole number of words', () => {
    const v = new TrapView(new Uint8Array(20 + 4 + 4 + 4 + 12 + 12))
    tcp.emitHeader(v, v.from, 1, 2, 3, 4, tcp.SYN, 5, 56)
    let at = tcp.emitMss(v, v.from + 20, 65_495)
    at = tcp.emitWindShift(v, at, 14)
    at = tcp.emitSackPermitted(v, at)
    at = tcp.emitTimestamp(v, at, -5, 6)
    at = tcp.emitSack(v, at, Int32Array.of(-9, 9, 5, 5), 1)
    expect(at).toBe(v.to)
    const seg = parse(v)
    expect(seg).toMatchObject({ mss: 65_495, windShift: 14, sackPermitted: true, sackCount: 1 })
    expect(seg).toMatchObject({ hasTimestamp: true, tsVal: -5, tsEcr: 6, len: 1 })
    expect([...seg.sack.subarray(0, 2)]).toEqual([-9, 9])
  })
})

test('no octet outside of the segment is read, whatever it holds', () => {
  const seg = new tcp.Segment()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.boolean(), (octets, isLikely) => {
      if (isLikely && octets.length > 20) octets[12] = (octets.length << 2) & 0xf0
      const v = new TrapView(octets)
      if (!tcp.parse(v, v.from, v.to, seg)) return
      expect(seg.text + seg.textLen).toBe(v.to)
      expect(seg.sackCount).toBeLessThanOrEqual(4)
    }),
    { numRuns: 2000 },
  )
  for (let len = 0; len < 70; len++) {
    const v = new TrapView(new Uint8Array(len).fill(0xff))
    expect(tcp.parse(v, v.from, v.to, seg)).toBe(len >= 60)
  }
})

test('options of few kinds and lengths in any mixture stay within the header', () => {
  const seg = new tcp.Segment()
  const octet = fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 10, 18, 26, 34, 255)
  fc.assert(
    fc.property(fc.array(octet, { maxLength: 40 }), (octets) => {
      const v = segment(Uint8Array.from(octets))
      expect(tcp.parse(v, v.from, v.to, seg)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
