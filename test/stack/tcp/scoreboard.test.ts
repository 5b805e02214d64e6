import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DUP_THRESH, Scoreboard } from '../../../src/stack/tcp/scoreboard.ts'
import * as seq from '../../../src/stack/tcp/seq.ts'

const SMSS = 10
/** Just before the wrap, so that most ranges lie across it. */
const BASE = -60
const at = (n: number): number => seq.add(BASE, n)
const rel = (s: number): number => seq.diff(s, BASE)

/** The slow twin: which of the octets from SND.UNA on are SACKed, one by one. */
class Twin {
  readonly sacked = new Set<number>()
  una = 0

  add(left: number, right: number): void {
    for (let i = left; i < right; i++) this.sacked.add(i)
  }

  acknowledge(una: number): void {
    this.una = una
    for (const i of this.sacked) if (i < una) this.sacked.delete(i)
  }

  /** RFC 6675 §4: DupThresh discontiguous ranges above, or more than (DupThresh - 1) · SMSS octets. */
  isLost(octet: number): boolean {
    if (this.sacked.has(octet)) return false
    const above = [...this.sacked].filter((i) => i > octet)
    const ranges = above.filter((i) => !this.sacked.has(i - 1)).length
    return ranges >= DUP_THRESH || above.length > (DUP_THRESH - 1) * SMSS
  }

  holes(from: number, to: number): number {
    let octets = 0
    for (let i = from; i < to; i++) if (!this.sacked.has(i)) octets++
    return octets
  }

  nextHole(from: number): number {
    while (this.sacked.has(from)) from++
    return from
  }

  holeEnd(from: number, to: number): number {
    while (from < to && !this.sacked.has(from)) from++
    return from
  }
}

test('knows what a set of octets knows, whatever is reported (RFC 6675 §4)', () => {
  const step = fc.record({
    left: fc.nat(150),
    len: fc.integer({ min: 1, max: 40 }),
    acked: fc.option(fc.nat(20)),
    from: fc.nat(120),
    span: fc.nat(80),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const scoreboard = new Scoreboard()
      const twin = new Twin()
      for (const { left, len, acked, from, span } of steps) {
        scoreboard.add(at(twin.una + left), at(twin.una + left + len))
        twin.add(twin.una + left, twin.una + left + len)
        if (acked !== null) {
          twin.acknowledge(twin.una + acked)
          scoreboard.acknowledge(at(twin.una))
        }
        expect(scoreboard.octets).toBe(twin.sacked.size)
        const a = twin.una + from
        expect(scoreboard.holes(at(a), at(a + span))).toBe(twin.holes(a, a + span))
        expect(rel(scoreboard.nextHole(at(a)))).toBe(twin.nextHole(a))
        const hole = twin.nextHole(a)
        const end = hole + span + 1
        expect(rel(scoreboard.holeEnd(at(hole), at(end)))).toBe(twin.holeEnd(hole, end))
        const edge = rel(scoreboard.lostEdge(at(twin.una), SMSS))
        for (let i = twin.una; i < twin.una + 200; i++) {
          if (!twin.sacked.has(i)) expect([i, i < edge]).toEqual([i, twin.isLost(i)])
        }
      }
    }),
    { numRuns: 60 },
  )
})

function of(...ranges: [number, number][]): Scoreboard {
  const scoreboard = new Scoreboard()
  for (const [left, right] of ranges) scoreboard.add(at(left), at(right))
  return scoreboard
}

describe('lost (RFC 6675 §4, IsLost)', () => {
  const edge = (...ranges: [number, number][]): number => rel(of(...ranges).lostEdge(at(0), SMSS))

  test('is nothing below two segments’ worth of SACKed octets', () => {
    expect(edge()).toBe(0)
    expect(edge([10, 30])).toBe(0)
    expect(edge([10, 15], [20, 25])).toBe(0)
  })

  test('is what lies below three ranges', () => {
    expect(edge([10, 11], [20, 21], [30, 31])).toBe(10)
    expect(edge([10, 11], [20, 21], [30, 31], [40, 41])).toBe(20)
  })

  test('is what lies below more than two segments’ worth', () => {
    expect(edge([10, 31])).toBe(10)
    expect(edge([5, 6], [10, 31])).toBe(10)
  })
})

test('islands are bounded: a peer is not believed about more of them', () => {
  const scoreboard = new Scoreboard()
  for (let i = 0; i < 1000; i++) scoreboard.add(at(3 * i), at(3 * i + 1))
  expect(scoreboard.edges.length).toBe(256)
  expect(scoreboard.octets).toBe(128)
  scoreboard.add(at(0), at(3000)) // which joins them all
  expect(scoreboard.edges.map(rel)).toEqual([0, 3000])
  expect(scoreboard.octets).toBe(3000)
})

test('nothing is left after clear', () => {
  const scoreboard = of([10, 20])
  scoreboard.clear()
  expect([scoreboard.octets, scoreboard.edges]).toEqual([0, []])
})
