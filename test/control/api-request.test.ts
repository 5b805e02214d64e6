import { expect, test } from 'vitest'
import { MAX_REQUEST, Request } from '../../src/control/api-request.ts'

/** Octet by octet: how many were taken when it was complete, and the text. */
function feed(octets: string | Buffer): { taken: number; text: string } | 'incomplete' {
  const request = new Request()
  const buffer = Buffer.from(octets)
  for (let at = 0; at < buffer.length; at++) {
    if (request.take(buffer.subarray(at, at + 1)) !== 'complete') continue
    return { taken: at + 1, text: request.text() }
  }
  return 'incomplete'
}

test('an object ends with its last bracket', () => {
  const object = '{"execute":"x","arguments":{"a":[1,{}]}}'
  expect(feed(`${object}\n`)).toEqual({ taken: object.length, text: object })
})

test('brackets and quotes within strings do not count', () => {
  const object = '{"a":"}\\"}","\\\\":"{"}'
  expect(feed(`${object}{`)).toEqual({ taken: object.length, text: object })
})

test('blanks and a byte order mark before it are skipped', () => {
  expect(feed(' \r\n\t{}')).toEqual({ taken: 6, text: ' \r\n\t{}' })
  expect(feed('\ufeff{}')).toEqual({ taken: 5, text: '{}' })
})

test('what cannot become an object ends at once', () => {
  expect(feed('badjson')).toEqual({ taken: 1, text: 'b' })
  expect(feed('}')).toEqual({ taken: 1, text: '}' })
  expect(feed('{]')).toEqual({ taken: 2, text: '{]' })
})

test('a chunk that is no object is taken as a whole', () => {
  const request = new Request()
  expect(request.take(Buffer.from(' 42\n'))).toBe('complete')
  expect(request.text()).toBe(' 42\n')
})

test('what follows the value is not part of it', () => {
  const request = new Request()
  expect(request.take(Buffer.from('{"a":1}{"b":2}'))).toBe('complete')
  expect(request.text()).toBe('{"a":1}')
})

test('an open object is incomplete, and its text is what there is', () => {
  const request = new Request()
  expect(request.take(Buffer.from('{"a":'))).toBe('incomplete')
  expect(request.text()).toBe('{"a":')
  expect(feed('   ')).toBe('incomplete')
})

test(`${MAX_REQUEST} octets are too many, one less are not`, () => {
  const request = new Request()
  expect(request.take(Buffer.alloc(MAX_REQUEST - 2, ' '))).toBe('incomplete')
  expect(request.take(Buffer.from(' '))).toBe('incomplete')
  expect(request.take(Buffer.from('x'))).toBe('too-large')
  expect(new Request().take(Buffer.alloc(100_000, '{'))).toBe('too-large')
})
