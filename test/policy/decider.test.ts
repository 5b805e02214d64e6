/** Rules asked about flows and names: the first that matches decides. */
import { describe, expect, test } from 'vitest'
import { Surroundings } from '../../src/policy/addresses.ts'
import { Decider, type Destination } from '../../src/policy/decider.ts'
import { definePolicy } from '../../src/policy/define.ts'
import type { PolicyInput, Protocol, RuleInput } from '../../src/policy/policy.ts'
import * as address from '../../src/stack/wire/address.ts'

const surroundings = new Surroundings()
surroundings.setHostAddresses(['10.0.2.2'])

const allow = (rule: Omit<RuleInput, 'action'>): RuleInput => ({ action: 'allow', ...rule })
const deny = (rule: Omit<RuleInput, 'action'>): RuleInput => ({ action: 'deny', ...rule })
const decider = (rules: RuleInput[], more: PolicyInput = {}): Decider =>
  new Decider(definePolicy({ rules, ...more }))

function to(text: string, port: number, protocol: Protocol = 'tcp'): Destination {
  const words = new Int32Array(4)
  if (!address.parse(text, words)) throw new TypeError(text)
  return { protocol, port, address: surroundings.judge(words) }
}

/** `allow a.example by 1, tls`, or `deny by default`. */
function admitted(of: Decider, where: Destination, names: string[] = []): string {
  const { action, rule, name, check } = of.admit(where, names)
  const by = rule === undefined ? 'default' : rule.id
  return `${action}${name === undefined ? '' : ` ${name}`} by ${by}${check === 'none' ? '' : `, ${check}`}`
}

describe('a flow', () => {
  const rules = [
    deny({ id: 'bad', name: 'bad.example.com' }),
    allow({ id: 'web', name: '*.example.com', port: [80, 443] }),
    allow({ id: 'ssh', name: 'git.example.com', port: 22 }),
    deny({ id: 'lab', to: '198.35.0.0/16' }),
    allow({ id: 'net', to: '198.0.0.0/8', port: '1000-2000' }),
    allow({ id: 'dns', to: '9.9.9.9', port: 53, protocol: 'any' }),
    allow({ id: 'ping', to: '9.9.9.0/24', protocol: 'icmp' }),
  ]
  const policy = decider(rules)

  test.each<[string, number, string[], string]>([
    ['1.1.1.1', 443, ['www.example.com'], 'allow www.example.com by web, tls'],
    ['1.1.1.1', 80, ['www.example.com'], 'allow www.example.com by web, http'],
    ['1.1.1.1', 22, ['git.example.com'], 'allow git.example.com by ssh'],
    ['1.1.1.1', 443, ['git.example.com', 'a.example.com'], 'allow git.example.com by web, tls'],
    ['1.1.1.1', 22, ['www.example.com'], 'deny by default'],
    ['1.1.1.1', 443, ['example.com'], 'deny by default'],
    ['1.1.1.1', 443, [], 'deny by default'],
    ['1.1.1.1', 443, ['bad.example.com'], 'deny by bad'],
    ['10.1.1.1', 443, ['www.example.com'], 'deny by default'],
    ['127.0.0.1', 443, ['www.example.com'], 'deny by default'],
    ['198.35.1.1', 1500, [], 'deny by lab'],
    ['198.36.1.1', 1500, [], 'allow by net'],
    ['198.36.1.1', 999, [], 'deny by default'],
    ['198.36.1.1', 0, [], 'deny by default'],
    ['9.9.9.9', 53, [], 'allow by dns'],
  ])('to %s port %i with leases of %j: %4$s', (where, port, names, expected) => {
    expect(admitted(policy, to(where, port), names)).toBe(expected)
  })

  test('is of the protocol that a rule is about', () => {
    expect(admitted(policy, to('9.9.9.9', 53, 'udp'))).toBe('allow by dns')
    expect(admitted(policy, to('9.9.9.9', 0, 'icmp'))).toBe('allow by ping')
    expect(admitted(policy, to('9.9.9.10', 0, 'icmp'))).toBe('allow by ping')
    expect(admitted(policy, to('198.36.1.1', 1500, 'udp'))).toBe('deny by default')
  })

  test('that a rule without a check allows is not checked, whatever else its address is for', () => {
    const both = decider([
      allow({ id: 'tls', name: 'a.example' }),
      allow({ id: 'raw', name: 'b.example', check: 'none' }),
    ])
    expect(admitted(both, to('1.1.1.1', 443), ['a.example', 'b.example'])).toBe(
      'allow b.example by raw',
    )
  })

  test('is denied by an address before any name', () => {
    const guarded = decider([deny({ id: 'no', to: '1.0.0.0/8' }), allow({ name: 'a.example' })])
    expect(admitted(guarded, to('1.1.1.1', 22), ['a.example'])).toBe('deny by no')
    expect(admitted(guarded, to('2.1.1.1', 22), ['a.example'])).toMatch(/^allow/)
  })

  test('that no rule is about is allowed where that is the default', () => {
    const open = decider([deny({ id: 'host', to: 'host' })], { default: 'allow' })
    expect(admitted(open, to('1.1.1.1', 25))).toBe('allow by default')
    expect(admitted(open, to('10.0.2.2', 25))).toBe('deny by host')
    expect(admitted(open, to('10.0.2.2', 0, 'icmp'))).toBe('deny by host')
    expect(admitted(open, to('::ffff:127.0.0.1', 25))).toBe('deny by host')
  })
})

describe('a flow to where a denied name leads', () => {
  const EVIL = deny({ id: 'evil', name: 'evil.example', port: '1-1000' })
  const OPEN = allow({ id: 'open', to: '0.0.0.0/0', protocol: 'any' })
  const policies: [string, Decider, string][] = [
    ['the default', decider([EVIL], { default: 'allow' }), 'allow by default'],
    ['a rule about addresses', decider([EVIL, OPEN]), 'allow by open'],
  ]
  describe.each(policies)('that %s would allow', (_, policy, open) => {
    test.each<[string, string[], string]>([
      ['is denied', ['evil.example'], 'deny by evil'],
      ['is allowed for who has not asked for it', [], open],
    ])('%s', (_, names, expected) => {
      expect(admitted(policy, to('1.1.1.1', 443), names)).toBe(expected)
    })

    test('is for another name at that address where it says so', () => {
      const where = to('1.1.1.1', 443)
      const admission = policy.admit(where, ['evil.example', 'good.example'])
      expect(admission).toMatchObject({ action: 'allow', name: 'good.example', check: 'tls' })
      const says = (name: string): string => policy.admitName(where, admission, name).action
      expect([says('good.example'), says('third.example'), says('evil.example')]).toEqual([
        'allow',
        'allow',
        'deny',
      ])
      expect(admitted(policy, to('1.1.1.1', 22), ['evil.example', 'good.example'])).toBe(
        'deny by evil',
      )
      expect(admitted(policy, to('1.1.1.1', 443, 'udp'), ['evil.example', 'good.example'])).toBe(
        'deny by evil',
      )
    })

    test('is allowed at ports that the rule is not about', () => {
      expect(admitted(policy, to('1.1.1.1', 2000), ['evil.example'])).toMatch(
        /^allow evil\.example by/,
      )
    })
  })

  test('is allowed by a rule about addresses before that', () => {
    const policy = decider([allow({ id: 'net', to: '1.0.0.0/8' }), EVIL])
    expect(admitted(policy, to('1.1.1.1', 443), ['evil.example'])).toBe('allow evil.example by net')
  })
})

describe('where the default is allow, a rule that allows a name', () => {
  const policy = decider([allow({ id: 'a', name: 'a.example' }), deny({ to: '2.0.0.0/8' })], {
    default: 'allow',
  })
  test('leaves its neighbours alone', () => {
    const where = to('1.1.1.1', 443)
    const admission = policy.admit(where, ['a.example'])
    expect(policy.admitName(where, admission, 'c.example').action).toBe('allow')
    expect(policy.admitName(where, admission, 'a.example').rule?.id).toBe('a')
    expect(admitted(policy, where, ['a.example', 'c.example'])).toBe('allow c.example by default')
  })

  test('opens no address for them that another denies', () => {
    const where = to('2.1.1.1', 443)
    const admission = policy.admit(where, ['a.example', 'c.example'])
    expect(admission.action).toBe('allow')
    expect(policy.admitName(where, admission, 'c.example').action).toBe('deny')
    expect(policy.admitName(where, admission, 'a.example').action).toBe('allow')
  })
})

describe('the name that a flow says', () => {
  const policy = decider([
    deny({ id: 'bad', name: 'bad.example.com' }),
    allow({ id: 'web', name: '*.example.com', port: 443 }),
    allow({ id: 'other', name: 'other.test', port: 443 }),
    allow({ id: 'ssh', name: 'ssh.test', port: 22 }),
  ])
  const where = to('1.1.1.1', 443)
  const admission = policy.admit(where, ['www.example.com'])

  test.each([
    ['www.example.com', 'allow by web'],
    ['api.example.com', 'allow by web'],
    ['bad.example.com', 'deny by bad'],
    ['other.test', 'deny by default'],
    ['example.com', 'deny by default'],
    ['evil.test', 'deny by default'],
  ])('%s: %s', (name, expected) => {
    const { action, rule, name: of } = policy.admitName(where, admission, name)
    expect(`${action} by ${rule?.id ?? 'default'}`).toBe(expected)
    expect(of).toBe(name)
  })

  test('may be of each rule that the container has the address by', () => {
    const both = policy.admit(where, ['www.example.com', 'other.test'])
    expect(policy.admitName(where, both, 'other.test').rule?.id).toBe('other')
  })
})

describe('a question', () => {
  const policy = decider([
    deny({ id: 'smtp', name: '*.example.com', port: 25 }),
    deny({ id: 'bad', name: 'bad.example.com' }),
    allow({ id: 'all', name: '*.example.com', port: 443 }),
    allow({ id: 'net', to: '1.0.0.0/8' }),
  ])
  test.each([
    ['www.example.com', 'allow by all'],
    ['bad.example.com', 'deny by bad'],
    ['example.com', 'deny by default'],
    ['com', 'deny by default'],
    ['www.example.com.evil.test', 'deny by default'],
  ])('for %s: %s', (name, expected) => {
    const { action, rule } = policy.admitQuestion(name)
    expect(`${action} by ${rule?.id ?? 'default'}`).toBe(expected)
  })

  test('that no rule is about is allowed where that is the default', () => {
    const open = decider([deny({ name: 'a.example' })], { default: 'allow' })
    expect(open.admitQuestion('a.example').action).toBe('deny')
    expect(open.admitQuestion('b.example').action).toBe('allow')
  })
})

describe('an answer', () => {
  const policy = decider([
    allow({ name: 'a.example' }),
    allow({ name: 'lan.example', private: true }),
    allow({ name: 'db.example', to: '10.1.0.0/16', port: 5432 }),
    allow({ name: 'db.example', to: '10.2.0.0/16', port: 5432 }),
  ])
  test.each([
    ['a.example', '1.1.1.1', true],
    ['a.example', '10.0.0.1', false],
    ['a.example', '127.0.0.1', false],
    ['a.example', '64:ff9b::127.0.0.1', false],
    ['a.example', '169.254.169.254', false],
    ['lan.example', '10.0.0.1', true],
    ['lan.example', '10.0.2.2', true],
    ['db.example', '10.1.0.1', true],
    ['db.example', '10.2.0.1', true],
    ['db.example', '10.3.0.1', false],
    ['db.example', '1.1.1.1', false],
    ['none.example', '1.1.1.1', false],
  ])('for %s may be %s: %j', (name, where, expected) => {
    expect(policy.admitAnswer(name, to(where, 0).address)).toBe(expected)
  })

  test('for a name that no rule is about may be any where that is the default', () => {
    const open = decider([allow({ name: 'a.example' })], { default: 'allow' })
    expect(open.admitAnswer('b.example', to('10.0.0.1', 0).address)).toBe(true)
    expect(open.admitAnswer('a.example', to('10.0.0.1', 0).address)).toBe(false)
  })
})

test('UDP is for the names whose rules allow it unread', () => {
  const policy = decider([
    allow({ name: 'a.example', protocol: 'any' }),
    allow({ name: 'b.example', protocol: 'any', check: 'none' }),
    allow({ name: 'c.example' }),
  ])
  const names = ['a.example', 'b.example', 'c.example', 'd.example']
  expect(names.filter((name) => policy.admitsUdp(name, 443))).toEqual(['b.example'])
  expect(names.filter((name) => policy.admitsUdp(name, 4500))).toEqual(['a.example', 'b.example'])
  expect(decider([], { default: 'allow' }).admitsUdp('d.example', 443)).toBe(true)
})
