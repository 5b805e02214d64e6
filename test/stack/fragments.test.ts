import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCounters, type Drops } from '../../src/stack/counters.ts'
import { Fragments, type FragmentsOptions } from '../../src/stack/fragments.ts'
import { memoryOf } from '../../src/stack/link.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import { pairSum, TrapView } from './wire/trap-view.ts'

const GUEST = 0x0a000264
const OUTSIDE = 0x08080808

interface Piece {
  offset: number
  text: ArrayLike<number>
  more?: boolean
  id?: number
  src?: number
  protocol?: number
  /** Octets of options, a multiple of four. */
  options?: number[]
}

/** The fragment as a packet in the midst of other octets. */
function packet(piece: Piece): TrapView {
  const { offset, text, more = false, id = 7, src = GUEST, protocol = 17, options = [] } = piece
  const header = 20 + options.length
  const v = new TrapView(new Uint8Array(header + text.length))
  const field = (more ? ipv4.MF : 0) | (offset >>> 3)
  ipv4.emit(v, v.from, header + text.length, id, field, 64, protocol, src, OUTSIDE)
  v.setUint8(v.from, 0x40 | (header >>> 2))
  v.bytes.set(options, v.from + 20)
  v.bytes.set(text, v.from + header)
  ipv4.emitChecksum(v.bytes, v, v.from)
  return v
}

/** Puts pieces in; what comes out is copied to another memory as the stack does it. */
class Receiver {
  readonly drop: Drops = createCounters().drop
  readonly fragments: Fragments
  now = 1000

  constructor(options?: FragmentsOptions) {
    this.fragments = new Fragments(this.drop, options)
  }

  /** What was lost, and why. */
  losses(): Partial<Drops> {
    return Object.fromEntries(Object.entries(this.drop).filter(([, count]) => count > 0))
  }

  receive(piece: Piece): Uint8Array | undefined {
    const v = packet(piece)
    expect(ipv4.check(v, v.from, v.to)).toBe(true)
    const whole = this.fragments.receive(v.bytes, v, v.from, v.to, this.now)
    if (whole === undefined) return undefined
    const bytes = new Uint8Array(70_000)
    const end = whole.copyTo(memoryOf(bytes), 3)
    expect(Buffer.compare(bytes.slice(3, end), whole.bytes.slice(whole.at, whole.end))).toBe(0)
    return bytes.slice(3, end)
  }
}

const text = (len: number, seed = 0): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => (i * 7 + (i >>> 8) + seed) & 0xff)

/** The text of a packet, whose header is found right. */
function textOf(whole: Uint8Array | undefined, headerLen = 20): Uint8Array {
  expect(whole).toBeDefined()
  const v = new DataView(whole!.buffer)
  expect(ipv4.check(v, 0, whole!.length)).toBe(true)
  expect(pairSum(whole!.subarray(0, headerLen))).toBe(0xffff)
  expect(ipv4.totalLen(v, 0)).toBe(whole!.length)
  expect(ipv4.fragment(v, 0)).toBe(0)
  expect(ipv4.headerLen(v, 0)).toBe(headerLen)
  return whole!.slice(headerLen)
}

/** Cuts a text at these places. */
function cut(whole: Uint8Array, places: number[]): Piece[] {
  const bounds = [0, ...places, whole.length]
  return bounds.slice(1).map((end, i) => ({
    offset: bounds[i]!,
    text: whole.slice(bounds[i], end),
    more: end < whole.length,
  }))
}

describe('a datagram is put together', () => {
  test('in any order and from any cuts, repeated or not (RFC 791 §3.2)', () => {
    const arbitrary = fc.integer({ min: 9, max: 3000 }).chain((len) =>
      fc.record({
        len: fc.constant(len),
        cuts: fc.uniqueArray(fc.integer({ min: 1, max: Math.ceil(len / 8) - 1 }), {
          maxLength: 12,
        }),
        order: fc.array(fc.nat(), { maxLength: 30 }),
      }),
    )
    fc.assert(
      fc.property(arbitrary, ({ len, cuts, order }) => {
        const whole = text(len, len)
        const pieces = cut(
          whole,
          cuts.map((place) => 8 * place).sort((a, b) => a - b),
        )
        const receiver = new Receiver()
        const missing = new Set(pieces)
        // Some pieces at random, many of them twice, then what is missing: the twin is a set.
        const sequence = order.map((n) => pieces[n % pieces.length]!)
        for (const piece of [...sequence, ...pieces]) {
          if (missing.size === 0) break
          missing.delete(piece)
          const result = receiver.receive(piece)
          expect(result !== undefined).toBe(missing.size === 0)
          if (result !== undefined) expect(Buffer.compare(textOf(result), whole)).toBe(0)
        }
        expect(receiver.losses()).toEqual({})
        expect(receiver.fragments.deadline).toBe(Infinity)
      }),
      { numRuns: 200 },
    )
  })

  test('and its header is the first one’s, options and all', () => {
    const receiver = new Receiver()
    const options = [0x94, 4, 0, 0, 1, 1, 1, 0] // router alert, which is copied, and NOPs
    receiver.receive({ offset: 8, text: text(5), more: false, options: [0x94, 4, 0, 0] })
    const whole = receiver.receive({ offset: 0, text: text(8), more: true, options })
    expect(textOf(whole, 28)).toEqual(Uint8Array.of(...text(8), ...text(5)))
    expect([...whole!.slice(20, 28)]).toEqual(options)
  })

  test('while others are under way: source, protocol and identification tell them apart', () => {
    const receiver = new Receiver()
    const kinds = [{}, { id: 8 }, { src: GUEST + 1 }, { protocol: 1 }]
    for (const [i, kind] of kinds.entries()) {
      expect(
        receiver.receive({ offset: 0, text: text(16, i), more: true, ...kind }),
      ).toBeUndefined()
    }
    for (const [i, kind] of kinds.entries()) {
      const whole = receiver.receive({ offset: 16, text: text(3, i), ...kind })
      expect(textOf(whole)).toEqual(Uint8Array.of(...text(16, i), ...text(3, i)))
    }
  })

  test('of 65,535 octets, the most there can be', () => {
    const receiver = new Receiver()
    const whole = text(65_515)
    const pieces = cut(
      whole,
      Array.from({ length: 44 }, (_, i) => 1480 * (i + 1)),
    )
    let result: Uint8Array | undefined
    for (const piece of pieces.reverse()) result = receiver.receive(piece)
    expect(textOf(result)).toEqual(whole)
  })

  test('from 8,190 fragments of eight octets, every other one first', () => {
    const receiver = new Receiver()
    const whole = text(65_515)
    const pieces = cut(
      whole,
      Array.from({ length: 8189 }, (_, i) => 8 * (i + 1)),
    )
    let result: Uint8Array | undefined
    for (const rest of [1, 0]) {
      for (let i = rest; i < pieces.length; i += 2) result = receiver.receive(pieces[i]!)
    }
    expect(textOf(result)).toEqual(whole)
  })

  test('and padding of the frame behind a fragment is not text', () => {
    const fragments = new Fragments(createCounters().drop)
    const first = packet({ offset: 0, text: text(8), more: true })
    fragments.receive(first.bytes, first, first.from, first.to + 20, 0)
    const last = packet({ offset: 8, text: text(1) })
    const whole = fragments.receive(last.bytes, last, last.from, last.to + 17, 0)!
    expect(whole.end - whole.at).toBe(29)
  })
})

describe('fragments that overlap', () => {
  const FIRST = { offset: 0, text: text(24), more: true }

  test.each<[string, Piece, Piece]>([
    ['the end of another', FIRST, { offset: 16, text: text(16), more: true }],
    ['the start of another', { ...FIRST, offset: 16 }, { offset: 8, text: text(16), more: true }],
    ['all of another', { ...FIRST, offset: 8 }, { offset: 0, text: text(40), more: true }],
    ['the midst of another with other octets', FIRST, { offset: 8, text: text(8), more: true }],
    ['another with other octets', FIRST, { ...FIRST, text: text(24, 1) }],
    ['two others and what is between', FIRST, { offset: 0, text: text(48), more: true }],
  ])('in %s discard the datagram', (_what, one, other) => {
    const receiver = new Receiver()
    receiver.receive(one)
    receiver.receive(other)
    expect(receiver.drop.fragmentOverlap).toBe(1)
    // What would have completed it does not.
    expect(receiver.receive({ offset: 24, text: text(4) })).toBeUndefined()
    expect(receiver.receive({ offset: 40, text: text(4) })).toBeUndefined()
    expect(receiver.losses()).toEqual({ fragmentOverlap: 3 })
    // When its time is over nothing of it is left.
    receiver.now += 30_000
    receiver.fragments.timeout(receiver.now, () => expect.unreachable())
    expect(receiver.fragments.deadline).toBe(Infinity)
    expect(receiver.losses()).toEqual({ fragmentOverlap: 3 })
  })

  test('and what comes of it later is discarded, were it all of it (RFC 5722 §4)', () => {
    const receiver = new Receiver()
    const whole = [
      { offset: 0, text: text(32), more: true },
      { offset: 32, text: text(32) },
    ]
    receiver.receive(whole[0]!)
    receiver.receive({ offset: 16, text: text(32), more: true })
    for (const piece of whole) expect(receiver.receive(piece)).toBeUndefined()
    expect(receiver.losses()).toEqual({ fragmentOverlap: 3 })
    receiver.now += 30_000
    receiver.fragments.timeout(receiver.now)
    receiver.receive(whole[0]!)
    expect(receiver.receive(whole[1]!)).toBeDefined()
  })

  test.each<[string, Piece, Piece]>([
    ['past the last', { offset: 8, text: text(9) }, { offset: 24, text: text(8), more: true }],
    ['to the last’s end and says more', { offset: 8, text: text(8) }, { ...FIRST, text: text(16) }],
    ['last before others', { offset: 24, text: text(8), more: true }, { offset: 8, text: text(8) }],
    [
      'the last again, but says more',
      { offset: 8, text: text(8) },
      { offset: 8, text: text(8), more: true },
    ],
    ['last twice', { offset: 8, text: text(8) }, { offset: 16, text: text(8) }],
    [
      'in the last’s last octets',
      { offset: 8, text: text(9) },
      { ...FIRST, offset: 16, text: text(8) },
    ],
  ])('or contradict: %s', (_what, one, other) => {
    const receiver = new Receiver()
    receiver.receive(one)
    receiver.receive(other)
    expect(receiver.drop.fragmentOverlap).toBe(1)
  })

  test('octet for octet are ignored, and the datagram completes', () => {
    const receiver = new Receiver()
    const last = { offset: 24, text: text(5) }
    receiver.receive(FIRST)
    receiver.receive(FIRST)
    receiver.receive({ offset: 8, text: text(24).slice(8, 16), more: true })
    expect(receiver.fragments.repeated).toBe(2)
    expect(textOf(receiver.receive(last))).toEqual(Uint8Array.of(...text(24), ...text(5)))
    // Late copies open a datagram anew, which only its time ends.
    receiver.receive(last)
    expect(receiver.receive(last)).toBeUndefined()
    expect(receiver.fragments.repeated).toBe(3)
    expect(receiver.losses()).toEqual({})
  })
})

describe('a fragment is refused', () => {
  test.each<[string, Piece]>([
    ['without text', { offset: 8, text: [], more: true }],
    ['last and without text', { offset: 8, text: [] }],
    [
      'of a length that is no multiple of eight, not being the last',
      { offset: 8, text: [1, 2, 3], more: true },
    ],
  ])('%s', (_what, piece) => {
    const receiver = new Receiver()
    expect(receiver.receive(piece)).toBeUndefined()
    expect(receiver.drop.fragmentMalformed).toBe(1)
    expect(receiver.fragments.deadline).toBe(Infinity)
  })

  test('that ends past 65,535, with its datagram (the ping of death)', () => {
    const receiver = new Receiver()
    receiver.receive({ offset: 0, text: text(8), more: true })
    receiver.receive({ offset: 65_528, text: text(200), more: false })
    expect(receiver.drop.fragmentTooLong).toBe(1)
    expect(receiver.fragments.deadline).toBe(Infinity)
    receiver.receive({ offset: 65_512, text: text(4) })
    expect(receiver.drop.fragmentTooLong).toBe(2)
    expect(receiver.fragments.deadline).toBe(Infinity)
  })

  test('when the first one’s options make the whole longer than 65,535, and not at 65,535', () => {
    const options = [1, 1, 1, 0]
    const complete = (lastLen: number): Receiver => {
      const receiver = new Receiver()
      receiver.receive({ offset: 65_504, text: text(lastLen) })
      receiver.receive({ offset: 32_752, text: text(32_752), more: true })
      receiver.receive({ offset: 0, text: text(32_752), more: true, options })
      return receiver
    }
    expect([complete(7).fragments.completed, complete(7).losses()]).toEqual([1, {}])
    expect([complete(8).fragments.completed, complete(8).losses()]).toEqual([
      ...[0, { fragmentTooLong: 1 }],
    ])
    expect(complete(8).fragments.deadline).toBe(Infinity)
  })
})

describe('what is never complete', () => {
  test('is given up 30 s after its first fragment (RFC 1122 §3.3.2)', () => {
    const receiver = new Receiver()
    const { fragments } = receiver
    expect(fragments.deadline).toBe(Infinity)
    receiver.receive({ offset: 8, text: text(8) }) // a last one alone
    expect(fragments.deadline).toBe(31_000)
    receiver.now = 2000
    receiver.receive({ offset: 16, text: text(8), more: true, id: 8 })
    expect(fragments.deadline).toBe(31_000)
    fragments.timeout(30_999)
    expect(receiver.drop.fragmentTimeout).toBe(0)
    fragments.timeout(31_000)
    expect(receiver.drop.fragmentTimeout).toBe(1)
    expect(fragments.deadline).toBe(32_000)
    expect(receiver.receive({ offset: 0, text: text(8), more: true })).toBeUndefined()
    fragments.timeout(62_000)
    expect(receiver.drop.fragmentTimeout).toBe(3)
    expect(fragments.deadline).toBe(Infinity)
  })

  test('is told of by its first fragment, when that came (RFC 792)', () => {
    const receiver = new Receiver()
    receiver.receive({ offset: 8, text: text(8), more: true })
    receiver.receive({ offset: 0, text: text(16, 3), more: true, id: 8 })
    receiver.receive({ offset: 64, text: text(8), more: true, id: 8 })
    const told: Uint8Array[] = []
    receiver.fragments.timeout(99_000, (first) => told.push(first.bytes.slice(first.at, first.end)))
    const first = packet({ offset: 0, text: text(16, 3), more: true, id: 8 })
    expect(told).toEqual([first.bytes.slice(first.from, first.to)])
  })

  test('gives way, the oldest first, when there are too many', () => {
    const receiver = new Receiver({ datagrams: 3 })
    for (let id = 0; id < 5; id++) {
      receiver.now += 10
      receiver.receive({ offset: 0, text: text(8, id), more: true, id })
    }
    expect(receiver.drop.fragmentLimit).toBe(2)
    expect(receiver.fragments.deadline).toBe(1030 + 30_000)
    const complete = (id: number): boolean =>
      receiver.receive({ offset: 8, text: text(1), id }) !== undefined
    expect([4, 3, 2].map(complete)).toEqual([true, true, true])
    expect([1, 0].map(complete)).toEqual([false, false])
  })

  test('is 64 datagrams of 64 KiB at the most, when nobody says otherwise', () => {
    const receiver = new Receiver()
    for (let id = 0; id < 100; id++) {
      receiver.receive({ offset: 0, text: text(8), more: true, id })
    }
    expect(receiver.losses()).toEqual({ fragmentLimit: 36 })
    receiver.now += 30_000
    receiver.fragments.timeout(receiver.now)
    expect(receiver.losses()).toEqual({ fragmentLimit: 36, fragmentTimeout: 64 })
    // And then there is room again.
    receiver.receive({ offset: 0, text: text(8), more: true })
    expect(receiver.receive({ offset: 8, text: text(1) })).toBeDefined()
  })
})

test('against a plain array: no sequence of fragments gives what was not sent', () => {
  const piece = fc.record({
    offset: fc.nat(5).map((n) => 8 * n),
    len: fc.integer({ min: 0, max: 26 }),
    more: fc.boolean(),
    seed: fc.constantFrom(0, 0, 0, 1),
  })
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const receiver = new Receiver()
      const source = [text(100, 0), text(100, 1)]
      // The twin: octets by place, undefined where nothing came; it begins anew when it was whole.
      let twin: (number | undefined)[] = []
      let length: number | undefined
      let isDead = false
      for (const { offset, len, more, seed } of pieces) {
        const octets = source[seed]!.slice(offset, offset + len)
        const end = offset + len
        const whole = receiver.receive({ offset, text: octets, more })
        if (isDead || len === 0 || (more && len % 8 !== 0)) {
          expect(whole).toBeUndefined()
          continue
        }
        const came = octets.reduce((n, _octet, i) => n + Number(twin[offset + i] !== undefined), 0)
        const isSame = octets.every((octet, i) => twin[offset + i] === octet)
        const isWrong =
          length === undefined ? !more && end <= twin.length : more ? end >= length : end !== length
        if (isWrong || (came > 0 && !isSame)) {
          isDead = true
          expect(whole).toBeUndefined()
          continue
        }
        for (const [i, octet] of octets.entries()) twin[offset + i] = octet
        if (!more) length = end
        // A sparse array's holes are octets that did not come.
        const isComplete = length !== undefined && Object.keys(twin).length === length
        expect(whole !== undefined).toBe(isComplete)
        if (!isComplete) continue
        expect([...textOf(whole)]).toEqual(twin)
        twin = []
        length = undefined
      }
    }),
    { numRuns: 3000 },
  )
})

test('no octet outside of a fragment is read, whatever its header says', () => {
  const fragments = new Fragments(createCounters().drop, { datagrams: 4 })
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 90 }), (octets) => {
      octets.set([0x45, 0, 0, octets.length])
      const v = new TrapView(octets)
      if (!ipv4.check(v, v.from, v.to)) return
      const whole = fragments.receive(v.bytes, v, v.from, v.to, 0)
      expect(whole?.at ?? 0).toBeGreaterThanOrEqual(0)
    }),
    { numRuns: 1000 },
  )
})
