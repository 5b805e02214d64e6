/** Records in shared memory, one side in this thread and the other, too: the order of things is ours to choose. */
import * as fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { createRings, RingReader, RingWriter } from '../../src/engine/ring.ts'

const SIZE = 1 << 20

let writer: RingWriter
let reader: RingReader
/** How often each side was woken. */
let woken: { reader: number; writer: number }

beforeEach(() => {
  const rings = createRings()
  woken = { reader: 0, writer: 0 }
  writer = new RingWriter(rings, 'toMain', () => woken.reader++)
  reader = new RingReader(rings, 'toMain', () => woken.writer++)
})

const octets = (len: number, first = 0): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => first + i * 7)

/** All that is published: kind, id and payload of each. */
function readAll(): [kind: number, id: number, payload: Uint8Array][] {
  const found: [number, number, Uint8Array][] = []
  reader.look()
  while (reader.next()) {
    const payload = new Uint8Array(reader.length)
    reader.copy(0, payload, 0, reader.length)
    reader.release()
    found.push([reader.kind, reader.id, payload])
  }
  return found
}

test('records come as they were written, once they are published', () => {
  writer.write(1, 0xfffffff1, octets(5))
  writer.write(2, 7)
  expect(readAll()).toEqual([])
  writer.publish()
  expect(readAll()).toEqual([
    [1, 0xfffffff1, octets(5)],
    [2, 7, octets(0)],
  ])
  expect(readAll()).toEqual([])
})

test('text in a row for one id is one record, and no other record is added to', () => {
  expect(writer.text(4, 9, octets(100), 3, 50)).toBe(50)
  expect(writer.text(4, 9, octets(100, 50), 0, 9)).toBe(9)
  expect(writer.text(4, 8, octets(4), 0, 4)).toBe(4)
  writer.write(5, 8)
  expect(writer.text(4, 8, octets(4), 0, 4)).toBe(4)
  writer.publish()
  expect(writer.text(4, 8, octets(4), 0, 4)).toBe(4)
  writer.publish()
  const text = Uint8Array.of(...octets(100).subarray(3, 53), ...octets(9, 50))
  expect(readAll()).toEqual([
    [4, 9, text],
    [4, 8, octets(4)],
    [5, 8, octets(0)],
    [4, 8, octets(4)],
    [4, 8, octets(4)],
  ])
})

test('text is taken as far as there is room, and leaves some to what ends a connection', () => {
  const taken = writer.text(4, 2, octets(2 * SIZE), 0, 2 * SIZE)
  expect(taken).toBeGreaterThan(SIZE / 2)
  expect(writer.text(4, 2, octets(1), 0, 1)).toBe(0)
  expect(writer.write(8, 2, octets(4))).toBe(true)
  writer.publish()
  const found = readAll()
  expect(found.at(-1)).toEqual([8, 2, octets(4)])
  const text = Buffer.concat(found.slice(0, -1).map(([, , payload]) => payload))
  expect(text.equals(octets(2 * SIZE).subarray(0, taken))).toBe(true)
})

test('datagrams leave half of the ring to text', () => {
  let sent = 0
  while (writer.datagram(10, 1, octets(20), octets(1000), 0, 1000)) sent++
  expect(sent).toBeGreaterThan(400)
  expect(sent * 1036).toBeLessThan(SIZE / 2)
  expect(writer.text(4, 2, octets(SIZE / 4), 0, SIZE / 4)).toBe(SIZE / 4)
  expect(writer.datagram(10, 1, octets(20), octets(65_507), 0, 65_507)).toBe(false)
})

describe('waking', () => {
  test('the reader is woken once until it has looked', () => {
    writer.publish()
    expect(woken.reader).toBe(0) // there is nothing
    for (let i = 0; i < 3; i++) {
      writer.write(1, i)
      writer.publish()
    }
    expect(woken.reader).toBe(1)
    expect(readAll().length).toBe(3)
    writer.write(1, 3)
    writer.publish()
    expect(woken.reader).toBe(2)
  })

  test('a writer that found no room is woken when half of it is read, others are not', () => {
    writer.write(1, 1)
    writer.publish()
    readAll()
    expect(woken.writer).toBe(0)
    writer.text(4, 2, octets(2 * SIZE), 0, 2 * SIZE)
    writer.publish()
    reader.look()
    let read = 0
    while (woken.writer === 0 && reader.next()) {
      read += reader.length
      reader.release()
    }
    expect(read).toBeGreaterThan(SIZE / 3)
    expect(read).toBeLessThan(SIZE / 2 + 20_000)
    readAll()
    expect(woken.writer).toBe(1)
  })
})

test('any records, read at any time, come whole and in order, wherever the ring ends', () => {
  const record = fc.record({
    kind: fc.constantFrom(4, 8, 10),
    id: fc.constantFrom(2, 3, 0xfffffffe),
    len: fc.oneof(fc.nat(40), fc.nat(60_000)),
    at: fc.nat(9),
    isPublished: fc.boolean(),
    isRead: fc.boolean(),
  })
  const source = octets(70_000)
  fc.assert(
    fc.property(fc.array(record, { maxLength: 80 }), (list) => {
      const said = new Map<string, Buffer[]>()
      const heard = new Map<string, Buffer[]>()
      const add = (to: typeof said, kind: number, id: number, part: Uint8Array): void => {
        const name = `${kind} ${id}`
        to.set(name, [...(to.get(name) ?? []), Buffer.from(part)])
      }
      const read = (): void => {
        writer.publish()
        for (const [kind, id, payload] of readAll()) add(heard, kind, id, payload)
      }
      for (const { kind, id, len, at, isPublished, isRead } of list) {
        const part = source.subarray(at, at + len)
        if (kind === 4)
          add(said, kind, id, part.subarray(0, writer.text(kind, id, source, at, len)))
        else if (kind === 10) {
          if (writer.datagram(kind, id, source.subarray(0, 20), source, at, len)) {
            add(said, kind, id, Buffer.concat([source.subarray(0, 20), part]))
          }
        } else if (writer.write(kind, id, part.subarray(0, 40))) {
          add(said, kind, id, part.subarray(0, 40))
        }
        if (isPublished) writer.publish()
        if (isRead) read()
      }
      read()
      for (const [name, parts] of said) {
        expect(Buffer.concat(heard.get(name) ?? []).equals(Buffer.concat(parts)), name).toBe(true)
      }
      expect(heard.size).toBeLessThanOrEqual(said.size)
    }),
    { numRuns: 60 },
  )
})
