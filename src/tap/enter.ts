/**
 * Opens /dev/net/tun and an AF_INET socket inside the guest's network namespace. The device belongs
 * to the namespace in which it was opened; who then says TUNSETIFF or configures through the socket
 * may be anywhere, as long as it has the capabilities over that namespace.
 *
 * 1. We may go there and come back: this thread does both, in one go.
 */
import {
  AF_INET,
  CLONE_NEWNET,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  SOCK_DGRAM,
} from '../sys/constants.ts'
import { must } from '../sys/errors.ts'
import { close, open } from '../sys/io.ts'
import { mayReturn, ownNetns, setns } from '../sys/namespaces.ts'
import { socket } from '../sys/socket.ts'

/** Where the guest is: the namespaces of a process, or files of namespaces. */
export type NamespaceTarget =
  | { readonly pid: number }
  | { readonly netns: string; readonly userns?: string | undefined }

/** What was opened inside. */
export interface Inside {
  /** /dev/net/tun, not attached yet. */
  readonly tun: number
  /** An AF_INET datagram socket, for configuration; -1 when it was not asked for. */
  readonly socket: number
}

export const TUN_PATH = '/dev/net/tun'

export async function openInside(target: NamespaceTarget, wantSocket: boolean): Promise<Inside> {
  const path = 'pid' in target ? `/proc/${target.pid}/ns/net` : target.netns
  const netns = open(path, O_RDONLY)
  try {
    if (mayReturn()) return goAndReturn(netns, wantSocket)
    throw new Error('cannot enter the network namespace')
  } finally {
    close(netns)
  }
}

/** Way 1. Nothing else can run on this thread meanwhile: there is no `await` in here. */
function goAndReturn(netns: number, wantSocket: boolean): Inside {
  const own = ownNetns()
  try {
    must(setns(netns, CLONE_NEWNET), 'setns(CLONE_NEWNET)', 'cannot enter the network namespace')
    try {
      return openHere(wantSocket)
    } finally {
      // A thread that stayed would open the host's sockets inside the container.
      if (setns(own, CLONE_NEWNET) < 0) process.abort()
    }
  } finally {
    close(own)
  }
}

/** Opens both in the network namespace of this thread. */
export function openHere(wantSocket: boolean): Inside {
  const tun = open(TUN_PATH, O_RDWR | O_NONBLOCK)
  if (!wantSocket) return { tun, socket: -1 }
  const inside = socket(AF_INET, SOCK_DGRAM)
  if (inside < 0) {
    close(tun)
    must(inside, 'socket', 'cannot open a socket in the network namespace')
  }
  return { tun, socket: inside }
}
