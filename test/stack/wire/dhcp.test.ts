import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as address from '../../../src/stack/wire/address.ts'
import * as dhcp from '../../../src/stack/wire/dhcp.ts'
import { clientMessage, type Fields } from './dhcp-messages.ts'
import { hex, TrapView } from './trap-view.ts'

const parse = (octets: Uint8Array): { isRead: boolean; m: dhcp.Message } => {
  const v = new TrapView(octets)
  const m = new dhcp.Message()
  return { isRead: dhcp.parse(v, v.from, v.to, m), m }
}
const ip = (text: string): number => address.parseIpv4(text)!

const DISCOVER = '35 01 01'

describe("a client's message", () => {
  test('has its fields and options read (RFC 2131 §2)', () => {
    const options = [
      DISCOVER,
      '3d 07 01 02 11 aa bb cc dd', // client identifier
      '32 04 0a 00 02 14', // requested address
      '36 04 0a 00 02 02', // server identifier
      '39 02 05 dc', // longest message
      '0c 03 62 6f 78', // host name, which nobody reads here
      '00 00', // PAD
      '37 04 01 03 06 77', // parameter list
      'ff',
    ].join('')
    const fields = { flags: '8000', ciaddr: '10.0.2.15', giaddr: '10.0.2.9' }
    const { isRead, m } = parse(clientMessage(options, fields))
    expect(isRead).toBe(true)
    expect(m).toMatchObject({
      xid: 0xdeadbeef | 0,
      flags: dhcp.BROADCAST,
      ciaddr: ip('10.0.2.15'),
      giaddr: ip('10.0.2.9'),
      chaddr: address.parseMac('02:11:aa:bb:cc:dd'),
      messageType: dhcp.DISCOVER,
      requestedAddr: ip('10.0.2.20'),
      serverId: ip('10.0.2.2'),
      maxLen: 1500,
    })
    expect([...m.parameters.subarray(0, m.parametersLen)]).toEqual([1, 3, 6, 119])
    expect(m.clientId.subarray(0, m.clientIdLen)).toEqual(hex('01 02 11 aa bb cc dd'))
  })

  test('leaves nothing of the one before it', () => {
    const v = new TrapView(
      clientMessage('35 01 03 32 04 0a000214 36 04 0a000202 37 01 01 3d 01 01'),
    )
    const m = new dhcp.Message()
    dhcp.parse(v, v.from, v.to, m)
    const next = new TrapView(clientMessage(DISCOVER))
    expect(dhcp.parse(next, next.from, next.to, m)).toBe(true)
    const { requestedAddr, serverId, parametersLen, clientIdLen } = m
    expect([requestedAddr, serverId, parametersLen, clientIdLen]).toEqual([0, 0, 0, 0])
  })

  test('may have options in sname and file (RFC 2131 §4.1)', () => {
    const sname = '32 04 0a 00 02 14 ff'
    const file = '36 04 0a 00 02 02 ff'
    const read = (overload: string): number[] => {
      const { isRead, m } = parse(clientMessage(`${DISCOVER} ${overload} ff`, { sname, file }))
      return [Number(isRead), m.requestedAddr, m.serverId]
    }
    expect(read('')).toEqual([1, 0, 0])
    expect(read('34 01 01')).toEqual([1, 0, ip('10.0.2.2')])
    expect(read('34 01 02')).toEqual([1, ip('10.0.2.20'), 0])
    expect(read('34 01 03')).toEqual([1, ip('10.0.2.20'), ip('10.0.2.2')])
  })

  test.each([
    ['no END', DISCOVER],
    ['its type last', `0c 01 61 ${DISCOVER} ff`],
    ['octets behind END', `${DISCOVER} ff 32`],
    ['an option of no octets', `50 00 ${DISCOVER} ff`],
  ])('with %s is read', (_what, options) => {
    expect(parse(clientMessage(options))).toMatchObject({ isRead: true, m: { messageType: 1 } })
  })

  test.each([
    ['no options', '', {}],
    ['no type', 'ff', {}],
    ['a type of no octets', '35 00 ff', {}],
    ['a type of two octets', '35 02 01 01 ff', {}],
    ['type 0', '35 01 00 ff', {}],
    ['half an address', `${DISCOVER} 32 02 0a 00 ff`, {}],
    ['a server identifier of five octets', `${DISCOVER} 36 05 0a 00 02 02 00 ff`, {}],
    ['a longest message of one octet', `${DISCOVER} 39 01 05 ff`, {}],
    ['an overload of two octets', `${DISCOVER} 34 02 01 01 ff`, {}],
    ['an option longer than the rest', `${DISCOVER} 0c 04 61 62 63`, {}],
    ['a code and nothing behind it', `${DISCOVER} 0c`, {}],
    ['a code and nothing behind it in file', `${DISCOVER} 34 01 01 ff`, { file: '0c ff' }],
    ['a server’s op', `${DISCOVER} ff`, { op: '02' }],
    ['hardware that is not Ethernet', `${DISCOVER} ff`, { ethernet: '06 06' }],
    ['addresses of eight octets', `${DISCOVER} ff`, { ethernet: '01 08' }],
    ['another cookie', `${DISCOVER} ff`, { cookie: '63825364' }],
  ] as [string, string, Fields][])('with %s is not read', (_what, options, fields) => {
    expect(parse(clientMessage(options, fields)).isRead).toBe(false)
  })

  test('that is shorter than the fixed fields is not read', () => {
    const octets = clientMessage('')
    for (const len of [0, 1, 28, 236, 239]) {
      expect(parse(octets.subarray(0, len)).isRead).toBe(false)
    }
  })
})

describe("a server's message", () => {
  const reply = {
    xid: 0xdeadbeef | 0,
    flags: dhcp.BROADCAST,
    ciaddr: ip('10.0.2.20'),
    yiaddr: ip('10.0.2.15'),
    giaddr: ip('10.0.2.9'),
    chaddr: address.parseMac('02:11:aa:bb:cc:dd')!,
    options: [
      [dhcp.MESSAGE_TYPE, Uint8Array.of(dhcp.ACK)],
      [dhcp.SERVER_ID, hex('0a000202')],
    ] as const,
  }

  test('is written into octets that were something else, and filled up (RFC 1542 §2.1)', () => {
    const v = new TrapView(new Uint8Array(300).fill(0xee))
    const end = dhcp.emit(v, v.from, reply)
    expect(end - v.from).toBe(dhcp.MIN_LEN)
    const octets = v.bytes.slice(v.from, end)
    const fixed = '02 01 06 00 deadbeef 0000 8000 0a000214 0a00020f 00000000 0a000209'
    expect(octets.subarray(0, 28)).toEqual(hex(fixed))
    expect(octets.subarray(28, 44)).toEqual(hex(`0211aabbccdd ${'00'.repeat(10)}`))
    expect(octets.subarray(44, 236)).toEqual(new Uint8Array(192))
    const options = '63825363 35 01 05 36 04 0a000202 ff'
    expect(octets.subarray(236)).toEqual(hex(`${options}${'00'.repeat(64 - 14)}`))
  })

  test('is as long as its options', () => {
    const v = new TrapView(new Uint8Array(1000))
    const options = [[dhcp.DOMAIN_SEARCH, new Uint8Array(255).fill(7)]] as const
    const end = dhcp.emit(v, v.from, { ...reply, options })
    expect(end - v.from).toBe(240 + 257 + 1)
    expect(v.getUint8(end - 1)).toBe(255)
  })

  test('is read by nobody who reads clients’', () => {
    const v = new TrapView(new Uint8Array(300))
    const end = dhcp.emit(v, v.from, reply)
    expect(dhcp.check(v, v.from, end)).toBe(true)
    expect(dhcp.parse(v, v.from, end, new dhcp.Message())).toBe(false)
  })
})

test('no octet outside of a message is read, whatever its options', () => {
  const code = fc.constantFrom(0, 12, 50, 51, 52, 53, 54, 55, 57, 61, 119, 255)
  const octet = fc.oneof(code, fc.constantFrom(1, 2, 4, 5), fc.integer({ min: 0, max: 255 }))
  const octets = fc.array(octet, { maxLength: 80 })
  const text = (list: number[]): string => list.map((n) => n.toString(16).padStart(2, '0')).join('')
  let read = 0
  fc.assert(
    fc.property(octets, octets, octets, (options, file, sname) => {
      const fields = { file: text(file), sname: text(sname.slice(0, 64)) }
      if (parse(clientMessage(`${DISCOVER} 34 01 03 ${text(options)}`, fields)).isRead) read++
    }),
    { numRuns: 3000 },
  )
  expect(read).toBeGreaterThan(0)
})
