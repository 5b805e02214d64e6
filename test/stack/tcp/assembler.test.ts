import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Assembler, MAX_RANGES } from '../../../src/stack/tcp/assembler.ts'
import * as seq from '../../../src/stack/tcp/seq.ts'

/** The slow twin: a set of numbers that have arrived. */
class Twin {
  readonly there = new Set<number>()

  add(left: number, right: number): void {
    for (let i = left; i < right; i++) this.there.add(i)
  }

  advance(next: number): number {
    while (this.there.has(next)) next++
    for (const i of this.there) if (i < next) this.there.delete(i)
    return next
  }

  edges(): number[] {
    const edges: number[] = []
    for (const i of [...this.there].sort((a, b) => a - b)) {
      if (edges.at(-1) === i) edges[edges.length - 1] = i + 1
      else edges.push(i, i + 1)
    }
    return edges
  }
}

/** Just before the wrap, so that most ranges lie across it. */
const BASE = -100
const at = (n: number): number => seq.add(BASE, n)

function of(...ranges: [number, number][]): Assembler {
  const assembler = new Assembler()
  for (const [left, right] of ranges) assembler.add(at(left), at(right))
  return assembler
}

const relative = (edges: readonly number[]): number[] => edges.map((e) => seq.diff(e, BASE))

function blocks(assembler: Assembler, most: number): number[] {
  const into = new Int32Array(8)
  const count = assembler.blocks(into, 0, most)
  return relative([...into.subarray(0, 2 * count)])
}

test('holds what a set of numbers holds, whatever arrives in whatever order', () => {
  const range = fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 40 }))
  const steps = fc.array(fc.tuple(range, fc.option(fc.nat(30))), { maxLength: 40 })
  fc.assert(
    fc.property(steps, (steps) => {
      const assembler = new Assembler()
      const twin = new Twin()
      let next = 0
      for (const [[offset, len], arrived] of steps) {
        const left = next + 1 + offset
        if (assembler.add(at(left), at(left + len))) twin.add(left, left + len)
        expect(relative(assembler.edges)).toEqual(twin.edges())
        if (arrived === null) continue
        next += arrived
        const end = twin.advance(next)
        expect(seq.diff(assembler.advance(at(next)), BASE)).toBe(end)
        expect(relative(assembler.edges)).toEqual(twin.edges())
        expect(assembler.isEmpty()).toBe(twin.there.size === 0)
        next = end
      }
    }),
  )
})

test('ranges that touch or overlap become one', () => {
  expect(relative(of([10, 20], [20, 30]).edges)).toEqual([10, 30])
  expect(relative(of([20, 30], [10, 20]).edges)).toEqual([10, 30])
  expect(relative(of([10, 20], [30, 40], [15, 35]).edges)).toEqual([10, 40])
  expect(relative(of([10, 40], [20, 30]).edges)).toEqual([10, 40])
  expect(relative(of([20, 30], [10, 40]).edges)).toEqual([10, 40])
})

test('a range too many is refused, and changes nothing; one that joins others is taken', () => {
  const assembler = new Assembler()
  for (let i = 0; i < MAX_RANGES; i++) {
    expect(assembler.add(at(10 * i), at(10 * i + 5))).toBe(true)
  }
  const before = [...assembler.edges]
  expect(assembler.add(at(1000), at(1001))).toBe(false)
  expect(assembler.edges).toEqual(before)
  expect(assembler.add(at(5), at(10))).toBe(true)
  expect(assembler.edges.length).toBe(before.length - 2)
})

describe('SACK blocks', () => {
  test('begin with the range that grew last, and go on from the left (RFC 2018 §4)', () => {
    expect(blocks(of([10, 20], [30, 40], [50, 60]), 4)).toEqual([50, 60, 10, 20, 30, 40])
    expect(blocks(of([10, 20], [50, 60], [30, 40]), 4)).toEqual([30, 40, 10, 20, 50, 60])
    expect(blocks(of([10, 20], [50, 60], [20, 30]), 4)).toEqual([10, 30, 50, 60])
  })

  test('are as many as fit', () => {
    expect(blocks(of([10, 20], [30, 40], [50, 60]), 2)).toEqual([50, 60, 10, 20])
    expect(blocks(new Assembler(), 4)).toEqual([])
  })

  test('stand behind what is there already', () => {
    const into = new Int32Array(8).fill(7)
    expect(of([10, 20], [30, 40]).blocks(into, 1, 2)).toBe(2)
    expect([...into.subarray(0, 2), ...relative([...into.subarray(2, 4)])]).toEqual([7, 7, 30, 40])
  })

  test('begin with the range that was asked for', () => {
    const assembler = of([10, 20], [30, 40])
    expect(assembler.has(at(12), at(20))).toBe(true)
    expect(blocks(assembler, 4)).toEqual([10, 20, 30, 40])
    for (const [left, right] of [
      [9, 12],
      [12, 21],
      [20, 30],
      [40, 41],
    ] as const) {
      expect(assembler.has(at(left), at(right))).toBe(false)
    }
  })

  test('leave out the newest when it has been passed by', () => {
    const assembler = of([30, 40], [10, 20])
    assembler.advance(at(10))
    expect(blocks(assembler, 4)).toEqual([30, 40])
  })
})

test('nothing is left after clear', () => {
  const assembler = of([10, 20], [30, 40])
  assembler.clear()
  expect(assembler.isEmpty()).toBe(true)
  expect(seq.diff(assembler.advance(at(10)), BASE)).toBe(10)
})
