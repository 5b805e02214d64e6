/** What is opened inside the guest's network namespace. */
import { AF_INET, SOCK_DGRAM, SOCK_STREAM } from '../sys/constants.ts'

export interface Inside {
  /** /dev/net/tun, not attached yet. */
  readonly tun: number
  /** An AF_INET datagram socket, for configuration; -1 when it was not asked for. */
  readonly socket: number
  /** TCP sockets, in the order of what was asked for. */
  readonly streams: readonly number[]
}

/** What to open besides the device. */
export interface Wanted {
  readonly socket: boolean
  /** The family of each TCP socket. */
  readonly streams: readonly number[]
}

export const TUN_PATH = '/dev/net/tun'

/** Family and type of each socket, in the order in which they are opened. */
export function socketsOf({ socket, streams }: Wanted): [family: number, type: number][] {
  const types = streams.map((family): [number, number] => [family, SOCK_STREAM])
  return socket ? [[AF_INET, SOCK_DGRAM], ...types] : types
}

/** `opened` are the sockets, in that order. */
export function insideOf({ socket }: Wanted, tun: number, opened: readonly number[]): Inside {
  if (!socket) return { tun, socket: -1, streams: opened }
  return { tun, socket: opened[0]!, streams: opened.slice(1) }
}
