import { expect, test } from 'vitest'
import { Slices } from '../../src/stack/slices.ts'
import { Arena, addressOf } from '../../src/sys/arena.ts'
import { Batch } from '../../src/sys/batch.ts'
import * as io from '../../src/sys/io.ts'
import { QueuedError, readErrorQueue } from '../../src/sys/message.ts'
import * as socket from '../../src/sys/socket.ts'

const SIZE = 4096
const endpoint = () => ({ words: Int32Array.of(0, 0, 0xffff, 0x7f000001), port: 9 })

function slices(at: number, len: number): Slices {
  const places = new Slices(2)
  places.push(0, 1)
  places.push(at, len)
  return places
}

function batch(at: number, len: number): Batch {
  const one = new Batch(1)
  one.at[0] = at
  one.len[0] = len
  one.room[0] = len
  return one
}

/** Every call that gives the kernel octets of an arena. */
const CALLS: Record<string, (arena: Arena, at: number, len: number) => unknown> = {
  read: (a, at, len) => io.read(-1, a, at, len),
  write: (a, at, len) => io.write(-1, a, at, len),
  readv: (a, at, len) => io.readv(-1, a, slices(at, len)),
  writev: (a, at, len) => io.writev(-1, a, slices(at, len)),
  send: (a, at, len) => socket.send(-1, a, at, len),
  recv: (a, at, len) => socket.recv(-1, a, at, len),
  sendv: (a, at, len) => socket.sendv(-1, a, slices(at, len)),
  recvv: (a, at, len) => socket.recvv(-1, a, slices(at, len)),
  sendTo: (a, at, len) => socket.sendTo(-1, a, at, len, endpoint()),
  recvFrom: (a, at, len) => socket.recvFrom(-1, a, at, len, endpoint()),
  readErrorQueue: (a, at, len) => readErrorQueue(-1, a, at, len, new QueuedError()),
  'Batch.receive': (a, at, len) => batch(at, len).receive(-1, a),
  sendSegments: (a, at, len) => socket.sendSegments(-1, a, slices(at, len), 1, endpoint()),
}

const OUTSIDE: [number, number][] = [
  [SIZE, 1],
  [SIZE - 1, 2],
  [0, SIZE + 1],
  [-1, 1],
  [8, -1],
  [-8, 16],
]

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name} refuses octets outside of the arena before the kernel sees them`, () => {
    const arena = new Arena(SIZE)
    for (const [at, len] of OUTSIDE) {
      expect(() => call(arena, at, len), `${len} at ${at}`).toThrow(RangeError)
    }
    expect(call(arena, SIZE - 8, 8)).toBe(-9)
  })
}

test('a place that is no number is refused', () => {
  const arena = new Arena(SIZE)
  for (const [at, len] of [
    [NaN, 1],
    [0, NaN],
    [Infinity, 0],
    [0, Infinity],
    [undefined, 1],
    [0, undefined],
  ]) {
    expect(() => addressOf(arena, at as number, len as number)).toThrow(RangeError)
  }
})

test('an arena whose buffer was transferred away is refused', () => {
  const arena = new Arena(SIZE)
  structuredClone(arena.bytes, { transfer: [arena.bytes.buffer as ArrayBuffer] })
  expect(() => io.read(-1, arena, 0, 1)).toThrow(RangeError)
})

const LARGE = 65 * 1024 * 1024

test('one that is not to be counted hurries no collection of garbage', () => {
  const counted = (): number => process.memoryUsage().external
  const before = counted()
  const arena = new Arena(LARGE, false)
  expect(counted() - before).toBeLessThan(LARGE / 2)
  expect(arena.bytes.length).toBe(LARGE)
})

test.each([
  ['few octets', 1000],
  ['many octets', 100_000],
])('%s are copied within it, also over each other and askew', (_, len) => {
  for (const isCounted of [true, false]) {
    const arena = new Arena(1024 * 1024, isCounted)
    const expected = Uint8Array.from({ length: 1024 * 1024 }, (_, i) => i ^ (i >> 8))
    arena.bytes.set(expected)
    for (const [from, to] of [
      [3, 500_000],
      [500_001, 500_007],
      [500_007, 500_001],
    ] as const) {
      arena.copy(to, from, len)
      expected.copyWithin(to, from, from + len)
      expect(Buffer.compare(arena.bytes, expected)).toBe(0)
    }
  }
})

test.each([11, 100_000])('%i octets are copied neither from outside nor to it', (len) => {
  const arena = new Arena(1024 * 1024)
  expect(() => arena.copy(arena.size - 10, 0, len)).toThrow(RangeError)
  expect(() => arena.copy(0, arena.size - 10, len)).toThrow(RangeError)
  expect(() => arena.copy(-1, 0, len)).toThrow(RangeError)
})

test('too many slices are refused', () => {
  const arena = new Arena(SIZE)
  const places = new Slices(65)
  for (let i = 0; i < 65; i++) places.push(i, 1)
  expect(() => io.writev(-1, arena, places)).toThrow(RangeError)
})

test('places are reserved one after the other, aligned, until there is no room', () => {
  const arena = new Arena(256)
  expect(arena.reserve(10)).toBe(0)
  expect(arena.reserve(10)).toBe(64)
  expect(arena.reserve(1, 2)).toBe(74)
  expect(() => arena.reserve(256)).toThrow(RangeError)
  expect(() => arena.reserve(-1)).toThrow(RangeError)
  expect(arena.used).toBe(75)
})

test('no address can be found from outside', () => {
  const arena = new Arena(SIZE)
  expect(
    Object.values(arena)
      .filter((value) => typeof value === 'number')
      .sort(),
  ).toEqual([0, SIZE])
  expect(Object.getOwnPropertySymbols(arena)).toEqual([])
})
