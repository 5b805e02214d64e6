/** Names as people write them, as they are on the wire, and which pattern stands for which. */
import { domainToASCII } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { basesOf, canonicalName, contains, matches, readPattern } from '../../src/policy/names.ts'
import { encodePunycode } from '../../src/policy/punycode.ts'

test.each([
  ['registry.npmjs.org', 'registry.npmjs.org'],
  ['Registry.NPMJS.org.', 'registry.npmjs.org'],
  ['*.Example.com', '*.example.com'],
  ['_dmarc.example.com', '_dmarc.example.com'],
  ['intranet', 'intranet'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['BÜCHER.example', 'xn--bcher-kva.example'],
  ['bu\u0308cher.example', 'xn--bcher-kva.example'],
  ['*.例え.テスト', '*.xn--r8jz45g.xn--zckzah'],
  ['例え。テスト', 'xn--r8jz45g.xn--zckzah'],
  ['ｅｘａｍｐｌｅ．com', 'example.com'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
])('%s is the name %s', (text, name) => {
  expect(readPattern(text)).toEqual({ name })
})

test.each([
  ['', /empty/],
  ['.', /empty/],
  ['a..b', /label is empty/],
  ['.example.com', /label is empty/],
  ['*.', /empty/],
  ['*', /whole first label/],
  ['a*.example.com', /whole first label/],
  ['*.*.example.com', /whole first label/],
  ['www.*.com', /whole first label/],
  ['https://example.com/', /URL/],
  ['example.com:443', /port/],
  ['example.com/x', /prefixes are for "to"/],
  ['exa mple.com', /such letters/],
  ['exa%6dple.com', /such letters/],
  ['192.0.2.1', /address/],
  ['0x7f.1', /address/],
  ['example.0x7f', /address/],
  [`${'a'.repeat(64)}.example`, /longer than 63/],
  [`${'a.'.repeat(127)}b`, /longer than 253/],
  ['a\u200bb.example', /such letters/],
  ['a\u00adb.example', /such letters/],
])('%j can be no name', (text, problem) => {
  expect(readPattern(text)).toEqual({ problem: expect.stringMatching(problem) })
})

/** RFC 3492 §7.1, some of its samples. */
test.each([
  ['ليهمابتكلموشعربي؟', 'egbpdaj6bu4bxfgehfvwxn'],
  ['他们为什么不说中文', 'ihqwcrb4cv8a8dqg056pqjye'],
  ['Pročprostěnemluvíčesky', 'Proprostnemluvesky-uyb24dma41a'],
  ['3年B組金八先生', '3B-ww4c5e180e575a65lsy2b'],
  ['-with-SUPER-MONKEYS', '-with-SUPER-MONKEYS-'],
  ['パフィーdeルンバ', 'de-jg4avhby1noc0d'],
])('%s in Punycode is %s (RFC 3492 §7.1)', (label, encoded) => {
  expect(encodePunycode(label)).toBe(encoded)
})

test('names of letters are what browsers look up for them', () => {
  const letters = fc.constantFrom(...'abcxyzäöüéñçøåđłőżабвяαβωあいう漢字한글אב')
  const label = fc.string({ unit: letters, minLength: 1, maxLength: 10 })
  fc.assert(
    fc.property(label, (text) => {
      const ascii = domainToASCII(`${text}.example`)
      // Labels that mix directions are no names for it (RFC 5893), and lead nowhere.
      if (ascii !== '') expect(readPattern(`${text}.example`)).toEqual({ name: ascii })
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['Example.COM.', 'example.com'],
  ['a_b.c-d', 'a_b.c-d'],
  ['', undefined],
  ['.', undefined],
  ['a..b', undefined],
  ['a\\.b.c', undefined],
  ['ä.example', undefined],
  ['KELVIN\u212a.example', undefined],
  [`${'a'.repeat(64)}.b`, undefined],
])('%j from the wire is %j', (text, name) => {
  expect(canonicalName(text)).toBe(name)
})

describe('*.example.com', () => {
  test.each([
    ['www.example.com', true],
    ['a.b.example.com', true],
    ['example.com', false],
    ['.example.com', false],
    ['notexample.com', false],
    ['www.example.com.evil.test', false],
  ])('and %s: %j', (name, expected) => {
    expect(matches('*.example.com', name)).toBe(expected)
  })
})

test('a pattern contains another when it stands for all its names', () => {
  const label = fc.constantFrom('a', 'b', 'ab')
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
  const pattern = fc.tuple(fc.constantFrom('', '*.'), name).map((parts) => parts.join(''))
  fc.assert(
    fc.property(pattern, pattern, (outer, inner) => {
      const some = inner.startsWith('*.')
        ? ['a', 'b', 'ab', 'zz', 'a.b', 'x.y'].map((first) => first + inner.slice(1))
        : [inner]
      expect(contains(outer, inner)).toBe(some.every((each) => matches(outer, each)))
    }),
    { numRuns: 2000 },
  )
})

test('the bases of a name are those whose * stands for it', () => {
  expect([...basesOf('a.b.c')]).toEqual(['b.c', 'c'])
  expect([...basesOf('c')]).toEqual([])
})
