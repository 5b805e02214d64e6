/** What the name server's address says of names that the program has given. */
import { beforeEach, expect, test } from 'vitest'
import { Names } from '../../src/nat/names.ts'
import * as dns from '../../src/stack/wire/dns.ts'

const V4 = Int32Array.of(0, 0, 0xffff, 0x0a000202)
const OTHER4 = Int32Array.of(0, 0, 0xffff, 0xa9fea9fe | 0)
const V6 = Int32Array.of(0xfd000ec2 | 0, 0, 0, 0x254)

let names: Names

beforeEach(() => {
  names = new Names()
})

/** A question, with an EDNS record behind it; then room. */
function ask(name: string, type: number, qclass: number = dns.IN): string | undefined {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)])
  const question = [...labels, 0, 0, type, 0, qclass]
  const edns = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]
  const message = Buffer.alloc(600)
  message.set([0x12, 0x34, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, 1, ...question, ...edns])
  const view = new DataView(message.buffer, message.byteOffset)
  const len = 12 + question.length
  const end = names.answer(view, 0, len + edns.length, 512)
  if (end < 0) return undefined
  expect(message.toString('hex', 0, 2)).toBe('1234')
  // A response, authoritative, recursion desired and available; the question; the answers; nothing else.
  expect(message.toString('hex', 2, 4)).toBe('8590')
  expect(message.subarray(12, len)).toEqual(Buffer.from(question))
  expect([dns.qdcount(view, 0), dns.nscount(view, 0), dns.arcount(view, 0)]).toEqual([1, 0, 0])
  return `${dns.ancount(view, 0)} ${message.toString('hex', len, end)}`
}

test('A has the IPv4 addresses, AAAA the IPv6 ones (RFC 1035 §3.4.1, RFC 3596 §2.2)', () => {
  names.add('metadata.internal', V4)
  names.add('metadata.internal', V6)
  names.add('metadata.internal', OTHER4)
  expect(ask('metadata.internal', dns.A)).toBe(
    '2 c00c0001000100000005' + '00040a000202' + 'c00c0001000100000005' + '0004a9fea9fe',
  )
  expect(ask('METADATA.Internal', dns.AAAA)).toBe(
    '1 c00c001c000100000005' + '0010fd000ec2000000000000000000000254',
  )
})

test('an address with two ports is one answer, as long as it has one of them', () => {
  const again = Int32Array.from(V4)
  names.add('a', V4)
  names.add('a', OTHER4)
  names.add('a', again)
  expect(ask('a', dns.A)).toMatch(/^2 /)
  names.remove('a', V4)
  expect(ask('a', dns.A)).toMatch(/^2 /)
  names.remove('a', again)
  expect(ask('a', dns.A)).toMatch(/^1 /)
})

test('of any other type or class there is nothing, and no other server is to be asked', () => {
  names.add('a', V4)
  expect(ask('a', dns.AAAA)).toBe('0 ')
  expect(ask('a', 16)).toBe('0 ')
  expect(ask('a', dns.A, 3)).toBe('0 ')
})

test('other names are for others, and so is one that was taken back', () => {
  expect(ask('a', dns.A)).toBeUndefined()
  names.add('a', V4)
  names.add('a', V6)
  expect(ask('b', dns.A)).toBeUndefined()
  expect(ask('a.b', dns.A)).toBeUndefined()
  names.remove('a', V4)
  expect(ask('a', dns.A)).toBe('0 ')
  names.remove('a', V6)
  expect(ask('a', dns.A)).toBeUndefined()
  expect(names.isEmpty).toBe(true)
})

test('what is no question of one name is for others (RFC 1035 §4.1.2)', () => {
  names.add('a', V4)
  const view = new DataView(new ArrayBuffer(600))
  expect(names.answer(view, 0, 12, 512)).toBe(-1)
  view.setUint16(4, 2)
  expect(names.answer(view, 0, 40, 512)).toBe(-1)
  view.setUint16(2, 4 << 11) // NOTIFY
  view.setUint16(4, 1)
  expect(names.answer(view, 0, 40, 512)).toBe(-1)
})

test('an answer, and what is no message at all, are for others', () => {
  names.add('a', V4)
  const view = new DataView(
    Uint8Array.of(0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0, 0, 1, 0, 1, 0).buffer,
  )
  for (let end = 0; end < 19; end++) expect(names.answer(view, 0, end, 512)).toBe(-1)
  view.setUint8(2, 0x80)
  expect(names.answer(view, 0, 19, 512)).toBe(-1)
})

test('no more is answered than a datagram holds', () => {
  for (let i = 0; i < 100; i++) names.add('a', Int32Array.of(0, 0, 0xffff, 0x0a000200 + i))
  expect(ask('a', dns.A)).toMatch(/^(29|30) /)
})
