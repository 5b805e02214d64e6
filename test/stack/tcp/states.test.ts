/**
 * Each state × each event (RFC 9293 §3.10): what is answered, which state comes of it, and all that changes in the
 * transmission control block, whose other fields stay as they were. Kept as a table, in fixtures/states.txt: a change of the
 * stack shows in it. `UPDATE=1 npx vitest run test/stack/tcp/states.test.ts` writes it anew; look at the difference.
 *
 * The ISNs of both sides lie just before the wrap, so each line is also one about numbers that wrap.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Host } from '../rig/host.ts'
import * as packetdrill from '../rig/packetdrill.ts'
import { type Bench, bench, FACTORIES, type Joined, listening } from '../rig/states.ts'
import { type Tcb, tcbOf } from '../rig/tcb.ts'

/** A connection in that state, or what comes nearest to one. */
const STATES: Readonly<Record<string, () => Bench & { host?: Host }>> = {
  CLOSED: bench,
  LISTEN: listening,
  ...FACTORIES,
}

/** Where the guest is: its next number, and what it may acknowledge. */
interface Place {
  rcvNxt: number
  sndUna: number
  sndNxt: number
}

type Segment = (place: Place) => string

const at = (flags: string, from: number, len: number, ack?: number): string =>
  `${flags} ${from}:${from + len}(${len})${ack === undefined ? '' : ` ack ${ack}`}`

/** Segments of the guest, in the order of the RFC's checks. */
const SEGMENTS: Readonly<Record<string, Segment>> = {
  'text before the window': ({ rcvNxt, sndNxt }) => at('P.', rcvNxt - 5, 5, sndNxt),
  'text beyond the window': ({ rcvNxt, sndNxt }) => at('P.', rcvNxt + 65_535, 5, sndNxt),
  'a keep-alive': ({ rcvNxt, sndUna }) => at('.', rcvNxt - 1, 0, sndUna),
  'RST at RCV.NXT': ({ rcvNxt }) => at('R', rcvNxt, 0),
  'RST in the window': ({ rcvNxt }) => at('R', rcvNxt + 100, 0),
  'RST outside': ({ rcvNxt }) => at('R', rcvNxt - 1, 0),
  'RST that acknowledges all': ({ rcvNxt, sndNxt }) => at('R.', rcvNxt, 0, sndNxt),
  'SYN at RCV.NXT': ({ rcvNxt }) => `${at('S', rcvNxt, 0)} win 65535 <mss 1460>`,
  'the same SYN again': () => 'S 0:0(0) win 65535 <mss 1460>',
  'a much older SYN': ({ rcvNxt }) => `${at('S', rcvNxt - 100_000, 0)} win 65535 <mss 1460>`,
  'SYN-ACK of all': ({ sndNxt }) => `${at('S.', 0, 0, sndNxt)} win 65535 <mss 1460>`,
  'no flag at all': ({ rcvNxt }) => at('-', rcvNxt, 0),
  'text without ACK': ({ rcvNxt }) => at('P', rcvNxt, 5),
  'ACK of all': ({ rcvNxt, sndNxt }) => at('.', rcvNxt, 0, sndNxt),
  'ACK of nothing new': ({ rcvNxt, sndUna }) => at('.', rcvNxt, 0, sndUna),
  'ACK of the future': ({ rcvNxt, sndNxt }) => at('.', rcvNxt, 0, sndNxt + 1),
  'ACK of the distant past': ({ rcvNxt, sndUna }) => at('.', rcvNxt, 0, sndUna - 65_536),
  'a closed window': ({ rcvNxt, sndNxt }) => `${at('.', rcvNxt, 0, sndNxt)} win 0`,
  'text in line': ({ rcvNxt, sndUna }) => at('P.', rcvNxt, 5, sndUna),
  'text ahead': ({ rcvNxt, sndUna }) => at('P.', rcvNxt + 5, 5, sndUna),
  'urgent text': ({ rcvNxt, sndUna }) => `${at('UP.', rcvNxt, 5, sndUna)} urg 3`,
  FIN: ({ rcvNxt, sndUna }) => at('F.', rcvNxt, 0, sndUna),
  'FIN with text, and ACK of all': ({ rcvNxt, sndNxt }) => at('FP.', rcvNxt, 5, sndNxt),
  'FIN ahead': ({ rcvNxt, sndUna }) => at('F.', rcvNxt + 5, 0, sndUna),
  'every flag there is': ({ rcvNxt, sndNxt }) => at('FSRPUEW.', rcvNxt, 0, sndNxt),
}

/** What the host does, and time. */
const DEEDS: Readonly<Record<string, (joined: Joined) => void>> = {
  SEND: ({ host }) => void host.sendsUpTo(5),
  CLOSE: ({ host }) => (host.reason === undefined ? host.closes() : undefined),
  ABORT: ({ host }) => host.aborts(),
  'the next time-out': ({ clock, rig }) =>
    rig.stack.deadline() < Infinity ? clock.advanceToDeadline() : undefined,
  'an hour': ({ clock }) => clock.advance(3_600_000),
}

/** The line of a cell. */
function cell(state: string, event: string, happen: (joined: Joined) => void): string {
  const joined = STATES[state]!() as Joined
  const { rig, peer, host } = joined
  peer.looksAtWindows = false // the guest says what it likes
  const before = host && tcbOf(joined)
  happen(joined)
  const answers = peer.takeAll().map((drill) => packetdrill.format(drill).replace(' <>', ''))
  const others = rig.requests.length - (state === 'LISTEN' ? 1 : 0)
  const changes = host ? [became(state, host), ...differences(before!, tcbOf(joined), host)] : []
  if (others !== 0) changes.push(others > 0 ? 'a new request' : 'the request is gone')
  const answered = answers.length > 3 ? [...answers.slice(0, 3), `… ${answers.length}`] : answers
  const row = [event, answered.join(', ') || '—', changes.filter(Boolean).join(', ') || '—']
  return row.join(' | ')
}

const became = (state: string, host: Host): string => {
  if (host.state() === state) return ''
  return `${host.state()}${host.reason ? ` (${host.reason})` : ''}`
}

/** What is another in the block, and what the host was given. */
function differences(before: Tcb, after: Tcb, host: Host): string[] {
  // Of a connection that is over nobody asks.
  if (host.state() === 'CLOSED') return []
  const changed: string[] = []
  for (const [name, value] of Object.entries(after)) {
    const was = before[name]
    if (name === 'state' || JSON.stringify(value) === JSON.stringify(was)) continue
    if (isRecord(value) && isRecord(was)) {
      const parts = Object.keys(value).filter((part) => value[part] !== was[part])
      changed.push(`${name} { ${parts.map((part) => `${part} ${value[part]}`).join(', ')} }`)
    } else changed.push(`${name} ${show(name, value, host)}`)
  }
  return host.received > 0 ? [...changed, `received ${host.received}`] : changed
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function show(name: string, value: unknown, { rig }: Host): string {
  if (name === 'challengeAt' || name === 'textAt') return `${(value as number) - rig.clock.start}`
  if (name === 'timeoutVal') return 'of now'
  return Array.isArray(value) ? `[${value.join(', ')}]` : `${value}`
}

function place({ host }: Joined): Place {
  if (host === undefined) return { rcvNxt: 1, sndUna: 0, sndNxt: 1 }
  const { rcvNxt, sndUna, sndNxt } = tcbOf({ host, clock: host.rig.clock } as Joined)
  // Before it knows the guest's number, the guest's SYN is what is next.
  const isFirst = host.state() === 'SYN-SENT'
  return {
    rcvNxt: isFirst ? 0 : (rcvNxt as number),
    sndUna: sndUna as number,
    sndNxt: sndNxt as number,
  }
}

function tableOf(state: string): string {
  const lines = [`## ${state}`, '']
  for (const [event, segment] of Object.entries(SEGMENTS)) {
    lines.push(cell(state, event, (joined) => joined.peer.sends(segment(place(joined)))))
  }
  for (const [event, deed] of Object.entries(DEEDS)) {
    const isPossible = state !== 'CLOSED' && state !== 'LISTEN'
    if (isPossible) lines.push(cell(state, event, deed))
  }
  return lines.join('\n')
}

test('each state × each event', () => {
  const file = new URL('../fixtures/states.txt', import.meta.url)
  const head =
    'event | answers | state and fields that change; numbers count from the ISNs, times from the start.\n' +
    'Of a connection that is CLOSED nothing more is said. Made by test/stack/tcp/states.test.ts.'
  const found = `${[head, ...Object.keys(STATES).map(tableOf)].join('\n\n')}\n`
  if (process.env.UPDATE) writeFileSync(file, found)
  expect(found).toBe(readFileSync(file, 'utf8'))
  expect(Object.keys(STATES).length).toBe(11) // RFC 9293 §3.3.2
})
