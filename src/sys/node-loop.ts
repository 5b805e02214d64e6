/**
 * Node's own event loop, seen as one more descriptor: libuv's epoll fd, which is ready when anything
 * of Node's is. So a data plane can wait for its own events and for Node's in one epoll_wait.
 *
 * The symbols are exported by the node binary. Only the main thread's loop can be found so.
 */
import { libc, ownFunction } from './libc.ts'

/** libuv's epoll fd of the main thread; throws where the program does not export libuv. */
export function nodeLoopFd(): number {
  libc()
  const defaultLoop = ownFunction('int64_t uv_default_loop()')
  const backendFd = ownFunction('int uv_backend_fd(int64_t)')
  return backendFd(defaultLoop())
}
