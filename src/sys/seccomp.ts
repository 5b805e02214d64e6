/** Puts a filter of system calls on all threads of the process (seccomp(2)). */
import { Arena, addressOf } from './arena.ts'
import { INSTRUCTION_LEN } from './bpf.ts'
import { ESRCH } from './constants.ts'
import { must, systemError } from './errors.ts'
import { callHere } from './every-thread.ts'
import { noNewPrivileges } from './privileges.ts'
import { setPointer } from './scratch.ts'
import { syscall } from './syscalls.ts'

const SECCOMP_SET_MODE_FILTER = 1
const SECCOMP_FILTER_FLAG_TSYNC = 1
/** struct sock_fprog: how many instructions, and where they are. */
const PROGRAM_LEN = 16

/** `filter` is a program as `encode` of bpf.ts gives it. It holds for good, and for threads to come. */
export function installFilter(filter: Uint8Array): void {
  const instructions = new Arena(filter.length)
  instructions.bytes.set(filter)
  const program = new Arena(PROGRAM_LEN)
  program.view.setUint16(0, filter.length / INSTRUCTION_LEN, true)
  setPointer(program.view, 8, addressOf(instructions, 0, filter.length))
  // Asked for where the caller has no CAP_SYS_ADMIN; the kernel passes it on to the threads that it reaches.
  callHere(noNewPrivileges())
  const at = addressOf(program, 0, PROGRAM_LEN)
  const n = syscall('seccomp', SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, at)
  const what = 'cannot install the system call filter'
  must(n, 'seccomp', what)
  if (n > 0) throw systemError(ESRCH, 'seccomp', `${what} on thread ${n}`)
}
