/** What a policy would say of a flow, in words. */
import { describe, expect, test } from 'vitest'
import { definePolicy } from '../../src/policy/define.ts'
import { type FlowInput, simulate } from '../../src/policy/simulate.ts'

const policy = definePolicy({
  rules: [
    { id: 'lan', action: 'deny', to: 'private', why: 'the office' },
    { id: 'npm', action: 'allow', name: 'registry.npmjs.org', port: 443, why: 'packages' },
    { id: 'git', action: 'allow', name: '*.github.com', port: [22, 443] },
    { id: 'old', action: 'allow', name: 'old.example', port: 443, sni: 'any' },
    { id: 'quic', action: 'allow', name: 'q.example', port: 443, protocol: 'any' },
    { id: 'net', action: 'allow', to: '9.9.9.0/24', port: 53, protocol: 'any' },
  ],
})

test.each<[FlowInput, string]>([
  [{ name: 'registry.npmjs.org', port: 443 }, 'allow npm: packages'],
  [{ name: 'Registry.NPMjs.org.', port: 443 }, 'allow npm: packages'],
  [{ name: 'registry.npmjs.org', port: 80 }, 'deny: no rule is about it, and the default denies'],
  [
    { name: 'registry.npmjs.org', port: 443, sni: 'evil.example' },
    'deny npm: it says the name evil.example',
  ],
  [{ name: 'registry.npmjs.org', port: 443, sni: false }, 'deny npm: it says no name'],
  [{ name: 'old.example', port: 443, sni: false }, 'allow old: it says no name'],
  [{ name: 'api.github.com', port: 22 }, 'allow git: the rule allows it'],
  [{ name: 'github.com', port: 22 }, 'deny: no rule has the name github.com'],
  [{ name: 'evil.example', port: 443 }, 'deny: no rule has the name evil.example'],
  [{ name: 'evil.example', address: '9.9.9.9', port: 53 }, 'allow net: the rule allows it'],
  [
    { name: 'registry.npmjs.org', address: '10.0.0.1', port: 443 },
    'deny lan: the address is taken out of answers for registry.npmjs.org, as it does not say "private"',
  ],
  [{ name: 'q.example', port: 443, protocol: 'udp' }, 'deny quic: no name is read from UDP'],
  [{ address: '1.1.1.1', port: 443 }, 'deny: no rule is about it, and the default denies'],
  [{ address: '192.168.1.1', port: 443 }, 'deny lan: the office'],
  [{ address: '::ffff:192.168.1.1', port: 443 }, 'deny lan: the office'],
  [{ address: '9.9.9.9', port: 53, protocol: 'udp' }, 'allow net: the rule allows it'],
  [{ address: '9.9.9.9', protocol: 'icmp' }, 'deny: no rule is about it, and the default denies'],
])('%j: %s', (flow, expected) => {
  const { verdict, rule, because } = simulate(policy, flow)
  expect(`${verdict}${rule === undefined ? '' : ` ${rule.id}`}: ${because}`).toBe(expected)
})

test('the rules before the one that decides are told, and why they do not', () => {
  const steps = simulate(policy, { address: '9.9.9.9', port: 53 }).steps
  expect(steps.map(({ rule, because }) => `${rule.id}: ${because}`)).toEqual([
    'lan: another address',
    'npm: another name',
    'git: another name',
    'old: another name',
    'quic: another name',
  ])
  const [, , git] = simulate(policy, { name: 'api.github.com', port: 80 }).steps
  expect(git?.because).toBe('another port')
})

test('a name that is denied is so before a rule about addresses, or the default, allows its address', () => {
  const evil = { action: 'deny', name: 'evil.example', port: 443 } as const
  const whole = { action: 'deny', name: 'evil.example' } as const
  const open = { action: 'allow', to: '0.0.0.0/0', protocol: 'any' } as const
  for (const policy of [
    definePolicy({ default: 'allow', rules: [evil] }),
    definePolicy({ default: 'allow', rules: [whole] }),
    definePolicy({ rules: [evil, open] }),
    definePolicy({ rules: [whole, open] }),
  ]) {
    for (const address of [undefined, '1.1.1.1']) {
      expect(simulate(policy, { name: 'evil.example', port: 443, address }).verdict).toBe('deny')
    }
    expect(simulate(policy, { address: '1.1.1.1', port: 443 }).verdict).toBe('allow')
  }
})

test("the host's own addresses are what the caller says", () => {
  const guarded = definePolicy({ default: 'allow', rules: [{ action: 'deny', to: 'host' }] })
  const flow = { address: '1.2.3.4', port: 80 }
  expect(simulate(guarded, flow).verdict).toBe('allow')
  expect(simulate(guarded, { ...flow, hostAddresses: ['1.2.3.4'] }).verdict).toBe('deny')
})

describe('what is no flow is an error:', () => {
  test.each<[FlowInput, string]>([
    [{ port: 80 }, 'cannot simulate a flow without a name and an address'],
    [{ name: 'a.example' }, 'cannot simulate a flow of tcp without a port from 0 to 65535'],
    [{ address: '1.2.3', port: 80 }, 'cannot simulate a flow to "1.2.3": it is no address'],
    [{ name: 'a..b', port: 80 }, 'cannot simulate "a..b": a label is empty'],
  ])('%j', (flow, message) => {
    expect(() => simulate(policy, flow)).toThrow(new TypeError(message))
  })
})
