import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FlowTable, KEY_WORDS, type Keyed, key4 } from '../../src/stack/flow-table.ts'

class Item implements Keyed {
  readonly key: Int32Array

  constructor(key: Int32Array) {
    this.key = key
  }
}

function key(guestAddr: number, guestPort: number, hostAddr: number, hostPort: number): Int32Array {
  const words = new Int32Array(KEY_WORDS)
  key4(words, guestAddr, guestPort, hostAddr, hostPort)
  return words
}

/** Few of each, so that keys come again and collide. */
const anyKey = fc
  .tuple(fc.nat(3), fc.nat(5), fc.constantFrom(1, -1), fc.constantFrom(80, 65_535))
  .map(([a, b, c, d]) => key(a, b, c, d))
const ipv6Key = fc
  .array(fc.constantFrom(0, 1, 0xffff), { minLength: KEY_WORDS, maxLength: KEY_WORDS })
  .map((words) => Int32Array.from(words))

test('a key is two v4-mapped addresses and two ports (RFC 4291 §2.5.5.2)', () => {
  const words = key(0x0a000264, 40_000, -1, 65_535)
  expect([...words]).toEqual([0, 0, 0xffff, 0x0a000264, 0, 0, 0xffff, -1, (40_000 << 16) | 65_535])
  words.fill(7)
  key4(words, 1, 2, 3, 4)
  expect([...words]).toEqual([0, 0, 0xffff, 1, 0, 0, 0xffff, 3, (2 << 16) | 4])
})

test('holds what a Map holds, whatever comes and goes', () => {
  const step = fc.tuple(fc.oneof(anyKey, ipv6Key), fc.boolean())
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 400 }), (seed, steps) => {
      const table = new FlowTable<Item>(seed)
      const twin = new Map<string, Item>()
      for (const [words, isAdded] of steps) {
        const there = twin.get(words.join())
        expect(table.get(words)).toBe(there)
        if (isAdded && there === undefined) {
          const item = new Item(words.slice())
          table.add(item)
          twin.set(words.join(), item)
        } else if (!isAdded && there !== undefined) {
          table.delete(there)
          twin.delete(words.join())
        }
        expect(table.size).toBe(twin.size)
      }
      expect(new Set(table.entries())).toEqual(new Set(twin.values()))
      for (const [text, item] of twin) {
        expect(table.get(Int32Array.from(text.split(',').map(Number)))).toBe(item)
      }
    }),
    { numRuns: 100 },
  )
})

test('grows with its entries, and is whole after most of them have gone', () => {
  const table = new FlowTable<Item>(12_345)
  const items = Array.from({ length: 5000 }, (_, i) => new Item(key(i & 15, i, 7, 80)))
  for (const item of items) table.add(item)
  for (const [i, item] of items.entries()) if (i % 10 !== 0) table.delete(item)
  expect(table.size).toBe(500)
  for (const [i, item] of items.entries()) {
    expect(table.get(item.key)).toBe(i % 10 === 0 ? item : undefined)
  }
})

test('who has gone, or has given its place to another, cannot be deleted again', () => {
  const table = new FlowTable<Item>(1)
  const [old, young] = [new Item(key(1, 1, 1, 1)), new Item(key(1, 1, 1, 1))]
  table.add(old)
  table.delete(old)
  table.add(young)
  table.delete(old)
  expect([table.size, table.get(old.key)]).toEqual([1, young])
})

test('entries may go while a list of them is walked', () => {
  const table = new FlowTable<Item>(1)
  for (let i = 0; i < 100; i++) table.add(new Item(key(1, i, 1, 1)))
  for (const item of table.entries()) table.delete(item)
  expect([table.size, table.entries()]).toEqual([0, []])
})
