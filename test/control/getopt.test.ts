import { expect, test } from 'vitest'
import { getopt, type Option } from '../../src/control/getopt.ts'

const OPTIONS: Option[] = [
  { name: 'configure', short: 'c', takesValue: false },
  { name: 'mtu', short: 'm', takesValue: true },
  { name: 'cidr', short: '', takesValue: true },
  { name: 'outbound-addr', short: '', takesValue: true },
  { name: 'outbound-addr6', short: '', takesValue: true },
  { name: 'enable-ipv6', short: '6', takesValue: false },
]

/** The items in short: `name=value`, `name`, `(operand)`, `! problem`. */
function read(...words: string[]): string[] {
  return [...getopt(words, OPTIONS)].map((item) => {
    if (item.kind === 'operand') return `(${item.value})`
    if (item.kind === 'problem') return `! ${item.text}`
    return item.option.takesValue ? `${item.option.name}=${item.value}` : item.option.name
  })
}

test('options and operands come in any order', () => {
  expect(read('1', '-c', 'tap0', '--mtu=1400')).toEqual(['(1)', 'configure', '(tap0)', 'mtu=1400'])
})

test('a value follows an equals sign, a letter, or in the next word', () => {
  expect(read('--mtu=1', '--mtu', '2', '-m3', '-m', '4')).toEqual([
    'mtu=1',
    'mtu=2',
    'mtu=3',
    'mtu=4',
  ])
  expect(read('--mtu=', '--cidr=a=b')).toEqual(['mtu=', 'cidr=a=b'])
})

test('short options stand in one word, and the first with a value takes the rest', () => {
  expect(read('-c6', '-c6m15', '-cm', '-c')).toEqual([
    'configure',
    'enable-ipv6',
    'configure',
    'enable-ipv6',
    'mtu=15',
    'configure',
    'mtu=-c',
  ])
})

test('a long option may be cut to a prefix that no other has', () => {
  expect(read('--conf', '--mt=3', '--e')).toEqual(['configure', 'mtu=3', 'enable-ipv6'])
})

test('a whole name is not ambiguous, whatever begins with it', () => {
  expect(read('--outbound-addr=x')).toEqual(['outbound-addr=x'])
  expect(read('--outbound-addr', 'x')).toEqual(['outbound-addr=x'])
})

test('an ambiguous prefix is a problem that lists what it may mean', () => {
  expect(read('--out=x')).toEqual([
    "! option '--out=x' is ambiguous; possibilities: '--outbound-addr' '--outbound-addr6'",
  ])
})

test('an unknown option, a missing value and a value too many are problems', () => {
  expect(read('--bogus=1')).toEqual(["! unrecognized option '--bogus=1'"])
  expect(read('-c5')).toEqual(['configure', "! invalid option -- '5'"])
  expect(read('--mtu')).toEqual(["! option '--mtu' requires an argument"])
  expect(read('-cm')).toEqual(['configure', "! option requires an argument -- 'm'"])
  expect(read('--conf=1')).toEqual(["! option '--configure' doesn't allow an argument"])
})

test('nothing follows a problem', () => {
  expect(read('-c', '-x', '-c', '1')).toEqual(['configure', "! invalid option -- 'x'"])
})

test('two dashes end the options, one is an operand', () => {
  expect(read('-', '-c', '--', '-c', '--')).toEqual(['(-)', 'configure', '(-c)', '(--)'])
})

test('a value may look like an option', () => {
  expect(read('-m', '-1', '--mtu', '--')).toEqual(['mtu=-1', 'mtu=--'])
})
