/** What hooks may return and throw, and what allow() and deny() take. */
import { expect, test } from 'vitest'
import type { HookVerdict } from '../../src/egress/hooks.ts'
import type { EgressUser } from '../../src/engine/worker-network.ts'
import { allow, deny } from '../../src/index.ts'
import { Deciding } from '../../src/library/deciding.ts'

const FLOW = { kind: 'flow', guest: '10.0.2.100', protocol: 'tcp', port: 443 } as const

/** What is answered to the question of a hook that does this, and the warnings that there were. */
async function answerOf(
  hook: () => unknown,
): Promise<{ verdict: HookVerdict; warnings: string[] }> {
  const warnings: string[] = []
  let answer!: (verdict: HookVerdict) => void
  const answered = new Promise<HookVerdict>((resolve) => {
    answer = resolve
  })
  const engine = {
    egress: undefined as EgressUser | undefined,
    closed: new Promise<never>(() => {}),
    answerHook: (_: number, verdict: HookVerdict) => answer(verdict),
    tell: (happening: { kind: string; warning?: { message: string } }) =>
      void warnings.push(`${happening.warning?.message}`),
    takeDecisions() {},
    recordDecisions() {},
  }
  new Deciding(engine, { onFlow: hook as never })
  engine.egress!.asked({ id: 1, ...FLOW })
  return { verdict: await answered, warnings }
}

test('of a verdict no more goes on than what it is', async () => {
  const { verdict, warnings } = await answerOf(() => ({
    ...allow({ for: 7, why: 'so' }),
    by: () => {},
  }))
  expect(structuredClone(verdict)).toEqual({ action: 'allow', for: 7, why: 'so' })
  expect(warnings).toEqual([])
  expect((await answerOf(() => ({ ...deny(), why: Symbol('so') }))).verdict).toEqual(deny())
})

test.each([
  ['nothing', undefined],
  ['null', null],
  ['a text', 'allow'],
  ['another action', { action: 'permit', for: 'flow' }],
  ['no time', { action: 'allow' }],
  ['a time in a text', { action: 'allow', for: '1000' }],
  ['a function for a time', { action: 'allow', for: () => {} }],
])('a hook that returns %s denies, and that is told', async (_, returned) => {
  const { verdict, warnings } = await answerOf(() => returned)
  const why = 'onFlow has failed: it must return what allow() or deny() gives'
  expect(verdict).toEqual({ action: 'deny', for: 'flow', why })
  expect(warnings).toEqual([why])
})

test.each([
  ['an error', new Error('broken'), 'broken'],
  ['a text', 'broken', 'broken'],
  ['a symbol', Symbol('broken'), 'Symbol(broken)'],
  ['nothing', undefined, 'undefined'],
  ['what has no text', Object.create(null), 'with something that has no text'],
  ['an error whose message is a symbol', { message: Symbol('m') }, 'Symbol(m)'],
])('a hook that throws %s denies, and that is told', async (_, thrown, text) => {
  const { verdict, warnings } = await answerOf(() => {
    throw thrown
  })
  const why = `onFlow has failed: ${text}`
  expect(verdict).toEqual({ action: 'deny', for: 'flow', why })
  expect(warnings).toEqual([why])
})

test.each([
  ['a text', 'session', TypeError, 'options must be an object'],
  ['null', null, TypeError, 'options must be an object'],
  ['an array', [], TypeError, 'options must be an object'],
  ['a name that is misspelt', { fro: 'session' }, TypeError, 'options.fro is not known'],
  ['a number in a text', { for: '1000' }, TypeError, "options.for must be 'flow', 'session' or"],
  ['an array for a time', { for: [] }, TypeError, 'options.for'],
  ['true for a time', { for: true }, TypeError, 'options.for'],
  ['null for a time', { for: null }, TypeError, 'options.for'],
  ['a date', { for: new Date() }, TypeError, 'options.for'],
  ['less than nothing', { for: -1 }, RangeError, 'options.for'],
  ['no number', { for: Number.NaN }, RangeError, 'options.for'],
  ['a symbol for a reason', { why: Symbol('so') }, TypeError, 'options.why must be a string'],
])('allow and deny refuse %s', (_, given, kind, message) => {
  for (const make of [allow, deny]) {
    let error: unknown
    try {
      make(given as never)
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(kind)
    expect(error).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message),
    })
  }
})

test('and take what they are for', () => {
  expect(allow()).toEqual({ action: 'allow', for: 'flow' })
  expect(deny({ for: 'session', why: 'so' })).toEqual({ action: 'deny', for: 'session', why: 'so' })
  expect(allow({ for: 0, why: undefined })).toEqual({ action: 'allow', for: 0 })
})
