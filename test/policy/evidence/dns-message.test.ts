/** Messages of DNS read and written. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  isPlain,
  type Message,
  readMessage,
  showName,
  wireOf,
  writeMessage,
} from '../../../src/policy/evidence/dns-message.ts'
import { answer, query, show } from './dns-messages.ts'

const read = (octets: readonly number[] | Uint8Array): Message | undefined => {
  // Something stands before and behind it.
  const all = Uint8Array.of(1, 2, 3, ...octets, 4, 5)
  return readMessage(all, 3, all.length - 2)
}
const written = (message: Message): Message | undefined => read(writeMessage(message, 65_535))

const HEADER = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
const NAME = [1, 97, 7, 101, 120, 97, 109, 112, 108, 101, 0]
const QUESTION = [...NAME, 0, 1, 0, 1]

test('a question is read', () => {
  const message = read([...HEADER, ...QUESTION])
  expect(message).toMatchObject({ id: 7, flags: 0x100, answers: [], authority: [] })
  expect(message?.question).toMatchObject({ name: 'a.example', type: 1, class: 1 })
  expect(message?.edns).toBeUndefined()
})

test('its OPT record is read, without its options (RFC 6891)', () => {
  const opt = [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 5, 0, 10, 0, 1, 9]
  const message = read([...HEADER.slice(0, 11), 1, ...QUESTION, ...opt])
  expect(message?.edns).toEqual({ udpLen: 1232, isDnssecOk: true })
})

test('names that are shortened are written out, in the data of a record as well (RFC 1035 §4.1.4)', () => {
  const octets = [
    ...[0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0],
    ...QUESTION,
    ...[0xc0, 12, 0, 5, 0, 1, 0, 0, 1, 44, 0, 4, 1, 98, 0xc0, 14], // a.example CNAME b.example
    ...[0xc0, 39, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1], // b.example A 192.0.2.1
  ]
  expect(show(read(octets)!)).toEqual(['a.example 300 CNAME b.example', 'b.example 60 A 192.0.2.1'])
})

test('what is written is read as what it was', () => {
  const message = answer(query('www.a.example'), [
    'www.a.example 300 CNAME b.a.example',
    'b.a.example 5 A 192.0.2.1',
    'b.a.example 5 A 192.0.2.2',
    'a.example 5 MX mail.a.example',
    'b.a.example 5 AAAA 2001:db8::1',
  ])
  expect(show(written(message)!)).toEqual(show(message))
  // 12 + 19 of the question, and pointers from there on.
  expect(writeMessage(message, 65_535).length).toBeLessThan(170)
})

test('an error is told with a text (RFC 8914)', () => {
  const octets = writeMessage(query('a.example'), 512, { code: 18, text: 'no' })
  expect([...octets.slice(-10)]).toEqual([0, 8, 0, 15, 0, 4, 0, 18, 110, 111])
  const plain = writeMessage(query('a.example', 'A', null), 512, { code: 18, text: 'no' })
  expect(plain.length).toBe(12 + QUESTION.length)
})

describe('is malformed:', () => {
  const one = (count: number, ...more: number[]): number[] => [
    ...[0, 7, 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0],
    ...QUESTION,
    ...more,
  ]
  test.each<[string, number[]]>([
    ['half a header', HEADER.slice(0, 11)],
    ['no question', [...HEADER.slice(0, 5), 0, ...HEADER.slice(6)]],
    ['two questions', [...HEADER.slice(0, 5), 2, ...HEADER.slice(6), ...QUESTION, ...QUESTION]],
    ['an update (RFC 2136)', [0, 7, 0x28, 0, ...HEADER.slice(4), ...QUESTION]],
    ['half a question', [...HEADER, ...QUESTION.slice(0, -1)]],
    ['a name without end', [...HEADER, 1, 97, 1, 98]],
    ['a label of another kind', [...HEADER, 0x41, 97, 0, 0, 1, 0, 1]],
    ['a name that points to itself', [...HEADER, 0xc0, 12, 0, 1, 0, 1]],
    ['a name that points ahead', [...HEADER, 0xc0, 18, 0, 1, 0, 1, 0]],
    ['a name that points into the header', [...HEADER, 0xc0, 0, 0, 1, 0, 1]],
    ['a name that is too long', [...HEADER, ...new Array(128).fill([1, 97]).flat(), 0, 0, 1, 0, 1]],
    ['a record that is not there', one(1)],
    ['half a record', one(1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192)],
    [
      'more records than there can be',
      [0, 7, 0x81, 0x80, 0, 1, 0xff, 0xff, 0, 0, 0, 0, ...QUESTION],
    ],
    ['a CNAME with something behind', one(1, 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 3, 0xc0, 12, 0)],
    [
      'a CNAME whose name goes on behind its data',
      one(1, 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 1, 1, 97, 0),
    ],
    [
      'two OPT records',
      [
        ...HEADER.slice(0, 11),
        2,
        ...QUESTION,
        ...[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
        ...[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
      ],
    ],
  ])('%s', (_, octets) => {
    expect(read(octets)).toBeUndefined()
  })
})

test('a TTL with its first bit set is zero (RFC 2181 §8)', () => {
  const octets = [0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, ...QUESTION]
  const record = [0xc0, 12, 0, 1, 0, 1, 0x80, 0, 0, 60, 0, 4, 192, 0, 2, 1]
  expect(show(read([...octets, ...record])!)).toEqual(['a.example 0 A 192.0.2.1'])
})

test.each<[number[], string | undefined]>([
  [[1, 65, 2, 66, 67, 0], 'a.bc'],
  [[0], undefined],
  [[3, 97, 46, 98, 1, 99, 0], undefined],
  [[2, 97, 0, 0], undefined],
  [[1, 0xe4, 0], undefined],
  [[3, 97, 32, 98, 0], undefined],
])('the name %j is %j for a policy', (wire, name) => {
  expect(read([...HEADER, ...wire, 0, 1, 0, 1])?.question.name).toBe(name)
})

test('names are shown with all that is in them', () => {
  expect(showName(Uint8Array.of(3, 97, 46, 98, 1, 7, 0))).toBe('a\\046b.\\007')
  expect(showName(Uint8Array.of(0))).toBe('.')
})

test.each([
  [1, 1, true],
  [65, 1, true],
  [1, 3, false],
  [255, 1, false],
  [252, 1, false],
  [251, 1, false],
  [41, 1, false],
  [0, 1, false],
])('a question of type %i, class %i is plain: %j', (type, of, expected) => {
  expect(isPlain({ wire: wireOf('a'), name: 'a', type, class: of })).toBe(expected)
})

test('whatever comes is read or is not, and what is read can be written', () => {
  const whole = [
    ...writeMessage(
      answer(query('www.a.example'), [
        'www.a.example 300 CNAME b.a.example',
        'b.a.example 5 A 192.0.2.1',
        'a.example 5 MX mail.a.example',
      ]),
      512,
    ),
  ]
  const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255))
  fc.assert(
    fc.property(fc.array(change, { maxLength: 6 }), fc.nat(whole.length), (changes, length) => {
      const octets = [...whole]
      for (const [at, octet] of changes) octets[at] = octet
      const message = read(octets.slice(0, length))
      if (message === undefined) return
      const again = written(message)
      expect(again && show(again)).toEqual(show(message))
      expect(again?.question).toEqual(message.question)
    }),
    { numRuns: 5000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (octets) => {
      read([...HEADER.slice(0, 6), 0, 1, 0, 0, 0, 1, ...octets])
    }),
    { numRuns: 5000 },
  )
})

test('of a message that is too long the records stay that there is room for (RFC 2181 §9)', () => {
  const records = Array.from({ length: 60 }, (_, i) => `a.example 30 A 192.0.2.${i}`)
  // Each is 16 octets; the question and OPT take the rest.
  for (const [edns, count] of [
    [null, 30],
    [undefined, 29],
  ] as const) {
    const whole = answer(query('a.example', 'A', edns), records)
    const octets = writeMessage(whole, 512, { code: 17, text: 'x'.repeat(400) })
    expect(octets.length).toBeLessThanOrEqual(512)
    const cut = readMessage(octets, 0, octets.length)!
    expect(cut.flags & 0x0200).toBe(0x0200)
    expect(cut.edns !== undefined).toBe(edns !== null)
    expect(show(cut)).toEqual(records.slice(0, count))
    const longer = writeMessage(whole, 4096)
    expect(show(readMessage(longer, 0, longer.length)!)).toEqual(records)
  }
})
