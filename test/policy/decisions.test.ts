/** Records on their way to a slow reader. */
import { expect, test } from 'vitest'
import { type Decided, DecisionQueue } from '../../src/policy/decisions.ts'

const denied = (more: Partial<Decided> = {}): Decided => ({
  kind: 'flow',
  verdict: 'deny',
  by: 'default',
  guest: '10.0.2.100',
  protocol: 'tcp',
  address: '192.0.2.1',
  port: 25,
  ...more,
})
const allowed = (port: number): Decided => ({ ...denied({ port }), verdict: 'allow', by: 'rule' })
const LIMITS = { allowed: 2, denied: 2 }

test('what is denied again and again is one record, with how often and since when', () => {
  const queue = new DecisionQueue()
  queue.decide(denied(), 100)
  queue.decide(denied({ port: 26 }), 110)
  queue.decide(denied(), 120)
  expect(queue.take()).toEqual([
    { ...denied(), time: 120, first: 100, count: 2 },
    { ...denied({ port: 26 }), time: 110, first: 110, count: 1 },
  ])
  expect([queue.isEmpty, queue.take()]).toEqual([true, []])
})

test('another container, rule, destination, or port is another thing', () => {
  const queue = new DecisionQueue()
  const others = [
    { guest: '10.0.2.101' },
    { rule: 'x' },
    { address: '192.0.2.2' },
    { port: 1 },
    { protocol: 'udp' as const },
  ]
  for (const other of [{}, ...others]) queue.decide(denied(other), 1)
  expect(queue.take()).toHaveLength(6)
})

test('there is one record of the things that there are too many of, and none is lost', () => {
  const queue = new DecisionQueue(LIMITS)
  for (let port = 1; port <= 10; port++) queue.decide(denied({ port }), port)
  queue.decide(denied({ port: 2 }), 50)
  const taken = queue.take()
  expect(taken.map(({ kind, count }) => [kind, count])).toEqual([
    ['flow', 1],
    ['flow', 2],
    ['others', 8],
  ])
  expect(taken[2]).toMatchObject({ first: 3, time: 10, verdict: 'deny' })
  expect(taken.reduce((sum, { count }) => sum + count, 0)).toBe(11)
})

test('what is allowed may be lost, and a record says how much', () => {
  const queue = new DecisionQueue(LIMITS)
  for (let port = 1; port <= 5; port++) queue.decide(allowed(port), port)
  expect(queue.take().map(({ kind, count, first, time }) => [kind, count, first, time])).toEqual([
    ['flow', 1, 1, 1],
    ['flow', 1, 2, 2],
    ['gap', 3, 3, 5],
  ])
})

test('what came out of one queue goes into another, and nothing is lost on the way', () => {
  const first = new DecisionQueue(LIMITS)
  const second = new DecisionQueue(LIMITS)
  let sum = 0
  for (let round = 0; round < 5; round++) {
    for (let port = 1; port <= 6; port++) {
      first.decide(port % 2 ? denied({ port }) : allowed(port), 10 * round + port)
      sum++
    }
    for (const decision of first.take()) second.add(decision)
  }
  const taken = second.take()
  expect(taken.reduce((total, { count }) => total + count, 0)).toBe(sum)
  expect(taken.length).toBeLessThanOrEqual(LIMITS.allowed + LIMITS.denied + 2)
})
