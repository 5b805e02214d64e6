/** The record of decisions: a reader that is slow, a file that cannot be written, and what is said of that. */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { EgressWatch } from '../../src/control/egress.ts'
import type { Log } from '../../src/control/log.ts'
import type { Network } from '../../src/engine/types.ts'
import { type Decision, DecisionQueue } from '../../src/policy/decisions.ts'
import { definePolicy } from '../../src/policy/define.ts'

let folder: string
let path: string
let queue: DecisionQueue
let said: string[]
let watch: EgressWatch | undefined

beforeEach(() => {
  vi.useFakeTimers()
  folder = mkdtempSync(join(tmpdir(), 'slipway-egress-'))
  path = join(folder, 'record')
  queue = new DecisionQueue()
  said = []
})
afterEach(() => {
  watch?.close()
  watch = undefined
  vi.useRealTimers()
  rmSync(folder, { recursive: true })
})

function start(decisions: string): void {
  const network = {
    recordDecisions() {},
    setPolicy() {},
    decisions: () => queue.take(),
  } as unknown as Network
  const log = { say: (level: string, text: string) => said.push(`${level}: ${text}`) }
  const settings = { policy: join(folder, 'policy'), decisions }
  watch = new EgressWatch(network, log as unknown as Log, settings, definePolicy({}))
}

const decide = (count: number, more: Partial<Decision> = {}): void => {
  for (let i = 0; i < count; i++) {
    queue.decide({ kind: 'flow', verdict: 'allow', by: 'rule', port: 443, ...more }, i)
  }
}

function readAll(fd: number): string {
  let text = ''
  const room = Buffer.alloc(1 << 20)
  try {
    for (let n = 1; n > 0; text += room.toString('utf8', 0, n)) n = readSync(fd, room)
  } catch (error) {
    expect(error).toMatchObject({ code: 'EAGAIN' })
  }
  return text
}

test('a pipe that nobody reads halts nothing; what is denied is merged, what is allowed counted', () => {
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  start(path)
  decide(2_000)
  vi.advanceTimersByTime(250)
  decide(10_000)
  decide(7, { verdict: 'deny', port: 22 })
  vi.advanceTimersByTime(1_000)
  let text = ''
  for (let i = 0; i < 200; i++) {
    text += readAll(reader)
    vi.advanceTimersByTime(10)
  }
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Decision)
  expect(lines.filter(({ verdict }) => verdict === 'deny')).toMatchObject([{ port: 22, count: 7 }])
  const gap = lines.find(({ kind }) => kind === 'gap')!
  const allowed = lines.filter(({ kind, verdict }) => kind === 'flow' && verdict === 'allow')
  expect(allowed.length + gap.count).toBe(12_000)
  expect(said).toEqual([])
  closeSync(reader)
})

test('what is not written at the end is counted', () => {
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  start(path)
  decide(4_000)
  vi.advanceTimersByTime(250)
  decide(5, { verdict: 'deny' })
  watch!.close()
  watch = undefined
  const read = readAll(reader).split('\n').length - 1
  expect(said).toEqual([`error: ${4_000 - read + 5} decisions were not recorded`])
  closeSync(reader)
})

test('a disk that is full is told of once, and decisions wait until it is not', () => {
  writeFileSync(join(folder, 'policy'), '{}')
  symlinkSync('/dev/full', path)
  start(path)
  decide(3)
  vi.advanceTimersByTime(2_000)
  expect(said).toEqual(['error: cannot record decisions: No space left on device; they wait'])
  decide(2, { verdict: 'deny' })
  unlinkSync(path)
  process.emit('SIGHUP')
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).count)).toEqual([1, 1, 1, 2])
  expect(said.slice(1)).toEqual([
    'info: the policy was read again',
    'info: decisions are recorded again',
  ])
})
