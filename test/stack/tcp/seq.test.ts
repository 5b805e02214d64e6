import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as seq from '../../../src/stack/tcp/seq.ts'

/** Numbers near the wrap and near half of the space, and any. */
const number = fc.oneof(
  fc.integer(),
  fc.integer({ min: -3, max: 3 }),
  fc.integer({ min: 2 ** 31 - 3, max: 2 ** 31 - 1 }),
)
/** Less than half of the space: only so far apart are two numbers in order (RFC 9293 §3.4). */
const distance = fc.integer({ min: 0, max: 2 ** 31 - 1 })

test('a number is after those up to half of the space before it, across the wrap (RFC 9293 §3.4)', () => {
  fc.assert(
    fc.property(number, distance, (a, n) => {
      const b = seq.add(a, n)
      expect(b).toBe(Number(BigInt.asIntN(32, BigInt(a) + BigInt(n))))
      expect(seq.diff(b, a)).toBe(n)
      expect([seq.lt(a, b), seq.gt(b, a)]).toEqual([n > 0, n > 0])
      expect([seq.le(a, b), seq.ge(b, a)]).toEqual([true, true])
      expect([seq.le(b, a), seq.ge(a, b)]).toEqual([n === 0, n === 0])
      expect([seq.max(a, b), seq.max(b, a)]).toEqual([b, b])
      expect([seq.min(a, b), seq.min(b, a)]).toEqual([a, a])
    }),
  )
})
