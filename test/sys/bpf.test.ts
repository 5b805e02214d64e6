/** The writer of BPF programs against a machine that runs them. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  choose,
  encode,
  give,
  ifAnyBit,
  ifAtLeast,
  ifEqual,
  load,
  type Program,
} from '../../src/sys/bpf.ts'
import { evaluate } from './bpf-machine.ts'

const run = (program: Program, nr: number) => evaluate(encode(load(0, program)), { nr, arch: 0 })

test('a comparison leads to one of two ways, and is unsigned', () => {
  const atLeast = ifAtLeast(0x80000000, give(1), give(2))
  expect(run(atLeast, 0x7fffffff).value).toBe(2)
  expect(run(atLeast, 0x80000000).value).toBe(1)
  expect(run(atLeast, 0xffffffff).value).toBe(1)
  const equal = ifEqual(-1, give(1), give(2))
  expect(run(equal, 0xffffffff).value).toBe(1)
  expect(run(equal, 0).value).toBe(2)
  const anyBit = ifAnyBit(0x80000001, give(1), give(2))
  expect([0, 1, 2, 0x80000000].map((nr) => run(anyBit, nr).value)).toEqual([2, 1, 2, 1])
})

test('a choice finds what a table would find, in few steps', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(500), { maxLength: 80 }),
      fc.array(fc.nat(600), { minLength: 1, maxLength: 50 }),
      (keys, numbers) => {
        const program = choose(
          keys.map((key) => [key, give(key + 1000)] as const),
          give(7),
        )
        for (const nr of [...keys, ...numbers]) {
          const { value, steps } = run(program, nr)
          expect(value).toBe(keys.includes(nr) ? nr + 1000 : 7)
          expect(steps).toBeLessThanOrEqual(4 + Math.ceil(Math.log2(keys.length + 1)))
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('a jump goes over the shorter way, and never over more than 255 instructions', () => {
  const long = (length: number): Program => {
    let program = give(9)
    while (program.length < length) program = load(0, program)
    return program
  }
  expect(run(ifEqual(1, long(1000), give(2)), 1).value).toBe(9)
  expect(run(ifEqual(1, long(1000), give(2)), 3).value).toBe(2)
  expect(run(ifEqual(1, give(2), long(1000)), 1).value).toBe(2)
  expect(run(ifEqual(1, long(255), long(400)), 1).value).toBe(9)
  expect(() => ifEqual(1, long(256), long(400))).toThrow(RangeError)
})

test('an instruction is eight octets: code, jt, jf, k', () => {
  const program = load(4, ifEqual(0xc000003e, give(0x7fff0000), give(0x80000000)))
  expect(Buffer.from(encode(program)).toString('hex')).toBe(
    ['2000000004000000', '150000013e0000c0', '060000000000ff7f', '0600000000000080'].join(''),
  )
})

test('a program that the kernel would refuse is not encoded', () => {
  expect(() => encode([])).toThrow(RangeError)
  expect(() => encode(Array.from({ length: 4097 }, () => give(0)[0]!))).toThrow(RangeError)
})
