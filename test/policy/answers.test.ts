/** What is left of an answer, and what is leased by it. */
import { beforeEach, describe, expect, test } from 'vitest'
import { addressKey, Surroundings } from '../../src/policy/addresses.ts'
import {
  deniedAnswer,
  type JudgedAnswer,
  judgeAnswer,
  syntheticAnswer,
  upstreamQuery,
} from '../../src/policy/answers.ts'
import { Decider } from '../../src/policy/decider.ts'
import { definePolicy } from '../../src/policy/define.ts'
import { type Message, showName, writeMessage } from '../../src/policy/evidence/dns-message.ts'
import { Leases } from '../../src/policy/leases.ts'
import type { PolicyInput } from '../../src/policy/policy.ts'
import * as address from '../../src/stack/wire/address.ts'
import { answer, query, record, show } from './evidence/dns-messages.ts'

const GUEST = 1
const POLICY: PolicyInput = {
  rules: [
    { action: 'deny', name: '*.evil.example' },
    { action: 'allow', name: 'a.example', port: 443 },
    { action: 'allow', name: 'quic.example', port: 443, protocol: 'any', check: 'none' },
    { action: 'allow', name: 'lan.example', private: true },
    { action: 'allow', name: 'db.example', to: '10.1.0.0/16', port: 5432 },
  ],
}

let leases: Leases
beforeEach(() => {
  leases = new Leases()
})

interface Way {
  origin?: string
  now?: number
  policy?: PolicyInput
  type?: string
}

function judge(name: string, records: readonly string[], way: Way = {}): JudgedAnswer {
  const { origin = name, now = 0, policy = POLICY, type = 'A' } = way
  return judgeMessage(query(name, type), (asked) => answer(asked, records), origin, now, policy)
}

function judgeMessage(
  asked: Message,
  answerTo: (query: Message) => Message,
  origin: string,
  now = 0,
  policy: PolicyInput = POLICY,
): JudgedAnswer {
  const checked = definePolicy(policy)
  const surroundings = new Surroundings(checked.nat64)
  surroundings.setHostAddresses(['8.8.4.4'])
  const decider = new Decider(checked)
  return judgeAnswer(asked, answerTo(asked), {
    decider,
    mayHave: (judged) => decider.admitAnswer(origin, judged),
    mayUseUdp: (port) => decider.admitsUdp(origin, port),
    isNameRead: (port) => decider.readsName(origin, port),
    surroundings,
    leases,
    guest: GUEST,
    origin,
    now,
    isObserved: checked.mode === 'observe',
  })
}

function leasedFor(text: string, now = 1, guest = GUEST): string[] {
  const words = new Int32Array(4)
  address.parse(text, words)
  return leases.namesOf(guest, addressKey(words), now)
}

const textOf = (words: readonly Int32Array[]): string[] => words.map((each) => address.format(each))

describe('addresses', () => {
  test('stay, and are leased to the name', () => {
    const { message, removed } = judge('a.example', [
      'a.example 30 A 1.1.1.1',
      'a.example 30 A 1.1.1.2',
    ])
    expect(show(message)).toEqual(['a.example 30 A 1.1.1.1', 'a.example 30 A 1.1.1.2'])
    expect(removed).toEqual([])
    expect([leasedFor('1.1.1.1'), leasedFor('1.1.1.2'), leasedFor('1.1.1.3')]).toEqual([
      ['a.example'],
      ['a.example'],
      [],
    ])
  })

  test.each([
    ['A', '10.0.0.1'],
    ['A', '127.0.0.1'],
    ['A', '0.0.0.0'],
    ['A', '169.254.169.254'],
    ['A', '8.8.4.4'],
    ['AAAA', '::1'],
    ['AAAA', '::ffff:127.0.0.1'],
    ['AAAA', '64:ff9b::10.0.0.1'],
    ['AAAA', 'fd00::1'],
  ])('that the name may not have are taken out: %s %s', (type, text) => {
    const good = type === 'A' ? '1.1.1.1' : '2606:4700::1'
    const records = [`a.example 30 ${type} ${text}`, `a.example 30 ${type} ${good}`]
    const { message, removed, error } = judge('a.example', records, { type })
    expect(show(message)).toEqual([`a.example 30 ${type} ${good}`])
    expect(textOf(removed)).toHaveLength(1)
    expect(error).toMatchObject({ code: 17 })
    expect(leasedFor(text)).toEqual([])
  })

  test('that a rule says it may have stay', () => {
    expect(show(judge('lan.example', ['lan.example 9 A 10.0.0.1']).message)).toHaveLength(1)
    const { message } = judge('db.example', ['db.example 9 A 10.1.0.1', 'db.example 9 A 1.1.1.1'])
    expect(show(message)).toEqual(['db.example 9 A 10.1.0.1'])
  })

  test('over IPv6 that have an IPv4 address in them are leased as that', () => {
    judge('a.example', ['a.example 30 AAAA 64:ff9b::1.1.1.1'], { type: 'AAAA' })
    expect(leasedFor('1.1.1.1')).toEqual(['a.example'])
  })

  test('have a TTL of at most a minute, and a lease of at least ten', () => {
    const { message } = judge('a.example', ['a.example 86400 A 1.1.1.1', 'a.example 5 A 1.1.1.2'])
    expect(show(message)).toEqual(['a.example 60 A 1.1.1.1', 'a.example 5 A 1.1.1.2'])
    expect([leasedFor('1.1.1.1', 86_399_999), leasedFor('1.1.1.1', 86_400_000)]).toEqual([
      ['a.example'],
      [],
    ])
    expect([leasedFor('1.1.1.2', 599_999), leasedFor('1.1.1.2', 600_000)]).toEqual([
      ['a.example'],
      [],
    ])
  })

  test('of earlier answers keep their leases', () => {
    judge('a.example', ['a.example 30 A 1.1.1.1'])
    judge('a.example', ['a.example 30 A 1.1.1.2'], { now: 60_000 })
    expect(leasedFor('1.1.1.1', 100_000)).toEqual(['a.example'])
  })

  test('are leased to nobody else', () => {
    judge('a.example', ['a.example 30 A 1.1.1.1'])
    expect(leasedFor('1.1.1.1', 1, 2)).toEqual([])
  })

  test('of names that nobody asked for are left out', () => {
    const { message } = judge('a.example', [
      'a.example 30 A 1.1.1.1',
      'evil.test 30 A 6.6.6.6',
      'lan.example 9 A 10.0.0.1',
    ])
    expect(show(message)).toEqual(['a.example 30 A 1.1.1.1'])
    expect(leasedFor('6.6.6.6')).toEqual([])
  })
})

describe('a name that the answer leads to', () => {
  const CHAIN = [
    'a.example 30 CNAME b.cdn.test',
    'b.cdn.test 30 CNAME c.cdn.test',
    'c.cdn.test 30 A 1.1.1.1',
  ]

  test('is the same name for the policy', () => {
    expect(show(judge('a.example', CHAIN).message)).toEqual(CHAIN)
    expect(leasedFor('1.1.1.1')).toEqual(['a.example'])
  })

  test('may stand in any order', () => {
    expect(show(judge('a.example', CHAIN.toReversed()).message)).toEqual(CHAIN.toReversed())
  })

  test('may be asked for itself, and what it has is leased to the first', () => {
    judge('a.example', CHAIN.slice(0, 1))
    expect(leases.originOf(GUEST, 'b.cdn.test', 1)).toBe('a.example')
    expect(leases.originOf(GUEST, 'b.cdn.test', 600_000)).toBeUndefined()
    expect(leases.originOf(2, 'b.cdn.test', 1)).toBeUndefined()
    judge('b.cdn.test', ['b.cdn.test 30 A 1.1.1.9'], { origin: 'a.example' })
    expect(leasedFor('1.1.1.9')).toEqual(['a.example'])
  })

  const allowA = { action: 'allow', name: 'a.example', port: [443, 8443] } as const
  const denied = { action: 'deny', name: 'tracker.example' } as const
  test.each<[string, PolicyInput, boolean]>([
    ['at a port that the name has', { rules: [{ ...denied, port: 443 }, allowA] }, true],
    ['at ports around it', { rules: [{ ...denied, port: '8000-9000' }, allowA] }, true],
    ['at another port', { rules: [{ ...denied, port: 25 }, allowA] }, false],
    ['over another protocol', { rules: [{ ...denied, protocol: 'udp' }, allowA] }, false],
    ['at an address', { rules: [{ ...denied, to: '1.0.0.0/8' }, allowA] }, false],
    [
      'where a rule before it allows it',
      { rules: [{ ...allowA, name: 'tracker.example' }, { ...denied, port: '1-9000' }, allowA] },
      false,
    ],
    ['where the default is allow', { default: 'allow', rules: [{ ...denied, port: 25 }] }, true],
    [
      'where the name is denied as well',
      {
        rules: [
          { action: 'deny', name: '*.example', port: 25, wide: true },
          { action: 'allow', name: 'a.example' },
        ],
      },
      false,
    ],
  ])('that a rule denies %s: %j', (_, policy, isDenied) => {
    const records = ['a.example 30 CNAME tracker.example', 'tracker.example 30 A 1.1.1.1']
    const { deniedBy } = judge('a.example', records, { policy })
    expect(deniedBy?.name).toBe(isDenied ? 'tracker.example' : undefined)
    expect(leasedFor('1.1.1.1')).toEqual(isDenied ? [] : ['a.example'])
  })

  test('that a rule denies makes the answer denied', () => {
    const { message, deniedBy, error } = judge('a.example', [
      'a.example 30 CNAME x.evil.example',
      'x.evil.example 30 A 1.1.1.1',
    ])
    expect(deniedBy).toMatchObject({ name: 'x.evil.example' })
    expect([show(message), message.flags & 15, error?.code]).toEqual([[], 3, 18])
    expect(leasedFor('1.1.1.1')).toEqual([])
    expect(leases.originOf(GUEST, 'x.evil.example', 1)).toBeUndefined()
  })

  test('by a DNAME is judged as what it makes (RFC 6672)', () => {
    const records = ['example 30 DNAME evil.example', 'a.example 30 CNAME a.evil.example']
    expect(judge('a.example', records).deniedBy?.name).toBe('a.evil.example')
    expect(judge('a.example', records.slice(0, 1)).deniedBy?.name).toBe('a.evil.example')
    const good = [
      'example 30 DNAME cdn.test',
      'a.example 30 CNAME a.cdn.test',
      'a.cdn.test 30 A 1.1.1.1',
    ]
    expect(show(judge('a.example', good).message)).toEqual(good)
  })

  test('and that leads below itself, makes an end', () => {
    const records = ['example 30 DNAME b.example', 'a.example 30 CNAME a.b.example']
    expect(show(judge('a.example', records).message)).toEqual(records)
  })

  test('in a circle is no end', () => {
    const circle = ['a.example 1 CNAME b.test', 'b.test 1 CNAME a.example']
    expect(show(judge('a.example', circle).message)).toEqual(circle)
  })
})

test('owners that no policy can name stay where the names lead to them (RFC 2317 §4)', () => {
  const [own, owner] = ['5.2.0.192.in-addr.arpa', '5.0/25.2.0.192.in-addr.arpa']
  const records = [`${own} 30 CNAME ${owner}`, `${owner} 30 TXT host.example`]
  const policy: PolicyInput = { rules: [{ action: 'allow', name: own }] }
  expect(judge(own, records, { policy, type: 'TXT' }).message.answers).toHaveLength(2)
  expect(leases.originOf(GUEST, owner, 1)).toBe(own)
  const deny = { action: 'deny', name: '*.0.192.in-addr.arpa' } as const
  const first: PolicyInput = { rules: [{ action: 'allow', name: own }, deny] }
  expect(judge(own, records, { policy: first, type: 'TXT' }).deniedBy?.name).toBe(owner)
})

describe('HTTPS records', () => {
  const u16 = (value: number): number[] => [value >> 8, value & 255]
  const param = (key: number, ...value: number[]): number[] => [
    ...u16(key),
    ...u16(value.length),
    ...value,
  ]
  const H2 = [2, 0x68, 0x32]
  const H3 = [2, 0x68, 0x33]
  const H3_29 = [5, 0x68, 0x33, 0x2d, 0x32, 0x39]
  const ech = param(5, 1, 2, 3)

  function service(
    name: string,
    ...params: number[]
  ): { left: number[] | undefined; deniedBy?: unknown } {
    const data = Uint8Array.from([0, 1, 0, ...params])
    const one = { ...record(`${name} 300 CNAME x`), type: 65, data }
    const { message } = judgeMessage(
      query(name, 'HTTPS'),
      (asked) => ({ ...answer(asked, []), answers: [one] }),
      name,
    )
    return { left: message.answers[0] && [...message.answers[0].data.slice(3)] }
  }

  test('lose the keys of ECH where the name is read (RFC 9848)', () => {
    const params = [...param(1, ...H2), ...ech]
    expect(service('a.example', ...params).left).toEqual(param(1, ...H2))
    expect(service('quic.example', ...params).left).toEqual(params)
    const elsewhere = [...param(3, 1, 187 + 1), ...ech] // port 444
    expect(service('a.example', ...elsewhere).left).toEqual(elsewhere)
    const mandatory = [...param(0, 0, 1, 0, 5), ...params]
    expect(service('a.example', ...mandatory).left).toEqual([...param(0, 0, 1), ...param(1, ...H2)])
  })

  test('lose h3 where UDP is not allowed', () => {
    expect(service('a.example', ...param(1, ...H2, ...H3, ...H3_29)).left).toEqual(param(1, ...H2))
    const all = [...param(1, ...H3, ...H2), ...ech]
    expect(service('quic.example', ...all).left).toEqual(all)
    // At another port there is no rule.
    expect(service('quic.example', ...param(1, ...H3, ...H2), ...param(3, 1, 1)).left).toEqual([
      ...param(1, ...H2),
      ...param(3, 1, 1),
    ])
  })

  test('that offer nothing but h3 lose that, or are left out', () => {
    expect(service('a.example', ...param(1, ...H3), ...param(7, 1)).left).toEqual(param(7, 1))
    expect(service('a.example', ...param(1, ...H3), ...param(2)).left).toBeUndefined()
  })

  test('lose hints that were not leased, and no others', () => {
    const hints = [
      ...param(4, 1, 1, 1, 1, 1, 1, 1, 2),
      ...param(6, 0x26, 6, ...new Array(14).fill(0)),
    ]
    expect(service('a.example', ...hints).left).toEqual([])
    judge('a.example', ['a.example 30 A 1.1.1.2'])
    expect(service('a.example', ...hints).left).toEqual(param(4, 1, 1, 1, 2))
    // RFC 9460 §8: what is not there any more is not mandatory.
    expect(
      service('a.example', ...param(0, 0, 1, 0, 6), ...param(1, ...H2), ...hints).left,
    ).toEqual([...param(0, 0, 1), ...param(1, ...H2), ...param(4, 1, 1, 1, 2)])
  })

  test('that are malformed are left out', () => {
    expect(service('a.example', ...param(5, 1), ...param(1, ...H2)).left).toBeUndefined()
    expect(service('a.example', 0, 1, 0, 9, 1).left).toBeUndefined()
  })

  test('lead to another name as CNAME does', () => {
    const leadTo = (target: string) => ({
      ...record('a.example 300 CNAME x'),
      type: 65,
      data: Uint8Array.of(0, 0, ...record(`x 1 CNAME ${target}`).data),
    })
    const asked = query('a.example', 'HTTPS')
    const judged = (target: string) =>
      judgeMessage(asked, () => ({ ...answer(asked, []), answers: [leadTo(target)] }), 'a.example')
    expect(judged('x.evil.example').deniedBy?.name).toBe('x.evil.example')
    expect(judged('svc.cdn.test').deniedBy).toBeUndefined()
    expect(leases.originOf(GUEST, 'svc.cdn.test', 1)).toBe('a.example')
  })
})

test('an answer of none keeps its SOA, which says for how long (RFC 2308)', () => {
  const asked = query('a.example')
  const soa = { ...record('example 3600 CNAME x'), type: 6, data: new Uint8Array(22) }
  const { message } = judgeMessage(
    asked,
    () => ({ ...answer(asked, [], 3), authority: [soa, record('example 30 A 1.1.1.1')] }),
    'a.example',
  )
  expect([
    message.flags & 15,
    message.answers,
    message.authority.map(({ type, ttl }) => [type, ttl]),
  ]).toEqual([3, [], [[6, 60]]])
})

test('what was signed is not authentic when something is taken out (RFC 4035)', () => {
  const asked = query('a.example')
  const flagsOf = (records: string[]): number =>
    judgeMessage(asked, () => ({ ...answer(asked, records), flags: 0x81a0 }), 'a.example').message
      .flags & 0x20
  expect(flagsOf(['a.example 9 A 1.1.1.1'])).toBe(0x20)
  expect(flagsOf(['a.example 9 A 1.1.1.1', 'a.example 9 A 10.0.0.1'])).toBe(0)
})

test('where it is observed nothing is taken out, and all of it is told', () => {
  const observed: PolicyInput = { ...POLICY, mode: 'observe' }
  const records = ['a.example 30 CNAME x.evil.example', 'x.evil.example 30 A 10.0.0.1']
  const judged = judge('a.example', records, { policy: observed })
  expect(show(judged.message)).toEqual(records)
  expect([textOf(judged.removed), judged.deniedBy?.name, judged.error]).toEqual([
    ['10.0.0.1'],
    'x.evil.example',
    undefined,
  ])
  expect(leasedFor('10.0.0.1')).toEqual(['a.example'])
})

describe('made up is', () => {
  test('that a name does not exist, for five seconds, and why (RFC 2308, RFC 8914)', () => {
    const { message, error } = deniedAnswer(query('Denied.Example'), 'nxdomain', 'no rule')
    expect(message).toMatchObject({ id: 77, flags: 0x8183, answers: [] })
    expect(showName(message.question.wire)).toBe('Denied.Example')
    const [soa] = message.authority
    expect([soa?.type, soa?.ttl, new DataView(soa!.data.buffer).getUint32(18)]).toEqual([6, 5, 5])
    expect(error).toEqual({ code: 18, text: 'no rule' })
    expect(writeMessage(message, 512, error).length).toBeLessThan(100)
  })

  test('that it is refused', () => {
    expect(deniedAnswer(query('a.example'), 'refused', 'x').message).toMatchObject({
      flags: 0x8185,
      authority: [],
    })
  })

  test('a question that has nothing of the container’s but the name, the type and two bits', () => {
    const odd = {
      ...query('x'),
      flags: 0x01ff,
      question: { ...query('x').question, wire: Uint8Array.of(1, 88, 0) },
    }
    expect(upstreamQuery(odd, 9)).toEqual({
      id: 9,
      flags: 0x0130,
      question: { wire: Uint8Array.of(1, 120, 0), name: 'x', type: 1, class: 1 },
      answers: [],
      authority: [],
      edns: { udpLen: 0, isDnssecOk: false },
    })
  })

  test('a question with a name that no policy can name, in lower case', () => {
    const wire = Uint8Array.from([4, 77, 121, 32, 80, 1, 88, 0]) // My P.X
    const { question } = query('x')
    const asked = { ...query('x'), question: { ...question, wire, name: undefined } }
    expect(showName(upstreamQuery(asked, 9).question.wire)).toBe('my\\032p.x')
  })

  test('an address', () => {
    expect(show(syntheticAnswer(query('a.example'), 0xc6120001 | 0))).toEqual([
      'a.example 5 A 198.18.0.1',
    ])
  })
})
