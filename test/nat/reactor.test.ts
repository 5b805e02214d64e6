/** The data plane's event loop: handlers that are called later. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Handler, Reactor } from '../../src/nat/reactor.ts'
import { Epoll } from '../../src/sys/epoll.ts'

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

describe('after a short wait', () => {
  /** ms by a clock that is looked at: each look takes 10 µs. */
  let clock = 0
  /** For how long each look at the descriptors would have slept. */
  let sleeps: number[] = []

  beforeEach(() => {
    clock = 1_000
    sleeps = []
    vi.spyOn(performance, 'now').mockImplementation(() => (clock += 0.01))
  })
  afterEach(() => vi.restoreAllMocks())

  /** One turn of up to a second, in which an event comes at `after` ms, or when something sleeps. */
  function wait(after: number): void {
    const at = clock + after
    vi.spyOn(Epoll.prototype, 'wait').mockImplementation((timeout) => {
      sleeps.push(timeout)
      if (timeout > 0) clock = Math.max(clock, at)
      return clock >= at ? 1 : 0
    })
    vi.spyOn(Epoll.prototype, 'token').mockReturnValue(0xffffffff) // nobody's
    reactor.turn(clock + 1_000)
  }

  test('the next event is looked for awake', () => {
    wait(0.05)
    expect(sleeps).toHaveLength(1)
    sleeps = []
    wait(0.05)
    expect(sleeps.length).toBeGreaterThan(2)
    expect(new Set(sleeps)).toEqual(new Set([0]))
  })

  test('but not for long, and not again after a long one', () => {
    wait(0.05)
    sleeps = []
    wait(500)
    expect(sleeps.length).toBeLessThan(14) // 100 µs, and the sleep
    expect(sleeps.slice(0, -1).every((timeout) => timeout === 0)).toBe(true)
    expect(sleeps.at(-1)).toBeGreaterThan(900)
    sleeps = []
    wait(0.05)
    expect(sleeps).toHaveLength(1)
    expect(sleeps[0]).toBeGreaterThan(900)
  })

  test('that brought nothing, one sleeps', () => {
    vi.spyOn(Epoll.prototype, 'wait').mockReturnValue(0)
    reactor.turn(clock)
    sleeps = []
    wait(0.05)
    expect(sleeps).toHaveLength(1)
    expect(sleeps[0]).toBeGreaterThan(900)
  })

  test('nobody is kept from a processor that much is carried by, until there is less', () => {
    wait(0.05)
    reactor.carried(16 * 1024)
    sleeps = []
    wait(0.05)
    expect(sleeps.length).toBeGreaterThan(2)
    reactor.carried(16 * 1024 + 1)
    sleeps = []
    wait(0.05)
    expect(sleeps).toHaveLength(1)
    clock += 20
    sleeps = []
    wait(0.05)
    expect(sleeps.length).toBeGreaterThan(2)
  })

  test('who goes on from the list is not waited for', () => {
    wait(0.05)
    sleeps = []
    reactor.again(handler('more'))
    wait(500)
    expect(sleeps).toEqual([0])
    expect(called).toEqual(['more 0'])
  })
})
