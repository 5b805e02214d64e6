/**
 * Which peers are still there: keep-alives on both sides of a TCP flow (RFC 9293 §3.8.4, RFC 1122 §4.2.3.6).
 *
 * Both are asked, because each end's own keep-alives are answered here and reach nobody: an idle server would never
 * learn that the guest has vanished, nor the guest that the server has. Who answers is never cut, however long it is
 * idle (RFC 5382 REQ-5).
 */
import type { KeepAlive } from '../stack/tcp/connection.ts'
import {
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
} from '../sys/constants.ts'
import * as socket from '../sys/socket.ts'

/** 'system': the host's sockets as net.ipv4.tcp_keepalive_* says, the guest as Linux has it by default. */
export type KeepAliveOption = KeepAlive | 'system' | 'off'

/** Linux' defaults of tcp_keepalive_time, tcp_keepalive_intvl and tcp_keepalive_probes, in ms (MUST-28: two hours). */
export const LINUX: KeepAlive = { idle: 7_200_000, interval: 75_000, probes: 9 }

/** How the guest is asked. */
export function keepAliveOf(option: KeepAliveOption): KeepAlive | undefined {
  if (option === 'off') return undefined
  return option === 'system' ? LINUX : option
}

/** The kernel asks the peer of a socket of the host's; it counts in seconds (tcp(7)). */
export function keepAliveSocket(fd: number, option: KeepAliveOption): void {
  if (option === 'off') return
  socket.setInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
  if (option === 'system') return
  socket.setInt(fd, IPPROTO_TCP, TCP_KEEPIDLE, Math.ceil(option.idle / 1000))
  socket.setInt(fd, IPPROTO_TCP, TCP_KEEPINTVL, Math.ceil(option.interval / 1000))
  socket.setInt(fd, IPPROTO_TCP, TCP_KEEPCNT, option.probes)
}
