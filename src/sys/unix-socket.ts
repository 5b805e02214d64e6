/** Sockets of packets with a path, unix(7): each read and each write is one packet. */
import { Arena, addressOf } from './arena.ts'
import {
  AF_UNIX,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOL_SOCKET,
} from './constants.ts'
import { must } from './errors.ts'
import { close, failure } from './io.ts'
import { libc } from './libc.ts'
import * as socket from './socket.ts'

/** struct sockaddr_un: the family, and a path with a NUL after it. */
const SOCKADDR_UN_LEN = 110
const PATH = 2

/** Binds to `path`, at most 107 octets, and listens. Throws the system's error. */
export function listenPackets(path: string): number {
  const what = `cannot listen on ${path}`
  const fd = must(socket.socket(AF_UNIX, SOCK_SEQPACKET), 'socket', what)
  const name = new Arena(SOCKADDR_UN_LEN)
  name.view.setUint16(0, AF_UNIX, true)
  name.bytes.set(new TextEncoder().encode(path), PATH)
  const bound = libc().bind(fd, addressOf(name, 0, SOCKADDR_UN_LEN), SOCKADDR_UN_LEN)
  const failed = bound < 0 ? -libc().errno() : socket.listen(fd, 0)
  if (failed < 0) close(fd)
  must(failed, 'bind', what)
  return fd
}

/** A client's socket, which does not block, or -errno: -EAGAIN when there is none. */
export function acceptPackets(fd: number): number {
  for (;;) {
    const accepted = libc().accept4(fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)
    if (accepted >= 0) return accepted
    const failed = failure()
    if (failed < 0) return failed
  }
}

/** Asks for so much room; the kernel gives at most net.core.wmem_max. */
export function setSendRoom(fd: number, len: number): void {
  socket.setInt(fd, SOL_SOCKET, SO_SNDBUF, len)
}
