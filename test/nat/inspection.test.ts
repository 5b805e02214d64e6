/** Octets of a connection that somebody reads first, over a real socket on the loopback: each is shown once, and sent once. */
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import type { Inspector, Passage } from '../../src/nat/gate.ts'
import { Inspection } from '../../src/nat/inspection.ts'
import { OctetQueue } from '../../src/stack/octet-queue.ts'
import { Pool } from '../../src/stack/pool.ts'
import { Slices } from '../../src/stack/slices.ts'
import type { Connection } from '../../src/stack/tcp/connection.ts'
import { Arena } from '../../src/sys/arena.ts'
import * as c from '../../src/sys/constants.ts'
import { close } from '../../src/sys/io.ts'
import * as socket from '../../src/sys/socket.ts'

const fds: number[] = []
afterEach(() => {
  for (const fd of fds.splice(0)) close(fd)
})
const LOOPBACK = Int32Array.of(0, 0, 0xffff, 0x7f000001)
const ROOM = 400_000

/** Two ends of a connection. */
function pair(): { near: number; far: number } {
  const at = { words: LOOPBACK.slice(), port: 0 }
  const listener = socket.socket(c.AF_INET, c.SOCK_STREAM)
  socket.bind(listener, at)
  socket.localEndpoint(listener, at)
  socket.listen(listener, 1)
  const near = socket.socket(c.AF_INET, c.SOCK_STREAM)
  socket.connect(near, at)
  const far = socket.accept(listener, { words: new Int32Array(4), port: 0 })
  fds.push(listener, near, far)
  return { near, far }
}

class Bench {
  readonly arena = new Arena(1 << 22)
  readonly pool: Pool
  readonly queue: OctetQueue
  readonly ends = pair()
  readonly shown: number[] = []
  readonly inspection: Inspection
  readonly inspector: { -readonly [K in keyof Inspector]: Inspector[K] }
  /** As much of a connection as an inspection knows. */
  readonly connection: Connection
  inspected = 0
  readonly #at: number

  constructor(chunks = 24) {
    const at = this.arena.reserve(chunks * 16_384)
    this.pool = new Pool(at, at + chunks * 16_384)
    this.queue = new OctetQueue(this.arena, this.pool)
    this.#at = this.arena.reserve(ROOM)
    this.inspector = {
      state: 'reading',
      passed: 0,
      feed: (octets, from, len) => {
        for (let i = from; i < from + len; i++) this.shown.push(octets[i]!)
      },
      end: () => {},
    }
    const passage = { inspected: () => this.inspected++ } as unknown as Passage
    this.inspection = new Inspection(passage, this.inspector, this.arena)
    const tcp = { touch: () => {} }
    this.connection = { rcvQueued: 0, recvQueue: this.queue, tcp } as unknown as Connection
  }

  /** Text of the guest, as the stack hands it on. `kept`: there is room for no more. */
  text(octets: readonly number[], kept: number = Infinity): number {
    const { arena, connection, inspection, queue } = this
    arena.bytes.set(octets, this.#at)
    const { length } = octets
    const text = new Slices(1)
    text.push(this.#at, length)
    const taken = connection.rcvQueued > 0 ? 0 : inspection.text(this.ends.near, text)
    const left = Math.min(length - taken, kept)
    if (left > 0) {
      queue.grow(connection.rcvQueued, connection.rcvQueued + left)
      queue.write(connection.rcvQueued, this.#at + taken, left)
      connection.rcvQueued += left
    }
    return taken
  }

  drain(isGuestDone = false): number {
    return this.inspection.drain(this.ends.near, this.connection, isGuestDone)
  }

  /** What the other end has. */
  received(): number[] {
    const { arena } = this
    const all: number[] = []
    for (;;) {
      const n = socket.recv(this.ends.far, arena, this.#at, ROOM)
      if (n <= 0) return all
      for (let i = 0; i < n; i++) all.push(arena.bytes[this.#at + i]!)
    }
  }
}

test('nothing is sent before it may, and then what waits and what comes', () => {
  const bench = new Bench()
  expect(bench.text([1, 2, 3])).toBe(0)
  expect(bench.text([4, 5])).toBe(0)
  expect([bench.drain(), bench.shown, bench.received()]).toEqual([0, [1, 2, 3, 4, 5], []])
  bench.inspector.passed = 4
  expect([bench.drain(), bench.received()]).toEqual([4, [1, 2, 3, 4]])
  bench.inspector.passed = 6
  expect([bench.drain(), bench.text([6]), bench.drain()]).toEqual([1, 1, 0])
  bench.inspector.passed = Infinity
  expect(bench.text([7, 8])).toBe(2)
  expect([bench.received(), bench.shown]).toEqual([
    [5, 6, 7, 8],
    [1, 2, 3, 4, 5, 6, 7, 8],
  ])
})

test('what is denied is not sent, even what had passed', () => {
  const bench = new Bench()
  bench.inspector.passed = 2
  bench.inspector.state = 'denied'
  expect([bench.text([1, 2, 3]), bench.drain(), bench.inspection.isDenied]).toEqual([0, 0, true])
  expect(bench.received()).toEqual([])
})

test('the end is told when there is nothing open any more', () => {
  const bench = new Bench()
  bench.inspector.end = () => {
    bench.inspector.state = 'denied'
  }
  bench.drain(true)
  expect(bench.inspection.isDenied).toBe(true)
  const open = new Bench()
  open.inspector.state = 'open'
  open.inspector.end = () => expect.unreachable()
  open.drain(true)
})

test('octets that were shown and found no room are the end: nobody knows what comes in their place', () => {
  for (const again of ['text', 'drain'] as const) {
    const bench = new Bench()
    bench.text([1, 2, 3, 4], again === 'text' ? 0 : 2)
    expect(bench.inspection.isDenied).toBe(false)
    if (again === 'text') bench.text([9])
    else bench.drain()
    expect(bench.inspection.isDenied).toBe(true)
  }
})

test('a socket that is full is waited for', () => {
  const bench = new Bench(100)
  bench.inspector.passed = Infinity
  const octets = new Array<number>(200_000).fill(7)
  let count = 0
  for (; bench.inspection.isWritable; count++) bench.text(octets)
  const waits = bench.connection.rcvQueued
  expect(waits).toBeGreaterThan(0)
  expect(bench.drain()).toBe(0)
  let received = bench.received().length
  expect(received).toBe(count * octets.length - waits)
  bench.inspection.isWritable = true
  expect(bench.drain()).toBe(waits)
  received += bench.received().length
  expect(received).toBe(count * octets.length)
})

test('more may wait than one send takes', () => {
  const bench = new Bench(100)
  const octets = new Array<number>(200_000).fill(7)
  for (let i = 0; i < 7; i++) bench.text(octets)
  const waits = bench.connection.rcvQueued
  expect(waits).toBe(7 * octets.length)
  bench.inspector.passed = Infinity
  let received = 0
  while (bench.connection.rcvQueued > 0) {
    bench.inspection.isWritable = true
    expect(bench.drain()).toBeGreaterThan(0)
    received += bench.received().length
  }
  expect([received, bench.shown.length]).toEqual([waits, waits])
})

test('however it comes, all of it arrives, in its order, and not before it may', () => {
  const step = fc.record({
    len: fc.oneof(fc.nat(20), fc.nat(40_000)),
    passed: fc.nat(50_000),
    drains: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const bench = new Bench()
      const arrived: number[] = []
      let next = 0
      for (const { len, passed, drains } of steps) {
        bench.inspector.passed = Math.max(bench.inspector.passed, passed)
        bench.text(Array.from({ length: len }, () => next++ & 0xff))
        if (drains) bench.drain()
        for (const octet of bench.received()) arrived.push(octet)
        expect(arrived.length).toBeLessThanOrEqual(bench.inspector.passed)
      }
      bench.inspector.passed = Infinity
      bench.drain()
      for (const octet of bench.received()) arrived.push(octet)
      const all = Array.from({ length: next }, (_, i) => i & 0xff)
      expect(bench.shown.length).toBe(next)
      expect(Buffer.compare(Buffer.from(arrived), Buffer.from(all))).toBe(0)
      expect(Buffer.compare(Buffer.from(bench.shown), Buffer.from(all))).toBe(0)
      for (const fd of fds.splice(0)) close(fd)
    }),
    { numRuns: 60 },
  )
})
