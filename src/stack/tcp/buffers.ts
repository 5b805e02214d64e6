/**
 * How much a connection may buffer, each way. A container is next door, and more than BASE on the way there, or OFFERED from
 * there, would only be in the way of others, and of the processor's cache; where the path is long, both ends grow with what
 * it carries, up to the limits: the send queue with the congestion window, the window that we offer with what the user took
 * in a round trip (dynamic right-sizing, as Linux' tcp_rcv_space_adjust). The less the pool has, the less it is
 * (`Pool.share`).
 */
import type { Connection } from './connection.ts'
import * as seq from './seq.ts'

/** Ours: several super-segments in flight fill the way to a container. */
export const BASE: number = 1024 * 1024
/**
 * Ours: the window that is offered at first. All of it may lie in the TAP's queue, and whatever else the guest sends waits
 * behind it: half a millisecond at 8 Gbit/s.
 */
export const OFFERED: number = 512 * 1024
/** Ours, in ms: OFFERED fills a Gbit/s on a path that is shorter. */
const LONG_PATH = 4

/** How many octets the send queue may have at the moment. */
export function sendLimit(c: Connection): number {
  const { pool, limits } = c.tcp
  const most = limits.sendBuffer
  if (most <= BASE) return pool.share(most)
  const grown = pathRtt(c) < LONG_PATH ? BASE : Math.max(BASE, 2 * c.congestion.cwnd)
  return pool.share(Math.min(most, grown))
}

/**
 * Text of the guest's came in line, and `c.tuneAt` is here: is the window what holds it back? It is when more than half of
 * it was filled, and taken, within a round trip.
 */
export function tuneReceiveBuffer(c: Connection, now: number): void {
  const rtt = pathRtt(c)
  const taken = seq.add(c.rcvNxt, -c.rcvQueued)
  const inRoundTrip = seq.diff(taken, c.tuneSeq) * Math.min(1, rtt / (now - c.tunedAt))
  c.tuneSeq = taken
  c.tunedAt = now
  c.tuneAt = now + Math.max(rtt, LONG_PATH)
  if (rtt < LONG_PATH || 2 * inRoundTrip <= c.rcvBuffer) return
  c.rcvBuffer = Math.min(c.tcp.limits.receiveBuffer, 2 * inRoundTrip)
}

/** The shortest round trip that was measured, ms; of the handshake, while nothing was sent. */
function pathRtt({ rack, rto }: Connection): number {
  const least = rack.minRtt()
  return least < Infinity ? least : rto.srtt
}
