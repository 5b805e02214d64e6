/**
 * The guest's side of one connection, spoken in packetdrill's notation (packetdrill.ts): sequence
 * numbers count from the ISNs, which lie just before the wrap; timestamps from the first ones.
 *
 * It keeps an eye on what no test has to say: checksums, addresses, the octets of the stream, that
 * the host's window never moves its right edge to the left, and that nothing goes beyond ours.
 */
import { expect } from 'vitest'
import { KEY_WORDS, key4 } from '../../../src/stack/flow-table.ts'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as wire from '../../../src/stack/wire/tcp.ts'
import { complete, fail, IP, type Octets, TRANSPORT, viewOf } from './frames.ts'
import * as packetdrill from './packetdrill.ts'
import { FROM_GUEST, fillText, firstWrong, TO_GUEST } from './random.ts'
import { GUEST, GUEST_MAC, HOST, type Rig, STACK_MAC } from './rig.ts'

export interface PeerOptions {
  addr?: number
  port?: number
  hostAddr?: number
  hostPort?: number
  isn?: number
}

export class Peer {
  readonly rig: Rig
  readonly addr: number
  readonly port: number
  readonly hostAddr: number
  readonly hostPort: number
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  /** Our ISN: the second octet of text has number 0. */
  isn: number
  /** The host's, once it was seen. */
  hostIsn = 0
  /** The window field, when a segment does not say another. */
  wnd = 65535
  /** Add timestamps to segments that show no options: both sides said that they have them. */
  hasTimestamps = false
  /** How far the window fields of the host and of ours are shifted. */
  hostShift = 0
  shift = 0
  /** The right edges that each has offered, relative; none yet. */
  hostEdge = -Infinity
  edge = -Infinity
  looksAtWindows = true
  /** Our first timestamp is one of these numbers before the wrap. */
  tsBase = -3
  hostTsBase: number | undefined
  hostTsVal = 0
  #id = 0

  constructor(rig: Rig, options: PeerOptions = {}) {
    this.rig = rig
    this.addr = options.addr ?? GUEST
    this.port = options.port ?? 40_000
    this.hostAddr = options.hostAddr ?? HOST
    this.hostPort = options.hostPort ?? 80
    this.isn = options.isn ?? -2
    key4(this.key, this.addr, this.port, this.hostAddr, this.hostPort)
  }

  /** Another connection with the same 4-tuple is to begin, with that ISN. */
  begins(isn: number): void {
    this.isn = isn
    this.hostEdge = this.edge = -Infinity
  }

  /** Sends segments in one batch, with the octets of our stream as text. */
  sends(...lines: string[]): void {
    this.rig.receiveBatch(lines.map((line) => this.frame(line)))
    this.rig.flush()
  }

  /** Sends a segment with another text. */
  sendsText(line: string, text: ArrayLike<number>): void {
    this.rig.receive(this.frame(line, text))
    this.rig.flush()
  }

  /** The frame of a segment. */
  frame(line: string, text?: ArrayLike<number>): Octets {
    const drill = packetdrill.parse(line)
    const { ctl, seq, len } = drill
    const wnd = drill.wnd ?? this.wnd
    const isSyn = (ctl & wire.SYN) !== 0
    const options = drill.options ?? (isSyn ? [] : this.#ordinaryOptions())
    const bases = {
      seq: this.isn,
      ack: this.hostIsn,
      tsVal: this.tsBase,
      tsEcr: ctl & wire.ACK ? (this.hostTsBase ?? 0) : 0,
    }
    const octets = packetdrill.emitOptions(options, bases)
    const headerLen = wire.HEADER_LEN + octets.length
    const frame = new Uint8Array(TRANSPORT + headerLen + len)
    const v = viewOf(frame)
    ethernet.emit(v, 0, STACK_MAC, GUEST_MAC, ethernet.IPV4)
    const total = frame.length - IP
    ipv4.emit(v, IP, total, this.#id++ & 0xffff, ipv4.DF, 64, ipv4.TCP, this.addr, this.hostAddr)
    const from = (this.isn + seq) | 0
    const ack = drill.ack === undefined ? 0 : (this.hostIsn + drill.ack) | 0
    const { port, hostPort } = this
    wire.emitHeader(v, TRANSPORT, port, hostPort, from, ack, ctl, wnd, headerLen)
    if (drill.urg !== undefined) v.setUint16(TRANSPORT + 18, drill.urg)
    frame.set(octets, TRANSPORT + wire.HEADER_LEN)
    const body = frame.subarray(TRANSPORT + headerLen)
    if (text === undefined) fillText(FROM_GUEST, seq - 1, body)
    else if (text.length === len) body.set(text)
    else fail(`a text of ${text.length} octets for ${line}`)
    complete(frame, wire.CHECKSUM)
    if (drill.ack !== undefined) {
      this.edge = Math.max(this.edge, drill.ack + (wnd << (isSyn ? 0 : this.shift)))
    }
    return frame
  }

  #ordinaryOptions(): packetdrill.Option[] {
    if (!this.hasTimestamps) return []
    return [{ kind: 'TS', val: this.tsNow(), ecr: this.hostTsVal }]
  }

  /** Our timestamp, relative: the time since the clock's start, and one. */
  tsNow(): number {
    return 1 + Math.floor(this.rig.clock.now - this.rig.clock.start)
  }

  /**
   * The host's next segments are these. What a line does not mention, a window or options, is not
   * looked at; `*` in options stands for any number.
   */
  expects(...lines: string[]): void {
    for (const line of lines) {
      const drill = this.take() ?? fail(`no segment; expected: ${line}`)
      expect(this.#like(drill, line)).toBe(line)
    }
  }

  /** The segment in the words that the line uses. */
  #like(drill: packetdrill.Drill, line: string): string {
    if (!/ win /.test(line)) delete drill.wnd
    if (!/ urg /.test(line)) delete drill.urg
    if (!/</.test(line)) delete drill.options
    let text = packetdrill.format(drill)
    if (line.includes('val *')) text = text.replace(/val -?\d+/, 'val *')
    if (line.includes('ecr *')) text = text.replace(/ecr -?\d+/, 'ecr *')
    return text
  }

  expectsNothing(): void {
    const drills = this.takeAll()
    expect(drills.map(packetdrill.format)).toEqual([])
  }

  takeAll(): packetdrill.Drill[] {
    const drills: packetdrill.Drill[] = []
    for (let drill = this.take(); drill !== undefined; drill = this.take()) drills.push(drill)
    return drills
  }

  /** The host's next segment of this connection, and a look at what must hold for each. */
  take(): packetdrill.Drill | undefined {
    const { frames } = this.rig
    const index = frames.findIndex((frame) => this.#isOurs(frame))
    if (index < 0) return undefined
    const [frame] = frames.splice(index, 1) as [Octets]
    const v = viewOf(frame)
    if (!ethernet.isTo(v, 0, GUEST_MAC)) fail('not to the guest’s MAC')
    const ctl = wire.ctl(v, TRANSPORT)
    if (ctl & wire.SYN) this.#seesSyn(v)
    const bases = {
      seq: this.hostIsn,
      ack: this.isn,
      tsVal: this.hostTsBase ?? 0,
      tsEcr: this.tsBase,
    }
    const drill = packetdrill.read(v, TRANSPORT, frame.length, bases)
    // An answer without the option ends what our own SYN had offered (RFC 7323 §2.2).
    if (drill.ctl & wire.SYN) this.hostShift = 0
    for (const option of drill.options!) {
      if (option.kind === 'TS') this.hostTsVal = option.val
      if (option.kind === 'wscale') this.hostShift = option.value
    }
    const text = frame.subarray(frame.length - drill.len)
    const wrong = firstWrong(TO_GUEST, drill.seq - 1, text)
    if (wrong >= 0) fail(`octet ${drill.seq + wrong} of the host is not what was given`)
    if (this.looksAtWindows && !(ctl & wire.RST)) this.#watchWindows(drill)
    return drill
  }

  #isOurs(frame: Octets): boolean {
    const v = viewOf(frame)
    return (
      ethernet.type(v, 0) === ethernet.IPV4 &&
      ipv4.protocol(v, IP) === ipv4.TCP &&
      ipv4.src(v, IP) === this.hostAddr &&
      ipv4.dst(v, IP) === this.addr &&
      wire.srcPort(v, TRANSPORT) === this.hostPort &&
      wire.dstPort(v, TRANSPORT) === this.port
    )
  }

  #seesSyn(v: DataView): void {
    this.hostIsn = wire.seq(v, TRANSPORT)
    const seg = new wire.Segment()
    wire.parse(v, TRANSPORT, v.byteLength, seg)
    if (seg.hasTimestamp && this.hostTsBase === undefined) this.hostTsBase = seg.tsVal
  }

  #watchWindows({ ctl, seq, len, ack, wnd }: packetdrill.Drill): void {
    const isSyn = (ctl & wire.SYN) !== 0
    if (seq + len > this.edge && len > 1) {
      fail(`${seq}:${seq + len} goes beyond our window, which ends at ${this.edge}`)
    }
    if (ack === undefined) return
    const unit = isSyn ? 1 : 1 << this.hostShift
    const edge = ack + wnd! * unit
    // With a scale, the field cannot say every edge (RFC 7323 §2.4).
    if (edge <= this.hostEdge - unit)
      fail(`the window’s edge moves from ${this.hostEdge} to ${edge}`)
    this.hostEdge = Math.max(this.hostEdge, edge)
  }
}
