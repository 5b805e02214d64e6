/** Calls that reach every thread of a process. */

import { expect, test } from 'vitest'
import { handlerCode } from '../../src/sys/thread-handler.ts'
import { confined, hasNamespaces, IN_NAMESPACES } from './confined.ts'

const MODULES = {
  'sys/every-thread': 'callHere, callOnOtherThreads',
  'sys/privileges': 'keepCapability, noNewPrivileges',
  'sys/namespaces': 'unshare',
  'sys/io': 'open',
}

/** Some threads more than Node has by itself: libuv's pool, and a worker that is busy and one that sleeps. */
const THREADS = `
import { Worker } from 'node:worker_threads'
await fs.promises.stat('/')
const workers = ['setInterval(() => { for (let i = 0; i < 1e6; i++); }, 0)', 'setInterval(() => {}, 1e9)']
  .map((source) => new Worker(source, { eval: true }))
await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('online', resolve))))
const field = (name) => fs.readdirSync('/proc/self/task').map((tid) =>
  new RegExp('^' + name + ':\\\\s*(.*)$', 'm').exec(fs.readFileSync('/proc/self/task/' + tid + '/status', 'utf8'))[1])
const say = (value) => console.log(JSON.stringify(value))
`
const END = '\nprocess.exit(0)'

test('every thread makes the calls, whatever it is doing', () => {
  const { status, stdout, stderr } = confined(
    MODULES,
    `${THREADS}
     say(field('NoNewPrivs'))
     callOnOtherThreads(noNewPrivileges())
     say(field('NoNewPrivs').toSorted())
     callHere(noNewPrivileges())
     say(field('NoNewPrivs'))${END}`,
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const [before = [], others = [], all = []] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as string[])
  expect(before.length).toBeGreaterThan(10)
  expect(new Set(before)).toEqual(new Set(['0']))
  expect(others).toEqual(['0', ...before.slice(1).fill('1')])
  expect(all).toEqual(before.map(() => '1'))
})

test('a hundred times in a row, and the process lives', () => {
  const { status, stdout, stderr } = confined(
    MODULES,
    `${THREADS}
     for (let i = 0; i < 100; i++) callOnOtherThreads(noNewPrivileges())
     const hash = (await import('node:crypto')).createHash('sha1').update('x').digest('hex')
     say([hash, (await fs.promises.readFile('/proc/self/comm', 'utf8')).length > 0])${END}`,
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain('11f6ad8ec52a2984abaafd7c3b516503785c2072')
})

test('a call that fails on a thread is an error with the thread and the cause', () => {
  const { status, stdout } = confined(
    MODULES,
    `${THREADS}
     const calls = [...noNewPrivileges(), { name: 'setns', args: [9999, 0] }, ...noNewPrivileges()]
     try { callOnOtherThreads(calls) } catch (error) { say([error.code, error.syscall, error.message]) }${END}`,
  )
  expect(status).toBe(0)
  const [code, syscall, message] = JSON.parse(stdout)
  expect([code, syscall]).toEqual(['EBADF', 'setns'])
  expect(message).toMatch(/^thread \d+ \(\S+\): EBADF \(setns: Bad file descriptor\)$/)
})

test('a call that fails on this thread is an error', () => {
  const { stdout } = confined(
    MODULES,
    `try { callHere([{ name: 'setns', args: [9999, 0] }]) } catch (error) { console.log(error.message) }`,
  )
  expect(stdout).toBe('EBADF: setns: Bad file descriptor\n')
})

test('more arguments than the handler passes on are refused', () => {
  const { stdout } = confined(
    MODULES,
    `try { callOnOtherThreads([{ name: 'setns', args: [1, 2, 3, 4, 5, 6] }]) } catch (error) { console.log(error.name) }`,
  )
  expect(stdout).toBe('RangeError\n')
})

test("another PID namespace's /proc is not taken for ours", () => {
  const { stdout } = confined(
    MODULES,
    `fs.mkdirSync('/tmp/slipway-proc-' + process.pid)
     fs.symlinkSync('1', '/tmp/slipway-proc-' + process.pid + '/self')
     try { callOnOtherThreads(noNewPrivileges(), '/tmp/slipway-proc-' + process.pid) }
     catch (error) { console.log(error.message) }
     fs.rmSync('/tmp/slipway-proc-' + process.pid, { recursive: true })`,
  )
  expect(stdout).toMatch(/^cannot see our own threads: .* is of another PID namespace\n$/)
})

test.skipIf(!hasNamespaces)('all threads keep one capability, or none, for good', () => {
  const outcome = (keep: number) => {
    const { status, stdout, stderr } = confined(
      MODULES,
      `${THREADS}
       const calls = keepCapability(${keep})
       callOnOtherThreads(calls)
       callHere(calls)
       say(['CapEff', 'CapPrm', 'CapInh', 'CapBnd', 'CapAmb'].map((name) => [...new Set(field(name))]))${END}`,
      IN_NAMESPACES,
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    return JSON.parse(stdout)
  }
  const bit10 = ['0000000000000400']
  expect(outcome(10)).toEqual([bit10, bit10, bit10, bit10, ['0000000000000000']])
})

test.skipIf(!hasNamespaces)('all threads follow into a mount namespace', () => {
  const { status, stdout, stderr } = confined(
    MODULES,
    `${THREADS}
     const spaces = () => [...new Set(fs.readdirSync('/proc/self/task').map((tid) =>
       fs.readlinkSync('/proc/self/task/' + tid + '/ns/mnt')))]
     const before = spaces()
     unshare(0x20000)
     const between = spaces()
     const fd = open('/proc/thread-self/ns/mnt', 0)
     callOnOtherThreads([{ name: 'unshare', args: [0x200] }, { name: 'setns', args: [fd, 0x20000] }])
     say([before.length, between.length, spaces().length, spaces()[0] === between.find((s) => s !== before[0])])${END}`,
    IN_NAMESPACES,
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual([1, 2, 1, true])
})

test("the control block's address stands in the code of both architectures", () => {
  for (const name of ['x64', 'arm64'] as const) {
    const hex = Buffer.from(handlerCode(name, 0x1122334455667788n).code).toString('hex')
    expect(hex).toContain('8877665544332211')
  }
  // Instructions of arm64 are words, and its literal must be aligned.
  expect(handlerCode('arm64', 0n).code.length).toBe(96)
})
