/**
 * Names under a `*` can carry what a container wants to tell their owner. So their labels are not long, and there are not many
 * new ones in a minute. Names that a rule spells out carry nothing.
 */
import { matches } from './names.ts'
import type { Policy, Rule } from './policy.ts'

const MINUTE = 60_000
/** Ours: names that are remembered of one container. */
const MAX_KNOWN = 4096
/** Ours: containers that are remembered. */
const MAX_GUESTS = 1024

interface Asked {
  readonly known: Set<string>
  /** By pattern: new names in this minute. */
  readonly counts: Map<string, number>
  minute: number
}

export class QuestionLimits {
  readonly #guests = new Map<number, Asked>()

  /** Why a name that the rule allows must not be asked for; undefined: it may. */
  check(policy: Policy, guest: number, rule: Rule, name: string, now: number): string | undefined {
    const patterns = (rule.name ?? []).filter((pattern) => matches(pattern, name))
    if (patterns.length === 0 || patterns.includes(name)) return undefined
    // The longest leaves least to the *.
    const pattern = patterns.reduce((a, b) => (a.length >= b.length ? a : b))
    const { maxLabel, maxNames } = policy.dns
    const free = name.slice(0, name.length - pattern.length + 1).split('.')
    if (free.some((label) => label.length > maxLabel)) return 'a label is too long'
    const asked = this.#asked(guest, now)
    if (asked.known.has(name)) return undefined
    const count = asked.counts.get(pattern) ?? 0
    if (count >= maxNames) return 'too many names in a minute'
    asked.counts.set(pattern, count + 1)
    if (asked.known.size >= MAX_KNOWN) asked.known.delete(asked.known.values().next().value!)
    asked.known.add(name)
    return undefined
  }

  #asked(guest: number, now: number): Asked {
    const minute = Math.floor(now / MINUTE)
    let asked = this.#guests.get(guest)
    if (asked === undefined) {
      asked = { known: new Set(), counts: new Map(), minute }
      if (this.#guests.size >= MAX_GUESTS) this.#guests.delete(this.#guests.keys().next().value!)
      this.#guests.set(guest, asked)
    }
    if (asked.minute !== minute) {
      asked.minute = minute
      asked.counts.clear()
    }
    return asked
  }
}
