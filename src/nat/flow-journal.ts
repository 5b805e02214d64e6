/**
 * What flows there are and were: each has an entry, and who listens is told of its beginning and its end.
 *
 * An entry counts octets whether anybody listens or not, so that the end of a flow that is older than its listener is
 * told in full. Text is made only for who listens.
 */
import * as address from '../stack/wire/address.ts'
import type { Endpoint } from '../sys/socket.ts'

/** Why a flow ended. Where a side is named, it was that side's doing. */
export type FlowEnd =
  /** TCP: both sides had sent their last octet. Of DNS: the question was answered. */
  | 'finished'
  | 'guest-reset'
  /** Nothing listens at the guest's port. */
  | 'guest-refused'
  /** The guest acknowledges nothing any more. */
  | 'guest-timeout'
  | 'host-reset'
  | 'host-refused'
  | 'host-unreachable'
  /** The host's system does not allow it (EACCES, EPERM); or the egress policy. */
  | 'prohibited'
  /** UDP: silent for its time-out. TCP: both ends had said their last, but the host did not take it. */
  | 'expired'
  /** UDP, or a TCP connection that the host has not answered: it made room for another. */
  | 'evicted'
  /** The network was closed. */
  | 'closed'

export interface FlowAddress {
  readonly address: string
  readonly port: number
}

/** A TCP connection, or of UDP a socket of the guest. */
export interface Flow {
  /** From 1, never used again in one network. */
  readonly id: number
  readonly proto: 'tcp' | 'udp'
  /** Who opened it: the guest, or a client of a published port. */
  readonly origin: 'guest' | 'host'
  readonly guest: FlowAddress
  /** The other end as the guest knows it. Of UDP, where the first datagram went. */
  readonly peer: FlowAddress
  /** The other end as it really is: another than `peer` behind the gateway's and the name server's address. */
  readonly host: FlowAddress
  /** Milliseconds since 1970. */
  readonly openedAt: number
}

export interface ClosedFlow extends Flow {
  readonly reason: FlowEnd
  /** Octets of payload that were handed on. */
  readonly octetsFromGuest: number
  readonly octetsToGuest: number
  /** In ms. */
  readonly duration: number
}

export interface FlowListener {
  flowOpened(flow: Flow): void
  flowClosed(flow: ClosedFlow): void
}

/** One flow. Its counters are its owner's to write. */
export class FlowEntry {
  readonly id: number
  readonly proto: 'tcp' | 'udp'
  readonly origin: 'guest' | 'host'
  readonly key: Int32Array
  readonly host: Endpoint
  /** As `performance.now()` has it. */
  readonly openedAt: number
  fromGuest = 0
  toGuest = 0

  constructor(
    id: number,
    proto: 'tcp' | 'udp',
    origin: 'guest' | 'host',
    key: Int32Array,
    host: Endpoint,
    now: number,
  ) {
    this.id = id
    this.proto = proto
    this.origin = origin
    this.key = key
    this.host = { words: host.words.slice(), port: host.port }
    this.openedAt = now
  }
}

export class FlowJournal {
  listener: FlowListener | undefined
  #lastId = 0

  /** `key` is kept, and must stay as it is; `host` is copied. */
  open(
    proto: 'tcp' | 'udp',
    origin: 'guest' | 'host',
    key: Int32Array,
    host: Endpoint,
    now: number,
  ): FlowEntry {
    const entry = new FlowEntry(++this.#lastId, proto, origin, key, host, now)
    this.listener?.flowOpened(flowOf(entry))
    return entry
  }

  close(entry: FlowEntry, reason: FlowEnd, now: number): void {
    this.listener?.flowClosed({
      ...flowOf(entry),
      reason,
      octetsFromGuest: entry.fromGuest,
      octetsToGuest: entry.toGuest,
      duration: Math.max(0, now - entry.openedAt),
    })
  }
}

function flowOf({ id, proto, origin, key, host, openedAt }: FlowEntry): Flow {
  const ports = key[8]!
  return {
    id,
    proto,
    origin,
    guest: { address: address.format(key.subarray(0, 4)), port: ports >>> 16 },
    peer: { address: address.format(key.subarray(4, 8)), port: ports & 0xffff },
    host: { address: address.format(host.words), port: host.port },
    openedAt: performance.timeOrigin + openedAt,
  }
}
