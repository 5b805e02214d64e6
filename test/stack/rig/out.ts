/** What a connection has out, segment by segment, as a test reads it. */
import type { Connection } from '../../../src/stack/tcp/connection.ts'
import { LOST, RETRANSMITTED, SACKED } from '../../../src/stack/tcp/segments.ts'

export interface Out {
  /** Relative to the ISN. */
  from: number
  to: number
  /** Of `sacked`, `lost` and `again`. */
  flags: string
}

const NAMES = [
  [SACKED, 'sacked'],
  [LOST, 'lost'],
  [RETRANSMITTED, 'again'],
] as const

export function outOf(c: Connection): Out[] {
  const s = c.tcp.segments
  const list: Out[] = []
  let from = (c.sndUna - c.iss) | 0
  for (let i = c.inFlight.head; i >= 0; i = s.next[i]!) {
    const to = (s.end[i]! - c.iss) | 0
    const flags = NAMES.filter(([bit]) => s.flags[i]! & bit).map(([, name]) => name)
    list.push({ from, to, flags: flags.join(' ') })
    from = to
  }
  return list
}
