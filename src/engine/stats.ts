/** The counters of all parts, as one snapshot that can be posted to another thread. */
import type { Egress } from '../egress/network-egress.ts'
import type { Nat } from '../nat/nat.ts'
import type { Stack } from '../stack/stack.ts'
import type { TapCounters } from '../tap/tap.ts'
import type { Stats } from './types.ts'

export function statsOf(
  { counters: stack }: Stack,
  { counters: nat }: Nat,
  tap: TapCounters,
  egress: Egress | undefined,
): Stats {
  return {
    fromGuest: { frames: stack.framesFromGuest, octets: stack.octetsFromGuest },
    toGuest: { frames: stack.framesToGuest, octets: stack.octetsToGuest },
    tcp: {
      opened: nat.tcpOpened,
      closed: nat.tcpClosed,
      dialsFailed: nat.tcpDialsFailed,
      retransmits: stack.tcpRetransmits,
      timeouts: stack.tcpTimeouts,
      challengeAcks: stack.tcpChallengeAcks,
      keepAlives: stack.tcpKeepAlives,
    },
    udp: { opened: nat.udpOpened, closed: nat.udpClosed, evicted: nat.udpEvicted },
    echo: { opened: nat.echoOpened, closed: nat.echoClosed, evicted: nat.echoEvicted },
    drops: {
      ...stack.drop,
      tapDown: tap.droppedDown,
      tapFull: tap.droppedFull,
      tapRefused: tap.droppedRefused,
      tapShort: tap.droppedShort,
    },
    socketsFailed: nat.resources,
    ...(egress !== undefined && { egress: egress.stats() }),
  }
}
