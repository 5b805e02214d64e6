/** The data plane's event loop: handlers that are called later. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Handler, Reactor } from '../../src/nat/reactor.ts'

let reactor: Reactor
const called: string[] = []

beforeEach(() => {
  reactor = new Reactor()
  called.length = 0
})

afterEach(() => reactor.close())

/** One that is registered, as far as the reactor sees. */
const handler = (name: string): Handler => ({
  token: 0,
  isPending: false,
  ready: (events) => void called.push(`${name} ${events}`),
})

/** A turn that is not to sleep longer than it must; what it called, and how long it has slept. */
function turn(longest = 10_000): { slept: number; of: string[] } {
  const before = performance.now()
  reactor.turn(before + longest)
  return { slept: performance.now() - before, of: called.splice(0) }
}

test('a turn ends when the first of those that wait is due, and calls no other', () => {
  reactor.later(handler('late'), 60_000)
  reactor.later(handler('soon'), 5)
  reactor.later(handler('later'), 50_000)
  const { slept, of } = turn()
  expect(of).toEqual(['soon 0'])
  expect(slept).toBeLessThan(10_000)
  expect(turn(0).of).toEqual([])
})

test('of two times of one handler the earlier counts, and it is called once', () => {
  const both = handler('both')
  reactor.later(both, 60_000)
  reactor.later(both, 5)
  reactor.later(both, 40_000)
  expect(turn().of).toEqual(['both 0'])
  expect(turn(0).of).toEqual([])
  reactor.later(both, 5)
  expect(turn().of).toEqual(['both 0'])
})

test('who was removed meanwhile is neither called nor waited for', () => {
  const gone = handler('gone')
  reactor.later(gone, 5)
  reactor.remove(gone)
  reactor.later(handler('other'), 10)
  expect(turn().of).toEqual(['other 0'])
})

test('thousands are called in one turn when all are due', () => {
  const count = 10_000
  for (let i = 0; i < count; i++) reactor.later(handler(`${i}`), 1)
  expect(turn().of.length).toBe(count)
})
