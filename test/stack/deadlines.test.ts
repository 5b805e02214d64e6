import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Deadlines, type Timed } from '../../src/stack/deadlines.ts'

class Item implements Timed {
  readonly name: number
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0

  constructor(name: number) {
    this.name = name
  }
}

const items = (count: number): Item[] => Array.from({ length: count }, (_, i) => new Item(i))

function at(deadlines: Deadlines<Item>, item: Item, deadline: number): void {
  item.deadline = deadline
  deadlines.update(item)
}

/** Everything that is due, until nothing is. */
function due(deadlines: Deadlines<Item>, now: number): Item[] {
  const popped: Item[] = []
  for (let item = deadlines.pop(now); item; item = deadlines.pop(now)) popped.push(item)
  return popped
}

test('what is due comes, the earliest first, and nothing else', () => {
  const deadlines = new Deadlines<Item>()
  const [a, b, c] = items(3) as [Item, Item, Item]
  at(deadlines, a, 30)
  at(deadlines, b, 10)
  at(deadlines, c, 20)
  expect(deadlines.next()).toBe(10)
  expect(due(deadlines, 9)).toEqual([])
  expect(due(deadlines, 25)).toEqual([b, c])
  expect(deadlines.next()).toBe(30)
})

test('one that moves later is not called at its old time', () => {
  const deadlines = new Deadlines<Item>()
  const [a] = items(1) as [Item]
  at(deadlines, a, 10)
  at(deadlines, a, 50)
  expect(due(deadlines, 49)).toEqual([])
  expect(deadlines.next()).toBe(50)
  expect(due(deadlines, 50)).toEqual([a])
})

test('the first one is taken by its deadline, not by when it was put in', () => {
  const deadlines = new Deadlines<Item>()
  const [a, b, c, never] = items(4) as [Item, Item, Item, Item]
  at(deadlines, a, 10)
  at(deadlines, b, 20)
  at(deadlines, c, 30)
  at(deadlines, never, 5)
  at(deadlines, a, 40)
  at(deadlines, never, Infinity)
  expect([1, 2, 3, 4].map(() => deadlines.takeFirst())).toEqual([b, c, a, undefined])
  expect([a, b, c, never].map(({ heapIndex }) => heapIndex)).toEqual([-1, -1, -1, -1])
})

test('one that moves earlier is called at its new time', () => {
  const deadlines = new Deadlines<Item>()
  const [a, b] = items(2) as [Item, Item]
  at(deadlines, a, 20)
  at(deadlines, b, 50)
  at(deadlines, b, 10)
  expect(deadlines.next()).toBe(10)
  expect(due(deadlines, 10)).toEqual([b])
})

test('one that waits for nothing any more leaves when its old time comes', () => {
  const deadlines = new Deadlines<Item>()
  const [a] = items(1) as [Item]
  at(deadlines, a, 10)
  at(deadlines, a, Infinity)
  expect(due(deadlines, 1000)).toEqual([])
  expect([deadlines.next(), a.heapIndex]).toEqual([Infinity, -1])
})

describe('beside a plain list', () => {
  const step = fc.oneof(
    fc.record({ set: fc.nat(30), deadline: fc.oneof(fc.nat(1000), fc.constant(Infinity)) }),
    fc.record({ remove: fc.nat(30) }),
    fc.record({ advance: fc.nat(100) }),
  )

  test('the same items are due, whatever moves, and `next` is never too late', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const deadlines = new Deadlines<Item>()
        const all = items(31)
        let now = 0
        for (const step of steps) {
          if ('set' in step) {
            at(deadlines, all[step.set]!, now + step.deadline)
          } else if ('remove' in step) {
            const item = all[step.remove]!
            deadlines.remove(item)
            item.deadline = Infinity
          } else {
            now += step.advance
            const expected = all.filter((item) => item.deadline <= now)
            const popped = due(deadlines, now)
            expect(new Set(popped)).toEqual(new Set(expected))
            const times = popped.map((item) => item.deadline)
            expect(times).toEqual([...times].sort((a, b) => a - b))
            for (const item of popped) item.deadline = Infinity
          }
          expect(deadlines.next()).toBeLessThanOrEqual(Math.min(...all.map((i) => i.deadline)))
        }
      }),
    )
  })
})
