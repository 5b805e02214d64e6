/**
 * Descriptors that come over a socket (SCM_RIGHTS of unix(7)): for kernels and seccomp profiles that
 * do not let us take them with pidfd_getfd(2).
 *
 * Node cannot send one, so the sender is a second Node with koffi, whose program is text: it opens
 * what it is told and sends the descriptors over its descriptor number `socket`.
 */
import { createRequire } from 'node:module'
import { AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET, SOL_SOCKET } from './constants.ts'
import { must, systemError } from './errors.ts'
import { failure } from './io.ts'
import { libc } from './libc.ts'
import { CMSG_LEN, setMsghdr } from './message.ts'
import { BLOCK, CONTROL, CONTROL_LEN, fillIovecOfBlock, MSGHDR, scratch } from './scratch.ts'

const SCM_RIGHTS = 1
const MSG_CMSG_CLOEXEC = 0x40000000

const PROGRAM = `
const [koffiPath, path, flags, wantSocket, socket] = JSON.parse(process.argv[1])
const koffi = require(koffiPath)
const library = koffi.load(null)
const fds = [library.func('int open(const char *, int, int)')(path, flags, 0)]
if (wantSocket) fds.push(library.func('int socket(int, int, int)')(2, 2, 0))
if (fds.some((fd) => fd < 0)) { console.error(path + ': errno ' + koffi.errno()); process.exit(1) }
const memory = new ArrayBuffer(256)
const view = new DataView(memory)
const base = koffi.address(memory)
view.setBigUint64(0, base + 128n, true), view.setBigUint64(8, 1n, true)
view.setBigUint64(32, BigInt(16 + 4 * fds.length), true)
view.setInt32(40, 1, true), view.setInt32(44, 1, true)
fds.forEach((fd, i) => view.setInt32(48 + 4 * i, fd, true))
view.setBigUint64(80, base, true), view.setBigUint64(88, 1n, true)
view.setBigUint64(96, base + 32n, true), view.setBigUint64(104, 24n, true)
const n = library.func('int64_t sendmsg(int, int64_t, int)')(socket, Number(base) + 64, 0)
process.exit(n === 1 ? 0 : 1)
`

/** The arguments of a Node that opens `path`, and an AF_INET socket if wanted, and sends them. */
export function senderArguments(
  path: string,
  flags: number,
  wantSocket: boolean,
  socket: number,
): string[] {
  const koffi = createRequire(import.meta.url).resolve('koffi')
  return ['-e', PROGRAM, JSON.stringify([koffi, path, flags, wantSocket, socket])]
}

/** A pair of sockets for descriptors. */
export function socketPair(): [number, number] {
  const { view, base } = scratch()
  const n = libc().socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, base + BLOCK)
  if (n < 0) must(-libc().errno(), 'socketpair')
  return [view.getInt32(BLOCK, true), view.getInt32(BLOCK + 4, true)]
}

/** The descriptors of the next message; waits for it. None when the other side has ended. */
export function receiveDescriptors(fd: number): number[] {
  const { view, base } = scratch()
  for (;;) {
    const iovec = fillIovecOfBlock()
    setMsghdr(view, MSGHDR, 0, 0, iovec, 1, base + CONTROL, CONTROL_LEN)
    const n = libc().recvmsg(fd, base + MSGHDR, MSG_CMSG_CLOEXEC)
    if (n >= 0) return descriptors(view)
    const failed = failure()
    if (failed < 0) throw systemError(failed, 'recvmsg', 'cannot receive descriptors')
  }
}

function descriptors(view: DataView): number[] {
  const controlLen = view.getInt32(MSGHDR + 40, true)
  if (controlLen < CMSG_LEN + 4) return []
  const len = Math.min(view.getInt32(CONTROL, true), controlLen)
  const isRights =
    view.getInt32(CONTROL + 8, true) === SOL_SOCKET &&
    view.getInt32(CONTROL + 12, true) === SCM_RIGHTS
  const fds: number[] = []
  for (let at = CMSG_LEN; isRights && at + 4 <= len; at += 4) {
    fds.push(view.getInt32(CONTROL + at, true))
  }
  return fds
}
