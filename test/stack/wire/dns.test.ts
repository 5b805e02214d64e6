import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as dns from '../../../src/stack/wire/dns.ts'
import { hex, TrapView } from './trap-view.ts'

/** A query for www.example.com, type A, with an OPT record behind it, as dig sends it. */
const HEADER = '1234 0120 0001 0000 0000 0001'
const QUESTION = '03777777 076578616d706c65 03636f6d 00 0001 0001'
const OPT = '00 0029 1000 00000000 0000'

const parse = (text: string): { v: TrapView; question: dns.Question; isRead: boolean } => {
  const v = new TrapView(hex(text))
  const question = new dns.Question()
  return { v, question, isRead: dns.parseQuestion(v, v.from, v.to, question) }
}

describe('a query', () => {
  test('has its header read (RFC 1035 §4.1.1)', () => {
    const v = new TrapView(hex(HEADER))
    expect(dns.check(v, v.from, v.to)).toBe(true)
    expect(dns.check(v, v.from, v.to - 1)).toBe(false)
    expect(dns.id(v, v.from)).toBe(0x1234)
    expect(dns.flags(v, v.from)).toBe(dns.RD | 0x20)
    expect(dns.isQuery(v, v.from)).toBe(true)
    expect(dns.isTruncated(v, v.from)).toBe(false)
    expect(dns.opcode(v, v.from)).toBe(dns.QUERY)
    expect(dns.rcode(v, v.from)).toBe(dns.NO_ERROR)
    const counts = [dns.qdcount, dns.ancount, dns.nscount, dns.arcount]
    expect(counts.map((count) => count(v, v.from))).toEqual([1, 0, 0, 1])
  })

  test('has its question read (RFC 1035 §4.1.2)', () => {
    const { v, question, isRead } = parse(HEADER + QUESTION + OPT)
    expect(isRead).toBe(true)
    expect({ ...question }).toEqual({
      name: v.from + 12,
      nameEnd: v.from + 29,
      qtype: dns.A,
      qclass: dns.IN,
      end: v.from + 33,
    })
  })

  test('may ask for the root', () => {
    expect(parse(`${HEADER} 00 0002 0001`)).toMatchObject({ isRead: true, question: { qtype: 2 } })
  })

  test.each([
    ['no question', '1234 0120 0000 0000 0000 0000'],
    ['two questions', `1234 0120 0002 0000 0000 0000 ${QUESTION}${QUESTION}`],
    ['a name without end', `${HEADER} 03777777`],
    ['half a label', `${HEADER} 3f7777`],
    ['a compressed name', `${HEADER} c00c 0001 0001`],
    ['half a type', `${HEADER} 00 00`],
    ['no class', `${HEADER} 00 0001 00`],
    [
      'a name of 256 octets',
      `${HEADER} ${`3f${'61'.repeat(63)}`.repeat(3)}3e${'61'.repeat(62)}00 0001 0001`,
    ],
  ])('with %s is not read', (_what, text) => expect(parse(text).isRead).toBe(false))

  test('with a name of 255 octets is read', () => {
    const name = `${`3f${'61'.repeat(63)}`.repeat(3)}3d${'61'.repeat(61)}00`
    expect(parse(`${HEADER} ${name} 0001 0001`).isRead).toBe(true)
  })

  test('is the same as another whatever the case of letters (RFC 1035 §2.3.3)', () => {
    const same = (a: string, b: string): boolean => {
      const [one, other] = [parse(HEADER + a), parse(HEADER + b)]
      return dns.isSameQuestion(one.v, one.question, other.v, other.question)
    }
    expect(same(QUESTION, QUESTION.replace('77', '57'))).toBe(true)
    expect(same(QUESTION, QUESTION.replace('77', '78'))).toBe(false)
    expect(same(QUESTION, QUESTION.replace('0001 0001', '001c 0001'))).toBe(false)
    expect(same(QUESTION, QUESTION.replace('0001 0001', '0001 0003'))).toBe(false)
    expect(same(QUESTION, QUESTION.replace('0377', '02'))).toBe(false)
    expect(same('015b 00 0001 0001', '017b 00 0001 0001')).toBe(false) // [ and {
  })
})

describe('a response without answers', () => {
  const answer = (text: string, flags: number): Uint8Array => {
    const v = new TrapView(hex(text))
    const end = dns.emitEmptyResponse(v, v.from, v.to, flags, new dns.Question())
    return v.bytes.slice(v.from, end)
  }

  test('keeps id, opcode, RD, CD and the question (RFC 1035 §4.1.1)', () => {
    expect(answer(HEADER + QUESTION + OPT, dns.SERVER_FAILURE)).toEqual(
      hex(`1234 8182 0001 0000 0000 0000 ${QUESTION}`),
    )
    expect(answer(`1234 2f3f 0001 0000 0000 0001${QUESTION}`, dns.NOT_IMPLEMENTED)).toEqual(
      hex(`1234 a994 0001 0000 0000 0000 ${QUESTION}`),
    )
  })

  test('may say that the answer is too long (RFC 2181 §9)', () => {
    const v = new DataView(answer(HEADER + QUESTION, dns.TC).buffer)
    expect(dns.isTruncated(v, 0)).toBe(true)
    expect(dns.isQuery(v, 0)).toBe(false)
  })

  test('to a query that cannot be read is its header', () => {
    expect(answer(`${HEADER} 3f77`, dns.FORMAT_ERROR)).toEqual(hex('1234 8181 0000 0000 0000 0000'))
  })
})

test('no octet outside of a message is read or written', () => {
  const question = new dns.Question()
  const labels = fc.array(fc.constantFrom(0, 1, 2, 3, 63, 64, 0x61, 0xc0, 255), { maxLength: 300 })
  fc.assert(
    fc.property(fc.oneof(labels, fc.uint8Array({ maxLength: 40 })), fc.boolean(), (rest, isOne) => {
      const octets = isOne ? [...hex(HEADER), ...rest] : [...rest]
      const v = new TrapView(octets)
      if (!dns.check(v, v.from, v.to)) {
        expect(dns.parseQuestion(v, v.from, v.to, question)).toBe(false)
        return
      }
      const end = dns.emitEmptyResponse(v, v.from, v.to, dns.REFUSED, question)
      expect(end).toBeLessThanOrEqual(v.to)
    }),
    { numRuns: 1000 },
  )
})
