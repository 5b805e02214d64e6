/** Two stacks over a bad link: both streams arrive whole, both ends end, and nothing is left. */
import { describe, expect, test } from 'vitest'
import { Pair, type PairOptions, Talker, type TalkerOptions } from './rig/pair.ts'

const MIB = 1024 * 1024

interface Result {
  ms: number
  retransmits: number
  timeouts: number
}

/** Sends `octets` each way, at the same time, and looks at everything afterwards. */
function exchange(
  options: PairOptions,
  octets: number = MIB,
  talk: Partial<TalkerOptions> = {},
): Result {
  const pair = new Pair(options)
  const left = new Talker(pair, pair.left, { says: octets, hears: octets, salt: 2, ...talk })
  const right = new Talker(pair, pair.right, { says: octets, hears: octets, salt: 3, ...talk })
  pair.open(left, right)
  pair.run(() => left.isDone && right.isDone, 3_600_000)
  const ms = pair.clock.now - pair.clock.start
  expect([left.heard, left.hasHeardEnd, left.reason]).toEqual([octets, true, 'finished'])
  expect([right.heard, right.hasHeardEnd, right.reason]).toEqual([octets, true, 'finished'])
  pair.clock.advance(200_000) // TIME-WAIT
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

describe('1 MiB each way arrives whole', () => {
  for (const loss of [0, 0.01, 0.05, 0.2]) {
    for (const [name, options] of Object.entries({
      'with nothing else': {},
      'in disorder': { reordering: 0.1, jitter: 10 },
      'with doubles': { duplication: 0.05 },
      'through a small queue': { rate: 1250, queue: 20 },
      'at MTU 576': { mtu: 576 },
      'at MTU 65520': { mtu: 65520 },
    })) {
      test(`at ${loss * 100} % loss ${name}`, () => {
        const result = exchange({ ...options, loss, seed: 7 })
        console.log(loss, name, JSON.stringify(result))
      })
    }
  }
})
