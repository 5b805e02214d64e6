/**
 * Rules that can never decide anything, because those before them together cover all that they are about.
 *
 * A rule is about a set of flows: names × addresses × ports × protocols. What earlier rules have of it is taken away, piece
 * by piece; a rule of which nothing is left is shadowed.
 *
 * Names: a name or `*.` pattern is covered as a whole or not at all, for all names under a `*` are more than any
 * number of others. So each pattern of a rule is asked about by itself, and only rules count that have all its names.
 *
 * Addresses are intervals of 128-bit numbers, in three layers: an address that is the gateway's, or another of the host's own,
 * which is known only when the policy is used, and the same one when it is neither.
 */
import { contains } from './names.ts'
import { type Protocol, portRanges, protocolsOf, type Rule } from './policy.ts'
import { isWithin, type Prefix, readPrefix } from './prefixes.ts'
import { LOOPBACK, PRIVATE, PRIVATE_BUT } from './special-addresses.ts'

export interface Shadowed {
  /** Of the rule. */
  readonly index: number
  /** Of the rules that have a part in it. */
  readonly by: readonly number[]
}

type Layer = (typeof LAYERS)[number]
const LAYERS = ['other', 'host', 'gateway'] as const

/** A part of what a rule is about, all ends in it. */
interface Piece {
  readonly protocol: Protocol
  readonly layer: Layer
  readonly firstPort: number
  readonly lastPort: number
  readonly first: bigint
  readonly last: bigint
}

type Interval = readonly [first: bigint, last: bigint]

/** The rules that those before them cover. */
export function findShadowed(rules: readonly Rule[]): Shadowed[] {
  const pieces = rules.map(piecesOf)
  const index = new NameIndex()
  const shadowed: Shadowed[] = []
  for (const [i, rule] of rules.entries()) {
    const by = new Set<number>()
    const isCovered = (rule.name ?? [undefined]).every((pattern) =>
      isCoveredBy(pieces[i]!, index.covering(pattern), pieces, by),
    )
    if (isCovered) shadowed.push({ index: i, by: [...by].toSorted((a, b) => a - b) })
    index.add(rule, i)
  }
  return shadowed
}

/** The earlier rules by what names they are about. */
class NameIndex {
  readonly #byPattern = new Map<string, number[]>()
  readonly #nameless: number[] = []

  add({ name }: Rule, i: number): void {
    if (name === undefined) this.#nameless.push(i)
    for (const pattern of name ?? []) {
      const found = this.#byPattern.get(pattern)
      if (found === undefined) this.#byPattern.set(pattern, [i])
      else found.push(i)
    }
  }

  /** Those that have all names of the pattern; of no pattern, those that ask for none. In their order. */
  covering(pattern: string | undefined): number[] {
    const found = [...this.#nameless]
    if (pattern !== undefined) {
      for (const outer of outerPatterns(pattern)) found.push(...(this.#byPattern.get(outer) ?? []))
    }
    return found.toSorted((a, b) => a - b)
  }
}

/** The pattern itself, and the wider ones. */
function outerPatterns(pattern: string): string[] {
  const labels = pattern.split('.')
  const wider = labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join('.')}`)
  return [...new Set([pattern, ...wider])].filter((outer) => contains(outer, pattern))
}

function isCoveredBy(
  asked: readonly Piece[],
  earlier: readonly number[],
  pieces: readonly (readonly Piece[])[],
  by: Set<number>,
): boolean {
  // Most rules are not: a flow of theirs that nobody has tells so at once.
  const hasCorner = (corner: Piece): boolean =>
    earlier.some((i) => pieces[i]!.some((piece) => holdsCorner(piece, corner)))
  if (!asked.every(hasCorner)) return false
  let left = asked
  for (const i of earlier) {
    for (const taken of pieces[i]!) {
      if (!left.some((piece) => meets(piece, taken))) continue
      by.add(i)
      left = left.flatMap((piece) => without(piece, taken))
    }
    if (left.length === 0) return true
  }
  return false
}

const meets = (a: Piece, b: Piece): boolean =>
  a.protocol === b.protocol &&
  a.layer === b.layer &&
  a.firstPort <= b.lastPort &&
  b.firstPort <= a.lastPort &&
  a.first <= b.last &&
  b.first <= a.last

/** Is the flow with the first port and address of `corner` in it? */
const holdsCorner = (piece: Piece, { protocol, layer, firstPort, first }: Piece): boolean =>
  piece.protocol === protocol &&
  piece.layer === layer &&
  piece.firstPort <= firstPort &&
  piece.lastPort >= firstPort &&
  piece.first <= first &&
  piece.last >= first

/** What is left of `piece`. */
function without(piece: Piece, taken: Piece): Piece[] {
  if (!meets(piece, taken)) return [piece]
  const left: Piece[] = []
  if (piece.firstPort < taken.firstPort) left.push({ ...piece, lastPort: taken.firstPort - 1 })
  if (piece.lastPort > taken.lastPort) left.push({ ...piece, firstPort: taken.lastPort + 1 })
  const firstPort = Math.max(piece.firstPort, taken.firstPort)
  const lastPort = Math.min(piece.lastPort, taken.lastPort)
  if (piece.first < taken.first) {
    left.push({ ...piece, firstPort, lastPort, last: taken.first - 1n })
  }
  if (piece.last > taken.last) {
    left.push({ ...piece, firstPort, lastPort, first: taken.last + 1n })
  }
  return left
}

// --- what a rule is about ---

function piecesOf(rule: Rule): Piece[] {
  const pieces: Piece[] = []
  const addresses = LAYERS.map((layer) => ({ layer, intervals: addressesOf(rule, layer) }))
  for (const protocol of protocolsOf(rule)) {
    const ports = protocol === 'icmp' ? ([[0, 0]] as const) : portRanges(rule)
    for (const [firstPort, lastPort] of ports) {
      for (const { layer, intervals } of addresses) {
        for (const [first, last] of intervals) {
          pieces.push({ protocol, layer, firstPort, lastPort, first, last })
        }
      }
    }
  }
  return pieces
}

const ALL: Interval = [0n, (1n << 128n) - 1n]
/** ::ffff:0:0/96. */
const MAPPED: Interval = [0xffff_0000_0000n, 0xffff_ffff_ffffn]
const LOOPBACK_INTERVALS = LOOPBACK.map(intervalOf)
const PRIVATE_INTERVALS = subtract(PRIVATE.flatMap(intervalsOf), PRIVATE_BUT.map(intervalOf))
const PUBLIC_INTERVALS = subtract([ALL], PRIVATE_INTERVALS)

const PUBLIC_BUT_LOOPBACK = subtract(PUBLIC_INTERVALS, LOOPBACK_INTERVALS)

/** As `passes` of addresses.ts has it. */
function addressesOf({ action, name, to, private: isPrivate }: Rule, layer: Layer): Interval[] {
  const isHost = layer !== 'other'
  const isExact = layer === 'gateway' && action === 'allow'
  const isOpen = name === undefined || isPrivate
  const isNarrow = name !== undefined && !isPrivate
  if (to === undefined && isNarrow) return isHost ? [] : PUBLIC_BUT_LOOPBACK
  const all = to === undefined && isOpen ? [ALL] : []
  const named = (to ?? []).flatMap((text) => {
    if (text === 'host') return isHost ? [ALL] : []
    if (text === 'private') return isExact ? [] : PRIVATE_INTERVALS
    const prefix = prefixOf(text)
    if (isExact && prefix.length < 128) return []
    if (!isNarrow || isWithinPrivate(prefix)) return intervalsOf(prefix)
    return isHost ? [] : subtract(intervalsOf(prefix), PRIVATE_INTERVALS)
  })
  const intervals = [...all, ...named]
  // A loopback address is always the host's.
  return isHost ? intervals : subtract(intervals, LOOPBACK_INTERVALS)
}

const isWithinPrivate = (prefix: Prefix): boolean =>
  PRIVATE.some((outer) => isWithin(prefix, outer))

function prefixOf(text: string): Prefix {
  const prefix = readPrefix(text)
  if ('problem' in prefix) throw new TypeError(`${text}: ${prefix.problem}`)
  return prefix
}

function intervalsOf(prefix: Prefix): Interval[] {
  const interval = intervalOf(prefix)
  return prefix.isIpv6 ? subtract([interval], [MAPPED]) : [interval]
}

function intervalOf({ words, length }: Prefix): Interval {
  let first = 0n
  for (const word of words) first = (first << 32n) | BigInt(word >>> 0)
  return [first, first | ((1n << BigInt(128 - length)) - 1n)]
}

function subtract(from: readonly Interval[], taken: readonly Interval[]): Interval[] {
  let left = [...from]
  for (const [first, last] of taken) {
    left = left.flatMap(([low, high]): Interval[] => {
      if (high < first || low > last) return [[low, high]]
      const parts: Interval[] = []
      if (low < first) parts.push([low, first - 1n])
      if (high > last) parts.push([last + 1n, high])
      return parts
    })
  }
  return left
}
