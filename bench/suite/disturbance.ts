/**
 * What else the machine does while something is measured: other programs, a hypervisor that gives our processors to
 * others, a processor that is slower than it was (thermal, power, or the neighbours of a virtual machine).
 */
import { readdirSync, readFileSync } from 'node:fs'
import { type ProcessTimes, TICKS, timesOf } from './meter.ts'

export interface Snapshot {
  /** ms. */
  at: number
  /** What all processors have worked, in s, idle and waiting left out. */
  busy: number
  /** What a hypervisor took, in s. */
  stolen: number
  /** What we, everything that we have started, and the kernel's threads have worked. */
  ours: number
  /** How often a processor was throttled for its heat. */
  throttled: number
}

/** How much may be. Ours: less does not show in the spread of undisturbed runs. */
export const TOLERABLE = { others: 0.05, stolen: 0.02, slowness: 1.25 }

/**
 * What disturbed the time from one snapshot to the other, in words; undefined when nothing did. `slowness`: how many
 * times as long as at best a piece of work took just before.
 */
export function judge(
  before: Snapshot,
  after: Snapshot,
  processors: number,
  slowness: number,
): string | undefined {
  const all = ((after.at - before.at) / 1000) * processors
  if (all <= 0) return undefined
  const stolen = (after.stolen - before.stolen) / all
  const others = (after.busy - before.busy - (after.ours - before.ours)) / all
  const signs: string[] = []
  if (others > TOLERABLE.others) signs.push(`${percent(others)} of the processors' time for others`)
  if (stolen > TOLERABLE.stolen) signs.push(`${percent(stolen)} stolen by the hypervisor`)
  if (after.throttled > before.throttled) signs.push('throttled for heat')
  if (slowness > TOLERABLE.slowness) signs.push(`the processor ${slowness.toFixed(1)}× as slow`)
  return signs.length === 0 ? undefined : signs.join(', ')
}

const percent = (part: number): string => `${(100 * part).toFixed(0)} %`

export function snapshot(): Snapshot {
  const at = performance.now()
  const { busy, stolen } = systemTimes(readFileSync('/proc/stat', 'utf8'))
  const ours = familyTime(processes(), process.pid)
  return { at, busy, stolen, ours, throttled: throttled() }
}

/** Of the text of /proc/stat. */
export function systemTimes(text: string): { busy: number; stolen: number } {
  const ticks = text.split('\n', 1)[0]!.split(/\s+/).slice(1, 9).map(Number)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = ticks
  return { busy: (user + nice + system + irq + softirq) / TICKS, stolen: steal / TICKS }
}

/** The kernel's threads are children of this one: they work for whoever makes the packets, and so mostly for us. */
const KTHREADD = 2

/** What `root`, its descendants and the kernel's threads have worked, those that have ended included, in s. */
export function familyTime(times: ReadonlyMap<number, ProcessTimes>, root: number): number {
  let total = 0
  for (const [pid, { parent, own, children }] of times) {
    if (isBelow(times, pid, root)) total += own + children
    else if (pid === KTHREADD || parent === KTHREADD) total += own
  }
  return total
}

function isBelow(times: ReadonlyMap<number, ProcessTimes>, pid: number, root: number): boolean {
  for (let at = pid; at > 0; at = times.get(at)?.parent ?? 0) if (at === root) return true
  return false
}

function processes(): Map<number, ProcessTimes> {
  const found = new Map<number, ProcessTimes>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      found.set(Number(entry), timesOf(readFileSync(`/proc/${entry}/stat`, 'utf8')))
    } catch {
      // it ended meanwhile
    }
  }
  return found
}

function throttled(): number {
  let total = 0
  for (const cpu of readdirSync('/sys/devices/system/cpu')) {
    try {
      const file = `/sys/devices/system/cpu/${cpu}/thermal_throttle/core_throttle_count`
      total += Number(readFileSync(file, 'utf8'))
    } catch {
      // it is no processor, or does not tell: a virtual machine's does not
    }
  }
  return total
}

export class Watch {
  #best = Infinity
  readonly #processors: number

  constructor(processors: number) {
    this.#processors = processors
    for (let i = 0; i < 10; i++) this.#slowness()
  }

  /** Begins a measurement; what is returned ends it, and says what disturbed it. */
  begin(): () => string | undefined {
    const slowness = this.#slowness()
    const before = snapshot()
    return () => judge(before, snapshot(), this.#processors, slowness)
  }

  /** How long a fixed piece of work takes, over how long it took at best. */
  #slowness(): number {
    const started = performance.now()
    let sum = 0
    for (let i = 0; i < 5e6; i++) sum = (sum + i * i) | 0
    const took = performance.now() - started + (sum & 0)
    this.#best = Math.min(this.#best, took)
    return took / this.#best
  }
}
