import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as dhcpv6 from '../../../src/stack/wire/dhcpv6.ts'
import { hex, TrapView } from './trap-view.ts'

const parse = (octets: Uint8Array): { isRead: boolean; m: dhcpv6.Message } => {
  const v = new TrapView(octets)
  const m = new dhcpv6.Message()
  return { isRead: dhcpv6.parse(v, v.from, v.to, m), m }
}

const HEAD = '0b abcdef'
const DUID = '0001 000a 0003 0001 0211aabbccdd'

describe("a client's message", () => {
  test('has its type, transaction and options read (RFC 8415 §8, §21)', () => {
    const options = [
      DUID,
      '0008 0002 0000', // elapsed time, which nobody reads here
      '0006 0006 0017 0018 0020', // options that are asked for
      '0002 000a 0003 0001 525500000202', // server identifier
    ]
    const { isRead, m } = parse(hex(`${HEAD} ${options.join('')}`))
    expect(isRead).toBe(true)
    expect(m).toMatchObject({
      messageType: dhcpv6.INFORMATION_REQUEST,
      transactionId: 0xabcdef,
      wantsAddress: false,
    })
    expect(m.clientId.subarray(0, m.clientIdLen)).toEqual(hex('0003 0001 0211aabbccdd'))
    expect(m.serverId.subarray(0, m.serverIdLen)).toEqual(hex('0003 0001 525500000202'))
    expect([...m.requested.subarray(0, m.requestedCount)]).toEqual([23, 24, 32])
  })

  test.each(['0003 000c 00000001 0000000000000000', '0004 0004 00000001', '0019 0000'])(
    'wants an address or a prefix with option %s',
    (option) =>
      expect(parse(hex(`${HEAD} ${option}`))).toMatchObject({ m: { wantsAddress: true } }),
  )

  test('leaves nothing of the one before it', () => {
    const m = new dhcpv6.Message()
    const read = (text: string): boolean => {
      const v = new TrapView(hex(text))
      return dhcpv6.parse(v, v.from, v.to, m)
    }
    expect(read(`${HEAD} ${DUID} 0002 0003 000301 0006 0002 0017 0019 0000`)).toBe(true)
    expect(read(HEAD)).toBe(true)
    const { clientIdLen, serverIdLen, requestedCount, wantsAddress } = m
    expect([clientIdLen, serverIdLen, requestedCount, wantsAddress]).toEqual([0, 0, 0, false])
  })

  test.each([
    ['no transaction', '0b abcd'],
    ['half an option header', `${HEAD} 0001 00`],
    ['an option longer than the rest', `${HEAD} 0001 000a 0003`],
    ['half a code that is asked for', `${HEAD} 0006 0003 0017 00`],
    ['an identifier of no octets', `${HEAD} 0001 0000`],
    ['an identifier of 131 octets', `${HEAD} 0001 0083 ${'00'.repeat(131)}`],
  ])('with %s is not read', (_what, text) => {
    expect(parse(hex(text)).isRead).toBe(false)
  })

  test('may ask for more options than anybody has', () => {
    const { isRead, m } = parse(hex(`${HEAD} 0006 0100 ${'0017'.repeat(128)}`))
    expect({ isRead, count: m.requestedCount }).toEqual({ isRead: true, count: m.requested.length })
  })
})

test('a message is written as it is read', () => {
  const duid = dhcpv6.duidOf(hex('52 55 0a 00 02 02'))
  expect(duid).toEqual(hex('0003 0001 52550a000202'))
  const v = new TrapView(new Uint8Array(40))
  const end = dhcpv6.emit(v, v.from, dhcpv6.REPLY, 0xfedcba, [
    [dhcpv6.SERVER_ID, duid],
    [dhcpv6.CLIENT_ID, hex('0003 0001 0211aabbccdd')],
  ])
  expect(v.bytes.slice(v.from, end)).toEqual(
    hex(`07 fedcba 0002 000a 0003000152550a000202 ${DUID}`),
  )
})

test('no octet outside of a message is read, whatever its options', () => {
  const octet = fc.oneof(fc.constantFrom(0, 1, 2, 6, 25), fc.integer({ min: 0, max: 255 }))
  let read = 0
  fc.assert(
    fc.property(fc.array(octet, { maxLength: 60 }), (octets) => {
      if (parse(Uint8Array.of(11, 1, 2, 3, ...octets)).isRead) read++
    }),
    { numRuns: 3000 },
  )
  expect(read).toBeGreaterThan(0)
})
