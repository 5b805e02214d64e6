/** What processes have used, as /proc says it (proc(5)). */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** USER_HZ of Linux, everywhere that we run. */
export const TICKS = 100

export interface ProcessTimes {
  parent: number
  /** Its own user and system time, all threads, in s. */
  own: number
  /** That of its children which it has waited for, and of theirs. */
  children: number
}

/** The text of /proc/PID/stat. */
export function timesOf(text: string): ProcessTimes {
  // The name, in parentheses, may have anything in it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = (from: number): number => (Number(fields[from]) + Number(fields[from + 1])) / TICKS
  return { parent: Number(fields[1]), own: ticks(11), children: ticks(13) }
}

/** User and system time of the processes, to 10 ms. */
export function cpuSeconds(pids: readonly number[]): number {
  return sum(pids, (pid) => timesOf(readFileSync(`/proc/${pid}/stat`, 'utf8')).own)
}

/** The same to the nanosecond, of those threads that still live; undefined where the kernel does not tell. */
export function exactCpuSeconds(pids: readonly number[]): number | undefined {
  try {
    return sum(pids, (pid) =>
      sum(readdirSync(`/proc/${pid}/task`), (task) => {
        const text = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8')
        return Number(text.split(' ')[0]) / 1e9
      }),
    )
  } catch {
    return undefined
  }
}

export const residentKib = (pids: readonly number[]): number =>
  sum(pids, (pid) => status(pid, 'VmRSS'))

/** The most that was resident since `forgetPeak`. */
export const peakKib = (pids: readonly number[]): number => sum(pids, (pid) => status(pid, 'VmHWM'))

export function forgetPeak(pids: readonly number[]): void {
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function status(pid: number, field: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1])
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
