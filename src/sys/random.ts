/** Random bits of the kernel (getrandom(2)). Not by node:crypto, whose loading is a third of a start of Node. */
import { must } from './errors.ts'
import { BLOCK, scratch } from './scratch.ts'
import { syscall } from './syscalls.ts'

/** 32 bits that nobody can guess, as a signed number. */
export function randomWord(): number {
  const { view, base } = scratch()
  // Up to 256 octets come whole; waited for is only a machine that has just been started.
  must(syscall('getrandom', base + BLOCK, 4, 0), 'getrandom')
  return view.getInt32(BLOCK, true)
}
