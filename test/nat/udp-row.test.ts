/** Datagrams in a row to the guest: what the link is given, and what is on the wire of it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BATCH, UdpRow } from '../../src/nat/udp-row.ts'
import { MAX_ROW } from '../../src/stack/transmitter.ts'
import { TRANSPORT } from '../stack/rig/frames.ts'
import { arpPacket } from '../stack/rig/packets.ts'
import { HOST, Rig } from '../stack/rig/rig.ts'

interface Bench {
  rig: Rig
  row: UdpRow
  add(len: number, segment?: number, port?: number): void
  /** The text of each datagram on the wire. */
  texts(): number[][]
}

const TEXTS = 1 << 20

function bench(mtu = 1500): Bench {
  const rig = new Rig({ mtu, chunks: 64 })
  rig.receive(arpPacket({ tpa: HOST }))
  rig.frames.length = rig.departures.length = 0
  const row = new UdpRow(rig.stack)
  let at = rig.memory.bytes.length - TEXTS
  let next = 0
  return {
    rig,
    row,
    add(len, segment = 0, port = 40_000) {
      const { key } = rig.peer({ port })
      for (let i = 0; i < len; i++) rig.memory.bytes[at + i] = next
      next = (next + 1) & 255
      row.add(key, rig.stack.neighbours.find(key), at, len, segment, 0)
      at += len
    },
    texts: () => rig.frames.map((frame) => [...frame.subarray(TRANSPORT + 8)]),
  }
}

const of = (len: number, value: number): number[] => new Array(len).fill(value)

describe('datagrams of one peer and one length', () => {
  test('go as one, in their order', () => {
    const { rig, row, add, texts } = bench()
    for (let i = 0; i < 3; i++) add(100)
    expect(rig.departures).toEqual([])
    row.send(0)
    expect(rig.departures).toEqual([{ text: 300, gsoSize: 100 }])
    expect(texts()).toEqual([of(100, 0), of(100, 1), of(100, 2)])
    row.send(0)
    expect(rig.departures.length).toBe(1)
  })

  test('end with a shorter one, which goes along', () => {
    const { rig, row, add, texts } = bench()
    for (const len of [100, 100, 40, 100]) add(len)
    row.send(0)
    expect(rig.departures).toEqual([
      { text: 240, gsoSize: 100 },
      { text: 100, gsoSize: 0 },
    ])
    expect(texts()).toEqual([of(100, 0), of(100, 1), of(40, 2), of(100, 3)])
  })

  test('are no more than a batch, nor than an IP packet has room for', () => {
    const few = bench()
    for (let i = 0; i < BATCH + 1; i++) few.add(10)
    few.row.send(0)
    expect(few.rig.departures.map(({ text }) => text)).toEqual([10 * BATCH, 10])
    const large = bench(9000)
    for (let i = 0; i < 8; i++) large.add(8900)
    large.row.send(0)
    expect(large.rig.departures.map(({ text }) => text)).toEqual([7 * 8900, 8900])
    expect(7 * 8900).toBeLessThanOrEqual(MAX_ROW)
  })
})

test('a longer one, one of another peer and an empty one begin anew', () => {
  const { rig, row, add } = bench()
  for (const len of [50, 100, 100, 0, 0, 100]) add(len)
  add(100, 0, 40_001)
  row.send(0)
  expect(rig.departures).toEqual([
    { text: 50, gsoSize: 0 },
    { text: 200, gsoSize: 100 },
    { text: 0, gsoSize: 0 },
    { text: 0, gsoSize: 0 },
    { text: 100, gsoSize: 0 },
    { text: 100, gsoSize: 0 },
  ])
})

test('what the kernel had put together stays together, with what follows', () => {
  const { rig, row, add } = bench()
  add(300, 100)
  add(250, 100)
  add(100, 100)
  add(500, 200)
  row.send(0)
  expect(rig.departures).toEqual([
    { text: 550, gsoSize: 100 },
    { text: 100, gsoSize: 0 },
    { text: 500, gsoSize: 200 },
  ])
})

test('what one packet cannot carry goes in fragments, each by itself', () => {
  const { rig, row, add } = bench()
  add(4000, 2000)
  add(2000)
  row.send(0)
  expect(rig.frames.length).toBe(6)
  expect(rig.departures.every(({ gsoSize }) => gsoSize === 0)).toBe(true)
})

test('whatever comes, each datagram arrives once, whole and in order', () => {
  const size = fc.constantFrom(0, 1, 99, 100, 101, 1472)
  const piece = fc.record({ size, count: fc.integer({ min: 1, max: 5 }), rest: fc.nat(100) })
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const { row, add, texts } = bench()
      const sent: number[] = []
      for (const { size, count, rest } of pieces) {
        const last = Math.min(rest, size)
        if (count === 1 || size === 0) {
          add(size)
          sent.push(size)
        } else {
          add(size * (count - 1) + last, size)
          for (let i = 1; i < count; i++) sent.push(size)
          if (last > 0) sent.push(last)
        }
      }
      row.send(0)
      expect(texts().map((text) => text.length)).toEqual(sent)
    }),
    { numRuns: 200 },
  )
})
