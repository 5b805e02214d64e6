/** Rules that those before them cover, together: and only those. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Surroundings } from '../../src/policy/addresses.ts'
import { Decider } from '../../src/policy/decider.ts'
import { definePolicy, type PolicyError } from '../../src/policy/define.ts'
import type { Policy, Protocol, Rule, RuleInput } from '../../src/policy/policy.ts'
import { findShadowed } from '../../src/policy/shadow.ts'
import * as address from '../../src/stack/wire/address.ts'

const allow = (rule: Omit<RuleInput, 'action'>): RuleInput => ({ action: 'allow', ...rule })
const deny = (rule: Omit<RuleInput, 'action'>): RuleInput => ({ action: 'deny', ...rule })

function shadowedOf(rules: readonly RuleInput[]): string[] {
  try {
    definePolicy({ rules })
    return []
  } catch (error) {
    return (error as PolicyError).problems.map(({ path }) => path)
  }
}

describe('is covered:', () => {
  test.each<[string, RuleInput[]]>([
    ['the same once more', [allow({ name: 'a.example', id: '1' }), allow({ name: 'a.example' })]],
    [
      'a name under a wider one',
      [allow({ name: '*.example', wide: true }), deny({ name: 'a.example', protocol: 'tcp' })],
    ],
    [
      'a pattern under a wider one',
      [allow({ name: '*.b.example' }), allow({ name: '*.a.b.example' })],
    ],
    [
      'each name of a list by another rule',
      [
        allow({ name: 'a.example' }),
        allow({ name: 'b.example' }),
        allow({ name: ['a.example', 'b.example'] }),
      ],
    ],
    [
      'ports by two ranges',
      [allow({ port: '1-1000' }), allow({ port: '900-65535' }), allow({ port: '800-2000' })],
    ],
    [
      'a prefix by its halves',
      [deny({ to: '10.0.0.0/9' }), deny({ to: '10.128.0.0/9' }), allow({ to: '10.0.0.0/8' })],
    ],
    [
      'all by both families',
      [allow({ to: ['0.0.0.0/0', 'host'] }), allow({ to: '::/0' }), deny({ protocol: 'tcp' })],
    ],
    ['a name by a rule about all', [deny({}), allow({ name: 'a.example' })]],
    [
      'a name with addresses by those addresses',
      [deny({ to: '10.0.0.0/8' }), allow({ name: 'a.example', to: '10.1.0.0/16' })],
    ],
    [
      'all protocols one by one',
      [allow({}), allow({ protocol: 'udp' }), allow({ protocol: 'icmp' }), deny({})],
    ],
    ['private addresses by the blocks', [deny({ to: 'private' }), allow({ to: '192.168.1.0/24' })]],
    ['loopback by the host', [deny({ to: 'host' }), allow({ to: '127.0.0.1' })]],
    [
      'an open name by an open one',
      [allow({ name: 'a.example', private: true }), allow({ name: 'a.example', check: 'none' })],
    ],
  ])('%s', (_, rules) => {
    expect(shadowedOf(rules)).toEqual([`rules[${rules.length - 1}]`])
  })
})

describe('is not covered:', () => {
  test.each<[string, RuleInput[]]>([
    ['a wider name', [deny({ name: 'a.example' }), allow({ name: ['a.example', 'b.example'] })]],
    ['the base of a pattern', [deny({ name: '*.b.example' }), allow({ name: 'b.example' })]],
    [
      'a pattern by names under it',
      [deny({ name: 'x.b.example' }), allow({ name: '*.b.example' })],
    ],
    ['ports that overlap', [allow({ port: '1-1000' }), allow({ port: '1000-1001' })]],
    ['a prefix of which a half is', [deny({ to: '10.0.0.0/9' }), allow({ to: '10.0.0.0/8' })]],
    ['another protocol', [allow({}), allow({ protocol: 'udp' })]],
    ['all by all IPv6', [deny({ to: '::/0' }), allow({})]],
    ['the host by its loopback', [deny({ to: '127.0.0.0/8' }), allow({ to: 'host' })]],
    [
      'a prefix by the host, which may have another address',
      [deny({ to: 'host' }), allow({ to: '192.0.2.0/24' })],
    ],
    [
      'an open name by one that is not',
      [allow({ name: 'a.example' }), allow({ name: 'a.example', private: true })],
    ],
    [
      'private addresses of a name by that name',
      [allow({ name: 'a.example' }), allow({ name: 'a.example', to: '10.0.0.0/8' })],
    ],
    ['addresses by a name', [allow({ name: 'a.example' }), allow({ to: '1.1.1.1' })]],
    [
      'the gateway, perhaps, by its prefix',
      [allow({ to: '10.0.0.0/8' }), allow({ to: '10.0.2.2' })],
    ],
    ['what is reachable in a private block', [deny({ to: 'private' }), allow({ to: '192.0.0.9' })]],
  ])('%s', (_, rules) => {
    expect(shadowedOf(rules)).toEqual([])
  })
})

test('the message says by what', () => {
  const rules = [
    allow({ port: '1-500', id: 'low' }),
    allow({ port: 7000, id: 'far' }),
    allow({ port: '501-999', id: 'high' }),
    allow({ port: 443 }),
  ]
  expect(() =>
    definePolicy({ rules: [rules[0]!, rules[1]!, rules[2]!, allow({ port: '400-600' })] }),
  ).toThrow('rules[3] can never match: all of it is covered by "low", "high" before it')
})

/** The slow twin: a rule is shadowed when no flow of a fine grid has it as its first match. */
test('a rule that decides something is not shadowed, and one that is shadowed decides nothing', () => {
  const NAMES = ['a.x', 'b.a.x', 'c.b.a.x', 'y', 'z.y']
  const ADDRESSES = [
    '1.1.1.1',
    '1.1.1.2',
    '10.0.0.1',
    '10.0.0.2',
    '127.0.0.1',
    '9.9.9.9',
    '2606::1',
    'fd00::1',
  ]
  const surroundings = new Surroundings()
  surroundings.setHostAddresses(['9.9.9.9'], ['10.0.0.2'])
  const rule = fc.record({
    action: fc.constantFrom<'allow' | 'deny'>('allow', 'deny'),
    name: fc.option(fc.subarray(['a.x', '*.a.x', '*.b.a.x', '*.y'], { minLength: 1 }), {
      nil: undefined,
    }),
    to: fc.option(
      fc.subarray(
        ['0.0.0.0/0', '1.1.1.0/24', '1.1.1.1', 'host', 'private', '::/0', '10.0.0.0/8', '10.0.0.2'],
        {
          minLength: 1,
        },
      ),
      { nil: undefined },
    ),
    port: fc.option(fc.subarray([5, '1-9', '9-65535'], { minLength: 1 }), { nil: undefined }),
    protocol: fc.constantFrom<Protocol | 'any'>('tcp', 'udp', 'any'),
    private: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(rule, { minLength: 2, maxLength: 5 }), (given) => {
      const rules = given.map((each, i): Rule => {
        const { name, to, port, ...rest } = each
        const isOpen = each.private && name !== undefined && each.action === 'allow'
        return {
          ...rest,
          id: `${i}`,
          sni: 'required',
          ech: 'allow',
          wide: true,
          private: isOpen,
          ...(name && { name }),
          ...(to && { to }),
          ...(port && { port }),
        }
      })
      const policy = { rules, default: 'deny' } as unknown as Policy
      const decider = new Decider(policy)
      const decides = new Set<string>()
      for (const text of ADDRESSES) {
        const words = new Int32Array(4)
        address.parse(text, words)
        const judged = surroundings.judge(words)
        for (const protocol of ['tcp', 'udp', 'icmp'] as const) {
          for (const port of protocol === 'icmp' ? [0] : [1, 5, 9, 10, 65535]) {
            for (const name of [undefined, ...NAMES]) {
              const found = decider.match({ protocol, port, address: judged }, name)
              if (found !== undefined) decides.add(found.rule.id)
            }
          }
        }
      }
      for (const { index } of findShadowed(rules)) expect(decides).not.toContain(`${index}`)
      // A rule that is not shadowed decides some flow, though perhaps none of this grid: all of what these are about is in it
      // but for addresses that are rarely the only ones left.
      const shadowed = new Set(findShadowed(rules).map(({ index }) => `${index}`))
      for (const id of decides) expect(shadowed).not.toContain(id)
    }),
    { numRuns: 1000 },
  )
})

test('a thousand rules of each kind are judged', () => {
  const names = Array.from({ length: 1000 }, (_, i) => allow({ name: `host${i}.example.com` }))
  const prefixes = Array.from({ length: 1000 }, (_, i) =>
    allow({ to: `198.${i >> 8}.${i & 255}.0/24` }),
  )
  expect(definePolicy({ rules: [...names, ...prefixes] }).rules).toHaveLength(2000)
})
