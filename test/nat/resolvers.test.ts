import { expect, test } from 'vitest'
import { parseSearch } from '../../src/nat/resolvers.ts'

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
