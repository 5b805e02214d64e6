/** What V8's profiler found (.cpuprofile), cut to the time that is meant, and where that time went. Pure. */

export interface CpuProfile {
  nodes: ProfileNode[]
  /** µs of CLOCK_MONOTONIC, as process.hrtime has it. */
  startTime: number
  endTime: number
  /** The node that ran at each sample, and µs since the sample before. */
  samples: number[]
  timeDeltas: number[]
}

export interface ProfileNode {
  id: number
  callFrame: CallFrame
  children?: number[]
}

/** Lines and columns are counted from 0, and -1 is none. */
export interface CallFrame {
  functionName: string
  url: string
  lineNumber: number
  columnNumber: number
}

/** The samples between two times, µs; a profile that is one still. */
export function cut(profile: CpuProfile, from: number, to: number): CpuProfile {
  const samples: number[] = []
  const timeDeltas: number[] = []
  let at = profile.startTime
  for (const [i, sample] of profile.samples.entries()) {
    const before = at
    at += profile.timeDeltas[i]!
    if (at <= from || before >= to) continue
    samples.push(sample)
    timeDeltas.push(Math.min(at, to) - Math.max(before, from))
  }
  const startTime = Math.max(from, profile.startTime)
  const endTime = Math.min(to, profile.endTime)
  return { ...profile, startTime, endTime, samples, timeDeltas }
}

/** From what was built to its source: `src/sys/io.ts:57`. */
export type Locate = (frame: CallFrame) => string

/** A function, and how long it ran itself, calls of others left out. */
export interface SelfTime {
  name: string
  where: string
  microseconds: number
}

/** All functions, those first that took longest. */
export function selfTimes({ nodes, samples, timeDeltas }: CpuProfile, locate: Locate): SelfTime[] {
  const byNode = new Map<number, SelfTime>()
  const byPlace = new Map<string, SelfTime>()
  for (const { id, callFrame } of nodes) {
    const where = callFrame.url === '' ? '' : locate(callFrame)
    const name = callFrame.functionName || '(anonymous)'
    const key = `${name} ${where}`
    const self = byPlace.get(key) ?? { name, where, microseconds: 0 }
    byPlace.set(key, self)
    byNode.set(id, self)
  }
  for (const [i, id] of samples.entries()) byNode.get(id)!.microseconds += timeDeltas[i]!
  return [...byPlace.values()]
    .filter(({ microseconds }) => microseconds > 0)
    .toSorted((a, b) => b.microseconds - a.microseconds)
}

/** What sleeps in the kernel until there is something to do. */
const isWaiting = ({ name, where }: SelfTime): boolean =>
  name === '(idle)' || (name === 'wait' && where.includes('sys/epoll.ts'))

/** The part of slipway, or what else it is. */
function partOf(self: SelfTime): string {
  if (isWaiting(self)) return 'waiting'
  const own = /src\/(stack\/wire|stack\/tcp|\w+)\//.exec(self.where)?.[1]
  if (own === 'sys') return 'sys: system calls'
  if (own !== undefined) return own
  if (self.name === '(garbage collector)') return 'garbage collection'
  return self.where.startsWith('node:') ? 'Node' : 'other'
}

/** By part, the largest first. */
export function parts(times: readonly SelfTime[]): [part: string, microseconds: number][] {
  const sums = new Map<string, number>()
  for (const self of times) {
    sums.set(partOf(self), (sums.get(partOf(self)) ?? 0) + self.microseconds)
  }
  return [...sums].toSorted(([, a], [, b]) => b - a)
}

/** The table: what part of the time that was not waited went where. */
export function tableOf(times: readonly SelfTime[], top: number): string {
  const all = times.reduce((sum, { microseconds }) => sum + microseconds, 0)
  const waited = times.filter(isWaiting).reduce((sum, { microseconds }) => sum + microseconds, 0)
  const busy = Math.max(1, all - waited)
  const part = (microseconds: number): string =>
    `${((100 * microseconds) / busy).toFixed(1).padStart(5)} %`
  const ms = (microseconds: number): string => `${(microseconds / 1000).toFixed(0).padStart(6)} ms`
  return [
    `${ms(all).trim()}, of which ${((100 * waited) / Math.max(1, all)).toFixed(0)} % waiting in epoll_wait; of the rest`,
    ...parts(times)
      .filter(([name]) => name !== 'waiting')
      .map(([name, microseconds]) => `${part(microseconds)} ${ms(microseconds)}  ${name}`),
    '',
    'self time',
    ...times
      .filter((self) => !isWaiting(self))
      .slice(0, top)
      .map(({ name, where, microseconds }) =>
        `${part(microseconds)} ${ms(microseconds)}  ${name.padEnd(24)} ${where}`.trimEnd(),
      ),
  ].join('\n')
}
