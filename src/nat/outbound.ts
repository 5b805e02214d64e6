/**
 * From which of the host's addresses a flow goes out: the system's choice, or the one that was asked
 * for. Where that cannot be had the flow fails: it never leaves from another address.
 */
import * as address from '../stack/wire/address.ts'
import {
  EADDRNOTAVAIL,
  ENETUNREACH,
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
} from '../sys/constants.ts'
import * as socket from '../sys/socket.ts'
import { type Host, isHostLoopback } from './host.ts'

/** Four words each; absent: the system's choice. */
export interface OutboundAddresses {
  readonly ipv4?: Int32Array
  readonly ipv6?: Int32Array
}

/**
 * Binds a socket that is to be connected to `to`. The host's own loopback is not outside: its servers
 * see a loopback address as ever. Returns 0 or -errno, of which -ENETUNREACH is that the host does not
 * have the address.
 */
export function bindTowards(host: Host, fd: number, to: socket.Endpoint): number {
  if (isHostLoopback(to.words)) return 0
  // The port is chosen by connect(2), which may take one that is in use towards somebody else.
  const hasAddress = addressFor(host, to) !== undefined
  if (hasAddress) socket.setInt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
  return bindOutbound(host, fd, to)
}

/** Binds a socket that sends to many, `to` being the first of them, and all of one family. */
export function bindOutbound(host: Host, fd: number, to: socket.Endpoint): number {
  const words = addressFor(host, to)
  if (words === undefined) return 0
  const bound = socket.bind(fd, { words, port: 0 })
  return bound === -EADDRNOTAVAIL ? -ENETUNREACH : bound
}

function addressFor({ options }: Host, { words }: socket.Endpoint): Int32Array | undefined {
  return address.isMapped(words) ? options.outbound?.ipv4 : options.outbound?.ipv6
}
