/**
 * TCP sockets that stand in the guest's network namespace: what one of them connects to is in there. They were opened
 * when the namespace was entered, for nobody of ours may stay in it (tap/enter.ts); so there are as many as there are,
 * and one whose connection is over is used again.
 */
import { AF_INET, IPPROTO_TCP, SO_DOMAIN, SOL_SOCKET, TCP_NODELAY } from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'

interface Sockets {
  /** They have no connection. */
  readonly free: number[]
  /** Their connections are over for us; what was sent last may not be acknowledged yet. */
  readonly closing: number[]
}

export class GuestSockets {
  readonly #ipv4: Sockets = { free: [], closing: [] }
  readonly #ipv6: Sockets = { free: [], closing: [] }

  constructor(fds: readonly number[]) {
    for (const fd of fds) {
      socket.setInt(fd, IPPROTO_TCP, TCP_NODELAY, 1)
      this.#like(fd).free.push(fd)
    }
  }

  /** One that connects to such an address; -1: there is none at the moment. */
  take(to: socket.Endpoint): number {
    const sockets = socket.familyOf(to) === AF_INET ? this.#ipv4 : this.#ipv6
    if (sockets.free.length === 0) this.#collect(sockets)
    return sockets.free.pop() ?? -1
  }

  /** Its connection is over, in order: all was sent, both ways. */
  give(fd: number): void {
    this.#like(fd).closing.push(fd)
  }

  /** Its connection is broken: the guest sees a RST. */
  giveBroken(fd: number): void {
    if (socket.disconnect(fd) < 0) return void io.close(fd)
    this.#like(fd).free.push(fd)
  }

  #collect(sockets: Sockets): void {
    for (const fd of sockets.closing.splice(0)) {
      if (socket.isClosed(fd)) this.giveBroken(fd)
      else sockets.closing.push(fd)
    }
  }

  #like(fd: number): Sockets {
    const isIpv4 = socket.getInt(fd, SOL_SOCKET, SO_DOMAIN) === AF_INET
    return isIpv4 ? this.#ipv4 : this.#ipv6
  }

  destroy(): void {
    for (const { free, closing } of [this.#ipv4, this.#ipv6]) {
      io.closeAll(free.splice(0))
      io.closeAll(closing.splice(0))
    }
  }
}
