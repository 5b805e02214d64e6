/** What is compared: each with a container of its own, in the same world. */
import { readFileSync } from 'node:fs'
import { execute } from '../../../src/lab/program.ts'
import type { Namespace, World } from '../../../src/lab/world.ts'
import type { Access } from '../workload.ts'

export interface Contender {
  /** Its column. Two contenders may share one, when they offer different things. */
  name: string
  /** How to get it. */
  hint: string
  offers: readonly Access[]
  /** Ways in which it is tried for bulk TCP, options of iperf3 by name; its figure is that of the better one. */
  tunings?: Readonly<Record<string, readonly string[]>>
  /** Its version, or undefined when it is not installed, or cannot do this. */
  version(): Promise<string | undefined>
  /** Makes a container and starts it there, with port GUEST_PORT of the container published as `hostPort`. */
  start(world: World, setting: Setting): Promise<Running>
  /**
   * Starts it and ends it again: from its start until it was ready, in ms. Undefined where this one is not started
   * so.
   */
  startOnly?(world: World, how: StartOptions): Promise<number | undefined>
}

export interface Setting {
  mtu: number
  hostPort: number
}

export interface StartOptions {
  /** As Podman starts it, rather than with the fewest options that bring an interface up. */
  podman: boolean
  /** By this program of Node; its own when there is none. */
  node: string | undefined
}

export interface Running {
  /** The daemon's processes; the kernel has none. */
  pids: readonly number[]
  /** The container, and the host as it is reached from there. */
  guest?: Namespace
  gateway?: string
  /** The container's published port, as the host reaches it: through the TAP, or spliced past it. */
  forward?: { host: string; port: number }
  spliced?: { host: string; port: number }
  /** Ends it, and its container. */
  stop(): Promise<unknown>
}

/** Connections need descriptors. */
export const wrapper: readonly string[] = ['prlimit', `--nofile=${hardLimit()}`, '--']

export function hardLimit(): string {
  return /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))![1]!
}

/** The first line of what a program says about itself, without its own name. */
export async function firstLine(
  command: readonly string[],
  name: string,
): Promise<string | undefined> {
  try {
    const { status, stdout } = await execute(command)
    if (status !== 0) return undefined
    const own = stdout.split('\n').find((line) => line.startsWith(`${name}: `))
    return (own ?? stdout.split('\n')[0] ?? '').replace(/^\S+ (version )?/, '').trim() || '?'
  } catch {
    return undefined
  }
}

/** Runs a few lines of shell. */
export async function shell(place: Namespace, what: string, script: string): Promise<void> {
  const { status, stderr } = await place.execute(['sh', '-ec', script])
  if (status !== 0) throw new Error(`cannot ${what}: ${stderr.trim()}`)
}
