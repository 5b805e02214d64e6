/** What a micro bench is, and how a function is measured. */
import { do_not_optimize, measure } from 'mitata'

/** A figure of a bench. */
export interface Measured {
  name: string
  value: number
  unit: string
  /** Is a smaller number the better one? */
  less: boolean
}

export interface Bench {
  name: string
  /** `ms`: for about so long; LONGER times as long where more than one function is at work. */
  run(ms: number): Promise<Measured[]>
}

export const LONGER = 8

/** So many places in turn, so that it is the code which is measured and not one line of the cache. */
export const PLACES = 64
export const STEP = 2048

/** ns of a call, the median of many batches (mitata). What it returns is kept from being left out. */
export function call(name: string, fn: () => unknown): Bench {
  return callAt(name, fn)
}

/** As `call`, with the next place for each call. */
export function callAt(name: string, fn: (at: number) => unknown): Bench {
  return {
    name,
    async run(ms) {
      const options = { gc: false, min_cpu_time: ms * 1e6 } as const
      const { p50 } = await measure(caller(name, fn), options)
      return [{ name, value: p50, unit: 'ns', less: true }]
    },
  }
}

/**
 * A function of its own for each bench, by its text: V8 gathers what it knows of a call by the place where it stands, and
 * one place for all would be one at which nothing is inlined.
 */
function caller(name: string, fn: (at: number) => unknown): () => void {
  const text = `// ${name}
    let at = 0
    return () => {
      at = (at + ${STEP}) & ${PLACES * STEP - 1}
      keep(fn(at))
    }`
  return new Function('fn', 'keep', text)(fn, do_not_optimize)
}
