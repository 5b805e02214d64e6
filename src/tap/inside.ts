/** What is opened inside the guest's network namespace. */
export interface Inside {
  /** /dev/net/tun, not attached yet. */
  readonly tun: number
  /** An AF_INET datagram socket, for configuration; -1 when it was not asked for. */
  readonly socket: number
}

export const TUN_PATH = '/dev/net/tun'
