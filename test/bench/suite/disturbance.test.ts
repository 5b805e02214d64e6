import { expect, test } from 'vitest'
import {
  familyTime,
  judge,
  type Snapshot,
  snapshot,
  systemTimes,
} from '../../../bench/suite/disturbance.ts'
import { type ProcessTimes, timesOf } from '../../../bench/suite/meter.ts'

const START: Snapshot = { at: 0, busy: 100, stolen: 0, ours: 50, throttled: 0 }

/** A second of two processors later. */
const after = (change: Partial<Snapshot>): string | undefined =>
  judge(START, { ...START, at: 1000, ...change }, 2, 1)

test('all processors at work for us are no disturbance', () => {
  expect(after({ busy: 102, ours: 52 })).toBeUndefined()
})

test('others at work for more than a twentieth of the time are', () => {
  expect(after({ busy: 101.09, ours: 51 })).toBeUndefined()
  expect(after({ busy: 101.5, ours: 51 })).toBe("25 % of the processors' time for others")
})

test('time that the hypervisor gave to others, heat, and a slow processor are', () => {
  expect(after({ stolen: 0.1 })).toBe('5 % stolen by the hypervisor')
  expect(after({ throttled: 1 })).toBe('throttled for heat')
  expect(judge(START, { ...START, at: 1000 }, 2, 1.5)).toBe('the processor 1.5× as slow')
})

test('several at once are all told', () => {
  expect(after({ busy: 101, stolen: 1 })).toBe(
    "50 % of the processors' time for others, 50 % stolen by the hypervisor",
  )
})

test('/proc/stat: idle time and waiting are not work, steal is apart (proc(5))', () => {
  const text = 'cpu  1000 100 500 9999 9999 10 90 42 0 0\ncpu0 1 2 3\n'
  expect(systemTimes(text)).toEqual({ busy: 17, stolen: 0.42 })
})

test('/proc/PID/stat: a name with spaces and parentheses (proc(5))', () => {
  const text = '7 (a ) b) S 3 1 1 0 -1 0 0 0 0 0 150 50 25 75 20 0 1 0'
  expect(timesOf(text)).toEqual({ parent: 3, own: 2, children: 1 })
})

test('what we, our descendants and the kernel’s threads have worked is ours', () => {
  const times = new Map<number, ProcessTimes>([
    [1, { parent: 0, own: 1000, children: 1000 }],
    [2, { parent: 0, own: 1, children: 0 }],
    [3, { parent: 2, own: 2, children: 0 }], // a thread of the kernel
    [10, { parent: 1, own: 4, children: 8 }], // we
    [11, { parent: 10, own: 16, children: 0 }],
    [12, { parent: 11, own: 32, children: 64 }],
    [20, { parent: 1, own: 500, children: 0 }],
    [30, { parent: 99, own: 500, children: 0 }], // whose parent has just ended
  ])
  expect(familyTime(times, 10)).toBe(1 + 2 + 4 + 8 + 16 + 32 + 64)
})

test('a snapshot of this machine goes on, and our own work is in it', () => {
  const before = snapshot()
  const start = process.cpuUsage()
  while (process.cpuUsage(start).user < 60_000);
  const now = snapshot()
  expect(now.at).toBeGreaterThan(before.at)
  expect(now.busy).toBeGreaterThan(before.busy)
  expect(now.ours - before.ours).toBeGreaterThan(0.02)
})
