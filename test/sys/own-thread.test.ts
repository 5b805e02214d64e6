/** Calls on a thread that is made for them. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { expect, test } from 'vitest'
import { AT_FDCWD, ENOENT, O_CLOEXEC, O_RDONLY } from '../../src/sys/constants.ts'
import { close } from '../../src/sys/io.ts'
import { callOnThread, type ThreadCall, textArgument } from '../../src/sys/own-thread.ts'
import { syscall } from '../../src/sys/syscalls.ts'

const openat = (path: string): ThreadCall => ({
  name: 'openat',
  args: [AT_FDCWD, textArgument(path), O_RDONLY | O_CLOEXEC],
})

test('each call has its result, and what was opened stays open here', () => {
  const [tid, passwd = -1, again] = callOnThread([
    { name: 'gettid', args: [] },
    openat('/etc/passwd'),
    { name: 'gettid', args: [] },
  ])
  expect(tid).toBe(again)
  expect(tid).not.toBe(syscall('gettid'))
  expect(readlinkSync(`/proc/self/fd/${passwd}`)).toBe('/etc/passwd')
  close(passwd)
})

test('the thread is gone afterwards, a thousand times', () => {
  callOnThread([])
  const before = readdirSync('/proc/self/task').length
  for (let i = 0; i < 1_000; i++)
    expect(callOnThread([{ name: 'gettid', args: [] }])).toHaveLength(1)
  expect(readdirSync('/proc/self/task').length).toBeLessThanOrEqual(before)
})

test('nothing comes after the first call that fails', () => {
  const calls = [openat('/etc/passwd'), openat('/no/such/file'), openat('/etc/group')]
  const [passwd = -1, ...rest] = callOnThread(calls)
  expect(rest).toEqual([-ENOENT])
  close(passwd)
})

test('what they change is not changed for us', () => {
  const PR_SET_NAME = 15
  const names = () =>
    readdirSync('/proc/self/task').map((tid) => readFileSync(`/proc/self/task/${tid}/comm`, 'utf8'))
  const calls: ThreadCall[] = [{ name: 'prctl', args: [PR_SET_NAME, textArgument('elsewhere')] }]
  expect(callOnThread(calls)).toEqual([0])
  expect(names()).not.toContain('elsewhere\n')
})
