/** System calls as the machine code of thread-handler.ts takes them, and a place where that code may be run. */
import { Arena, addressOf } from './arena.ts'
import { must } from './errors.ts'
import { libc } from './libc.ts'
import { makeExecutable, mapPages, unmapPages } from './pages.ts'
import { architecture, numberOf, type SyscallName } from './syscalls.ts'
import { CALL_LEN, CALLS, COUNT, handlerCode, MAX_ARGS } from './thread-handler.ts'

/** A call that acts on the thread which makes it. */
export interface ThreadCall {
  readonly name: SyscallName
  /** Up to five; an arena is the address of its octets. */
  readonly args: readonly (number | Arena)[]
}

/** Code that may be run, and where. */
export interface PlacedCode {
  readonly address: number
  /** Behind the code: where x86-64 returns to from a signal handler. */
  readonly restorer: number | undefined
}

/** arm64 has pages of up to 64 KiB. */
const CODE_LEN = 0x10000

const WHAT = 'cannot make calls on other threads'

/** The control block of these calls. It has to live for as long as a thread may read it. */
export function controlOf(calls: readonly ThreadCall[]): Arena {
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
  return control
}

/** Puts the code for this control block where it may be run. */
export function placeCode(control: Arena): PlacedCode {
  const { code, restorer } = handlerCode(architecture(), BigInt(wordOf(control)))
  const copy = new Arena(code.length)
  copy.bytes.set(code)
  const address = must(mapPages(CODE_LEN), 'mmap', WHAT)
  libc().memmove(address, wordOf(copy), code.length)
  must(makeExecutable(address, CODE_LEN), 'mprotect', WHAT)
  return { address, restorer: restorer === undefined ? undefined : address + restorer }
}

/** Gives the place back: nothing may be running there. */
export function removeCode({ address }: PlacedCode): void {
  unmapPages(address, CODE_LEN)
}

export function wordOf(argument: number | Arena): number {
  return typeof argument === 'number' ? argument : addressOf(argument, 0, argument.size)
}
