/**
 * A connection in each state of RFC 9293 §3.3.2, by the shortest way there; LISTEN is a SYN that
 * waits for its answer. Everything that was sent meanwhile has been looked at.
 *
 *     const { host, peer, clock } = established()
 */
import type { Host } from './host.ts'
import * as packetdrill from './packetdrill.ts'
import type { Peer } from './peer.ts'
import { Rig, type RigOptions } from './rig.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface StateOptions extends RigOptions {
  /** The options of the guest's SYN. */
  options?: string
  /** The window field of the guest's segments. */
  win?: number
}

export interface Bench {
  rig: Rig
  clock: VirtualClock
  peer: Peer
}

export interface Joined extends Bench {
  host: Host
}

/** What a Linux guest says in its SYN. */
export const LINUX = 'mss 1460,sackOK,TS val 1 ecr 0,wscale 7'
export const PLAIN = 'mss 1460'

export function bench(options: StateOptions = {}): Bench {
  const rig = new Rig(options)
  const peer = rig.peer()
  peer.wnd = options.win ?? 65535
  return { rig, clock: rig.clock, peer }
}

/** The guest's SYN has come, and waits. */
export function listening(options: StateOptions = {}): Bench {
  const b = bench(options)
  sayHello(b.peer, options)
  b.peer.expectsNothing()
  return b
}

function sayHello(peer: Peer, options: StateOptions): void {
  const said = options.options ?? PLAIN
  peer.sends(`S 0:0(0) win 65535 <${said}>`)
  for (const option of packetdrill.parseOptions(said)) {
    if (option.kind === 'wscale') peer.shift = Math.min(option.value, 14)
    if (option.kind === 'TS') peer.hasTimestamps = true
  }
}

export function synReceived(options: StateOptions = {}): Joined {
  const b = listening(options)
  const host = b.rig.accept()
  b.peer.expects('S. 0:0(0) ack 1')
  return { ...b, host }
}

export function established(options: StateOptions = {}): Joined {
  const j = synReceived(options)
  j.peer.sends('. 1:1(0) ack 1')
  j.peer.expectsNothing()
  return j
}

export function finWait1(options: StateOptions = {}): Joined {
  const j = established(options)
  j.host.closes()
  j.peer.expects('F. 1:1(0) ack 1')
  return j
}

export function finWait2(options: StateOptions = {}): Joined {
  const j = finWait1(options)
  j.peer.sends('. 1:1(0) ack 2')
  j.peer.expectsNothing()
  return j
}

export function closing(options: StateOptions = {}): Joined {
  const j = finWait1(options)
  j.peer.sends('F. 1:1(0) ack 1')
  j.peer.expects('. 2:2(0) ack 2')
  return j
}

export function timeWait(options: StateOptions = {}): Joined {
  const j = finWait2(options)
  j.peer.sends('F. 1:1(0) ack 2')
  j.peer.expects('. 2:2(0) ack 2')
  return j
}

export function closeWait(options: StateOptions = {}): Joined {
  const j = established(options)
  j.peer.sends('F. 1:1(0) ack 1')
  j.peer.expects('. 1:1(0) ack 2')
  return j
}

export function lastAck(options: StateOptions = {}): Joined {
  const j = closeWait(options)
  j.host.closes()
  j.peer.expects('F. 1:1(0) ack 2')
  return j
}

/** The host has opened a connection to the guest: a forwarded port. */
export function synSent(options: StateOptions = {}): Joined {
  const b = bench(options)
  b.peer.sends('R 0:0(0)') // so that the guest's MAC is known
  const host = b.rig.connect(b.peer)
  b.peer.expects('S 0:0(0)')
  return { ...b, host }
}

/** Each state by its name. */
export const FACTORIES = {
  'SYN-SENT': synSent,
  'SYN-RECEIVED': synReceived,
  ESTABLISHED: established,
  'FIN-WAIT-1': finWait1,
  'FIN-WAIT-2': finWait2,
  CLOSING: closing,
  'TIME-WAIT': timeWait,
  'CLOSE-WAIT': closeWait,
  'LAST-ACK': lastAck,
} as const
