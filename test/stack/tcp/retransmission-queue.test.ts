/** The retransmission queue against a slow twin that knows each octet by itself. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_CUT, RetransmissionQueue } from '../../../src/stack/tcp/retransmission-queue.ts'
import { LOST, RETRANSMITTED, SACKED, Segments } from '../../../src/stack/tcp/segments.ts'
import * as seq from '../../../src/stack/tcp/seq.ts'

/** Just before the wrap. */
const BASE = 0x7fff_ffe0 | 0
const at = (n: number): seq.Seq => seq.add(BASE, n)

interface Octet {
  flags: number
  xmitTs: number
}

/** What was delivered: end, time and flags. */
interface Told {
  end: number
  xmitTs: number
  flags: number
}

class Pair {
  readonly segments = new Segments()
  readonly told: Told[] = []
  readonly queue: RetransmissionQueue = new RetransmissionQueue(this.segments, {
    delivered: (xmitTs, end, flags) =>
      void this.told.push({ end: seq.diff(end, BASE), xmitTs, flags }),
  })
  readonly octets: Octet[] = []
  una = 0
  delivered = 0

  append(len: number, now: number): void {
    for (let i = 0; i < len; i++) this.octets.push({ flags: 0, xmitTs: now })
    this.queue.append(at(this.octets.length), now)
  }

  acknowledge(to: number): void {
    for (let i = this.una; i < to; i++) if (!(this.octets[i]!.flags & SACKED)) this.delivered++
    this.queue.acknowledge(at(this.una), at(to))
    this.una = to
  }

  sack(from: number, to: number): void {
    for (const octet of this.octets.slice(from, to)) {
      if (!(octet.flags & SACKED)) this.delivered++
      octet.flags = SACKED
    }
    this.queue.sack(at(this.una), at(from), at(to))
  }

  /** Marks the segment of the queue that holds octet `n`. */
  lose(n: number): void {
    const s = this.segments
    let start = this.una
    for (let i = this.queue.head; i >= 0; i = s.next[i]!) {
      const end = seq.diff(s.end[i]!, BASE)
      if (n < end) {
        this.queue.markLost(i, at(start))
        for (const octet of this.octets.slice(start, end)) {
          if (!(octet.flags & SACKED)) octet.flags |= LOST
        }
        return
      }
      start = end
    }
  }

  sendAgain(from: number, to: number, now: number): void {
    for (const octet of this.octets.slice(from, to)) {
      octet.flags = (octet.flags & ~LOST) | RETRANSMITTED
      octet.xmitTs = now
    }
    this.queue.sentAgain(at(this.una), at(from), at(to), now)
  }

  /** What the queue knows of each octet. */
  known(): Octet[] {
    const s = this.segments
    const known: Octet[] = []
    for (let i = this.queue.head; i >= 0; i = s.next[i]!) {
      const len = seq.diff(s.end[i]!, at(this.una)) - known.length
      expect(len).toBeGreaterThan(0)
      const octet = { flags: s.flags[i]!, xmitTs: s.xmitTs[i]! }
      for (let n = 0; n < len; n++) known.push(octet)
    }
    return known
  }

  compare(): void {
    const twin = this.octets.slice(this.una)
    const known = this.known()
    expect(known.map(({ flags }) => flags)).toEqual(twin.map(({ flags }) => flags))
    for (const [i, { flags, xmitTs }] of twin.entries()) {
      if (!(flags & SACKED)) expect(known[i]!.xmitTs).toBe(xmitTs)
    }
    const count = (bit: number): number => twin.filter(({ flags }) => flags & bit).length
    const { queue } = this
    expect([queue.sacked, queue.lost, queue.delivered]).toEqual([
      count(SACKED),
      count(LOST),
      this.delivered,
    ])
    if (queue.lost === 0) return
    const first = twin.findIndex(({ flags }) => flags & LOST)
    const run = twin.slice(first).findIndex(({ flags }) => !(flags & LOST))
    const start = queue.lostStart(at(this.una))
    expect(seq.diff(start, BASE)).toBe(this.una + first)
    const end = run < 0 ? twin.length : first + run
    expect(seq.diff(queue.lostEnd(at(this.una), start), BASE)).toBe(this.una + end)
  }
}

type Step = { does: 'append' | 'ack' | 'sack' | 'lose' | 'again'; a: number; b: number }

test('knows of each octet what the slow twin knows', () => {
  const step: fc.Arbitrary<Step> = fc.record({
    does: fc.constantFrom('append', 'append', 'ack', 'sack', 'sack', 'lose', 'again'),
    a: fc.nat(60),
    b: fc.nat(60),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pair = new Pair()
      for (const [now, { does, a, b }] of steps.entries()) {
        const out = pair.octets.length - pair.una
        if (does === 'append') pair.append(a + 1, b % 2 ? now : now & ~3)
        else if (does === 'ack') pair.acknowledge(pair.una + Math.min(a, out))
        else if (does === 'sack') {
          const from = pair.una + 1 + a
          const to = Math.min(pair.octets.length, from + b)
          if (from < to) pair.sack(from, to)
        } else if (does === 'lose') pair.lose(pair.una + (a % Math.max(1, out)))
        else if (does === 'again' && pair.queue.lost > 0) {
          const from = seq.diff(pair.queue.lostStart(at(pair.una)), BASE)
          const end = seq.diff(pair.queue.lostEnd(at(pair.una), at(from)), BASE)
          pair.sendAgain(from, from + 1 + (b % (end - from)), now)
        }
        // What is acknowledged up to an island is up to its end: a peer that reneges is another test.
        while (pair.una < pair.octets.length && pair.octets[pair.una]!.flags & SACKED) {
          pair.acknowledge(pair.una + 1)
        }
        pair.compare()
      }
      pair.queue.clear()
      expect([pair.segments.used, pair.queue.count, pair.queue.sacked]).toEqual([0, 0, 0])
    }),
    { numRuns: 500 },
  )
})

describe('what is delivered', () => {
  test('is told once, with when it was sent last', () => {
    const pair = new Pair()
    pair.append(10, 1)
    pair.append(10, 2)
    pair.sack(10, 20)
    pair.sack(10, 20)
    pair.lose(0)
    pair.sendAgain(0, 10, 3)
    pair.acknowledge(20)
    expect(pair.told).toEqual([
      { end: 20, xmitTs: 2, flags: 0 },
      { end: 10, xmitTs: 3, flags: RETRANSMITTED },
    ])
  })

  test('is told of a part that is acknowledged, too', () => {
    const pair = new Pair()
    pair.append(10, 1)
    pair.acknowledge(4)
    pair.acknowledge(10)
    expect(pair.told.map(({ end }) => end)).toEqual([4, 10])
    expect(pair.segments.used).toBe(0)
  })
})

test('what goes out in one turn is one segment, islands that touch are one', () => {
  const pair = new Pair()
  for (let i = 0; i < 10; i++) pair.append(10, 1)
  expect(pair.queue.count).toBe(1)
  for (let i = 9; i > 0; i--) pair.sack(10 * i, 10 * i + 10)
  expect(pair.queue.count).toBe(2)
  for (let i = 0; i < 10; i++) pair.append(10, 2 + i)
  expect(pair.queue.count).toBe(12)
})

test('three islands, or more than two segments’ worth, are DupThresh (RFC 6675 §4)', () => {
  const pair = new Pair()
  pair.append(100, 1)
  pair.sack(10, 11)
  pair.sack(20, 21)
  expect(pair.queue.hasDupThresh(10)).toBe(false)
  pair.sack(30, 31)
  expect(pair.queue.hasDupThresh(10)).toBe(true)
  const other = new Pair()
  other.append(100, 1)
  other.sack(10, 30)
  expect(other.queue.hasDupThresh(10)).toBe(false)
  other.sack(10, 31)
  expect(other.queue.hasDupThresh(10)).toBe(true)
})

test('who reneges is not believed any more (RFC 2018 §8)', () => {
  const pair = new Pair()
  pair.append(100, 1)
  pair.queue.sack(BASE, at(10), at(90))
  pair.queue.acknowledge(BASE, at(9))
  expect(pair.queue.isReneged()).toBe(false)
  pair.queue.acknowledge(at(9), at(10))
  expect(pair.queue.isReneged()).toBe(true)
  pair.queue.forgetSacks()
  expect(pair.queue.isReneged()).toBe(false)
  expect([pair.queue.sacked, pair.queue.lost]).toEqual([0, 80])
})

test('a peer that cuts everything to pieces is believed up to a limit, and nothing is lost', () => {
  const pair = new Pair()
  pair.append(20_000, 1)
  for (let i = 1; i < 20_000; i += 2) pair.queue.sack(BASE, at(i), at(i + 1))
  expect(pair.queue.count).toBeLessThanOrEqual(MAX_CUT + 1)
  expect(pair.queue.sacked).toBeLessThan(MAX_CUT)
  pair.append(10, 2)
  pair.queue.markAllLost(BASE)
  expect(pair.queue.lost + pair.queue.sacked).toBe(20_010)
  pair.queue.acknowledge(BASE, at(20_010))
  expect([pair.segments.used, pair.queue.lost, pair.queue.sacked]).toEqual([0, 0, 0])
})

test('many connections share the places, and give them back', () => {
  const segments = new Segments()
  const delivery = { delivered: () => {} }
  const queues = Array.from({ length: 1000 }, () => new RetransmissionQueue(segments, delivery))
  for (const [i, queue] of queues.entries()) queue.append(at(i + 1), i)
  expect(segments.used).toBe(1000)
  for (const [i, queue] of queues.entries()) queue.acknowledge(BASE, at(i + 1))
  expect(segments.used).toBe(0)
  const { length } = segments.end
  for (const [i, queue] of queues.entries()) queue.append(at(i + 1), i)
  expect(segments.end.length).toBe(length)
})
