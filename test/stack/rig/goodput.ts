/**
 * What two stacks get through a bad link, cell by cell: for the golden tables (goodput.test.ts) and
 * `npm run bench:goodput`. Time is virtual and everything has a seed: a cell is a number.
 */
import type { CongestionName } from '../../../src/stack/tcp/congestion.ts'
import type { LinkOptions } from './lossy-link.ts'
import { Pair, Talker } from './pair.ts'

const MIB = 1024 * 1024
/** A day: longer than 64 MiB take at the worst. */
const TOO_LONG = 86_400_000

/** 100 Mbit/s and a round trip of 20 ms: 250 kB are under way when it is full. */
const BASE: LinkOptions = { delay: 10, rate: 12_500, queue: 500 }

export const LOSSES = [0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2]

export const LINKS: Record<string, LinkOptions> = {
  plain: BASE,
  disorder: { ...BASE, reordering: 0.05, jitter: 3 },
  doubles: { ...BASE, duplication: 0.05 },
  damage: { ...BASE, corruption: 0.01 },
  far: { ...BASE, delay: 100, queue: 2000 },
  shallow: { ...BASE, queue: 20 },
  narrow: { ...BASE, rate: 125, queue: 20 },
}

export interface Cell {
  /** Mbit/s of text. */
  goodput: number
  retransmits: number
  timeouts: number
}

/** `octets` from the left to the right, each looked at; throws when one is wrong or missing. */
export function cell(
  octets: number,
  link: LinkOptions,
  loss: number,
  congestion: CongestionName,
): Cell {
  const pair = new Pair({
    ...{ ...link, loss, seed: 1, congestion, chunks: 512 },
    limits: { sendBuffer: MIB, receiveBuffer: MIB },
  })
  const left = new Talker(pair, pair.left, { says: octets, hears: 0, salt: 2 })
  const right = new Talker(pair, pair.right, { says: 0, hears: octets, salt: 3 })
  pair.open(left, right)
  pair.run(() => right.hasHeardEnd && right.heard === octets, TOO_LONG)
  const ms = pair.clock.now - pair.clock.start
  const { tcpRetransmits, tcpTimeouts } = pair.left.stack.counters
  return { goodput: (octets * 8) / ms / 1000, retransmits: tcpRetransmits, timeouts: tcpTimeouts }
}

/** The table: a line for each loss, a column for each link. */
export function table(
  octets: number,
  congestion: CongestionName,
  say: (line: string) => void = () => {},
): string {
  const lines = [
    `loss  ${Object.keys(LINKS)
      .map((name) => name.padStart(9))
      .join('')}`,
  ]
  say(lines[0]!)
  for (const loss of LOSSES) {
    const cells = Object.values(LINKS).map((link) => cell(octets, link, loss, congestion))
    const figures = cells.map(({ goodput }) => significant(goodput).padStart(9)).join('')
    lines.push(`${(100 * loss).toFixed(1).padStart(4)}%${` ${figures}`}`)
    say(lines.at(-1)!)
  }
  return `${lines.join('\n')}\n`
}

/** Three digits. */
const significant = (n: number): string => n.toFixed(n >= 100 ? 0 : n >= 10 ? 1 : n >= 1 ? 2 : 3)
