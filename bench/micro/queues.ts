/**
 * The send and receive buffers (stack/octet-queue.ts), what came ahead of its turn (tcp/assembler.ts), what is out
 * (tcp/retransmission-queue.ts), and who is due when (stack/deadlines.ts).
 */
import { Deadlines, type Timed } from '../../src/stack/deadlines.ts'
import type { Memory } from '../../src/stack/link.ts'
import { OctetQueue } from '../../src/stack/octet-queue.ts'
import { Pool } from '../../src/stack/pool.ts'
import { Slices } from '../../src/stack/slices.ts'
import { Assembler } from '../../src/stack/tcp/assembler.ts'
import { RetransmissionQueue } from '../../src/stack/tcp/retransmission-queue.ts'
import { Segments } from '../../src/stack/tcp/segments.ts'
import { Arena } from '../../src/sys/arena.ts'
import { type Bench, call } from './bench.ts'

const SIZE = 16 * 1024 * 1024
const memory: Memory = new Arena(SIZE, false)

/** As the send side: the host's `recv` fills 64 KiB of room, it is sent, and acknowledged. */
function sendBuffer(len: number): () => unknown {
  const queue = new OctetQueue(memory, new Pool(0, SIZE))
  const slices = new Slices(64)
  return () => {
    slices.clear()
    queue.room(len, slices)
    queue.commit(len)
    slices.clear()
    queue.slices(0, len, slices)
    queue.drop(len)
    return slices.count
  }
}

/** As the receive side: text that the host's socket did not take. */
function receiveBuffer(len: number): () => unknown {
  const queue = new OctetQueue(memory, new Pool(0, SIZE / 2))
  return () => {
    queue.grow(0, len)
    queue.write(0, SIZE / 2, len)
    queue.drop(len)
    return queue.length
  }
}

/** One segment is lost: those behind it are one range that grows, until it comes. */
function oneHole(): () => unknown {
  const assembler = new Assembler()
  let seq = 0
  return () => {
    for (let i = 1; i <= 8; i++) assembler.add((seq + i * 1448) | 0, (seq + (i + 1) * 1448) | 0)
    seq = assembler.advance((seq + 1448) | 0)
    return seq
  }
}

/** Every second segment is lost, sixteen of them, and what comes fills the holes from the left. */
function manyHoles(): () => unknown {
  const assembler = new Assembler()
  return () => {
    for (let i = 1; i < 32; i += 2) assembler.add(i * 1000, (i + 1) * 1000)
    let next = 0
    for (let i = 0; i < 32; i += 2) {
      assembler.add(i * 1000, (i + 1) * 1000)
      next = assembler.advance(next)
    }
    return next
  }
}

const delivery = { delivered: (): void => {} }

/** `out` segments are under way; each call sends one more and acknowledges the oldest. */
function inFlight(out: number): () => unknown {
  const queue = new RetransmissionQueue(new Segments(), delivery)
  let una = 0
  let nxt = 0
  let now = 0
  const send = (): void => {
    nxt = (nxt + 1448) | 0
    queue.append(nxt, ++now)
  }
  for (let i = 0; i < out; i++) send()
  return () => {
    send()
    queue.acknowledge(una, (una + 1448) | 0)
    una = (una + 1448) | 0
    return queue.count
  }
}

/** Of 64 segments the first is lost: the others are SACKed one after the other, then it is acknowledged. */
function sacked(): () => unknown {
  const queue = new RetransmissionQueue(new Segments(), delivery)
  let una = 0
  let now = 0
  return () => {
    for (let i = 1; i <= 64; i++) queue.append((una + i * 1448) | 0, ++now)
    for (let i = 2; i <= 64; i++) queue.sack(una, (una + 1448) | 0, (una + i * 1448) | 0)
    queue.acknowledge(una, (una + 64 * 1448) | 0)
    una = (una + 64 * 1448) | 0
    return queue.count
  }
}

/** Among `count` timers: one moves later, as the retransmission timer does with each acknowledgment. */
function movesLater(count: number): () => unknown {
  const { deadlines, items } = timers(count)
  let i = 0
  let now = 1e6
  return () => {
    i = (i + 1) % count
    const item = items[i]!
    item.deadline = ++now
    deadlines.update(item)
    return deadlines.next()
  }
}

/** One falls due, and is set again. */
function fallsDue(count: number): () => unknown {
  const { deadlines } = timers(count)
  return () => {
    const now = deadlines.next()
    const item = deadlines.pop(now)!
    item.deadline = now + count
    deadlines.update(item)
    return item
  }
}

function timers(count: number): { deadlines: Deadlines<Timed>; items: Timed[] } {
  const deadlines = new Deadlines<Timed>()
  const items = Array.from({ length: count }, (_, i) => ({
    ...{ deadline: 1000 + ((i * 7919) % count), heapIndex: -1, heapKey: 0 },
  }))
  for (const item of items) deadlines.update(item)
  return { deadlines, items }
}

export const benches: readonly Bench[] = [
  call('ring: 64 KiB read from the host, sent, acknowledged', sendBuffer(65_536)),
  call('ring: an octet read from the host, sent, acknowledged', sendBuffer(1)),
  call('ring: 1,448 octets kept for the host, and taken', receiveBuffer(1448)),
  call('assembler: eight segments behind a hole', oneHole()),
  call('assembler: sixteen holes', manyHoles()),
  call('retransmission queue: a segment out and acknowledged, 1 under way', inFlight(1)),
  call('retransmission queue: a segment out and acknowledged, 64 under way', inFlight(64)),
  call('retransmission queue: 63 of 64 SACKed', sacked()),
  ...[1, 10_000].map((count) =>
    call(`timers: one of ${count.toLocaleString('en')} moves later`, movesLater(count)),
  ),
  ...[1, 10_000].map((count) =>
    call(`timers: one of ${count.toLocaleString('en')} falls due`, fallsDue(count)),
  ),
]
