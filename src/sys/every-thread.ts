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
import { Arena, addressOf } from './arena.ts'
import { ESRCH } from './constants.ts'
import { must, systemError } from './errors.ts'
import { libc, ownFunction } from './libc.ts'
import { architecture, numberOf, type SyscallName, syscall } from './syscalls.ts'
import {
  ANSWERED,
  CALL_LEN,
  CALLS,
  COUNT,
  FAILURE,
  handlerCode,
  LEFT,
  MAX_ARGS,
} from './thread-handler.ts'

/** A call that acts on the thread which makes it. */
export interface ThreadCall {
  readonly name: SyscallName
  /** Up to five; an arena is the address of its octets. */
  readonly args: readonly (number | Arena)[]
}

const SIGNAL = 33
const SA_RESTORER = 0x04000000
const SA_RESTART = 0x10000000
/** struct sigaction of the kernel: handler, flags, restorer, mask. */
const SIGACTION_LEN = 32
const SIGSET_LEN = 8

const PROT_READ = 1
const PROT_WRITE = 2
const PROT_EXEC = 4
const MAP_PRIVATE = 0x02
const MAP_ANONYMOUS = 0x20
/** arm64 has pages of up to 64 KiB. */
const CODE_LEN = 0x10000

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
  const control = fill(calls)
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

function fill(calls: readonly ThreadCall[]): Arena {
  const control = new Arena(CALLS + calls.length * CALL_LEN)
  const { view } = control
  view.setInt32(COUNT, calls.length, true)
  for (const [i, { name, args }] of calls.entries()) {
    if (args.length > MAX_ARGS) throw new RangeError(`${name} with ${args.length} arguments`)
    const at = CALLS + i * CALL_LEN
    view.setInt32(at, numberOf(name, architecture()), true)
    for (const [j, argument] of args.entries()) {
      view.setBigInt64(at + 8 + 8 * j, BigInt(wordOf(argument)), true)
    }
  }
  kept.push(control, calls)
  return control
}

/** The handler's code at a place where it may be run, as an action for the signal. */
function install(control: Arena): Arena {
  const address = BigInt(addressOf(control, 0, control.size))
  const { code, restorer } = handlerCode(architecture(), address)
  const copy = new Arena(code.length)
  copy.bytes.set(code)
  const place = map(CODE_LEN)
  ownFunction('int64_t memcpy(int64_t, int64_t, int64_t)')(place, wordOf(copy), code.length)
  const protect = ownFunction('int mprotect(int64_t, int64_t, int)')
  if (protect(place, CODE_LEN, PROT_READ | PROT_EXEC) < 0) {
    must(-libc().errno(), 'mprotect', 'cannot reach the other threads')
  }
  const action = new Arena(SIGACTION_LEN)
  action.view.setBigInt64(0, BigInt(place), true)
  action.view.setInt32(8, SA_RESTART | (restorer === undefined ? 0 : SA_RESTORER), true)
  if (restorer !== undefined) action.view.setBigInt64(16, BigInt(place + restorer), true)
  // No other handler may interrupt it.
  action.view.setBigInt64(24, -1n, true)
  return action
}

function map(len: number): number {
  const mmap = ownFunction('int64_t mmap(int64_t, int64_t, int, int, int, int64_t)')
  const place = Number(mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
  return place === -1 ? must(-libc().errno(), 'mmap', 'cannot reach the other threads') : place
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

function wordOf(argument: number | Arena): number {
  return typeof argument === 'number' ? argument : addressOf(argument, 0, argument.size)
}
