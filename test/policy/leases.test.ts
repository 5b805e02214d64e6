/** Leases: how long they hold, and how many there are. */
import { describe, expect, test } from 'vitest'
import { definePolicy } from '../../src/policy/define.ts'
import { Leases } from '../../src/policy/leases.ts'
import { QuestionLimits } from '../../src/policy/question-limits.ts'

const LIMITS = { leases: 3, aliases: 2, guests: 2 }

test('a lease holds until its time, and as long as a flow uses it', () => {
  const leases = new Leases()
  leases.grant(1, 'a', 7, 0, 100)
  const lease = leases.use(1, 'a', 7)!
  expect(leases.namesOf(1, 7, 500)).toEqual(['a'])
  expect(leases.has(1, 'a', 7, 500)).toBe(true)
  lease.uses--
  expect(leases.namesOf(1, 7, 500)).toEqual([])
  expect(leases.has(1, 'a', 7, 500)).toBe(false)
  expect(leases.use(1, 'b', 7)).toBeUndefined()
})

test('a shorter answer does not cut it short', () => {
  const leases = new Leases()
  leases.grant(1, 'a', 7, 0, 100)
  leases.grant(1, 'a', 7, 10, 50)
  expect(leases.has(1, 'a', 7, 99)).toBe(true)
})

test('an address may be leased to several names, and IPv4 is not the text of its number', () => {
  const leases = new Leases()
  leases.grant(1, 'a', 7, 0, 100)
  leases.grant(1, 'b', 7, 0, 200)
  leases.grant(1, 'c', '7', 0, 100)
  expect(leases.namesOf(1, 7, 50)).toEqual(['b', 'a'])
  expect(leases.namesOf(1, 7, 150)).toEqual(['b'])
  expect(leases.namesOf(1, '7', 50)).toEqual(['c'])
})

describe('when there are too many', () => {
  test('the one that was granted longest ago and is not used makes room, and is counted', () => {
    const leases = new Leases(LIMITS)
    for (const address of [1, 2, 3]) leases.grant(1, 'a', address, 0, 100)
    const used = leases.use(1, 'a', 1)!
    leases.grant(1, 'a', 2, 10, 110)
    expect(leases.grant(1, 'a', 4, 20, 120)).toBe(true)
    expect([1, 2, 3, 4].map((address) => leases.has(1, 'a', address, 30))).toEqual([
      true,
      true,
      false,
      true,
    ])
    expect(leases.evicted).toBe(1)
    used.uses--
    leases.grant(1, 'a', 5, 30, 130)
    leases.grant(1, 'a', 6, 30, 130)
    expect([1, 2, 4, 5, 6].filter((address) => leases.has(1, 'a', address, 30))).toHaveLength(3)
  })

  test('and all are used there is no other', () => {
    const leases = new Leases(LIMITS)
    for (const address of [1, 2, 3]) {
      leases.grant(1, 'a', address, 0, 100)
      leases.use(1, 'a', address)
    }
    expect(leases.grant(1, 'a', 4, 0, 100)).toBe(false)
    expect([1, 2, 3, 4].map((address) => leases.has(1, 'a', address, 1))).toEqual([
      true,
      true,
      true,
      false,
    ])
  })

  test('the container that asked longest ago is forgotten, unless it uses one', () => {
    const leases = new Leases(LIMITS)
    leases.grant(1, 'a', 1, 0, 100)
    leases.grant(2, 'a', 1, 0, 100)
    leases.use(1, 'a', 1)
    leases.grant(3, 'a', 1, 0, 100)
    expect([1, 2, 3].map((guest) => leases.has(guest, 'a', 1, 1))).toEqual([true, false, true])
  })

  test('the oldest name on the way is forgotten', () => {
    const leases = new Leases(LIMITS)
    for (const name of ['x', 'y', 'z']) leases.alias(1, name, 'a', 100)
    expect(['x', 'y', 'z'].map((name) => leases.originOf(1, name, 1))).toEqual([
      undefined,
      'a',
      'a',
    ])
  })
})

describe('names under a *', () => {
  const policy = definePolicy({
    rules: [{ action: 'allow', name: ['a.example', '*.b.example', '*.c.b.example'] }],
    dns: { maxLabel: 10, maxNames: 3 },
  })
  const rule = policy.rules[0]!
  const check = (limits: QuestionLimits, name: string, now = 0, guest = 1): string | undefined =>
    limits.check(policy, guest, rule, name, now)

  test('have no long labels', () => {
    const limits = new QuestionLimits()
    expect(check(limits, 'aaaaaaaaaa.b.example')).toBeUndefined()
    expect(check(limits, 'aaaaaaaaaaa.b.example')).toBe('a label is too long')
    expect(check(limits, 'aaaaaaaaaaa.x.c.b.example')).toBe('a label is too long')
  })

  test('are few in a minute, those that are known not counted', () => {
    const limits = new QuestionLimits()
    for (const name of ['x', 'y', 'z', 'x', 'y']) {
      expect(check(limits, `${name}.b.example`)).toBeUndefined()
    }
    expect(check(limits, 'w.b.example')).toBe('too many names in a minute')
    expect(check(limits, 'x.b.example')).toBeUndefined()
    expect(check(limits, 'w.c.b.example')).toBeUndefined()
    expect(check(limits, 'w.b.example', 0, 2)).toBeUndefined()
    expect(check(limits, 'w.b.example', 60_000)).toBeUndefined()
  })

  test('are not those that are spelt out', () => {
    const limits = new QuestionLimits()
    for (let i = 0; i < 10; i++) expect(check(limits, 'a.example')).toBeUndefined()
  })

  test('are few as well for a container that has many Ethernet addresses', () => {
    const limits = new QuestionLimits()
    let allowed = 0
    for (let guest = 1; guest <= 100; guest++) {
      for (let i = 0; i < 60; i++) {
        if (check(limits, `n${i}-${guest}.b.example`, 0, guest) === undefined) allowed++
      }
    }
    expect(allowed).toBe(4 * 3)
    expect(check(limits, 'n0-1.b.example', 0, 1)).toBeUndefined()
    // A name that another one knows is nothing new.
    expect(check(limits, 'n0-1.b.example', 0, 99)).toBeUndefined()
    expect(check(limits, 'new.b.example', 60_000, 1)).toBeUndefined()
  })
})
