import {
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseResolvConf, parseSearch, Resolvers } from '../../src/nat/resolvers.ts'
import { format } from '../../src/stack/wire/address.ts'

const zoneOf = (zone: string): number => (zone === 'eth0' ? 5 : 0)

test.each<[string, string, string[]]>([
  ['none', 'search a\n', []],
  ['several, in order', 'nameserver 10.0.0.1\nnameserver 10.0.0.2\n', ['10.0.0.1', '10.0.0.2']],
  ['each once', 'nameserver 10.0.0.1\nnameserver 10.0.0.1\n', ['10.0.0.1']],
  ['of both families', 'nameserver ::1\nnameserver 127.0.0.53\n', ['::1', '127.0.0.53']],
  ['with blanks of all kinds', ' nameserver\t10.0.0.1 \t# one\r\n', ['10.0.0.1']],
  ['with a zone that there is', 'nameserver fe80::1%eth0\n', ['fe80::1%5']],
  ['with a zone that there is not', 'nameserver fe80::1%eth1\nnameserver ::2', ['::2']],
  ['what is none', 'nameserver\nnameserver x\nnameserver 1.2.3\nnameservers 10.0.0.9\n', []],
  ['in a comment', '#nameserver 10.0.0.1\n; nameserver 10.0.0.2\n', []],
  [
    'eight at most',
    Array.from({ length: 12 }, (_, i) => `nameserver 10.0.0.${i}\n`).join(''),
    Array.from({ length: 8 }, (_, i) => `10.0.0.${i}`),
  ],
])('name servers are read (resolv.conf(5)): %s', (_what, text, expected) => {
  const found = parseResolvConf(text, zoneOf).map(
    ({ words, scope }) => `${format(words)}${scope ? `%${scope}` : ''}`,
  )
  expect(found).toEqual(expected)
})

describe('a file', () => {
  let folder: string
  let file: string
  let now: number
  let resolvers: Resolvers

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'slipway-resolvers-'))
    file = join(folder, 'resolv.conf')
    now = 0
    resolvers = new Resolvers(file, () => now)
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const found = (): string[] => resolvers.servers().map(({ words }) => format(words))
  const later = (): string[] => {
    now += 1000
    return found()
  }

  test('is read again when it has changed, not more often than once in a second', () => {
    writeFileSync(file, 'nameserver 10.0.0.1\n')
    expect(found()).toEqual(['10.0.0.1'])
    writeFileSync(file, 'nameserver 10.0.0.22\n')
    now += 999
    expect(found()).toEqual(['10.0.0.1'])
    now += 1
    expect(found()).toEqual(['10.0.0.22'])
    // The same length in the same place, but another time.
    writeFileSync(file, 'nameserver 10.0.0.33\n')
    utimesSync(file, 1, 1)
    expect(later()).toEqual(['10.0.0.33'])
  })

  test('is followed when it is replaced, as a file or as a link', () => {
    writeFileSync(file, 'nameserver 10.0.0.1\n')
    expect(found()).toEqual(['10.0.0.1'])
    writeFileSync(`${file}.new`, 'nameserver 10.0.0.2\n')
    renameSync(`${file}.new`, file)
    expect(later()).toEqual(['10.0.0.2'])
    writeFileSync(`${file}.other`, 'nameserver 10.0.0.3\n')
    unlinkSync(file)
    symlinkSync('resolv.conf.other', file)
    expect(later()).toEqual(['10.0.0.3'])
    writeFileSync(`${file}.other`, 'nameserver 10.0.0.44\n')
    expect(later()).toEqual(['10.0.0.44'])
  })

  test('that is gone, or just cut to be written anew, is what it was', () => {
    writeFileSync(file, 'nameserver 10.0.0.1\n')
    expect(found()).toEqual(['10.0.0.1'])
    truncateSync(file)
    expect(later()).toEqual(['10.0.0.1'])
    unlinkSync(file)
    expect(later()).toEqual(['10.0.0.1'])
    writeFileSync(file, 'nameserver 10.0.0.2\n')
    expect(later()).toEqual(['10.0.0.2'])
  })

  test('that is missing, or names no server, means the local one (resolv.conf(5))', () => {
    expect(found()).toEqual(['127.0.0.1'])
    writeFileSync(file, 'nameserver 10.0.0.1\n')
    expect(later()).toEqual(['10.0.0.1'])
    writeFileSync(file, 'search lan\n')
    expect(later()).toEqual(['127.0.0.1'])
    expect(resolvers.search()).toEqual(['lan'])
  })

  test('the server that is silent twice in a row is asked last, for 30 s or until it answers', () => {
    writeFileSync(file, 'nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n')
    const [one, two] = resolvers.servers()
    resolvers.wasSilent(one!)
    expect(found()[0]).toBe('10.0.0.1')
    resolvers.hasAnswered(one!)
    resolvers.wasSilent(one!)
    expect(found()[0]).toBe('10.0.0.1')
    resolvers.wasSilent(one!)
    expect(found()).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.1'])
    resolvers.wasSilent(two!)
    resolvers.wasSilent(two!)
    expect(found()).toEqual(['10.0.0.3', '10.0.0.1', '10.0.0.2'])
    resolvers.hasAnswered(one!)
    expect(found()).toEqual(['10.0.0.1', '10.0.0.3', '10.0.0.2'])
    now += 30_000
    expect(found()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
  })
})

test.each([
  ['nothing', '', []],
  ['no such line', 'nameserver 10.0.0.1\n#search a\n; domain a\nsearchlist a\n', []],
  [
    'search',
    'nameserver 10.0.0.1\nsearch example.com lan\noptions ndots:1\n',
    ['example.com', 'lan'],
  ],
  ['domain', 'domain example.com', ['example.com']],
  ['the last of both', 'search a b\ndomain c\n', ['c']],
  ['the last of both', 'domain c\nsearch a b\n', ['a', 'b']],
  ['blanks of all kinds', ' \tsearch\t a  b\t\n', ['a', 'b']],
  ['an empty line after another', 'search a\nsearch \n', []],
  ['lines of other systems', 'search a b\r\nnameserver 10.0.0.1\r\n', ['a', 'b']],
])('the domains to search are read (resolv.conf(5)): %s', (_what, text, expected) => {
  expect(parseSearch(text)).toEqual(expected)
})
