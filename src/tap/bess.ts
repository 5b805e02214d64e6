/**
 * A link to a software switch in place of a TAP, as slirp4netns' `--target-type=bess` has it: a socket of
 * packets on which one client connects; each packet is an Ethernet frame, nothing before it. The name is of
 * BESS, the Berkeley Extensible Software Switch, whose UnixSocketPort speaks so; so does User Mode Linux.
 */
import { lstatSync, unlinkSync } from 'node:fs'
import { EAGAIN, ECONNABORTED } from '../sys/constants.ts'
import { must } from '../sys/errors.ts'
import { close } from '../sys/io.ts'
import { acceptPackets, listenPackets, setSendRoom } from '../sys/unix-socket.ts'
import { type AttachedTap, NO_OFFLOAD } from './attach.ts'

/** Ours: how often, in ms, one looks for the client. Nothing else is waited for meanwhile. */
const LOOK = 20
/** Ours: a window of TCP fits in. */
const SEND_ROOM = 4 * 1024 * 1024

/**
 * Listens at `path` and waits for the client, which is the only one: the path is gone when this resolves or
 * rejects. A socket that is there already is replaced. `isCancelled` is asked meanwhile.
 */
export async function acceptBess(path: string, isCancelled: () => boolean): Promise<AttachedTap> {
  removeStale(path)
  const listening = listenPackets(path)
  const cleanUp = (): void => {
    close(listening)
    unlinkSync(path)
  }
  process.once('exit', cleanUp)
  try {
    const fd = await client(listening, path, isCancelled)
    setSendRoom(fd, SEND_ROOM)
    const shape = { headerLen: 0, packetInformation: false, offload: NO_OFFLOAD }
    return { fd, name: 'bess', ...shape, isSocket: true }
  } finally {
    process.off('exit', cleanUp)
    cleanUp()
  }
}

async function client(fd: number, path: string, isCancelled: () => boolean): Promise<number> {
  for (;;) {
    const accepted = acceptPackets(fd)
    if (accepted !== -EAGAIN && accepted !== -ECONNABORTED) {
      return must(accepted, 'accept4', `cannot accept a client on ${path}`)
    }
    if (isCancelled()) throw new Error(`nobody has connected to ${path}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK))
  }
}

function removeStale(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return
  if (!stat.isSocket()) throw new Error(`cannot listen on ${path}: it is there, and not a socket`)
  unlinkSync(path)
}
