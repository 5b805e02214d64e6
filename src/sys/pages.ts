/**
 * Pages of memory from the system itself. Pages that were given to the kernel (io_uring) are its own
 * from `unmapPages` on: what it still writes there reaches nobody. Memory of malloc(3) would be
 * somebody else's by then.
 */
import { libc, ownFunction } from './libc.ts'

const PROT_READ = 1
const PROT_WRITE = 2
const PROT_EXEC = 4
const MAP_PRIVATE = 0x02
const MAP_ANONYMOUS = 0x20

/** `len` octets of zeros, at the start of a page. Returns the address or -errno. */
export function mapPages(len: number): number {
  const mmap = ownFunction('int64_t mmap(int64_t, int64_t, int, int, int, int64_t)')
  const address = mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
  return address < 0 ? -libc().errno() : Number(address)
}

/** From now on they cannot be written, and may be run. Returns 0 or -errno. */
export function makeExecutable(address: number, len: number): number {
  const mprotect = ownFunction('int mprotect(int64_t, int64_t, int)')
  return mprotect(address, len, PROT_READ | PROT_EXEC) < 0 ? -libc().errno() : 0
}

export function unmapPages(address: number, len: number): void {
  ownFunction('int munmap(int64_t, int64_t)')(address, len)
}
