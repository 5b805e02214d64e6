import { expect, test } from 'vitest'
import { difference, packetsOf, tableOf } from '../../../bench/profile/calls.ts'

const count = (calls: number, failed = 0, octets = 0) => ({ calls, failed, octets })

test('what was not called between the two counts is left out', () => {
  const before = { read: count(10, 1, 1000), open: count(5) }
  const after = { read: count(30, 2, 5000), open: count(5), send: count(7) }
  expect(difference(before, after)).toEqual({ read: count(20, 1, 4000), send: count(7) })
})

test('frames of the device are as many packets as the MTU makes of them', () => {
  expect(packetsOf(10, 10 * 64, 1500)).toBe(10)
  expect(packetsOf(1, 65_536, 1500)).toBe(44)
})

test('calls for each GiB, frame and packet, the octets of each and what failed', () => {
  const counts = { read: count(200, 100, 6_400_000), send: count(300) }
  const lines = tableOf(counts, { gibibytes: 0.5, frames: 1000, packets: 2000 }).split('\n')
  expect(lines.map((line) => line.trim().split(/ {2,}/))).toEqual([
    ['calls', 'per GiB', 'per frame', 'per packet', 'octets each', 'failed'],
    ['send', '300', '600', '0.300', '0.1500'],
    ['read', '200', '400', '0.200', '0.1000', '64000', '50.0 %'],
    ['all', '500', '1000', '0.500', '0.2500', '20.0 %'],
  ])
})

test('a workload that is not about octets has no column for a GiB', () => {
  const text = tableOf({ read: count(2) }, { gibibytes: undefined, frames: 0, packets: 0 })
  expect(text).toMatch(/read +2 +2\.000 +2\.0000$/m)
})
