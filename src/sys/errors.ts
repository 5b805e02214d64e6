/**
 * Errors of the system as Node has them: `code: 'EPERM'`, `errno`, `syscall: 'ioctl(TUNSETIFF)'`.
 *
 * Hot calls do not make them: they return -errno, and who wants an exception says `must`.
 */
import { constants } from 'node:os'
import { libc } from './libc.ts'

export interface SystemError extends Error {
  code: string
  /** Negative, as in Node's own errors. */
  errno: number
  syscall: string
}

const names = new Map<number, string>()

/** `errnoName(1)` is 'EPERM'. Takes errno or -errno. */
export function errnoName(errno: number): string {
  if (names.size === 0) {
    for (const [name, value] of Object.entries(constants.errno)) {
      if (!names.has(value)) names.set(value, name)
    }
    // Two names of one number on Linux: the usual one.
    names.set(constants.errno.EAGAIN, 'EAGAIN')
    names.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP')
    names.set(77, 'EBADFD')
    names.set(105, 'ENOBUFS')
  }
  const number = Math.abs(errno)
  return names.get(number) ?? `errno ${number}`
}

/** The C library's words: `describe(16)` is 'Device or resource busy'. */
export function describe(errno: number): string {
  return libc().strerror(Math.abs(errno))
}

/**
 * An error of a system call. `what` is what could not be done ("cannot open TAP tap0"); without it
 * the message starts with the call.
 */
export function systemError(errno: number, syscall: string, what?: string): SystemError {
  const number = Math.abs(errno)
  const code = errnoName(number)
  const cause = `${syscall}: ${describe(number)}`
  const error = new Error(what === undefined ? `${code}: ${cause}` : `${what}: ${code} (${cause})`)
  return Object.assign(error, { code, errno: -number, syscall })
}

/** The result, or an exception when it is -errno. */
export function must(result: number, syscall: string, what?: string): number {
  if (result < 0) throw systemError(result, syscall, what)
  return result
}

/** The errno that a program of the system means by its message ("nsenter: …: Permission denied"). */
export function errnoFromText(text: string): number | undefined {
  for (const errno of Object.values(constants.errno)) {
    if (text.includes(describe(errno))) return errno
  }
  return undefined
}
