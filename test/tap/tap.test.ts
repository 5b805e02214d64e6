/** The frames of a batch, from a socket in place of a TAP (bess.ts): what a device never does. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Arrival } from '../../src/stack/link.ts'
import { Arena, addressOf } from '../../src/sys/arena.ts'
import * as c from '../../src/sys/constants.ts'
import * as io from '../../src/sys/io.ts'
import { libc } from '../../src/sys/libc.ts'
import { ReadRing } from '../../src/sys/read-ring.ts'
import { send } from '../../src/sys/socket.ts'
import { NO_OFFLOAD } from '../../src/tap/attach.ts'
import { Tap } from '../../src/tap/tap.ts'
import { hasRing } from '../sys/has-ring.ts'

class Bench {
  readonly tap: Tap
  readonly #arena = new Arena(8 << 20)
  readonly #peer: number
  readonly #at = this.#arena.reserve(64 * 1024)
  readonly arrival = new Arrival()

  constructor(ring: ReadRing | undefined) {
    const pair = new Arena(8)
    const type = c.SOCK_SEQPACKET | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC
    expect(libc().socketpair(c.AF_UNIX, type, 0, addressOf(pair, 0, 8))).toBe(0)
    const fd = pair.view.getInt32(0, true)
    this.#peer = pair.view.getInt32(4, true)
    const attached = { fd, name: '', headerLen: 0, packetInformation: false, offload: NO_OFFLOAD }
    this.tap = new Tap({ ...attached, isSocket: true }, this.#arena, 1500)
    this.tap.ring = ring
    onTestFinished(() => {
      this.tap.close()
      io.close(this.#peer)
    })
  }

  send(...lengths: number[]): void {
    for (const len of lengths) {
      this.#arena.bytes.fill(len, this.#at, this.#at + len)
      expect(send(this.#peer, this.#arena, this.#at, len)).toBe(len)
    }
  }

  receive(expected: number): number {
    return this.tap.receive(this.arrival, expected)
  }

  /** Does the frame that was told of last, and ended there, still have its octets? */
  has(end: number, len: number): boolean {
    return this.#arena.bytes.subarray(end - len, end).every((octet) => octet === (len & 255))
  }
}

const ways = [
  { how: 'one after the other', isThere: true, ring: () => undefined },
  {
    how: `with a ring${hasRing ? '' : ' (skipped: no io_uring here)'}`,
    isThere: hasRing,
    ring: ReadRing.open,
  },
]

for (const { how, isThere, ring } of ways)
  describe.runIf(isThere)(`frames that are read ${how}`, () => {
    test('come in their order, also behind a packet without octets', () => {
      const bench = new Bench(ring())
      bench.send(100, 0, 101, 102, 0, 0, 103)
      const lengths: number[] = []
      for (let i = 0; i < 20; i++) {
        const n = bench.receive(8)
        if (n > 0) lengths.push(n)
        else bench.tap.reuse()
      }
      expect(lengths).toEqual([100, 101, 102, 103])
    })

    test('stay while there is room, and long ones leave room for few', () => {
      const bench = new Bench(ring())
      const batch = (len: number): number => {
        bench.tap.reuse()
        const ends: number[] = []
        for (let i = 0; i < 100 && !bench.tap.isFull; i++) {
          bench.send(len)
          // With a ring the first one says that there was nothing behind the frame before.
          expect(bench.receive(4) || bench.receive(4)).toBe(len)
          ends.push(bench.arrival.end)
        }
        expect(ends.every((end) => bench.has(end, len))).toBe(true)
        return ends.length
      }
      expect(batch(60)).toBe(64)
      expect(batch(60_000)).toBe(64)
      expect(batch(60_000)).toBe(9)
      expect(batch(60)).toBe(9)
      expect(batch(60)).toBe(64)
    })

    test('are gone with their sender, which is no frame', () => {
      const bench = new Bench(ring())
      bench.send(100)
      expect([bench.receive(4), bench.receive(4), bench.receive(1)]).toEqual([100, 0, 0])
    })
  })

test('a ring that cannot be used is left alone, and nothing is lost', () => {
  const close = vi.fn()
  const bench = new Bench({ read: () => -c.ENOMEM, close } as unknown as ReadRing)
  bench.send(100, 101)
  expect([bench.receive(8), bench.receive(8), bench.receive(8)]).toEqual([100, 101, 0])
  expect(close).toHaveBeenCalledOnce()
  expect(bench.tap.ring).toBeUndefined()
})

test('what only a ring says of a frame is not believed', () => {
  const read: ReadRing['read'] = (...[, , , , count, results, first]) => {
    results.fill(-c.ENOMEM, first, first + count)
    return 0
  }
  const bench = new Bench({ read, close: () => {} } as unknown as ReadRing)
  bench.send(100, 101)
  expect([bench.receive(8), bench.receive(8), bench.receive(8)]).toEqual([100, 101, 0])
})
