/** A program of the tests: opens a TAP as it is told, looks whether the guest's kernel is behind it. */
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { Departure } from '../../src/stack/link.ts'
import { Arena } from '../../src/sys/arena.ts'
import { closeAll } from '../../src/sys/io.ts'
import { bind } from '../../src/sys/socket.ts'
import type { Configuration } from '../../src/tap/configure.ts'
import { type OpenTapOptions, openTap, type TapTarget } from '../../src/tap/open.ts'
import { Tap } from '../../src/tap/tap.ts'
import { type Findings, probe } from './probe.ts'

export interface Task {
  target: TapTarget
  options?: Omit<OpenTapOptions, 'configure'>
  configure?: Omit<Configuration, 'macAddress'> & { macAddress?: number[] }
  probe?: boolean
  /** A command, run when a frame was lost because the interface is down. */
  whenDown?: string[]
  /** A command, run while the TAP is open. */
  look?: string[]
}

export interface Answer {
  error?: { message: string; code?: string; syscall?: string }
  attached?: { name: string; headerLen: number; offload: { csum: boolean; tso: boolean } }
  findings?: Findings
  /** TCP sockets that were opened in the namespace, and how many of those for IPv4 have its address. */
  streams?: [count: number, bound: number]
  /** How many frames were lost because the interface was down. */
  lostWhenDown?: number
  /** What `look` wrote. */
  seen?: string
  /** Are we where we were? */
  home: boolean
  /** Descriptors and children that are there afterwards and were not before. */
  left: string[]
  ms: number
}

/** Nobody outside has this address. */
const GUEST = Int32Array.of(0, 0, 0xffff, 0x0a000264)

const task = JSON.parse(process.argv[2]!) as Task
const before = readlinkSync('/proc/thread-self/ns/net')
const had = new Set(belongings())
const start = performance.now()
const answer: Partial<Answer> = {}
const arena = new Arena(8 << 20)
try {
  const options: OpenTapOptions = { ...task.options }
  const attached = await openTap(
    task.target,
    task.configure ? { ...options, configure: configurationOf(task.configure) } : options,
  )
  answer.ms = performance.now() - start
  answer.attached = attached
  const tap = new Tap(attached, arena, 1500)
  if (task.whenDown) answer.lostWhenDown = whileDown(tap, task.whenDown)
  if (task.probe) answer.findings = probe(tap, arena)
  if (attached.streams?.length) answer.streams = lookAt(attached.streams)
  if (task.look) answer.seen = outputOf(task.look)
  tap.close()
} catch (error) {
  const { message, code, syscall } = error as NodeJS.ErrnoException
  answer.error = { message, ...(code && { code }), ...(syscall && { syscall }) }
}
answer.left = await leftAfter(5_000)
answer.home = readlinkSync('/proc/thread-self/ns/net') === before
console.log(JSON.stringify(answer))

function configurationOf(given: NonNullable<Task['configure']>): Configuration {
  const { macAddress, ...rest } = given
  return macAddress ? { ...rest, macAddress: Uint8Array.from(macAddress) } : rest
}

/** What is left after so many ms; a child may take a moment to end. */
async function leftAfter(limit: number): Promise<string[]> {
  for (const end = performance.now() + limit; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    const left = belongings().filter((thing) => !had.has(thing))
    if (left.length === 0 || performance.now() > end) return left
  }
}

function belongings(): string[] {
  const fds = readdirSync('/proc/self/fd').map((fd) => {
    const path = `/proc/self/fd/${fd}`
    return existsSync(path) || lstatSync(path, { throwIfNoEntry: false })
      ? `${fd} → ${readlinkSync(path)}`
      : ''
  })
  const children = readFileSync('/proc/thread-self/children', 'utf8').trim().split(' ')
  return [...fds, ...children].filter((thing) => thing !== '')
}

function lookAt(streams: readonly number[]): [number, number] {
  const bound = streams.filter((fd) => bind(fd, { words: GUEST, port: 0 }) >= 0)
  closeAll(streams)
  return [streams.length, bound.length]
}

function whileDown(tap: Tap, command: string[]): number {
  const frame = new Departure()
  frame.slices.push(arena.reserve(60), 60)
  tap.transmit(frame)
  outputOf(command)
  return tap.counters.droppedDown
}

function outputOf(command: string[]): string {
  const [program, ...rest] = command
  const { status, stderr, stdout } = spawnSync(program!, rest, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout
}
