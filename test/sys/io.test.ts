import { constants, readlinkSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Slices } from '../../src/stack/slices.ts'
import { Arena } from '../../src/sys/arena.ts'
import { EAGAIN, EBADF, EPOLLIN, EPOLLOUT } from '../../src/sys/constants.ts'
import { Epoll } from '../../src/sys/epoll.ts'
import { errnoName, must, systemError } from '../../src/sys/errors.ts'
import * as io from '../../src/sys/io.ts'

test('octets go through a pipe, from one place and from several', () => {
  const arena = new Arena(4096)
  const [from, to] = io.pipe(constants.O_NONBLOCK)
  arena.bytes.set([1, 2, 3, 4, 5, 6], 100)
  expect(io.write(to, arena, 100, 3)).toBe(3)
  expect(io.read(from, arena, 0, 10)).toBe(3)
  expect([...arena.bytes.subarray(0, 4)]).toEqual([1, 2, 3, 0])

  const out = new Slices(3)
  out.push(105, 1)
  out.push(0, 0)
  out.push(100, 2)
  expect(io.writev(to, arena, out)).toBe(3)
  const into = new Slices(2)
  into.push(201, 1)
  into.push(300, 10)
  expect(io.readv(from, arena, into)).toBe(3)
  expect(arena.bytes[201]).toBe(6)
  expect([...arena.bytes.subarray(300, 303)]).toEqual([1, 2, 0])
  io.close(from)
  io.close(to)
})

test('a failed call returns -errno', () => {
  const arena = new Arena(64)
  const [from, to] = io.pipe(constants.O_NONBLOCK)
  expect(io.read(from, arena, 0, 1)).toBe(-EAGAIN)
  expect(io.close(from)).toBe(0)
  expect(io.close(to)).toBe(0)
  expect(io.read(from, arena, 0, 1)).toBe(-EBADF)
  expect(io.close(from)).toBe(-EBADF)
  expect(io.isOpen(from)).toBe(false)
})

test('descriptors change their flags', () => {
  const [from, to] = io.pipe()
  expect(io.isNonblocking(from)).toBe(false)
  io.setNonblocking(from)
  expect(io.isNonblocking(from)).toBe(true)
  io.setNonblocking(from, false)
  expect(io.isNonblocking(from)).toBe(false)
  const copy = io.dup(to, 100)
  expect(copy).toBeGreaterThanOrEqual(100)
  expect(readlinkSync(`/proc/self/fd/${copy}`)).toBe(readlinkSync(`/proc/self/fd/${to}`))
  io.clearCloexec(copy)
  for (const fd of [from, to, copy]) io.close(fd)
})

test('a file that is not there is an error with its path, code, errno and syscall', () => {
  expect(() => io.open('/nonexistent/ä', 0)).toThrow(
    expect.objectContaining({
      message: 'cannot open /nonexistent/ä: ENOENT (open: No such file or directory)',
      code: 'ENOENT',
      errno: -2,
      syscall: 'open',
    }),
  )
  expect(() => io.open('/proc/self\0/x', 0)).toThrow(TypeError)
  expect(() => io.open('/x'.repeat(4000), 0)).toThrow(TypeError)
})

test('errors have the names and the words of the system', () => {
  expect(errnoName(-11)).toBe('EAGAIN')
  expect(errnoName(77)).toBe('EBADFD')
  expect(errnoName(9999)).toBe('errno 9999')
  expect(systemError(16, 'ioctl(TUNSETIFF)').message).toBe(
    'EBUSY: ioctl(TUNSETIFF): Device or resource busy',
  )
  expect(must(3, 'x')).toBe(3)
  expect(() => must(-1, 'x')).toThrow('EPERM')
})

test('an eventfd wakes an epoll set, and carries its token', () => {
  const epoll = new Epoll()
  const fd = io.eventfd()
  expect(epoll.add(fd, EPOLLIN, 0xfedcba98)).toBe(0)
  expect(epoll.wait(0)).toBe(0)
  io.eventfdSignal(fd)
  io.eventfdSignal(fd)
  expect(epoll.wait(Infinity)).toBe(1)
  expect(epoll.token(0)).toBe(0xfedcba98)
  expect(epoll.events(0)).toBe(EPOLLIN)
  expect(io.eventfdDrain(fd)).toBe(8)
  expect(epoll.wait(0)).toBe(0)
  expect(io.eventfdDrain(fd)).toBe(-EAGAIN)
  expect(epoll.modify(fd, EPOLLOUT, 7)).toBe(0)
  expect(epoll.wait(-5)).toBe(1)
  expect([epoll.events(0), epoll.token(0)]).toEqual([EPOLLOUT, 7])
  expect(epoll.remove(fd)).toBe(0)
  expect(epoll.remove(fd)).toBe(-2)
  expect(epoll.add(-1, 0, 0)).toBe(-EBADF)
  io.close(fd)
  epoll.close()
})

test('epoll waits as long as it is told, rounded up', () => {
  const epoll = new Epoll(new Arena(65536), 8)
  const start = performance.now()
  expect(epoll.wait(19.2)).toBe(0)
  expect(performance.now() - start).toBeGreaterThan(19)
  epoll.close()
  expect(epoll.wait(0)).toBe(-EBADF)
})

test('an epoll set hands out no more events than it has places for', () => {
  const epoll = new Epoll(undefined, 2)
  const fds = [io.eventfd(), io.eventfd(), io.eventfd()]
  for (const [i, fd] of fds.entries()) epoll.add(fd, EPOLLOUT, i)
  expect(epoll.wait(0)).toBe(2)
  expect(epoll.wait(0)).toBe(2)
  for (const fd of fds) io.close(fd)
  epoll.close()
})
