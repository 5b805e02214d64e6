/**
 * Any segment in any state: the guest says what it likes, true or not, while the host does what it
 * likes. Nothing throws, what must hold of a connection holds after each step (invariants.ts), no
 * wrong octet is given to the host, and nothing is left when it is over.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FACTORIES, type Joined, LINUX, PLAIN } from '../rig/states.ts'

/** Near the next octet, at edges of windows, or anywhere. */
const offset = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -3, max: 3 }) },
  { weight: 3, arbitrary: fc.integer({ min: -3000, max: 70_000 }) },
  { weight: 1, arbitrary: fc.integer() },
)
const flags = fc.constantFrom('.', '.', '.', 'P.', 'F.', 'FP.', 'R', 'R.', 'S', 'S.', '-', 'FSRPU.')
const len = fc.oneof(fc.constant(0), fc.nat(3), fc.nat(3000), fc.constant(60_000))
const wnd = fc.oneof(fc.constant(65_535), fc.constant(0), fc.nat(3000), fc.nat(65_535))

type Step =
  | {
      does: 'segment'
      flags: string
      seq: number
      ack: number
      len: number
      wnd: number
      sack: number[]
    }
  | { does: 'send' | 'read' | 'pass'; n: number }
  | { does: 'close' | 'abort' | 'toggle' | 'starve' }

const segment = fc.record({
  does: fc.constant('segment' as const),
  flags,
  seq: offset,
  ack: offset,
  len,
  wnd,
  sack: fc.array(fc.integer({ min: -100, max: 20_000 }), { maxLength: 8 }),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: segment },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('send' as const), n: fc.nat(20_000) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('read' as const), n: fc.nat(20_000) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('pass' as const), n: fc.nat(3000) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('close', 'toggle', 'starve') }) },
)

function take({ rig, peer, host, clock }: Joined, step: Step, starved: number[]): void {
  const { pool } = rig.stack
  switch (step.does) {
    case 'segment': {
      const { c } = host
      // A SYN may have come from elsewhere than its peer began.
      if (c.state !== 'SYN-SENT') peer.isn = c.irs
      const seq = ((c.rcvNxt - peer.isn) | 0) + step.seq
      const ack = ((c.sndNxt - peer.hostIsn) | 0) + step.ack
      const edges = step.sack.slice(0, step.sack.length & ~1).map((edge) => edge + ack)
      const sack = edges.length > 0 ? `sack ${pairs(edges)}` : ''
      const length = `${seq | 0}:${(seq | 0) + step.len}(${step.len})`
      const acked = step.flags.includes('.') ? ` ack ${ack | 0}` : ''
      const stamp =
        peer.hasTimestamps && edges.length <= 6
          ? `TS val ${peer.tsNow()} ecr ${peer.hostTsVal}`
          : ''
      const options = [stamp, sack].filter((each) => each !== '').join(',')
      return peer.sends(`${step.flags} ${length}${acked} win ${step.wnd} <${options}>`)
    }
    case 'send':
      if (host.reason === undefined) host.sendsUpTo(step.n)
      return
    case 'read':
      return host.reads(Math.min(step.n, host.c.rcvQueued))
    case 'pass':
      return clock.advance(step.n)
    case 'close':
      if (host.reason === undefined) host.closes()
      return
    case 'abort':
      return host.aborts()
    case 'toggle':
      host.isReading = !host.isReading
      if (host.isReading) host.reads()
      return
    case 'starve':
      if (starved.length > 0) for (const chunk of starved.splice(0)) pool.give(chunk)
      else while (pool.free > 1) starved.push(pool.take())
  }
}

function pairs(edges: number[]): string {
  const text: string[] = []
  for (let i = 0; i < edges.length; i += 2) text.push(`${edges[i]}:${edges[i + 1]}`)
  return text.join(' ')
}

const states = Object.keys(FACTORIES) as (keyof typeof FACTORIES)[]

test.each(states)('in %s', (state) => {
  const anything = fc.record({
    options: fc.constantFrom(PLAIN, LINUX, 'mss 536,sackOK', 'mss 1460,wscale 2'),
    receiveBuffer: fc.constantFrom(3000, 65_536, 200_000),
    steps: fc.array(step, { maxLength: 40 }),
  })
  fc.assert(
    fc.property(anything, ({ options, receiveBuffer, steps }) => {
      const joined = FACTORIES[state]({ options, chunks: 20, limits: { receiveBuffer } })
      const { rig, host, clock, peer } = joined
      const starved: number[] = []
      peer.looksAtWindows = false // the guest's own windows are anything
      for (const step of steps) {
        take(joined, step, starved)
        for (const drill of peer.takeAll()) expect(drill.len).toBeLessThanOrEqual(1460)
        rig.frames.length = 0
        rig.departures.length = 0
        for (const request of rig.requests.splice(0)) request.refuse()
      }
      for (const chunk of starved) rig.stack.pool.give(chunk)
      // The guest falls silent.
      if (host.reason === undefined) host.closes()
      clock.advance(4_000_000)
      if (host.state() === 'FIN-WAIT-2') host.aborts() // which waits for the guest, as half-closed
      clock.advance(100_000)
      expect(host.state()).toBe('CLOSED')
      host.reads()
      expect([rig.stack.tcp.connections.size, rig.chunksTaken]).toEqual([0, 0])
      expect(rig.stack.deadline()).toBe(Infinity)
    }),
    { numRuns: 80 },
  )
})
