import { expect, test } from 'vitest'
import { type CpuProfile, cut, parts, selfTimes, tableOf } from '../../../bench/profile/cpu.ts'

const node = (id: number, functionName: string, url: string) => ({
  ...{ id, callFrame: { functionName, url, lineNumber: 0, columnNumber: 0 } },
})

/** Twelve samples of 100 µs each from 1000 on: 2 of start-up, 10 of work. */
const PROFILE: CpuProfile = {
  nodes: [
    node(1, '(root)', ''),
    node(2, 'start', 'file:///src/cli.ts'),
    node(3, 'send', 'file:///src/sys/socket.ts'),
    node(4, 'wait', 'file:///src/sys/epoll.ts'),
    node(5, 'segmentArrives', 'file:///src/stack/tcp/input.ts'),
    node(6, 'send', 'file:///src/sys/socket.ts'), // called from elsewhere
    node(7, '(garbage collector)', ''),
  ],
  startTime: 1000,
  endTime: 2200,
  samples: [2, 2, 3, 3, 3, 4, 4, 5, 6, 6, 7, 5],
  timeDeltas: Array.from({ length: 12 }, () => 100),
}

const locate = ({ url }: { url: string }): string => url.replace('file:///', '')
const times = (profile: CpuProfile) => selfTimes(profile, locate)

test('what is cut away is not counted, and a sample on the edge counts in part', () => {
  const part = cut(PROFILE, 1150, 2150)
  expect({ start: part.startTime, end: part.endTime }).toEqual({ start: 1150, end: 2150 })
  expect(part.timeDeltas.reduce((sum, delta) => sum + delta, 0)).toBe(1000)
  const start = times(part).find(({ name }) => name === 'start')
  expect(start?.microseconds).toBe(50)
})

test('a window that is wider than the profile changes nothing', () => {
  expect(cut(PROFILE, 0, 1e9)).toEqual(PROFILE)
})

test('a function that is called from several places is one', () => {
  expect(times(PROFILE)[0]).toEqual({
    name: 'send',
    where: 'src/sys/socket.ts',
    microseconds: 500,
  })
})

test('parts are folders; waiting in epoll_wait is apart', () => {
  expect(parts(times(cut(PROFILE, 1200, 2200)))).toEqual([
    ['sys: system calls', 500],
    ['waiting', 200],
    ['stack/tcp', 200],
    ['garbage collection', 100],
  ])
})

test('the table is of the time that was not waited', () => {
  const text = tableOf(times(cut(PROFILE, 1200, 2200)), 1)
  expect(text).toContain('1 ms, of which 20 % waiting in epoll_wait; of the rest')
  expect(text).toContain(' 62.5 %      1 ms  sys: system calls')
  expect(text).toMatch(/self time\n 62\.5 % +1 ms {2}send +src\/sys\/socket\.ts$/)
})
