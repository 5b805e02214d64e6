import { constants } from 'node:fs'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Arena } from '../../src/sys/arena.ts'
import { EACCES, EAGAIN, EBADF } from '../../src/sys/constants.ts'
import * as io from '../../src/sys/io.ts'
import { type Libc, libc } from '../../src/sys/libc.ts'
import { MOST_READS, ReadRing } from '../../src/sys/read-ring.ts'
import { syscall } from '../../src/sys/syscalls.ts'
import { confined } from './confined.ts'
import { hasRing } from './has-ring.ts'

const LEN = 16
// <linux/io_uring.h>
const IORING_REGISTER_PROBE = 8
const IORING_OP_NOP = 0
const IORING_OP_READ = 22

function ringOf(): ReadRing {
  const ring = ReadRing.open()!
  onTestFinished(() => ring.close())
  return ring
}

/** A pipe of packets: each read gives what one write has written. */
function packets(): [from: number, to: number] {
  const [from, to] = io.pipe(constants.O_NONBLOCK | constants.O_DIRECT)
  onTestFinished(() => io.closeAll([from, to]))
  return [from, to]
}

describe.runIf(hasRing)(`a ring of reads${hasRing ? '' : ' (skipped: no io_uring here)'}`, () => {
  test('brings what was written, in its order, and says where nothing was', () => {
    const arena = new Arena(4096)
    const [from, to] = packets()
    const ring = ringOf()
    const results = new Int32Array(8)
    // More often than it has entries: it goes round.
    for (let round = 0; round < 3 * MOST_READS; round++) {
      arena.bytes.fill(0, 0, 6 * LEN)
      for (const [i, len] of [3, 1, 2].entries()) {
        arena.bytes.fill(round + i, 4000, 4000 + len)
        io.write(to, arena, 4000, len)
      }
      results.fill(77)
      expect(ring.read(from, arena, 0, LEN, 5, results, 2)).toBe(0)
      expect([...results]).toEqual([77, 77, 3, 1, 2, -EAGAIN, -EAGAIN, 77])
      for (const [i, len] of [3, 1, 2].entries()) {
        const octets = [...arena.bytes.subarray(i * LEN, i * LEN + len + 1)]
        expect(octets).toEqual([...Array(len).fill((round + i) & 255), 0])
      }
    }
  })

  test('takes as many as it has entries', () => {
    const arena = new Arena(MOST_READS * LEN + 1)
    const [from, to] = packets()
    for (let i = 0; i < 10; i++) io.write(to, arena, 0, 1)
    const results = new Int32Array(MOST_READS)
    expect(ringOf().read(from, arena, 0, LEN, MOST_READS, results, 0)).toBe(0)
    expect([...results]).toEqual([...Array(10).fill(1), ...Array(MOST_READS - 10).fill(-EAGAIN)])
  })

  test('says what is wrong with each read', () => {
    const results = new Int32Array(2)
    expect(ringOf().read(-1, new Arena(64), 0, LEN, 2, results, 0)).toBe(0)
    expect([...results]).toEqual([-EBADF, -EBADF])
  })

  test('refuses a place that is not in the arena, and goes on', () => {
    const [from, to] = packets()
    const ring = ringOf()
    const results = new Int32Array(8)
    const arena = new Arena(4 * LEN)
    io.write(to, arena, 0, 5)
    expect(() => ring.read(from, arena, 0, LEN, 5, results, 0)).toThrow(RangeError)
    expect(ring.read(from, arena, 0, LEN, 2, results, 0)).toBe(0)
    expect([...results.subarray(0, 2)]).toEqual([5, -EAGAIN])
  })

  test('can do nothing else', () => {
    const ring = ringOf()
    expect(syscall('io_uring_register', ring.fd, IORING_REGISTER_PROBE)).toBe(-EACCES)
    const [from, to] = packets()
    const [arena, results] = [new Arena(64), new Int32Array(2)]
    io.write(to, arena, 0, 3)
    const setUint32 = DataView.prototype.setUint32
    const spy = vi.spyOn(DataView.prototype, 'setUint32')
    spy.mockImplementation(function (this: DataView, at, value, isLittle) {
      setUint32.call(this, at, value === IORING_OP_READ ? IORING_OP_NOP : value, isLittle)
    })
    expect(ring.read(from, arena, 0, LEN, 2, results, 0)).toBe(0)
    spy.mockRestore()
    expect([...results]).toEqual([-EACCES, -EACCES])
    expect(ring.read(from, arena, 0, LEN, 2, results, 0)).toBe(0)
    expect([...results]).toEqual([3, -EAGAIN])
  })

  test('refuses more than it has room for', () => {
    const [ring, arena] = [ringOf(), new Arena(4096)]
    const read = (count: number, results: Int32Array, first: number) => () =>
      ring.read(-1, arena, 0, LEN, count, results, first)
    expect(read(MOST_READS + 1, new Int32Array(100), 0)).toThrow(RangeError)
    expect(read(3, new Int32Array(8), 6)).toThrow(RangeError)
    expect(read(3, new Int32Array(8), -1)).toThrow(RangeError)
  })

  test('goes on under a filter of system calls, which gives no new one', () => {
    const { status, stdout, stderr } = confined(
      {
        'control/seccomp': 'confineCalls',
        'sys/arena': 'Arena',
        'sys/io': 'pipe, write',
        'sys/libc': 'libc',
        'sys/read-ring': 'ReadRing',
      },
      `libc()
       const ring = ReadRing.open()
       confineCalls()
       const [arena, results, [from, to]] = [new Arena(64), new Int32Array(2), pipe()]
       write(to, arena, 0, 3)
       const failed = ring.read(from, arena, 0, 16, 2, results, 0)
       console.log(JSON.stringify([ReadRing.open() === undefined, failed, ...results]))`,
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual([true, 0, 3, -EAGAIN])
  })

  test('is gone when it is closed', () => {
    const ring = ReadRing.open()!
    ring.close()
    expect(io.isOpen(ring.fd)).toBe(false)
    const read = () => ring.read(0, new Arena(64), 0, LEN, 1, new Int32Array(1), 0)
    expect(read).toThrow(RangeError)
  })

  test('is not there in a runtime that shows no foreign memory, and gives the pages back', () => {
    const places = new Set<number>()
    const spy = vi.spyOn(libc() as { -readonly [name in 'view']: Libc[name] }, 'view')
    spy.mockImplementation((address) => {
      places.add(address)
      throw new Error('This runtime does not support external buffers')
    })
    onTestFinished(() => spy.mockRestore())
    const rings = Array.from({ length: 50 }, () => ReadRing.open())
    expect(new Set(rings)).toEqual(new Set([undefined]))
    // The same ones are given out again and again.
    expect(places.size).toBeLessThan(25)
  })

  test('closes once', () => {
    const ring = ReadRing.open()!
    ring.close()
    const other = ringOf()
    expect(other.fd).toBe(ring.fd)
    ring.close()
    const results = new Int32Array(1)
    expect(other.read(-1, new Arena(64), 0, LEN, 1, results, 0)).toBe(0)
    expect([...results]).toEqual([-EBADF])
  })

  test('lies in no memory that others are given, where the kernel writes once more when it ends a ring', () => {
    const { status, stdout, stderr } = confined(
      { 'sys/arena': 'Arena', 'sys/io': 'pipe', 'sys/read-ring': 'ReadRing' },
      `const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
       const [from] = pipe(fs.constants.O_NONBLOCK)
       const untouched = Buffer.alloc(16 * 1024, 255)
       function openAndClose() {
         const ring = ReadRing.open()
         ring.read(from, new Arena(64), 0, 1, 4, new Int32Array(4), 0)
         ring.close()
       }
       // From here on malloc(3) keeps for others what is given back to it (M_MMAP_THRESHOLD is what the largest had).
       Buffer.allocUnsafeSlow(16 << 20)
       gc()
       await sleep(20)
       const findings = []
       for (let round = 0; round < 5; round++) {
         openAndClose()
         gc()
         await sleep(1)
         const others = Array.from({ length: 200 }, () => Buffer.allocUnsafeSlow(16 * 1024).fill(255))
         await sleep(150)
         findings.push(others.every((octets) => octets.equals(untouched)))
       }
       console.log(JSON.stringify(findings))`,
      ['env', 'NODE_OPTIONS=--expose-gc'],
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual([true, true, true, true, true])
  })
})
