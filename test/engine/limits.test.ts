/** The limits that hold, by what a process may have and what is asked for. */
import { expect, test } from 'vitest'
import { KEEP_ALIVE, LIMIT_NAMES, LIMITS, limitsOf } from '../../src/engine/limits.ts'
import { LINUX } from '../../src/nat/keep-alive.ts'

test('follow from RLIMIT_NOFILE, less 32 descriptors for ourselves', () => {
  expect(limitsOf({}, 1024)).toEqual({
    connections: 992,
    halfOpen: 496,
    udpFlows: 496,
    pings: 124,
    fragments: 64,
    buffer: 2 ** 22,
    memory: 224 * 2 ** 20,
  })
  expect(limitsOf({}, 1_048_576)).toMatchObject({ halfOpen: 4096, udpFlows: 524_272, pings: 1024 })
  expect(limitsOf({}, 8)).toMatchObject({ connections: 16, halfOpen: 8, udpFlows: 16, pings: 4 })
})

test('are those that are given, whatever RLIMIT_NOFILE is', () => {
  const given = { connections: 5000, udpFlows: 1, memory: 2 ** 20 }
  expect(limitsOf(given, 64)).toMatchObject({ ...given, halfOpen: 2500, pings: 4 })
  expect(limitsOf({ connections: 1 }, 64)).toMatchObject({ connections: 1, halfOpen: 1 })
  expect(limitsOf({ halfOpen: 3 }, 1024)).toMatchObject({ connections: 992, halfOpen: 3 })
})

test('are within what may be asked for', () => {
  for (const descriptors of [1, 64, 1024, 1_048_576]) {
    const limits = limitsOf({}, descriptors)
    for (const name of LIMIT_NAMES) {
      expect(limits[name], name).toBeGreaterThanOrEqual(LIMITS[name].least)
      if (name === 'connections' || name === 'udpFlows') continue // more than anybody has
      expect(limits[name], name).toBeLessThanOrEqual(LIMITS[name].most)
    }
  }
})

test('what is asked of the guest by default is what is asked when nothing else is said', () => {
  const { idle, interval, probes } = KEEP_ALIVE
  expect(LINUX).toEqual({
    idle: idle.default,
    interval: interval.default,
    probes: probes.default,
  })
})
