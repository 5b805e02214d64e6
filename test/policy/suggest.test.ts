/** Rules for what was denied: a policy that has them denies it no more. */
import { expect, test } from 'vitest'
import type { Decision } from '../../src/policy/decisions.ts'
import { definePolicy } from '../../src/policy/define.ts'
import { simulate } from '../../src/policy/simulate.ts'
import { suggestRules } from '../../src/policy/suggest.ts'

const denied = (more: Partial<Decision>): Decision => ({
  kind: 'flow',
  verdict: 'deny',
  by: 'default',
  time: 1,
  first: 1,
  count: 1,
  protocol: 'tcp',
  ...more,
})

const SEEN: Decision[] = [
  denied({ kind: 'question', name: 'never.example', type: 'A' }),
  denied({ address: '192.0.2.1', port: 25 }),
  denied({ address: '192.0.2.1', port: 443, name: 'a.example' }),
  denied({ address: '192.0.2.2', port: 80, name: 'a.example' }),
  denied({ address: '192.0.2.2', port: 443, name: 'a.example', said: 'b.example', by: 'check' }),
  denied({ address: '9.9.9.9', port: 53, protocol: 'udp' }),
  denied({ address: '1.1.1.1', port: 443, protocol: 'udp', name: 'q.example' }),
  denied({ address: '9.9.9.9', protocol: 'icmp' }),
  denied({ kind: 'answer', by: 'rebinding', name: 'lan.example', addresses: ['10.0.0.1'] }),
  denied({ address: '10.0.0.1', port: 22, name: 'lan.example' }),
  denied({ address: '192.0.2.3', port: 80, name: 'c.example', said: '192.0.2.3', by: 'check' }),
  denied({ address: '2001:db8::1', port: 80, said: '[2001:db8::1]', by: 'check' }),
  { ...denied({ address: '192.0.2.9', port: 1 }), verdict: 'allow' },
]

test('there is one for each name, or address, and protocol', () => {
  expect(suggestRules(SEEN)).toEqual([
    { action: 'allow', to: '192.0.2.1', port: 25 },
    { action: 'allow', name: 'a.example', port: [80, 443] },
    { action: 'allow', name: 'b.example', port: 443 },
    { action: 'allow', to: '9.9.9.9', port: 53, protocol: 'udp' },
    { action: 'allow', name: 'q.example', port: 443, protocol: 'udp', check: 'none' },
    { action: 'allow', to: '9.9.9.9', protocol: 'icmp' },
    { action: 'allow', name: 'lan.example', port: 22, private: true },
    { action: 'allow', to: '192.0.2.3', port: 80 },
    { action: 'allow', to: '2001:db8::1', port: 80 },
  ])
})

test('a policy of them allows what was seen', () => {
  const policy = definePolicy({ rules: suggestRules(SEEN) })
  for (const { kind, verdict, said, name, address, port, protocol } of SEEN) {
    if (kind !== 'flow' || verdict === 'allow') continue
    const host = said !== undefined && /\d$|\]$/.test(said) ? undefined : (said ?? name)
    const where =
      host === undefined
        ? { address }
        : host === 'lan.example'
          ? { name: host, address }
          : { name: host }
    expect(simulate(policy, { ...where, port, protocol }).verdict, JSON.stringify(where)).toBe(
      'allow',
    )
  }
})

test('there are not too many of them', () => {
  const flood = Array.from({ length: 1000 }, (_, i) =>
    denied({ address: `198.51.${i >> 8}.${i & 255}`, port: 1 }),
  )
  expect(suggestRules(flood)).toHaveLength(200)
})
