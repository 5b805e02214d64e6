/** Prefixes, special addresses, and addresses that have another one in them. */
import { describe, expect, test } from 'vitest'
import { addressTest, passes, Surroundings } from '../../src/policy/addresses.ts'
import { definePolicy } from '../../src/policy/define.ts'
import type { RuleInput } from '../../src/policy/policy.ts'
import { formatPrefix, isInPrefix, judgedAs, readPrefix } from '../../src/policy/prefixes.ts'
import { isPrivate } from '../../src/policy/special-addresses.ts'
import * as address from '../../src/stack/wire/address.ts'

function words(text: string): Int32Array {
  const into = new Int32Array(4)
  expect(address.parse(text, into), text).toBe(true)
  return into
}

function prefix(text: string) {
  const read = readPrefix(text)
  if ('problem' in read) throw new Error(read.problem)
  return read
}

test.each([
  ['192.0.2.0/24', '192.0.2.0/24'],
  ['192.0.2.1', '192.0.2.1'],
  ['192.0.2.1/32', '192.0.2.1'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:DB8:0::/48', '2001:db8::/48'],
  ['::/0', '::/0'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
])('%s is the prefix %s', (text, canonical) => {
  expect(formatPrefix(prefix(text))).toBe(canonical)
  expect(prefix(canonical)).toEqual(prefix(text))
})

test.each([
  ['10.0.0.1/8', /10\.0\.0\.0\/8 is meant/],
  ['2001:db8::1/64', /2001:db8::\/64 is meant/],
  ['10.0.0.0/33', /at most 32/],
  ['::/129', /at most 128/],
  ['010.0.0.0/8', /neither/],
  ['10/8', /neither/],
  ['0x7f.0.0.1', /neither/],
  ['2130706433', /neither/],
  ['fe80::1%eth0', /neither/],
  ['example.com', /neither/],
  ['10.0.0.0/', /neither/],
  ['', /neither/],
])('%j is no prefix', (text, problem) => {
  expect(readPrefix(text)).toEqual({ problem: expect.stringMatching(problem) })
})

test.each([
  ['192.0.2.255', '192.0.2.0/24', true],
  ['192.0.3.0', '192.0.2.0/24', false],
  ['2001:db8::ffff', '2001:db8::/32', true],
  ['2001:db9::', '2001:db8::/32', false],
  ['8.8.8.8', '0.0.0.0/0', true],
  ['8.8.8.8', '::/0', false],
  ['8.8.8.8', '::/64', false],
  ['2001:db8::', '0.0.0.0/0', false],
  ['2001:db8::', '::/0', true],
  ['::ffff:192.0.2.9', '192.0.2.9', true],
])('%s in %s: %j', (text, within, expected) => {
  expect(isInPrefix(words(text), prefix(within))).toBe(expected)
})

describe('is judged as the IPv4 address in it:', () => {
  test.each([
    ['::ffff:127.0.0.1', undefined, '127.0.0.1'],
    ['64:ff9b::127.0.0.1', undefined, '127.0.0.1'],
    ['2002:7f00:1::', undefined, '127.0.0.1'],
    ['2002:7f00:1:dead:beef::', undefined, '127.0.0.1'],
    // RFC 6052 §2.4
    ['2001:db8:c000:221::', '2001:db8::/32', '192.0.2.33'],
    ['2001:db8:1c0:2:21::', '2001:db8:100::/40', '192.0.2.33'],
    ['2001:db8:122:c000:2:2100::', '2001:db8:122::/48', '192.0.2.33'],
    ['2001:db8:122:3c0:0:221::', '2001:db8:122:300::/56', '192.0.2.33'],
    ['2001:db8:122:344:c0:2:2100::', '2001:db8:122:344::/64', '192.0.2.33'],
    ['2001:db8:122:344::192.0.2.33', '2001:db8:122:344::/96', '192.0.2.33'],
    ['2001:db8::7f00:1', undefined, '2001:db8::7f00:1'],
    ['64:ff9b:1::127.0.0.1', undefined, '64:ff9b:1::7f00:1'],
    ['::127.0.0.1', undefined, '::7f00:1'],
  ])('%s by %s: %s', (text, nat64, expected) => {
    const into = new Int32Array(4)
    judgedAs(words(text), nat64 === undefined ? undefined : prefix(nat64), into)
    expect(address.format(into)).toBe(expected)
  })
})

describe('private is', () => {
  test.each([
    '0.1.2.3',
    '10.1.2.3',
    '100.64.0.1',
    '127.9.9.9',
    '169.254.169.254',
    '168.63.129.16',
    '172.31.255.255',
    '192.0.0.8',
    '192.0.2.1',
    '192.168.1.1',
    '198.19.0.1',
    '224.0.0.251',
    '255.255.255.255',
    '::',
    '::1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '3fff::1',
    '5f00::1',
    'fd00::1',
    'fe80::1',
    'ff02::1',
  ])('%s', (text) => expect(isPrivate(words(text))).toBe(true))

  test.each([
    '1.1.1.1',
    '100.128.0.1',
    '168.63.129.17',
    '172.32.0.1',
    '192.0.0.9',
    '192.0.0.10',
    '192.0.1.1',
    '2001:1::1',
    '2001:20::1',
    '2001:4860:4860::8888',
    '2606:4700::1111',
  ])('not %s', (text) => expect(isPrivate(words(text))).toBe(false))
})

describe('a rule', () => {
  const surroundings = new Surroundings()
  surroundings.setHostAddresses(['198.35.26.96', '2001:4860::1', 'nonsense'], ['10.0.2.2'])

  const isAbout = (rule: Partial<RuleInput>, text: string): boolean => {
    const policy = definePolicy({ rules: [{ action: 'allow', ...rule }] })
    return passes(addressTest(policy.rules[0]!), surroundings.judge(words(text)))
  }
  const [PUBLIC, PRIVATE, OWN] = ['93.184.215.14', '192.168.1.1', '198.35.26.96'] as const
  const all = [PUBLIC, PRIVATE, OWN, '127.0.0.1', '10.0.2.2']

  test.each<[Partial<RuleInput>, string[]]>([
    [{}, all],
    [{ to: '0.0.0.0/0' }, [PUBLIC, PRIVATE, OWN, '127.0.0.1']],
    [{ to: '0.0.0.0/0', action: 'deny' }, all],
    [{ to: '10.0.0.0/8' }, []],
    [{ to: ['10.0.0.0/8', '10.0.2.2'] }, ['10.0.2.2']],
    [{ to: '10.0.0.0/8', action: 'deny' }, ['10.0.2.2']],
    [{ to: 'host' }, [OWN, '127.0.0.1', '10.0.2.2']],
    [{ to: 'private' }, [PRIVATE, '127.0.0.1']],
    [{ to: 'private', action: 'deny' }, [PRIVATE, '127.0.0.1', '10.0.2.2']],
    [{ to: ['host', '93.184.0.0/16'] }, [PUBLIC, OWN, '127.0.0.1', '10.0.2.2']],
    [{ name: 'a.example' }, [PUBLIC]],
    [{ name: 'a.example', private: true }, all],
    [{ name: 'a.example', to: '0.0.0.0/0' }, [PUBLIC]],
    [{ name: 'a.example', to: '0.0.0.0/0', private: true }, [PUBLIC, PRIVATE, OWN, '127.0.0.1']],
    [{ name: 'a.example', to: '192.168.0.0/16' }, [PRIVATE]],
    [{ name: 'a.example', to: 'host' }, [OWN, '127.0.0.1', '10.0.2.2']],
  ])('%j is about its addresses', (rule, expected) => {
    expect(all.filter((text) => isAbout(rule, text))).toEqual(expected)
  })

  test.each(['2002:c0a8:101::', '64:ff9b::192.168.1.1', '::ffff:192.168.1.1'])(
    'about a name is not about %s, which is a private address',
    (text) => expect(isAbout({ name: 'a.example' }, text)).toBe(false),
  )

  test('about the host has its own IPv6 address', () => {
    expect(isAbout({ to: 'host' }, '2001:4860::1')).toBe(true)
    expect(isAbout({ name: 'a.example' }, '2001:4860::1')).toBe(false)
  })
})
