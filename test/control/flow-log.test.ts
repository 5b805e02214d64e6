import { describe, expect, test } from 'vitest'
import { flowLine } from '../../src/control/flow-log.ts'
import type { ClosedFlow, Flow } from '../../src/engine/types.ts'

const OPENED: Flow = {
  id: 1,
  proto: 'tcp',
  origin: 'guest',
  guest: { address: '10.0.2.100', port: 40123 },
  peer: { address: '192.0.2.1', port: 443 },
  host: { address: '192.0.2.1', port: 443 },
  openedAt: Date.UTC(2024, 1, 29, 12, 0, 0, 5),
}
const CLOSED: ClosedFlow = {
  ...OPENED,
  reason: 'finished',
  octetsFromGuest: 12_345,
  octetsToGuest: 1_200_000,
  duration: 839.6,
}

describe('as text', () => {
  test('a flow that the guest opens, and its end', () => {
    expect(flowLine('text', OPENED)).toBe('+ tcp 10.0.2.100:40123 → 192.0.2.1:443\n')
    expect(flowLine('text', CLOSED)).toBe(
      '- tcp 10.0.2.100:40123 → 192.0.2.1:443 finished 12.3 kB / 1.2 MB 840 ms\n',
    )
  })

  test('a client of a published port', () => {
    const flow: Flow = { ...OPENED, origin: 'host', guest: { address: '10.0.2.100', port: 80 } }
    expect(flowLine('text', flow)).toBe('+ tcp 10.0.2.100:80 ← 192.0.2.1:443\n')
  })

  test('who it really is, where the guest sees another', () => {
    const flow: Flow = {
      ...OPENED,
      proto: 'udp',
      peer: { address: '10.0.2.3', port: 53 },
      host: { address: '::1', port: 53 },
    }
    expect(flowLine('text', flow)).toBe('+ udp 10.0.2.100:40123 → 10.0.2.3:53 ([::1]:53)\n')
  })

  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [999_949, '999.9 kB'],
    [999_950, '1.0 MB'],
    [2 ** 40, '1.1 TB'],
    [2e15, '2000.0 TB'],
  ])('%i octets are %s', (octets, text) => {
    expect(flowLine('text', { ...CLOSED, octetsToGuest: octets })).toContain(` / ${text} `)
  })

  test.each([
    [0, '0 ms'],
    [9999, '9999 ms'],
    [10_000, '10.0 s'],
    [3_600_000, '3600.0 s'],
  ])('a duration of %i is %s', (duration, text) => {
    expect(flowLine('text', { ...CLOSED, duration }).endsWith(` ${text}\n`)).toBe(true)
  })
})

test('as JSON Lines, with everything that is known', () => {
  const line = flowLine('json', CLOSED)
  expect(line.endsWith('}\n')).toBe(true)
  expect(line.trimEnd()).not.toContain('\n')
  expect(JSON.parse(line)).toEqual({
    ...CLOSED,
    event: 'flow-close',
    openedAt: '2024-02-29T12:00:00.005Z',
  })
  expect(JSON.parse(flowLine('json', OPENED))).toMatchObject({ event: 'flow-open', id: 1 })
})
