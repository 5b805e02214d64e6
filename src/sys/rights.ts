/**
 * Descriptors that come over a socket (SCM_RIGHTS of unix(7)): for kernels and seccomp profiles that
 * do not let us take them with pidfd_getfd(2).
 *
 * Node cannot send one, so the sender is a second Node with koffi, whose program is text: it opens
 * what it is told and sends the descriptors over its descriptor number `socket`.
 */
import { createRequire } from 'node:module'
import { AF_UNIX, EPROTO, SOCK_CLOEXEC, SOCK_SEQPACKET, SOL_SOCKET } from './constants.ts'
import { must, systemError } from './errors.ts'
import { closeAll, failure } from './io.ts'
import { libc } from './libc.ts'
import { CMSG_LEN, setMsghdr } from './message.ts'
import { BLOCK, CONTROL, CONTROL_LEN, fillIovecOfBlock, MSGHDR, scratch } from './scratch.ts'

const SCM_RIGHTS = 1
const MSG_CMSG_CLOEXEC = 0x40000000

/** Descriptors of one message: SCM_MAX_FD is 253, and there has to be room for them here. */
const MOST = 64

const PROGRAM = `
const [koffiPath, path, flags, sockets, channel] = JSON.parse(process.argv[1])
const koffi = require(koffiPath)
const library = koffi.load(null)
const open = library.func('int open(const char *, int, int)')
const socket = library.func('int socket(int, int, int)')
const sendmsg = library.func('int64_t sendmsg(int, int64_t, int)')
const fds = [open(path, flags, 0)]
for (const [family, type] of sockets) if (fds.at(-1) >= 0) fds.push(socket(family, type, 0))
if (fds.at(-1) < 0) { console.error(path + ': errno ' + koffi.errno()); process.exit(1) }
const memory = new ArrayBuffer(1024)
const view = new DataView(memory)
const base = koffi.address(memory)
while (fds.length > 0) {
  const some = fds.splice(0, ${MOST})
  view.setBigUint64(0, base + 512n, true), view.setBigUint64(8, 1n, true)
  view.setBigUint64(128, BigInt(16 + 4 * some.length), true)
  view.setInt32(136, 1, true), view.setInt32(140, 1, true)
  some.forEach((fd, i) => view.setInt32(144 + 4 * i, fd, true))
  view.setBigUint64(80, base, true), view.setBigUint64(88, 1n, true)
  view.setBigUint64(96, base + 128n, true), view.setBigUint64(104, BigInt(16 + 4 * some.length), true)
  if (sendmsg(channel, Number(base) + 64, 0) !== 1) process.exit(1)
}
`

/** The arguments of a Node that opens `path`, and sockets by family and type, and sends them. */
export function senderArguments(
  path: string,
  flags: number,
  sockets: readonly (readonly [family: number, type: number])[],
  channel: number,
): string[] {
  const koffi = createRequire(import.meta.url).resolve('koffi')
  return ['-e', PROGRAM, JSON.stringify([koffi, path, flags, sockets, channel])]
}

/** A pair of sockets for descriptors. */
export function socketPair(): [number, number] {
  const { view, base } = scratch()
  const n = libc().socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, base + BLOCK)
  if (n < 0) must(-libc().errno(), 'socketpair')
  return [view.getInt32(BLOCK, true), view.getInt32(BLOCK + 4, true)]
}

/** So many descriptors, in their order; waits for them. Throws when the other side has ended before. */
export function receiveDescriptors(fd: number, count: number): number[] {
  const all: number[] = []
  while (all.length < count) {
    const some = nextDescriptors(fd)
    all.push(...some)
    if (some.length > 0 && all.length <= count) continue
    closeAll(all)
    throw systemError(EPROTO, 'recvmsg', `cannot receive ${count} descriptors`)
  }
  return all
}

/** Those of the next message; none when the other side has ended. */
function nextDescriptors(fd: number): number[] {
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
