/** The whole transmission control block, to be compared (smoltcp's `sanity!`). */
import { expect } from 'vitest'
import type { Connection } from '../../../src/stack/tcp/connection.ts'
import { outOf } from './out.ts'
import type { Joined } from './states.ts'

export type Tcb = Record<string, unknown>

/** Sequence numbers of our side, and of the guest's; times. */
const OURS = ['iss', 'sndUna', 'sndNxt', 'sndWl2', 'recover', 'rttSeq', 'tlpEndSeq']
const GUESTS = ['irs', 'rcvNxt', 'rcvAdv', 'sndWl1', 'finAt', 'lastAckSent', 'tuneSeq']
const TIMES = [
  'reoAt',
  'ptoAt',
  'rttAt',
  'rtoAt',
  'persistAt',
  'ackAt',
  'keepAliveAt',
  'tuneAt',
  'tunedAt',
  'waitAt',
  'heardAt',
  'probedAt',
  'sentAt',
  'deadline',
]
/** What is not of the connection's state, or differs with where it is kept. */
const LEFT_OUT = ['tcp', 'user', 'key', 'neighbour', 'heapIndex', 'heapKey', 'tsOffset'].concat([
  'dsackLeft',
  'dsackRight',
])

/** A copy, with numbers relative to the ISNs and times to the clock's start. */
export function tcbOf({ host, clock }: Joined): Tcb {
  const c = host.c as Connection & Record<string, unknown>
  const tcb: Tcb = {}
  for (const name of Object.keys(c)) {
    if (LEFT_OUT.includes(name)) continue
    const value = c[name]
    if (OURS.includes(name)) tcb[name] = ((value as number) - c.iss) | 0
    else if (GUESTS.includes(name)) tcb[name] = ((value as number) - c.irs) | 0
    else if (TIMES.includes(name) && value !== -1) tcb[name] = (value as number) - clock.start
    else if (typeof value !== 'object') tcb[name] = value
  }
  const relative = (edges: number[], base: number): number[] => edges.map((e) => (e - base) | 0)
  tcb.inFlight = outOf(c).map(({ from, to, flags }) => `${from}:${to} ${flags}`.trim())
  tcb.assembler = relative(c.assembler.edges, c.irs)
  tcb.sendQueue = c.sendQueue.length
  tcb.recvQueue = c.recvQueue.length
  tcb.rto = { ...c.rto }
  tcb.congestion = { ...c.congestion }
  tcb.finAt = c.finAhead ? tcb.finAt : 0
  return tcb
}

/** The block is `before` but for `changes`, and nothing else changed. */
export function assertTcb(joined: Joined, before: Tcb, changes: Tcb = {}): void {
  expect(tcbOf(joined)).toEqual({ ...before, ...changes })
}
