/** Buffers that are as large as the path wants them (RFC 7323 §1.1: windows for long fat networks). */
import { describe, expect, test } from 'vitest'
import { BASE, OFFERED } from '../../../src/stack/tcp/buffers.ts'
import { Pair, type PairOptions, SACK_PERMITTED, Talker, TIMESTAMP } from '../rig/pair.ts'

const MIB = 1024 * 1024
const MOST = 4 * MIB

interface Outcome {
  /** Part of the link's rate that was used in the second half. */
  used: number
  /** The most octets that were queued at the sender, and offered as window by the receiver. */
  queued: number
  offered: number
}

/** `octets` one way over a link that loses nothing by itself, to somebody who only listens. */
function carry(link: PairOptions, octets: number, most = MOST, appetite = Infinity): Outcome {
  const pair = new Pair({
    ...link,
    ...{ chunks: 2048, congestion: 'reno', mtu: 9000 },
    limits: { sendBuffer: most, receiveBuffer: most },
  })
  const left = new Talker(pair, pair.left, { says: octets, hears: 0, salt: 2 })
  const right = new Talker(pair, pair.right, {
    ...{ says: 0, hears: octets, salt: 3, stays: true },
    ...(appetite < Infinity && { appetite, pause: 50 }),
  })
  pair.open(left, right)
  let [queued, offered] = [0, 0]
  const hasHeard = (least: number): boolean => {
    queued = Math.max(queued, left.c?.sendQueue.length ?? 0)
    offered = Math.max(offered, right.c?.rcvBuffer ?? 0)
    return right.heard >= least
  }
  pair.run(() => hasHeard(octets / 2), 3_600_000)
  const half = { at: pair.clock.now, heard: right.heard }
  pair.run(() => hasHeard(octets), 3_600_000)
  const ms = pair.clock.now - half.at
  return { used: (octets - half.heard) / ms / link.rate!, queued, offered }
}

describe('one flow fills the path', () => {
  // 250 kB are under way when it is full, and 2.5 MB.
  test('100 Mbit/s over 20 ms: with what each begins with', () => {
    const { used, queued, offered } = carry({ delay: 10, rate: 12_500, queue: 5000 }, 16 * MIB)
    expect(used).toBeGreaterThan(0.95)
    expect(offered).toBe(OFFERED)
    expect(queued).toBeLessThanOrEqual(MOST)
  })

  test('100 Mbit/s over 200 ms: both grow', () => {
    const link = { delay: 100, rate: 12_500, queue: 5000 }
    const { used, queued, offered } = carry(link, 48 * MIB)
    expect(used).toBeGreaterThan(0.95)
    expect(offered).toBeGreaterThan(2_500_000)
    expect(queued).toBeGreaterThan(2_500_000)
    // Without growing it cannot be more than 1 MiB a round trip.
    expect(carry(link, 16 * MIB, BASE).used).toBeLessThan(0.45)
  })

  test.each([
    ['SACK', [SACK_PERMITTED]],
    ['SACK and timestamps', [SACK_PERMITTED, TIMESTAMP]],
  ])('100 Mbit/s over 200 ms: both grow without %s, too', (_, strips) => {
    const link = { delay: 100, rate: 12_500, queue: 5000, strips }
    const { used, queued, offered } = carry(link, 48 * MIB)
    expect(used).toBeGreaterThan(0.95)
    expect(offered).toBeGreaterThan(2_500_000)
    expect(queued).toBeGreaterThan(2_500_000)
  })
})

test('on a short path nobody grows, however fast it is', () => {
  const { queued, offered } = carry({ delay: 0.1, rate: 1_250_000, queue: 5000 }, 24 * MIB)
  expect([queued, offered]).toEqual([BASE, OFFERED])
})

test('who does not read is offered no more for it', () => {
  const link = { delay: 100, rate: 12_500, queue: 5000 }
  const { offered } = carry(link, 4 * MIB, MOST, 20_000)
  expect(offered).toBe(OFFERED)
})
