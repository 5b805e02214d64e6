/**
 * ICMP errors about segments of ours: somebody on the way to the guest, or the guest's own kernel, says what became of
 * them (RFC 9293 §3.9.2.2). Whoever cannot see what is out is not believed (RFC 5927 §4).
 */
import { isIpv4 } from '../flow-table.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as ipv6 from '../wire/ipv6.ts'
import * as wire from '../wire/tcp.ts'
import { type Connection, touch } from './connection.ts'
import * as seq from './seq.ts'

/** Ours, as Linux' TCP_MIN_SND_MSS: smaller segments are a denial of service. */
export const MIN_MSS = 48

/**
 * The segment at `at` found nobody. Deviates from SHLD-26, which has some of these errors end any connection: one that is
 * there goes on trying, and its timers decide, as Linux has it (RFC 5461 §4). False when nothing follows from it. See 'what is
 * unreachable ends what is being opened, and nothing else'.
 */
export function unreachableArrives(c: Connection, at: seq.Seq): boolean {
  if (!isOut(c, at) || c.state !== 'SYN-SENT') return false
  c.tcp.end(c, 'refused')
  return true
}

/**
 * The segment at `at` was too large for somebody on the way, where `mtu` octets fit. Segments become as small as that wants
 * them, and what is out goes again at once: the network is not too full, so the congestion window stays (RFC 1191
 * §6.4, RFC 8201 §5.4). False when nothing follows from it.
 */
export function tooBigArrives(c: Connection, at: seq.Seq, mtu: number, now: number): boolean {
  if (!isOut(c, at)) return false
  c.neighbour.limitPath(mtu, now)
  const smss = pathMss(c, now) - (c.hasTimestamps ? 12 : 0)
  if (smss >= c.smss) return false
  c.smss = smss
  c.inFlight.markAllLost(c.sndUna)
  touch(c)
  return true
}

const isOut = (c: Connection, at: seq.Seq): boolean => seq.ge(at, c.sndUna) && seq.lt(at, c.sndNxt)

/** The most octets of text, TCP options among them, that the way to the guest is known to carry. */
export function pathMss({ key, neighbour }: Connection, now: number): number {
  const header = isIpv4(key) ? ipv4.HEADER_LEN : ipv6.HEADER_LEN
  return Math.max(MIN_MSS, neighbour.pathMtu(now) - header - wire.HEADER_LEN)
}
