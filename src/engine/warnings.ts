/**
 * What somebody should know of a network that goes on: a limit that turns flows away. Made of the counters, and no more
 * often than people read.
 */
import type { Stats, Warning } from './types.ts'

/** Ours, in ms: how often counters are looked at, and how long a warning is not repeated. */
const INTERVAL = 1_000
const SILENCE = 60_000

/** Of the counters, those that are looked at. */
type Counted = Pick<Stats, 'drops' | 'socketsFailed'>

interface Kind {
  readonly code: Warning['code']
  count(stats: Counted): number
  readonly text: string
}

const KINDS: readonly Kind[] = [
  {
    code: 'WARN_CONNECTIONS',
    count: ({ drops }) => drops.tcpLimit + drops.tcpHalfOpen,
    text: 'connections were refused: there are as many as there may be',
  },
  {
    code: 'WARN_MEMORY',
    count: ({ drops }) => drops.tcpNoMemory,
    text: 'segments were dropped, or connections refused: all buffers are full',
  },
  {
    code: 'WARN_SOCKETS',
    count: ({ socketsFailed }) => socketsFailed,
    text: 'sockets could not be opened: descriptors or memory are short',
  },
  {
    code: 'WARN_TAP',
    count: ({ drops }) => drops.tapRefused,
    text: "frames were refused by the container's kernel",
  },
]

export class Warnings {
  listener: ((warning: Warning) => void) | undefined
  readonly #told = KINDS.map(() => ({ count: 0, at: -Infinity }))
  #checkedAt = -Infinity

  /** Called again and again, with the time and how to learn what was counted. */
  check(now: number, stats: () => Counted): void {
    if (this.listener === undefined || now - this.#checkedAt < INTERVAL) return
    this.#checkedAt = now
    const counted = stats()
    for (const [i, { code, count, text }] of KINDS.entries()) {
      const told = this.#told[i]!
      const n = count(counted) - told.count
      if (n === 0 || now - told.at < SILENCE) continue
      told.count += n
      told.at = now
      this.listener({ code, count: n, message: `${n} ${text}` })
    }
  }
}
