import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Memory, memoryOf } from '../../src/stack/link.ts'
import { OctetQueue } from '../../src/stack/octet-queue.ts'
import { CHUNK, Pool } from '../../src/stack/pool.ts'
import { Slices } from '../../src/stack/slices.ts'
import { Arena } from '../../src/sys/arena.ts'

interface Bench {
  memory: Memory
  pool: Pool
  queue: OctetQueue
  /** Where text that is to be written lies. */
  from: number
}

const CHUNKS = 6

const MEMORIES = {
  'plain memory': (size: number): Memory => memoryOf(new Uint8Array(size)),
  'memory that copies by itself': (size: number): Memory => new Arena(size, false),
}

function bench(chunks = CHUNKS, memoryOf = MEMORIES['plain memory']): Bench {
  const from = 100 + chunks * CHUNK
  const memory = memoryOf(from + 8 * CHUNK)
  const pool = new Pool(100, from)
  return { memory, pool, queue: new OctetQueue(memory, pool), from }
}

/** The octets that the slices name. */
function octets({ memory }: Bench, slices: Slices): number[] {
  const all: number[] = []
  for (let i = 0; i < slices.count; i++) {
    const at = slices.at[i]!
    all.push(...memory.bytes.subarray(at, at + slices.len[i]!))
  }
  expect(all.length).toBe(slices.total)
  return all
}

function read(b: Bench, offset: number, len: number): number[] {
  const slices = new Slices(32)
  b.queue.slices(offset, len, slices)
  return octets(b, slices)
}

/** Fills the free places of the queue with `text`, as recv() would. */
function fill({ memory, queue }: Bench, text: number[], asked: number): number {
  const slices = new Slices(32)
  queue.room(asked, slices)
  let n = 0
  for (let i = 0; i < slices.count; i++) {
    for (let k = 0; k < slices.len[i]! && n < text.length; k++) {
      memory.bytes[slices.at[i]! + k] = text[n++]!
    }
  }
  queue.commit(n)
  return n
}

let counter = 0
const someText = (len: number): number[] =>
  Array.from({ length: len }, () => (counter++ * 31) & 255)

describe('the send side', () => {
  test('holds what a plain array holds, whatever is put in and taken off', () => {
    const len = fc.oneof(fc.nat(50), fc.nat(3 * CHUNK))
    const step = fc.tuple(fc.constantFrom('fill', 'drop'), len, len)
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const b = bench()
        let twin: number[] = []
        for (const [what, n, more] of steps) {
          if (what === 'fill') {
            const text = someText(n)
            twin = twin.concat(text.slice(0, fill(b, text, n + more)))
          } else {
            const gone = Math.min(n, twin.length)
            b.queue.drop(gone)
            twin = twin.slice(gone)
          }
          expect(b.queue.length).toBe(twin.length)
          expect(b.pool.size - b.pool.free).toBeLessThanOrEqual(Math.ceil(twin.length / CHUNK) + 1)
          const offset = Math.min(more, twin.length)
          const part = read(b, offset, Math.min(n, twin.length - offset))
          expect(Buffer.from(part).equals(Buffer.from(twin.slice(offset, offset + n)))).toBe(true)
        }
        b.queue.drop(twin.length)
        expect(b.pool.free).toBe(b.pool.size)
      }),
      { numRuns: 60 },
    )
  })

  test('offers what the pool has left when that is less than is asked for', () => {
    const b = bench(3)
    const slices = new Slices(32)
    b.queue.room(10 * CHUNK, slices)
    // The last chunk is for what is received.
    expect(slices.total).toBe(2 * CHUNK)
    b.queue.commit(CHUNK - 10)
    slices.clear()
    b.queue.room(10 * CHUNK, slices)
    expect(slices.total).toBe(CHUNK + 10)
    b.queue.commit(CHUNK + 10)
    slices.clear()
    b.queue.room(1, slices)
    expect([slices.total, b.pool.free]).toEqual([0, 1])
    b.queue.commit(0)
    expect(b.queue.length).toBe(2 * CHUNK)
    expect(b.queue.grow(2 * CHUNK, 9 * CHUNK)).toBe(3 * CHUNK)
  })

  test('gives places back that were offered and not filled', () => {
    const b = bench()
    const slices = new Slices(32)
    b.queue.room(3 * CHUNK, slices)
    expect(b.pool.free).toBe(CHUNKS - 3)
    b.queue.commit(5)
    expect(b.pool.free).toBe(CHUNKS - 1)
    b.queue.drop(5)
    slices.clear()
    b.queue.room(3 * CHUNK, slices)
    b.queue.commit(0)
    expect(b.pool.free).toBe(CHUNKS)
  })

  test('offers no more slices than there is room for', () => {
    const b = bench()
    const slices = new Slices(2)
    b.queue.room(4 * CHUNK, slices)
    expect([slices.count, slices.total]).toEqual([2, 2 * CHUNK])
    b.queue.commit(slices.total)
    expect(b.queue.length).toBe(2 * CHUNK)
  })
})

describe('the receive side', () => {
  test.each(Object.entries(MEMORIES))(
    'holds text that came out of order, at its place, in %s',
    (_, memoryOf) => {
      const piece = fc.tuple(fc.nat(3 * CHUNK), fc.integer({ min: 1, max: CHUNK + 10 }))
      fc.assert(
        fc.property(
          fc.array(piece, { minLength: 1, maxLength: 15 }),
          fc.nat(CHUNK),
          (pieces, first) => {
            const b = bench(CHUNKS, memoryOf)
            fill(b, someText(first + 1), first + 1)
            b.queue.drop(first) // so that octet 0 is somewhere in a chunk
            const twin: number[] = read(b, 0, 1)
            for (const [offset, len] of pieces) {
              const text = someText(len)
              b.memory.bytes.set(text, b.from)
              expect(b.queue.grow(offset, offset + len)).toBe(offset + len)
              b.queue.write(offset, b.from, len)
              for (const [i, octet] of text.entries()) twin[offset + i] = octet
              expect(b.queue.length).toBe(twin.length)
            }
            for (const [offset, len] of pieces) {
              const part = Buffer.from(read(b, offset, len))
              expect(part.equals(Buffer.from(twin.slice(offset, offset + len)))).toBe(true)
            }
            b.queue.clear()
            expect(b.pool.free).toBe(b.pool.size)
          },
        ),
        { numRuns: 60 },
      )
    },
  )

  test('takes chunks for what has come, not for the hole before it', () => {
    const b = bench()
    const far = 4 * CHUNK
    expect(b.queue.grow(far, far + 1)).toBe(far + 1)
    b.queue.write(far, b.from, 1)
    expect(b.pool.free).toBe(CHUNKS - 1)
    expect(b.queue.grow(0, far)).toBe(far)
    expect(b.pool.free).toBe(CHUNKS - 5)
    b.queue.drop(far + 1)
    expect(b.pool.free).toBe(CHUNKS)
  })

  test('offers places as far as the pool has chunks, but for those that are to be left', () => {
    const b = bench(3)
    expect(b.queue.grow(0, 9 * CHUNK, 1)).toBe(2 * CHUNK)
    expect(b.queue.grow(0, 9 * CHUNK)).toBe(3 * CHUNK)
    expect(b.queue.grow(5 * CHUNK, 5 * CHUNK + 1)).toBe(5 * CHUNK)
    b.queue.commit(0)
    expect(b.pool.free).toBe(3)
  })
})

describe('the pool', () => {
  test('hands out whole chunks of its place, each once, until none is left', () => {
    const pool = new Pool(100, 100 + 3 * CHUNK + CHUNK - 1)
    const chunks = [pool.take(), pool.take(), pool.take()]
    expect(chunks).toEqual([100, 100 + CHUNK, 100 + 2 * CHUNK])
    expect([pool.size, pool.free, pool.take()]).toEqual([3, 0, -1])
  })

  test('hands out last what was given back last, which is warm', () => {
    const pool = new Pool(0, 3 * CHUNK)
    const [a, b] = [pool.take(), pool.take()]
    pool.give(a)
    pool.give(b)
    expect([pool.take(), pool.take(), pool.take(), pool.take()]).toEqual([b, a, 2 * CHUNK, -1])
  })

  test('has nothing where there is no place', () => {
    expect(new Pool(0, CHUNK - 1).take()).toBe(-1)
    expect(new Pool(10, 0).size).toBe(0)
  })
})
