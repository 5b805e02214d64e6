/**
 * What a packet of the guest says of its way is said again by the host's socket: how many routers it may
 * still pass, less the one that we are (RFC 791 §3.2), and whether it may be cut (RFC 1191, RFC 8201).
 */
import type { Datagram } from '../stack/stack.ts'
import {
  AF_INET,
  IP_MTU_DISCOVER,
  IP_PMTUDISC_DO,
  IP_PMTUDISC_DONT,
  IP_PMTUDISC_WANT,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_UNICAST_HOPS,
} from '../sys/constants.ts'
import * as socket from '../sys/socket.ts'

/** The socket writes the guest's TTL or hop limit, less one. */
export function setHops(fd: number, family: number, ttl: number): void {
  // A packet for the host itself came with 1: it goes no further than that.
  const hops = Math.max(1, ttl - 1)
  if (family === AF_INET) socket.setInt(fd, IPPROTO_IP, IP_TTL, hops)
  else socket.setInt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops)
}

function setDontFragment(fd: number, family: number, dontFragment: boolean): void {
  if (family === AF_INET) {
    const discovery = dontFragment ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT
    socket.setInt(fd, IPPROTO_IP, IP_MTU_DISCOVER, discovery)
  } else {
    // What the guest cut itself is cut again, to what the host knows of the path.
    const discovery = dontFragment ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT
    socket.setInt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, discovery)
  }
}

/** The options of one socket, set when a datagram differs from the one before. */
export class PathOptions {
  #ttl = 0
  #dontFragment: boolean | undefined

  /** Does it differ from the one before? */
  changes({ ttl, dontFragment }: Datagram): boolean {
    return ttl !== this.#ttl || dontFragment !== this.#dontFragment
  }

  follow(fd: number, family: number, { ttl, dontFragment }: Datagram): void {
    if (ttl !== this.#ttl) {
      this.#ttl = ttl
      setHops(fd, family, ttl)
    }
    if (dontFragment !== this.#dontFragment) {
      this.#dontFragment = dontFragment
      setDontFragment(fd, family, dontFragment)
    }
  }
}
