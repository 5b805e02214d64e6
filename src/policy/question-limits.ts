/**
 * Names under a `*` can carry what a container wants to tell their owner. So their labels are not long, and there are not many
 * new ones in a minute. Names that a rule spells out carry nothing.
 */
import { matches } from './names.ts'
import type { Policy, Rule } from './policy.ts'

const MINUTE = 60_000
/** Ours: all containers of a network together may ask for as many new names as so many of them. */
const NETWORK = 4
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
  /** All of them: one that writes its own frames may look like many. */
  readonly #network: Asked = nothing()

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
    const network = at(this.#network, now)
    if (isFull(asked, pattern, name, maxNames)) return 'too many names in a minute'
    if (isFull(network, pattern, name, NETWORK * maxNames)) {
      return 'too many names in a minute, of all containers together'
    }
    for (const each of [asked, network]) count(each, pattern, name)
    return undefined
  }

  #asked(guest: number, now: number): Asked {
    let asked = this.#guests.get(guest)
    if (asked === undefined) {
      asked = nothing()
      if (this.#guests.size >= MAX_GUESTS) this.#guests.delete(this.#guests.keys().next().value!)
      this.#guests.set(guest, asked)
    }
    return at(asked, now)
  }
}

const nothing = (): Asked => ({ known: new Set(), counts: new Map(), minute: -1 })

/** As it is now: each minute has counts of its own. */
function at(asked: Asked, now: number): Asked {
  const minute = Math.floor(now / MINUTE)
  if (asked.minute !== minute) asked.counts.clear()
  asked.minute = minute
  return asked
}

const isFull = ({ known, counts }: Asked, pattern: string, name: string, most: number): boolean =>
  !known.has(name) && (counts.get(pattern) ?? 0) >= most

function count({ known, counts }: Asked, pattern: string, name: string): void {
  if (known.has(name)) return
  counts.set(pattern, (counts.get(pattern) ?? 0) + 1)
  if (known.size >= MAX_KNOWN) known.delete(known.values().next().value!)
  known.add(name)
}
