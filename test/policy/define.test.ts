/** Policies as people write them: what is read, and what is told of mistakes. */
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { definePolicy, PolicyError, parsePolicy } from '../../src/policy/define.ts'
import type { PolicyInput, RuleInput } from '../../src/policy/policy.ts'
import { KEYS } from '../../src/policy/read-policy.ts'

const NPM: RuleInput = { action: 'allow', name: 'registry.npmjs.org', port: 443 }

function problemsOf(given: unknown): string[] {
  try {
    definePolicy(given as PolicyInput)
    return []
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    expect(error.code).toBe('ERR_INVALID_POLICY')
    return error.problems.map(({ path, message }) => `${path}: ${message}`)
  }
}

describe('what is left out:', () => {
  test('nothing is allowed, and it is enforced', () => {
    expect(definePolicy({})).toEqual({
      default: 'deny',
      mode: 'enforce',
      rules: [],
      leaseMin: 600,
      dns: { denied: 'nxdomain', maxLabel: 40, maxNames: 60 },
    })
  })

  test('a rule that allows is about TCP, one that denies about all; the id is what it says', () => {
    const { rules } = definePolicy({
      rules: [
        NPM,
        { action: 'deny', to: '10.0.0.0/8' },
        { action: 'allow', name: '*.Example.com' },
      ],
    })
    expect(rules).toEqual([
      {
        id: 'allow registry.npmjs.org port 443 tcp',
        action: 'allow',
        name: ['registry.npmjs.org'],
        port: [443],
        protocol: 'tcp',
        sni: 'required',
        ech: 'allow',
        private: false,
        wide: false,
      },
      expect.objectContaining({ id: 'deny 10.0.0.0/8 any', protocol: 'any' }),
      expect.objectContaining({ id: 'allow *.example.com tcp', protocol: 'tcp' }),
    ])
  })
})

test('a policy is an input that gives the same policy, and can be cloned', () => {
  const policy = definePolicy({
    default: 'deny',
    mode: 'observe',
    nat64: '2001:db8:64::/96',
    leaseMin: 30,
    dns: { denied: 'refused', maxLabel: 20 },
    rules: [
      { ...NPM, id: 'npm', why: 'packages', check: 'tls', ech: 'deny' },
      {
        action: 'allow',
        name: ['db.corp.example', '*.s3.amazonaws.com'],
        to: '10.0.0.0/8',
        wide: true,
      },
      { action: 'allow', port: ['8000-8999', 22, '7-7'], protocol: 'any' },
    ],
  })
  expect(definePolicy(policy)).toEqual(policy)
  expect(definePolicy(structuredClone(policy))).toEqual(policy)
  expect(parsePolicy(JSON.stringify(policy))).toEqual(policy)
  expect(policy.rules[2]!.port).toEqual(['8000-8999', 22, 7])
})

describe('a mistake is told:', () => {
  test.each<[string, unknown, RegExp]>([
    ['no object', [], /^: must be an object, not a list/],
    ['an unknown member', { rulez: [] }, /^rulez: is not known; "rules" is meant\?/],
    ['another default', { default: 'ALLOW' }, /^default: must be "allow" or "deny", not "ALLOW"/],
    ['rules that are none', { rules: {} }, /^rules: must be a list, not an object/],
    ['a lease of no time', { leaseMin: 0 }, /^leaseMin: must be an integer from 1 to 86400, not 0/],
    ['a NAT64 prefix of IPv4', { nat64: '10.0.0.0/8' }, /^nat64: must be of IPv6/],
    ['a NAT64 prefix of a length that has none', { nat64: '2001:db8::/33' }, /32, 40/],
    ['a member of dns', { dns: { deny: 'refused' } }, /^dns\.deny: is not known/],
  ])('%s', (_, given, problem) => {
    expect(problemsOf(given)).toEqual([expect.stringMatching(problem)])
  })

  test.each<[string, object, RegExp]>([
    [
      'an unknown member',
      { ...NPM, ports: 80 },
      /^rules\[0\]\.ports: is not known; "port" is meant\?/,
    ],
    ['no action', { name: 'a.example' }, /^rules\[0\]: has no "action"/],
    ['an empty list', { ...NPM, name: [] }, /^rules\[0\]\.name: must not be an empty list/],
    [
      'a name that can never match',
      { ...NPM, name: ['a.example', 'a..b'] },
      /name\[1\]: "a\.\.b" can never match/,
    ],
    ['an address as a name', { ...NPM, name: '192.0.2.1' }, /addresses are for "to"/],
    ['no text as a name', { ...NPM, name: 7 }, /must be a name, not 7/],
    ['a public suffix', { ...NPM, name: '*.co.uk' }, /^rules\[0\]\.name: "\*\.co\.uk" is whoever/],
    ['a private suffix', { ...NPM, name: '*.github.io' }, /"wide": true/],
    ['a suffix of the list’s default', { ...NPM, name: '*.corp' }, /"wide": true/],
    [
      'an address with bits behind it',
      { action: 'deny', to: '10.1.0.0/8' },
      /10\.0\.0\.0\/8 is meant/,
    ],
    ['a name as an address', { action: 'deny', to: 'example.com' }, /"example\.com" is no address/],
    ['port 0', { ...NPM, port: 0 }, /must be 1 to 65535/],
    ['port 65536', { ...NPM, port: 65536 }, /must be 1 to 65535/],
    ['a range that ends before it starts', { ...NPM, port: '90-80' }, /must be 1 to 65535/],
    ['a fraction of a port', { ...NPM, port: 1.5 }, /must be 1 to 65535/],
    ['another protocol', { ...NPM, protocol: 'sctp' }, /"tcp" or "udp" or "icmp" or "any"/],
    ['a port of ICMP', { action: 'allow', protocol: 'icmp', port: 7 }, /ICMP has no ports/],
    [
      'a check without a name',
      { action: 'allow', to: '1.1.1.1', check: 'tls' },
      /goes with a name/,
    ],
    ['a check of what denies', { ...NPM, action: 'deny', check: 'tls' }, /for rules that allow/],
    ['private without a name', { action: 'allow', private: true }, /goes with a name/],
    ['wide without a name', { action: 'allow', wide: true }, /goes with a name/],
    ['sni without TLS', { ...NPM, port: 22, sni: 'any' }, /goes with "check": "tls"/],
    ['sni with another check', { ...NPM, check: 'http', sni: 'any' }, /goes with "check": "tls"/],
    ['ech without TLS', { ...NPM, port: 80, ech: 'deny' }, /goes with "check": "tls"/],
    ['UDP that no name is read of', { ...NPM, protocol: 'udp' }, /no name is read from UDP/],
    ['an id of two lines', { ...NPM, id: 'a\nb' }, /must be a text of 1 to 200 characters/],
    ['no number as text', { ...NPM, why: 1 }, /must be a text/],
    ['no boolean', { ...NPM, private: 'yes' }, /must be true or false/],
  ])('%s', (_, rule, problem) => {
    expect(problemsOf({ rules: [rule] })).toEqual([expect.stringMatching(problem)])
  })

  test('two rules of one id', () => {
    const rules = [
      { ...NPM, id: 'x' },
      { action: 'allow', port: 22, id: 'x' },
    ]
    expect(problemsOf({ rules })).toEqual(['rules[1].id: rules[0] has the id "x", too'])
  })

  test('all of them at once', () => {
    expect(problemsOf({ mode: 'on', rules: [{ ...NPM, port: 0 }, { name: '*' }] })).toHaveLength(4)
  })
})

describe('a policy in JSON', () => {
  const text = `{
  "default": "deny",
  "rules": [
    { "action": "allow", "name": "registry.npmjs.org", "prot": 443 },
    { "action": "allow", "name": "*.com", "port": [443, 0] }
  ]
}
`
  test('is told of its mistakes by line and column', () => {
    expect(() => parsePolicy(text, 'policy.json')).toThrow(
      `policy.json:4:56: rules[0].prot is not known; "port" is meant?
policy.json:5:34: rules[1].name "*.com" is whoever has a name under com; say "wide": true if that is meant
policy.json:5:57: rules[1].port[1] must be 1 to 65535, or a range such as "8000-8999", not 0`,
    )
  })

  test('that is none is told where', () => {
    expect(() => parsePolicy('{"rules": [}', 'p')).toThrow('p:1:12: the policy not JSON')
  })
})

describe('the published schema', () => {
  const schema = JSON.parse(readFileSync('docs/policy.schema.json', 'utf8'))
  const validate = new Ajv2020({ strict: true, strictTypes: false }).compile(schema)

  test('has the members that are read', () => {
    const { properties, $defs } = schema
    expect(Object.keys(properties)).toEqual(KEYS.policy)
    expect(Object.keys(properties.dns.properties)).toEqual(KEYS.dns)
    expect(Object.keys($defs.rule.properties)).toEqual(KEYS.rule)
  })

  test.each<[PolicyInput]>([
    [{}],
    [{ $schema: 'x', mode: 'observe', nat64: '2001:db8::/96', leaseMin: 1 }],
    [{ dns: { denied: 'refused', maxLabel: 1, maxNames: 9 } }],
    [{ rules: [NPM, { action: 'deny', to: ['host', '10.0.0.0/8'], why: 'mine' }] }],
    [{ rules: [{ action: 'allow', port: [22, '80-90'], protocol: 'any' }] }],
  ])('takes %j, as the reader does', (policy) => {
    expect(validate(policy), JSON.stringify(validate.errors)).toBe(true)
    expect(problemsOf(policy)).toEqual([])
  })

  test.each<[object]>([
    [{ defaults: 'deny' }],
    [{ rules: [{ name: 'a.example' }] }],
    [{ rules: [{ ...NPM, ports: 1 }] }],
    [{ rules: [{ ...NPM, port: 0 }] }],
    [{ rules: [{ ...NPM, port: '1-2-3' }] }],
    [{ rules: [{ ...NPM, name: [] }] }],
    [{ rules: [{ ...NPM, check: 'quic' }] }],
    [{ leaseMin: 0.5 }],
    [{ dns: { denied: 'drop' } }],
  ])('refuses %j, as the reader does', (policy) => {
    expect(validate(policy)).toBe(false)
    expect(problemsOf(policy)).not.toEqual([])
  })
})
