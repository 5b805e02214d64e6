/** What is true of a connection whenever nothing is being done with it. */

import { MAX_RANGES } from '../../../src/stack/tcp/assembler.ts'
import { type Connection, flightSize, rcvWnd } from '../../../src/stack/tcp/connection.ts'
import * as seq from '../../../src/stack/tcp/seq.ts'
import { fail } from './frames.ts'
import { outOf } from './out.ts'

/** How many octets one unit of the window field is, less one. */
const slack = (c: Connection): number => (1 << c.rcvWindShift) - 1

export function assertInvariants(c: Connection): void {
  const must = (holds: boolean, what: string): void => {
    if (!holds) fail(`${what} does not hold in ${c.state}`)
  }
  const { sndUna, sndNxt, sendQueue, recvQueue, rcvNxt, rcvQueued, assembler } = c
  // The send side.
  must(seq.le(sndUna, sndNxt), 'SND.UNA =< SND.NXT')
  if (c.state !== 'SYN-SENT' && c.state !== 'SYN-RECEIVED' && c.state !== 'CLOSED') {
    must(
      flightSize(c) <= sendQueue.length + (c.finSent ? 1 : 0),
      'what is in flight is in the queue',
    )
    must(!c.finSent || flightSize(c) === 0 || c.finQueued, 'a FIN was asked for')
  }
  assertInFlight(c, must)
  must(
    flightSize(c) === 0 || c.isProbing || c.rtoAt < Infinity,
    'a timer runs for what is in flight',
  )
  must(
    c.congestion.cwnd >= c.smss || c.state === 'SYN-SENT',
    'a segment fits the congestion window',
  )
  // The receive side.
  must(rcvQueued <= recvQueue.length, 'what is in line is in the queue')
  must(assembler.edges.length <= 2 * MAX_RANGES, 'islands are bounded')
  const { edges } = assembler
  must(isSorted(edges, seq.add(rcvNxt, 1), c.rcvAdv), 'islands are in order and in the window')
  if (c.state !== 'CLOSED') {
    const last = edges.length > 0 ? seq.diff(edges.at(-1)!, rcvNxt) : 0
    must(recvQueue.length === rcvQueued + last, 'the queue ends with the last island')
    const most = Math.max(65535, c.tcp.limits.receiveBuffer)
    must(rcvQueued + rcvWnd(c) <= most + slack(c), 'what is promised fits the buffer')
  }
  must(!c.isTouched || c.state === 'CLOSED', 'nothing is due')
}

/** The retransmission queue is what is out, and its sums are right. */
function assertInFlight(c: Connection, must: (holds: boolean, what: string) => void): void {
  const { inFlight } = c
  if (c.state === 'SYN-SENT' || c.state === 'SYN-RECEIVED' || c.state === 'CLOSED') {
    return must(inFlight.count === 0, 'nothing but a SYN is out')
  }
  const out = outOf(c)
  const end = out.at(-1)?.to ?? (c.sndUna - c.iss) | 0
  must(end === ((c.sndNxt - c.iss) | 0), 'the retransmission queue ends at SND.NXT')
  must(out.length === inFlight.count, 'segments are counted')
  let sacked = 0
  let lost = 0
  for (const { from, to, flags } of out) {
    must(to > from, 'a segment has octets')
    if (flags.includes('sacked')) sacked += to - from
    if (flags.includes('lost')) lost += to - from
    must(!(flags.includes('sacked') && flags.includes('lost')), 'nothing is SACKed and lost')
  }
  must(sacked === inFlight.sacked && lost === inFlight.lost, 'SACKed and lost octets are counted')
  must(!out[0]?.flags.includes('sacked'), 'the oldest octet is not SACKed')
  must(c.hasSack || sacked === 0, 'nothing is SACKed without SACK')
}

function isSorted(edges: readonly number[], from: number, to: number): boolean {
  for (let i = 0; i < edges.length; i += 2) {
    if (seq.lt(edges[i]!, from) || seq.ge(edges[i]!, edges[i + 1]!)) return false
    from = seq.add(edges[i + 1]!, 1) // islands that touch are one
  }
  return edges.length === 0 || seq.le(edges.at(-1)!, to)
}
