/** What the host's network says, in the words of the stack. */
import { expect, test } from 'vitest'
import { reasonOf, reasonOfIcmp } from '../../src/nat/host-errors.ts'
import type { Reason } from '../../src/stack/icmp-errors.ts'
import * as errno from '../../src/sys/constants.ts'

const ICMP = errno.SO_EE_ORIGIN_ICMP
const ICMP6 = errno.SO_EE_ORIGIN_ICMP6

test.each<[string, number, number, number, Reason | undefined]>([
  ['net unreachable', ICMP, 3, 0, 'net-unreachable'],
  ['host unreachable', ICMP, 3, 1, 'host-unreachable'],
  ['protocol unreachable', ICMP, 3, 2, 'protocol-unreachable'],
  ['port unreachable', ICMP, 3, 3, 'port-unreachable'],
  ['fragmentation needed', ICMP, 3, 4, 'packet-too-big'],
  ['source route failed', ICMP, 3, 5, 'host-unreachable'],
  ['network prohibited', ICMP, 3, 9, 'prohibited'],
  ['host prohibited', ICMP, 3, 10, 'prohibited'],
  ['administratively prohibited', ICMP, 3, 13, 'prohibited'],
  ['a code that nobody knows', ICMP, 3, 200, 'host-unreachable'],
  ['TTL exceeded', ICMP, 11, 0, 'hop-limit'],
  ['reassembly time exceeded', ICMP, 11, 1, 'reassembly-time'],
  ['source quench, which is obsolete (RFC 6633)', ICMP, 4, 0, undefined],
  ['redirect', ICMP, 5, 0, undefined],
  ['no route', ICMP6, 1, 0, 'net-unreachable'],
  ['prohibited', ICMP6, 1, 1, 'prohibited'],
  ['address unreachable', ICMP6, 1, 3, 'host-unreachable'],
  ['port unreachable', ICMP6, 1, 4, 'port-unreachable'],
  ['packet too big', ICMP6, 2, 0, 'packet-too-big'],
  ['hop limit exceeded', ICMP6, 3, 0, 'hop-limit'],
  ['reassembly time exceeded', ICMP6, 3, 1, 'reassembly-time'],
  ['unknown next header', ICMP6, 4, 1, 'protocol-unreachable'],
  ['another parameter problem', ICMP6, 4, 0, undefined],
  ['an error of no origin', 0, 3, 3, undefined],
])('%s (origin %i, %i/%i) is %s', (_, origin, type, code, reason) => {
  expect(reasonOfIcmp(origin, type, code)).toBe(reason)
})

test.each<[string, number, Reason | undefined]>([
  ['ENETUNREACH', errno.ENETUNREACH, 'net-unreachable'],
  ['EHOSTUNREACH', errno.EHOSTUNREACH, 'host-unreachable'],
  ['EHOSTDOWN', errno.EHOSTDOWN, 'host-unreachable'],
  ['ETIMEDOUT', errno.ETIMEDOUT, 'host-unreachable'],
  ['EACCES', errno.EACCES, 'prohibited'],
  ['EPERM', errno.EPERM, 'prohibited'],
  ['ECONNREFUSED', errno.ECONNREFUSED, undefined],
  ['EINVAL', errno.EINVAL, undefined],
  ['ENOBUFS', errno.ENOBUFS, undefined],
])('a call that failed with %s (%i) is %s', (_, number, reason) => {
  expect(reasonOf(number)).toBe(reason)
})
