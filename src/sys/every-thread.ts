/**
 * System calls that every thread of the process makes.
 *
 * Namespaces, the root directory, capabilities and no_new_privs belong to a thread, and a Node process has ten: V8's
 * and libuv's run no JavaScript of ours, but who can write the memory of one thread can use them all. So the calls
 * are put into a table, and each thread gets a signal whose handler, a few machine instructions, makes them. This is
 * how the C library makes setuid(2) act on all threads, and libpsx capset(2).
 *
 * The signal is 33, which C libraries keep for such things and never let be blocked; their handler is put back.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { Arena } from './arena.ts'
import { ESRCH } from './constants.ts'
import { must, systemError } from './errors.ts'
import { ownFunction } from './libc.ts'
import { syscall } from './syscalls.ts'
import { controlOf, placeCode, type ThreadCall, wordOf } from './thread-calls.ts'
import { ANSWERED, FAILURE, LEFT } from './thread-handler.ts'

export type { ThreadCall } from './thread-calls.ts'

const SIGNAL = 33
const SA_RESTORER = 0x04000000
const SA_RESTART = 0x10000000
/** struct sigaction of the kernel: handler, flags, restorer, mask. */
const SIGACTION_LEN = 32
const SIGSET_LEN = 8

/** Ours, in ms: a thread answers within one. */
const PATIENCE = 5_000
const PAUSE_US = 20

/** What the handlers read and write. Never given back, as the code is not: a late thread may still be in there. */
const kept: unknown[] = []

/** Makes the calls on this thread. Throws at the first that fails. */
export function callHere(calls: readonly ThreadCall[]): void {
  for (const { name, args } of calls) must(syscall(name, ...args.map(wordOf)), name)
  kept.push(calls)
}

/**
 * Makes the calls on all threads but this one, also on those that come while it is at it. Throws when any of them
 * fails or a thread does not answer: some threads have made the calls then, and some have not.
 * `proc` is where procfs is.
 */
export function callOnOtherThreads(calls: readonly ThreadCall[], proc = '/proc'): void {
  if (Number(readlinkSync(`${proc}/self`)) !== process.pid) {
    throw new Error(`cannot see our own threads: ${proc} is of another PID namespace`)
  }
  const control = controlOf(calls)
  kept.push(control, calls)
  const self = syscall('gettid')
  const previous = setAction(install(control))
  try {
    const done = new Set([self])
    for (;;) {
      const next = threads(proc).find((tid) => !done.has(tid))
      if (next === undefined) return
      done.add(next)
      call(next, calls, control, proc)
    }
  } finally {
    setAction(previous)
  }
}

function call(tid: number, calls: readonly ThreadCall[], control: Arena, proc: string): void {
  const { view } = control
  const answered = new Int32Array(control.bytes.buffer, ANSWERED, 1)
  const before = Atomics.load(answered, 0)
  const sent = syscall('tgkill', process.pid, tid, SIGNAL)
  if (sent === -ESRCH) return
  must(sent, 'tgkill')
  const limit = performance.now() + PATIENCE
  while (Atomics.load(answered, 0) === before) {
    if (!threads(proc).includes(tid)) return
    if (performance.now() > limit) throw new Error(`${name(tid, proc)} does not answer`)
    pause(PAUSE_US)
  }
  const failure = view.getInt32(FAILURE, true)
  if (failure === 0) return
  const failed = calls[calls.length - view.getInt32(LEFT, true)]
  throw systemError(failure, failed?.name ?? 'syscall', name(tid, proc))
}

function threads(proc: string): number[] {
  return readdirSync(`${proc}/self/task`).map(Number)
}

function name(tid: number, proc: string): string {
  try {
    return `thread ${tid} (${readFileSync(`${proc}/self/task/${tid}/comm`, 'utf8').trim()})`
  } catch {
    return `thread ${tid}`
  }
}

/** The handler's code at a place where it may be run, as an action for the signal. */
function install(control: Arena): Arena {
  const { address, restorer } = placeCode(control)
  const action = new Arena(SIGACTION_LEN)
  action.view.setBigInt64(0, BigInt(address), true)
  action.view.setInt32(8, SA_RESTART | (restorer === undefined ? 0 : SA_RESTORER), true)
  if (restorer !== undefined) action.view.setBigInt64(16, BigInt(restorer), true)
  // No other handler may interrupt it.
  action.view.setBigInt64(24, -1n, true)
  return action
}

/** By the system call, because the C library's function refuses its own signals. Returns the action before. */
function setAction(action: Arena): Arena {
  const previous = new Arena(SIGACTION_LEN)
  const args = [SIGNAL, wordOf(action), wordOf(previous), SIGSET_LEN]
  must(syscall('rt_sigaction', ...args), 'rt_sigaction')
  kept.push(action)
  return previous
}

function pause(us: number): void {
  ownFunction('int usleep(uint32_t)')(us)
}
