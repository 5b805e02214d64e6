/**
 * Calls on a thread of their own: for what changes the thread that makes them and cannot be undone.
 *
 * A thread that has entered a network namespace may not be allowed to leave it. So one is made that runs nothing but
 * these calls, and ends; the descriptors that it has opened belong to the process and stay.
 */
import { Arena } from './arena.ts'
import { must } from './errors.ts'
import { ownFunction } from './libc.ts'
import { BLOCK, scratch } from './scratch.ts'
import { controlOf, placeCode, removeCode, type ThreadCall } from './thread-calls.ts'
import { CALL_LEN, CALLS, FAILURE, LEFT, RESULT } from './thread-handler.ts'

export type { ThreadCall } from './thread-calls.ts'

/** The results, each n or -errno, up to and with the first that failed. Waits for the thread: a few µs. */
export function callOnThread(calls: readonly ThreadCall[]): number[] {
  const control = controlOf(calls)
  const code = placeCode(control)
  try {
    const { view, base } = scratch()
    const create = ownFunction('int pthread_create(int64_t, int64_t, int64_t, int64_t)')
    must(-create(base + BLOCK, 0, code.address, 0), 'pthread_create', 'cannot make a thread')
    const thread = Number(view.getBigInt64(BLOCK, true))
    must(-ownFunction('int pthread_join(int64_t, int64_t)')(thread, 0), 'pthread_join')
  } finally {
    removeCode(code)
  }
  const { view } = control
  const hasFailed = view.getInt32(FAILURE, true) !== 0
  const made = calls.length - (hasFailed ? view.getInt32(LEFT, true) - 1 : 0)
  return calls.slice(0, made).map((_, i) => view.getInt32(CALLS + i * CALL_LEN + RESULT, true))
}

/** Text for a call, with the NUL that ends it. */
export function textArgument(text: string): Arena {
  const octets = new TextEncoder().encode(`${text}\0`)
  const arena = new Arena(octets.length)
  arena.bytes.set(octets)
  return arena
}
