/** Questions to the program: one about one thing, answers that last, and none that is waited for forever. */
import { beforeEach, describe, expect, test } from 'vitest'
import { type HookQuestion, Hooks, type HookVerdict } from '../../src/egress/hooks.ts'

const ALLOW: HookVerdict = { action: 'allow', for: 'flow' }
const ABOUT = { kind: 'flow', guest: '10.0.2.100', name: 'a.example' } as const

let asked: HookQuestion[]
let withdrawn: number[]
let hooks: Hooks
let heard: string[]

beforeEach(() => {
  asked = []
  withdrawn = []
  heard = []
  hooks = new Hooks(
    { flow: true, query: true, timeout: 1000 },
    (question) => asked.push(question),
    (id) => withdrawn.push(id),
  )
})

const waiter =
  (name: string) =>
  ({ action, why }: HookVerdict): void =>
    void heard.push(`${name} ${action}${why === undefined ? '' : `: ${why}`}`)
const ask = (key: string, now = 0, name?: string): string | undefined =>
  hooks.ask(key, ABOUT, now, name === undefined ? undefined : waiter(name))?.action

test('many wait for one answer', () => {
  expect([ask('x', 0, 'one'), ask('x', 1, 'two'), ask('y', 1, 'other')]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  expect(asked).toEqual([
    { id: 1, ...ABOUT },
    { id: 2, ...ABOUT },
  ])
  hooks.answer(1, ALLOW, 5)
  expect(heard).toEqual(['one allow', 'two allow'])
  hooks.answer(1, ALLOW, 6)
  expect(heard).toHaveLength(2)
})

describe('an answer', () => {
  test('for what waits is for that only', () => {
    ask('x', 0, 'one')
    hooks.answer(1, ALLOW, 5)
    expect(ask('x', 6, 'two')).toBeUndefined()
    expect(asked).toHaveLength(2)
  })

  test('for a time, or for good, is there for others', () => {
    ask('x', 0, 'one')
    hooks.answer(1, { action: 'deny', for: 100 }, 0)
    expect([ask('x', 99), ask('x', 100)]).toEqual(['deny', undefined])
    hooks.answer(2, { action: 'allow', for: 'session' }, 200)
    expect([ask('x', 1e12), ask('x', 1e12)]).toEqual(['allow', 'allow'])
    expect(asked).toHaveLength(2)
  })

  test('that nobody waits for any more serves the next one, once, within a minute', () => {
    const gone = waiter('gone')
    hooks.ask('x', ABOUT, 0, gone)
    hooks.leave('x', gone)
    hooks.answer(1, ALLOW, 10)
    expect([heard, ask('x', 60_009), ask('x', 60_010)]).toEqual([[], 'allow', undefined])
    hooks.answer(2, ALLOW, 60_020)
    expect(ask('x', 120_020)).toBeUndefined()
  })
})

test('what is not answered in time is denied, and withdrawn', () => {
  ask('x', 0, 'one')
  ask('y', 500, 'two')
  expect(hooks.deadline()).toBe(1000)
  hooks.timeout(999)
  expect(heard).toEqual([])
  hooks.timeout(1000)
  expect(heard).toEqual(['one deny: nobody answered in time'])
  expect(withdrawn).toEqual([1])
  expect(hooks.deadline()).toBe(1500)
  hooks.answer(1, ALLOW, 1001)
  expect(ask('x', 1002)).toBeUndefined()
})

test('there are so many questions, and more are denied', () => {
  for (let i = 0; i < 256; i++) expect(ask(`${i}`, 0, 'one')).toBeUndefined()
  expect(ask('more')).toBe('deny')
  expect(asked).toHaveLength(256)
  for (let i = 1; i < 256; i++) ask('7', 0, 'again')
  expect(ask('7', 0, 'too many')).toBe('deny')
  hooks.answer(8, ALLOW, 1)
  expect(heard).toHaveLength(256)
  expect(ask('more')).toBeUndefined()
})

test('at the end all are withdrawn', () => {
  ask('x', 0, 'one')
  ask('y', 0, 'two')
  hooks.destroy()
  expect([withdrawn, heard]).toEqual([[1, 2], []])
  hooks.answer(1, ALLOW, 1)
  expect(heard).toEqual([])
})

test('those who wait are few, all together, so that others have room', () => {
  hooks = new Hooks(
    { flow: true, query: true, timeout: 1000 },
    () => {},
    () => {},
    3,
  )
  const none = (): void => {}
  const first = waiter('first')
  hooks.ask('x', ABOUT, 0, first)
  hooks.ask('x', ABOUT, 0, none)
  hooks.ask('y', ABOUT, 0, none)
  const ask = (key: string) => hooks.ask(key, ABOUT, 0, waiter('more'))?.why
  expect(ask('y')).toBe('too many questions wait for an answer')
  hooks.leave('x', first)
  expect([ask('y'), ask('y')]).toEqual([undefined, 'too many questions wait for an answer'])
  hooks.answer(1, ALLOW, 1)
  expect(ask('y')).toBeUndefined()
})
