/** What the SYNs said of each other: what a connection may do, and how large its segments are. */
import { isIpv4 } from '../flow-table.ts'
import { Reno } from './congestion.ts'
import type { Connection } from './connection.ts'
import { Cubic } from './cubic.ts'
import { MIN_MSS, pathMss } from './icmp.ts'

/** RFC 9293 §3.7.1 (MUST-15): of a SYN without the option, by IP version. */
export const defaultMss = (key: Int32Array): number => (isIpv4(key) ? 536 : 1220)

/** RFC 9293 §3.7.1, RFC 7323 §2.2 and §3.2. */
export function agreeOnOptions(
  c: Connection,
  mss: number,
  windShift: number,
  hasTimestamp: boolean,
  tsVal: number,
  now: number,
): void {
  c.tuneSeq = c.rcvNxt
  c.hasTimestamps = hasTimestamp
  if (hasTimestamp) {
    c.tsRecent = tsVal
    c.tsRecentAt = now
  }
  // Eff.snd.MSS (RFC 9293 §3.7.1), from which the options of each segment are taken off.
  const most = Math.min(Math.max(mss, MIN_MSS), c.tcp.linkMss(c.key), pathMss(c, now))
  c.smss = Math.max(1, most - (hasTimestamp ? 12 : 0))
  c.congestion = c.tcp.options.congestion === 'reno' ? new Reno(c.smss) : new Cubic(c.smss)
  c.hasWindScale = windShift >= 0
  if (c.hasWindScale) {
    c.sndWindShift = Math.min(windShift, 14)
    c.rcvWindShift = c.tcp.windShift()
  } else {
    c.rcvWindShift = 0
  }
}
