/**
 * Segments in packetdrill's notation, with sequence numbers that count from each side's ISN:
 *
 *   S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 0 ecr 1,wscale 7>
 *   P. 1:6(5) ack 1
 *   . 1:1(0) ack 6 win 100 <nop,nop,sack 11:21 31:41>
 *
 * SYN and FIN take a number that the range does not show.
 */
import * as wire from '../../../src/stack/wire/tcp.ts'

/** A segment as text has it: numbers are relative. */
export interface Drill {
  ctl: number
  seq: number
  len: number
  ack?: number
  wnd?: number
  urg?: number
  options?: Option[]
}

export type Option =
  | { kind: 'mss' | 'wscale'; value: number }
  | { kind: 'sackOK' | 'nop' | 'eol' }
  | { kind: 'TS'; val: number; ecr: number }
  | { kind: 'sack'; edges: number[] }
  | { kind: 'raw'; octets: number[] }

const LETTERS: readonly [string, number][] = [
  ['F', wire.FIN],
  ['S', wire.SYN],
  ['R', wire.RST],
  ['P', wire.PSH],
  ['U', wire.URG],
  ['E', wire.ECE],
  ['W', wire.CWR],
  ['.', wire.ACK],
]

const SYNTAX =
  /^([FSRPUEW.]+|-) (-?\d+):(-?\d+)\((\d+)\)(?: ack (-?\d+))?(?: win (\d+))?(?: urg (\d+))?(?: <(.*)>)?$/

export function parse(text: string): Drill {
  const match = SYNTAX.exec(text)
  if (match === null) throw new Error(`not a segment: ${text}`)
  const [, letters, from, to, len, ack, wnd, urg, options] = match
  let ctl = 0
  for (const [letter, bit] of LETTERS) if (letters!.includes(letter)) ctl |= bit
  if (Number(to) - Number(from) !== Number(len)) throw new Error(`the range and length of: ${text}`)
  if (((ctl & wire.ACK) !== 0) !== (ack !== undefined))
    throw new Error(`'.' goes with ack: ${text}`)
  const drill: Drill = { ctl, seq: Number(from), len: Number(len) }
  if (ack !== undefined) drill.ack = Number(ack)
  if (wnd !== undefined) drill.wnd = Number(wnd)
  if (urg !== undefined) drill.urg = Number(urg)
  if (options !== undefined) drill.options = parseOptions(options)
  return drill
}

export function parseOptions(text: string): Option[] {
  if (text === '') return []
  return text.split(',').map((part): Option => {
    const [kind, ...rest] = part.trim().split(' ')
    if (kind === 'mss' || kind === 'wscale') return { kind, value: Number(rest[0]) }
    if (kind === 'sackOK' || kind === 'nop' || kind === 'eol') return { kind }
    if (kind === 'TS') return { kind, val: Number(rest[1]), ecr: Number(rest[3]) }
    if (kind === 'sack') return { kind, edges: rest.flatMap((pair) => pair.split(':').map(Number)) }
    if (kind === 'raw') return { kind, octets: rest.map((octet) => Number.parseInt(octet, 16)) }
    throw new Error(`not an option: ${part}`)
  })
}

export function format(drill: Drill): string {
  let letters = ''
  for (const [letter, bit] of LETTERS) if (drill.ctl & bit) letters += letter
  let text = `${letters || '-'} ${drill.seq}:${drill.seq + drill.len}(${drill.len})`
  if (drill.ack !== undefined) text += ` ack ${drill.ack}`
  if (drill.wnd !== undefined) text += ` win ${drill.wnd}`
  if (drill.urg !== undefined) text += ` urg ${drill.urg}`
  if (drill.options !== undefined) text += ` <${drill.options.map(formatOption).join(',')}>`
  return text
}

function formatOption(option: Option): string {
  switch (option.kind) {
    case 'mss':
    case 'wscale':
      return `${option.kind} ${option.value}`
    case 'TS':
      return `TS val ${option.val} ecr ${option.ecr}`
    case 'sack': {
      const pairs: string[] = []
      for (let i = 0; i < option.edges.length; i += 2) {
        pairs.push(`${option.edges[i]}:${option.edges[i + 1]}`)
      }
      return `sack ${pairs.join(' ')}`
    }
    case 'raw':
      return `raw ${option.octets.map((octet) => octet.toString(16)).join(' ')}`
    default:
      return option.kind
  }
}

/** What turns relative numbers into those on the wire, and back. */
export interface Bases {
  seq: number
  /** Of sequence numbers of the other side: ACK field and SACK edges. */
  ack: number
  tsVal: number
  tsEcr: number
}

/** The octets of options, padded to words; each real one is led by NOPs, as kernels do. */
export function emitOptions(options: readonly Option[], bases: Bases): number[] {
  const out: number[] = []
  const word = (value: number): void =>
    void out.push(...[24, 16, 8, 0].map((n) => (value >>> n) & 255))
  const align = (len: number): void => {
    while ((out.length + len) % 4 !== 0) out.push(1)
  }
  for (const option of options) {
    switch (option.kind) {
      case 'nop':
        out.push(1)
        break
      case 'eol':
        out.push(0)
        break
      case 'mss':
        out.push(2, 4, option.value >>> 8, option.value & 255)
        break
      case 'wscale':
        align(3)
        out.push(3, 3, option.value)
        break
      case 'sackOK':
        align(2)
        out.push(4, 2)
        break
      case 'TS':
        align(10)
        out.push(8, 10)
        word(option.val + bases.tsVal)
        word(option.ecr + bases.tsEcr)
        break
      case 'sack':
        align(2)
        out.push(5, 2 + 4 * option.edges.length)
        for (const edge of option.edges) word(edge + bases.ack)
        break
      case 'raw':
        out.push(...option.octets)
    }
  }
  while (out.length % 4 !== 0) out.push(0)
  return out
}

/** The segment at `at` of a frame, all of it; NOPs and padding are not shown. */
export function read(v: DataView, at: number, end: number, bases: Bases): Drill {
  const seg = new wire.Segment()
  if (!wire.parse(v, at, end, seg)) throw new Error('a malformed TCP segment')
  const rel = (value: number, base: number): number => (value - base) | 0
  const drill: Drill = {
    ctl: seg.ctl,
    seq: rel(seg.seq, bases.seq),
    len: seg.textLen,
    wnd: seg.wnd,
    options: [],
  }
  if (seg.ctl & wire.ACK) drill.ack = rel(seg.ack, bases.ack)
  else if (seg.ack !== 0) throw new Error('an ACK field without ACK')
  if (seg.ctl & wire.URG) drill.urg = seg.urg
  const options = drill.options!
  if (seg.mss !== 0) options.push({ kind: 'mss', value: seg.mss })
  if (seg.sackPermitted) options.push({ kind: 'sackOK' })
  if (seg.hasTimestamp) {
    const { tsVal, tsEcr } = seg
    const ecr = seg.ctl & wire.ACK ? rel(tsEcr, bases.tsEcr) : tsEcr
    options.push({ kind: 'TS', val: rel(tsVal, bases.tsVal), ecr })
  }
  if (seg.windShift >= 0) options.push({ kind: 'wscale', value: seg.windShift })
  if (seg.sackCount > 0) {
    const edges = [...seg.sack.subarray(0, 2 * seg.sackCount)].map((edge) => rel(edge, bases.ack))
    options.push({ kind: 'sack', edges })
  }
  return drill
}
