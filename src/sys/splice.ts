/** Octets from one descriptor to another by way of a pipe: splice(2). They do not pass through here. */
import {
  EMFILE,
  F_SETPIPE_SZ,
  O_CLOEXEC,
  O_NONBLOCK,
  SPLICE_F_MOVE,
  SPLICE_F_NONBLOCK,
} from './constants.ts'
import { close, closeAll, failure, unreserved } from './io.ts'
import { libc } from './libc.ts'
import { BLOCK, scratch } from './scratch.ts'

export interface Pipe {
  /** Where octets are taken from. */
  readonly readEnd: number
  readonly writeEnd: number
}

/**
 * A pipe that does not block, with room for `len` octets if the user may have so much; or -errno. -EMFILE also when only
 * reserved descriptors are left (io.ts).
 */
export function openPipe(len: number): Pipe | number {
  const { base, view } = scratch()
  if (libc().pipe2(base + BLOCK, O_CLOEXEC | O_NONBLOCK) < 0) return -libc().errno()
  const pipe = { readEnd: view.getInt32(BLOCK, true), writeEnd: view.getInt32(BLOCK + 4, true) }
  const ends = [unreserved(pipe.readEnd), unreserved(pipe.writeEnd)]
  if (ends.includes(-EMFILE)) {
    closeAll(ends.filter((fd) => fd >= 0))
    return -EMFILE
  }
  libc().fcntl(pipe.writeEnd, F_SETPIPE_SZ, len)
  return pipe
}

export function closePipe({ readEnd, writeEnd }: Pipe): void {
  close(readEnd)
  close(writeEnd)
}

/**
 * Moves at most `len` octets; one of the two is an end of a pipe. Returns how many, 0 at the end of what is there for
 * ever, or -errno: -EAGAIN when `from` has nothing or `to` has no room.
 */
export function splice(from: number, to: number, len: number): number {
  for (;;) {
    const n = libc().splice(from, 0, to, 0, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
    if (n >= 0) return n
    const failed = failure()
    if (failed < 0) return failed
  }
}
