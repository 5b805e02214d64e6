/** What a process has used, as /proc says it (proc(5)). */
import { readFileSync, writeFileSync } from 'node:fs'

/** USER_HZ of Linux, everywhere that we run. */
const TICKS = 100

/** User and system time of all threads. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name, in parentheses, may have anything in it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

const status = (pid: number, field: string): number => {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1])
}

export const residentKib = (pid: number): number => status(pid, 'VmRSS')

/** The most that was resident since `forgetPeak`. */
export const peakKib = (pid: number): number => status(pid, 'VmHWM')

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** How the machine is while a bench runs: the time of a fixed piece of work, and what a hypervisor took. */
export class Mood {
  readonly #times: number[] = []
  readonly #before = stolen()

  /** Called between measurements. */
  probe(): void {
    const started = performance.now()
    let sum = 0
    for (let i = 0; i < 2e7; i++) sum = (sum + i * i) | 0
    this.#times.push(performance.now() - started + (sum & 0))
  }

  /** Why the figures may be wrong; undefined when there is no sign of it. */
  complaint(): string | undefined {
    const sorted = this.#times.toSorted((a, b) => a - b)
    const best = sorted[0] ?? 1
    const slow = sorted.filter((time) => time > best * 1.3).length
    const { steal, total } = stolen()
    const taken = (100 * (steal - this.#before.steal)) / Math.max(1, total - this.#before.total)
    const signs: string[] = []
    if (slow > sorted.length / 5) {
      signs.push(`${slow} of ${sorted.length} probes of the processor took 1.3 times the best`)
    }
    if (taken > 2)
      signs.push(`${taken.toFixed(1)} % of the processors' time went to other machines`)
    return signs.length === 0 ? undefined : `disturbed: ${signs.join('; ')}`
  }
}

function stolen(): { steal: number; total: number } {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n')
  const ticks = line.split(/\s+/).slice(1, 9).map(Number)
  return { steal: ticks[7] ?? 0, total: ticks.reduce((sum, value) => sum + value, 0) }
}
