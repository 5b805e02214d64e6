/**
 * ioctl(2) on structures of ours. The structure is copied into scratch memory and back: the kernel
 * never writes past what we have, whatever length it thinks the request has.
 */
import { must } from './errors.ts'
import { libc } from './libc.ts'
import { BLOCK, scratch, setPointer } from './scratch.ts'

/** More than any structure of the requests that we make (rtentry has 120 octets). */
const ROOM = 256

/** With a structure, read and written. `name` is for the error: 'TUNSETIFF'. */
export function ioctl(fd: number, request: number, name: string, struct: Uint8Array): number {
  const n = tryIoctl(fd, request, struct)
  return n < 0 ? must(n, `ioctl(${name})`) : n
}

/** As `ioctl`, but returns -errno instead of throwing. */
export function tryIoctl(fd: number, request: number, struct: Uint8Array): number {
  if (struct.length > ROOM) throw new RangeError(`an ioctl structure of ${struct.length} octets`)
  const { bytes, base } = scratch()
  bytes.fill(0, BLOCK, BLOCK + ROOM)
  bytes.set(struct, BLOCK)
  const n = libc().ioctl(fd, request, base + BLOCK)
  const failed = n < 0 ? -libc().errno() : n
  struct.set(bytes.subarray(BLOCK, BLOCK + struct.length))
  return failed
}

/** With a number in the place of the pointer (TUNSETOFFLOAD, TUNSETPERSIST). Returns n or -errno. */
export function tryIoctlValue(fd: number, request: number, value: number): number {
  const n = libc().ioctl(fd, request, value)
  return n < 0 ? -libc().errno() : n
}

/** With a pointer to an int. Returns n or -errno. */
export function tryIoctlSetInt(fd: number, request: number, value: number): number {
  const struct = new Uint8Array(4)
  new DataView(struct.buffer).setInt32(0, value, true)
  return tryIoctl(fd, request, struct)
}

/** Reads an int that is not negative. Returns it or -errno. */
export function tryIoctlGetInt(fd: number, request: number): number {
  const struct = new Uint8Array(4)
  const n = tryIoctl(fd, request, struct)
  return n < 0 ? n : new DataView(struct.buffer).getInt32(0, true)
}

/**
 * With a socket filter of one instruction that accepts everything: struct sock_fprog, its length and
 * a pointer to `BPF_RET | BPF_K, 0xffffffff`. Returns n or -errno.
 */
export function tryIoctlAcceptAll(fd: number, request: number): number {
  const { bytes, view, base } = scratch()
  bytes.fill(0, BLOCK, BLOCK + ROOM)
  view.setUint16(BLOCK, 1, true)
  setPointer(view, BLOCK + 8, base + BLOCK + 16)
  view.setUint16(BLOCK + 16, 0x06, true)
  view.setUint32(BLOCK + 20, 0xffffffff, true)
  return tryIoctlValue(fd, request, base + BLOCK)
}
