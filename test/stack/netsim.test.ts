/**
 * Two stacks over a bad link: both streams arrive whole and both ends end, whatever is lost, comes
 * twice, late or in disorder; and nothing is left behind. Everything by a seed, in virtual time.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  Pair,
  type PairOptions,
  SACK_PERMITTED,
  Talker,
  type TalkerOptions,
  TIMESTAMP,
  WINDOW_SCALE,
} from './rig/pair.ts'

const MIB = 1024 * 1024
/** Longer than any exchange takes whose segments are not all lost. */
const HOUR = 3_600_000
/** TIME-WAIT, and whatever else may still be waiting. */
const LONG_AFTER = 400_000

type Habits = Pick<TalkerOptions, 'appetite' | 'pause'>

interface Exchange extends PairOptions {
  /** Octets that each says. */
  says: readonly [number, number]
  habits?: readonly [Habits, Habits]
}

interface Result {
  ms: number
  retransmits: number
  timeouts: number
}

/** Both talk at the same time and close; looks at everything afterwards. */
function exchange({ says, habits, ...options }: Exchange): Result {
  const pair = new Pair(options)
  const [a, b] = says
  const left = new Talker(pair, pair.left, { says: a, hears: b, salt: 2, ...habits?.[0] })
  const right = new Talker(pair, pair.right, { says: b, hears: a, salt: 3, ...habits?.[1] })
  pair.open(left, right)
  pair.run(() => left.isDone && right.isDone, HOUR)
  const ms = pair.clock.now - pair.clock.start
  expect([left.heard, left.hasHeardEnd]).toEqual([b, true])
  expect([right.heard, right.hasHeardEnd]).toEqual([a, true])
  // Who is in LAST-ACK when every ACK of its FIN is lost for longer than TIME-WAIT gets a RST.
  const reasons = [left.reason, right.reason]
  if ((options.loss ?? 0) < 0.2) expect(reasons).toEqual(['finished', 'finished'])
  else expect(reasons).toContain('finished')
  pair.clock.advance(LONG_AFTER)
  let retransmits = 0
  let timeouts = 0
  for (const { stack } of [pair.left, pair.right]) {
    expect(stack.pool.free).toBe(stack.pool.size)
    expect(stack.tcp.connections.size).toBe(0)
    expect(stack.deadline()).toBe(Infinity)
    retransmits += stack.counters.tcpRetransmits
    timeouts += stack.counters.tcpTimeouts
  }
  return { ms, retransmits, timeouts }
}

const LINKS: Record<string, PairOptions> = {
  'with nothing else': {},
  'in disorder': { reordering: 0.1, jitter: 10 },
  'with doubles': { duplication: 0.05 },
  'through a small queue': { rate: 1250, queue: 20 },
  'at MTU 576': { mtu: 576 },
  'at MTU 65520': { mtu: 65_520 },
  'without SACK': { strips: [SACK_PERMITTED] },
  'without timestamps': { strips: [TIMESTAMP] },
  'without any option but the MSS': { strips: [SACK_PERMITTED, TIMESTAMP, WINDOW_SCALE] },
}

describe.each([0, 0.01, 0.05, 0.2])('1 MiB each way arrives whole at a loss of %f', (loss) => {
  test.each(Object.entries(LINKS))('%s', (_, options) => {
    exchange({ ...options, loss, seed: 7, says: [MIB, MIB] })
  })
})

test('nothing is sent twice when nothing is lost', () => {
  const { retransmits, timeouts } = exchange({ says: [MIB, MIB] })
  expect([retransmits, timeouts]).toEqual([0, 0])
})

test('with SACK, a loss of 1 % needs no time-out', () => {
  for (let seed = 1; seed < 10; seed++) {
    const { timeouts } = exchange({ seed, loss: 0.01, delay: 10, says: [MIB, 0] })
    // But for the last segments, which no later one tells of.
    expect(timeouts).toBeLessThanOrEqual(2)
  }
})

test('a slow reader gets everything, and holds no more than it was offered', () => {
  const slow = { appetite: 5000, pause: 20 }
  exchange({ says: [MIB, 100_000], habits: [{}, slow], loss: 0.01 })
  exchange({ says: [MIB, MIB], habits: [slow, slow], strips: [WINDOW_SCALE] })
  exchange({ says: [20_000, 0], habits: [{}, { appetite: 100, pause: 5 }], loss: 0.05 })
})

test('a pool that is nearly empty makes it slow, and loses nothing', () => {
  const slow = { appetite: 20_000, pause: 50 }
  for (const seed of [1, 2, 3]) {
    const limits = { sendBuffer: 65_536, receiveBuffer: 400_000 }
    const habits = [slow, slow] as const
    exchange({ seed, chunks: 8, limits, loss: 0.05, says: [300_000, 300_000], habits })
  }
})

test('two that both have more to say than their pools hold still hear each other', () => {
  for (const chunks of [2, 8]) {
    const limits = { sendBuffer: 200_000, receiveBuffer: 400_000 }
    const habit = { appetite: 20_000, pause: 5 }
    const says = [200_000, 200_000] as const
    exchange({ chunks, limits, says, mtu: 65_520, habits: [habit, habit] })
  }
})

test('whatever the link, the options, the buffers and the readers are like', () => {
  const octets = fc.constantFrom(0, 1, 1000, 20_000, 200_000)
  const habit = fc.constantFrom<Habits>(
    {},
    { appetite: 300, pause: 1 },
    { appetite: 5000, pause: 100 },
    { appetite: 20_000, pause: 5 },
  )
  const anything = fc.record({
    seed: fc.integer(),
    // At 0.2 one SYN in 50,000 is given up with all its repetitions.
    loss: fc.constantFrom(0, 0.01, 0.05, 0.1),
    duplication: fc.constantFrom(0, 0.05, 0.3),
    reordering: fc.constantFrom(0, 0.1, 0.5),
    delay: fc.constantFrom(0, 1, 20, 100),
    jitter: fc.constantFrom(2, 20, 100),
    rate: fc.constantFrom(Infinity, 1000, 100),
    queue: fc.constantFrom(4, 20, 1000),
    mtu: fc.constantFrom(576, 1500, 9000, 65_520),
    chunks: fc.constantFrom(8, 16, 64),
    strips: fc.subarray([SACK_PERMITTED, TIMESTAMP, WINDOW_SCALE]),
    limits: fc.record({
      sendBuffer: fc.constantFrom(4000, 65_536, 200_000),
      receiveBuffer: fc.constantFrom(3000, 20_000, 65_535, 65_536, 400_000),
    }),
    says: fc.tuple(octets, octets),
    habits: fc.tuple(habit, habit),
  })
  fc.assert(
    fc.property(anything, (e) => void exchange(e)),
    { numRuns: 100 },
  )
})
