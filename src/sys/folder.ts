/**
 * An open folder: its entries can be looked at and unlinked when no path leads there any more.
 *
 * Who has the descriptor can also reach what is above the folder (`..`), up to the root of the mount that it is in. So a
 * sandbox replaces it by one whose mount ends at the folder (`replace`).
 */
import { constants } from 'node:fs'
import { Arena, addressOf } from './arena.ts'
import { ENOENT, O_CLOEXEC } from './constants.ts'
import { must } from './errors.ts'
import { close, open } from './io.ts'
import { libc, ownFunction } from './libc.ts'
import { withStrings } from './strings.ts'
import { syscall } from './syscalls.ts'

/** O_PATH of <fcntl.h>: enough to bind and unlink in a folder that may not be listed. */
const O_PATH = 0o10000000
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_EMPTY_PATH = 0x1000
const STATX_INO = 0x100
/** struct statx, and places in it. */
const STATX_LEN = 256
const STX_INO = 32
const STX_DEV = 136

/** A descriptor that stands for a file or folder, without opening it. Links are followed. */
export function openPath(path: string): number {
  return open(path, O_PATH)
}

export class Folder {
  readonly path: string
  readonly fd: number

  constructor(path: string) {
    this.path = path
    this.fd = open(path, O_PATH | constants.O_DIRECTORY)
  }

  /** What is behind the name, as a text to be compared; undefined when there is nothing. '' is the folder itself. */
  identity(name: string): string | undefined {
    const stat = new Arena(STATX_LEN)
    const into = addressOf(stat, 0, STATX_LEN)
    const flags = AT_SYMLINK_NOFOLLOW | (name === '' ? AT_EMPTY_PATH : 0)
    const failed = withStrings([name], (path = 0) =>
      syscall('statx', this.fd, path, flags, STATX_INO, into),
    )
    if (failed === -ENOENT) return undefined
    must(failed, 'statx', `cannot look at ${name}`)
    return `${stat.view.getBigUint64(STX_DEV, true)} ${stat.view.getBigUint64(STX_INO, true)}`
  }

  /** Returns 0 or -errno. */
  unlink(name: string): number {
    const unlinkat = ownFunction('int unlinkat(int, int64_t, int)')
    const n = withStrings([name], (path = 0) => unlinkat(this.fd, path, 0))
    return n < 0 ? -libc().errno() : 0
  }

  /** The number stays, and means the folder at `path` from now on. */
  replace(path: string): void {
    const fd = open(path, O_PATH | constants.O_DIRECTORY)
    const n = ownFunction('int dup3(int, int, int)')(fd, this.fd, O_CLOEXEC)
    const failed = n < 0 ? -libc().errno() : 0
    close(fd)
    must(failed, 'dup3')
  }

  close(): void {
    close(this.fd)
  }
}
