/** JSON with positions. JSON.parse is the slow twin: it says what is JSON, and its value. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JsonError, parseJson, positionOf } from '../../src/policy/json.ts'

const problemOf = (text: string): string => {
  try {
    parseJson(text)
    return 'none'
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    const { line, column } = positionOf(text, error.at)
    return `${line}:${column} ${error.message}`
  }
}

test('what JSON.stringify writes is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(0, 2, '\t'), (value, space) => {
      const text = JSON.stringify(value, null, space)
      expect(parseJson(text).value).toEqual(JSON.parse(text))
    }),
  )
})

test('what is not JSON for JSON.parse is not JSON here, and the other way round', () => {
  const piece = fc.constantFrom(...'{}[],:"\\/ \n\t0123456789-+.eEtrufalsn\u0001xé')
  fc.assert(
    fc.property(fc.string({ unit: piece, maxLength: 12 }), (text) => {
      let isJson = true
      try {
        JSON.parse(text)
      } catch {
        isJson = false
      }
      expect(problemOf(text) === 'none', text).toBe(isJson)
    }),
    { numRuns: 3000 },
  )
})

test('escapes and a byte order mark are read', () => {
  expect(parseJson('\ufeff"\\u00e9\\n\\/\\ud83d\\ude00"').value).toBe('é\n/😀')
})

test.each([
  ['', '1:1 the text ends where a value should be'],
  ['{"a": 1,}', '1:9 there is "}" where a name in quotes should be'],
  ['{"a" 1}', '1:6 there is "1" where a colon should be'],
  ['[1\n 2]', '2:2 there is "2" where a comma or ] should be'],
  ['{"a": 1} x', '1:10 there is "x" where the end should be'],
  ['{"a": 1,\n "a": 2}', '2:2 "a" stands here twice'],
  ['"abc', '1:1 this text does not end'],
  ['"a\\x"', '1:3 not an escape'],
  ['"\\u12g4"', '1:2 not \\uXXXX'],
  ['[// no', '1:2 there is "/" where a value should be'],
  ['[01]', '1:3 there is "1" where a comma or ] should be'],
])('%j is told by line and column', (text, problem) => {
  expect(problemOf(text)).toBe(problem)
})

test('what is nested very deep is refused', () => {
  expect(problemOf('['.repeat(100_000))).toMatch(/nested too deep$/)
})

test('a member named __proto__ is a member', () => {
  const { value } = parseJson('{"__proto__": {"x": 1}}')
  expect(Object.keys(value as object)).toEqual(['__proto__'])
  expect((value as { x?: number }).x).toBeUndefined()
})

describe('where something stands:', () => {
  const text = '{\n  "rules": [{ "port": 1 },\n    { "port": "x" }]\n}'
  const { offsetOf, offsetOfName } = parseJson(text)
  test('a value, a name, and the nearest of what is not there', () => {
    expect(positionOf(text, offsetOf(['rules', 1, 'port']))).toEqual({ line: 3, column: 15 })
    expect(positionOf(text, offsetOfName(['rules', 1, 'port']))).toEqual({ line: 3, column: 7 })
    expect(positionOf(text, offsetOf(['rules', 1, 'name', 0]))).toEqual({ line: 3, column: 5 })
    expect(positionOf(text, offsetOf(['dns']))).toEqual({ line: 1, column: 1 })
  })
})
