import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as icmp from '../../../src/stack/wire/icmp.ts'
import { hex, pairSum, TrapView } from './trap-view.ts'

describe('an echo', () => {
  test('reads back as written, with its text and checksum (RFC 792)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.integer(), (text, both) => {
        const v = new TrapView(new Uint8Array([...new Uint8Array(108), ...text]))
        const [identifier, sequence] = [both >>> 16, both & 0xffff]
        const end = icmp.emitEcho(
          ...([v.bytes, v, v.from, icmp.ECHO_REPLY, identifier, sequence] as const),
          ...([v.from + 108, v.to] as const),
        )
        expect(end).toBe(v.from + 8 + text.length)
        expect(icmp.checksumOk(v.bytes, v, v.from, end)).toBe(true)
        expect(pairSum(v.bytes.subarray(v.from, end))).toBe(0xffff)
        expect(icmp.type(v, v.from)).toBe(icmp.ECHO_REPLY)
        expect(icmp.code(v, v.from)).toBe(0)
        expect(icmp.identifier(v, v.from)).toBe(identifier)
        expect(icmp.sequence(v, v.from)).toBe(sequence)
        expect(v.bytes.slice(v.from + 8, end)).toEqual(text)
      }),
    )
  })

  test('may be answered in its own place', () => {
    const v = new TrapView(hex('0800 0000 0007 0001 68656c6c6f'))
    icmp.emitEcho(v.bytes, v, v.from, icmp.ECHO_REPLY, 7, 1, v.from + 8, v.to)
    expect(v.bytes.slice(v.from + 4, v.to)).toEqual(hex('0007 0001 68656c6c6f'))
    expect(icmp.type(v, v.from)).toBe(icmp.ECHO_REPLY)
    expect(icmp.checksumOk(v.bytes, v, v.from, v.to)).toBe(true)
  })

  test('with one wrong bit is seen by the checksum', () => {
    const v = new TrapView(hex('0800 0000 0007 0001 68656c6c6f'))
    icmp.emitEcho(v.bytes, v, v.from, icmp.ECHO, 7, 1, v.from + 8, v.to)
    for (let bit = 0; bit < 8 * 13; bit++) {
      v.bytes[v.from + (bit >>> 3)]! ^= 1 << (bit & 7)
      expect(icmp.checksumOk(v.bytes, v, v.from, v.to)).toBe(false)
      v.bytes[v.from + (bit >>> 3)]! ^= 1 << (bit & 7)
    }
  })
})

describe('an error', () => {
  const emit = (quoteLen: number): { v: TrapView; end: number } => {
    const v = new TrapView(new Uint8Array(2600).map((_, i) => i % 251))
    const [type, code] = [icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED]
    const quote = v.from + 1000
    const end = icmp.emitError(v.bytes, v, v.from, type, code, 1400, quote, quote + quoteLen)
    return { v, end }
  }

  test('quotes the packet it answers (RFC 792)', () => {
    const { v, end } = emit(28)
    expect(end - v.from).toBe(36)
    expect(icmp.type(v, v.from)).toBe(icmp.UNREACHABLE)
    expect(icmp.code(v, v.from)).toBe(icmp.FRAGMENTATION_NEEDED)
    expect(icmp.rest(v, v.from)).toBe(1400)
    expect(v.bytes.slice(v.from + 8, end)).toEqual(v.bytes.slice(v.from + 1000, v.from + 1028))
    expect(icmp.checksumOk(v.bytes, v, v.from, end)).toBe(true)
  })

  test('is 576 octets with its IP header at most (RFC 1812 §4.3.2.3)', () => {
    expect(emit(1500).end - emit(1500).v.from + 20).toBe(576)
  })

  test('is known by its type (RFC 1122 §3.2.2)', () => {
    const errors = [...Array(256).keys()].filter(icmp.isError)
    expect(errors).toEqual([3, 4, 5, 11, 12])
  })
})

test('a message needs 8 octets', () => {
  expect(icmp.check(100, 108)).toBe(true)
  expect(icmp.check(100, 107)).toBe(false)
})
