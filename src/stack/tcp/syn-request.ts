/** The guest's SYN, waiting for an answer: whoever sits above the stack gives it. */
import type { Timed } from '../deadlines.ts'
import { LostPacket, type Verdict } from '../flow-errors.ts'
import type { Reason } from '../icmp-errors.ts'
import type { Neighbour } from '../neighbours.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as wire from '../wire/tcp.ts'
import { defaultMss } from './agreement.ts'
import type { Connection, ConnectionUser } from './connection.ts'
import { emitResetFor } from './output.ts'
import * as seq from './seq.ts'
import type { Tcp } from './tcp.ts'

/** Ours, in ms: as long as the first SYN-ACK waits, and the guest's first SYN (RFC 6298 §2.1). */
export const PATIENCE = 1000
/** Ours, in ms: a dial may make room when its SYN is late by half of the time after which it is to come again … */
const LATE = 1.5
/** … and when it takes this long: the guest's next SYN would have it dialled anew. */
const DIAL_PATIENCE = 10_000

export class SynRequest implements Timed {
  readonly tcp: Tcp
  readonly key: Int32Array
  readonly neighbour: Neighbour
  readonly irs: seq.Seq
  readonly wnd: number
  /** The guest's MSS option, or what there is without one. */
  readonly mss: number
  readonly windShift: number
  readonly sackPermitted: boolean
  readonly hasTimestamp: boolean
  readonly tsVal: number
  /** TTL or hop limit that the guest's SYN had. */
  readonly ttl: number
  /**
   * Called when nobody waits for the answer any more: the guest has given the SYN up with a RST, or replaced it with
   * another; it made room for another; or the network is closed.
   */
  onGivenUp: ((why: 'guest-reset' | 'evicted' | 'closed') => void) | undefined
  /** SND.NXT of the connection in TIME-WAIT that it reopens. */
  sndNxtBefore: seq.Seq | undefined
  readonly #since: number
  /** From when on it may make room for another. */
  deadline = 0
  heapIndex = -1
  heapKey = 0

  constructor(
    tcp: Tcp,
    key: Int32Array,
    neighbour: Neighbour,
    seg: wire.Segment,
    ttl: number,
    now: number,
  ) {
    this.tcp = tcp
    this.key = key
    this.neighbour = neighbour
    this.irs = seg.seq
    this.wnd = seg.wnd
    this.mss = seg.mss === 0 ? defaultMss(key) : seg.mss
    this.windShift = seg.windShift
    this.sackPermitted = seg.sackPermitted
    this.hasTimestamp = seg.hasTimestamp
    this.tsVal = seg.tsVal
    this.ttl = ttl
    this.#since = now
    this.heard(now)
  }

  /** The SYN came, for the first time or again: it comes after 1, 2, 4 … s. */
  heard(now: number): void {
    const patience = LATE * (now - this.#since + PATIENCE)
    this.deadline = Math.min(now + patience, this.#since + DIAL_PATIENCE)
  }

  /** The host answered: SYN-ACK with the next flush. */
  accept(user: ConnectionUser, now: number): Connection {
    this.tcp.forget(this)
    return this.tcp.acceptSyn(this, user, now)
  }

  /** The host refused: RST. */
  refuse(): void {
    this.tcp.forget(this)
    emitResetFor(this.tcp, this.key, this.neighbour, 0, seq.add(this.irs, 1), true)
  }

  /**
   * The host cannot be reached: an ICMP error that says why, and no RST, which
   * would hide it. The SYN's repetitions are answered by a new dial.
   */
  fail(why: Reason | Verdict, now: number): void {
    this.tcp.forget(this)
    syn.key.set(this.key)
    syn.first = this.key[8]!
    syn.second = this.irs
    this.tcp.options.errors.about(syn, this.neighbour, why, now)
  }

  /** Nobody waits for the answer any more; the guest's repeated SYN makes a new request. */
  forget(): void {
    this.tcp.forget(this)
  }
}

/** For one call: what an ICMP error quotes. */
const syn = new LostPacket()
syn.protocol = ipv4.TCP
syn.headerLen = wire.HEADER_LEN
