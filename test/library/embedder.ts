/**
 * A program that uses the library, where a container's runtime would stand: an agent that keeps networks by name. What
 * it imports is the built package, because the data plane's worker is a built file.
 */
import { readdirSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { expect } from 'vitest'
import type {
  AttachOptions,
  Ending,
  Forward,
  ForwardOptions,
  Network,
  Stats,
} from '../../src/index.ts'
import { Agent, built, type Kit } from '../../src/lab/agent.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { eventually } from '../e2e/proc.ts'

export type PlainForward = Omit<Forward, 'remove' | typeof Symbol.asyncDispose>

export const LIBRARY: string = pathToFileURL(built('index.js')).href

/** All that is there of the program is what was there before. */
export async function expectNothingLeft(
  program: Embedder,
  before: ReturnType<Embedder['holdings']>,
): Promise<void> {
  await eventually(() => JSON.stringify(program.holdings()) === JSON.stringify(before), 2_000)
  expect(program.holdings()).toEqual(before)
}

export interface EmbedderOptions {
  /** As in src/lab/daemon.ts. */
  as?: 'owner' | 'plain'
  wrapper?: readonly string[]
}

export class Embedder {
  readonly agent: Agent

  constructor(agent: Agent) {
    this.agent = agent
  }

  static async beside(
    container: Pick<Namespace, 'outer'>,
    options: EmbedderOptions = {},
  ): Promise<Embedder> {
    const { as = 'owner', wrapper = [] } = options
    const plain = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--']
    const prefix = [...container.outer, ...(as === 'plain' ? plain : []), ...wrapper]
    return new Embedder(await Agent.start(prefix))
  }

  get pid(): number {
    return this.agent.pid
  }

  run<A extends unknown[], R>(fn: (kit: Kit, ...args: A) => R, ...args: A): Promise<Awaited<R>> {
    return this.agent.run(fn, ...args)
  }

  close(): Promise<void> {
    return this.agent.close()
  }

  attach(options: AttachOptions, name = 'network'): Promise<Network['addresses']> {
    return this.run(attach, LIBRARY, name, options)
  }

  /** What a first start leaves for good: Node's signal pipe for children, for one. */
  async warmUp(pid: number): Promise<void> {
    await this.attach({ target: { pid } })
    await this.closeNetwork()
  }

  forward(options: ForwardOptions, name = 'network'): Promise<PlainForward> {
    return this.run(addForward, name, options)
  }

  stats(name = 'network'): Promise<Stats> {
    return this.run(({ keep }, name) => (keep.get(name) as Network).stats(), name)
  }

  closeNetwork(name = 'network'): Promise<void> {
    return this.run(({ keep }, name) => (keep.get(name) as Network).close(), name)
  }

  /** How it ended, or 'open' when it has not after `limit` ms. */
  ending(limit: number, name = 'network'): Promise<Ending | 'open'> {
    return this.run(ending, name, limit)
  }

  /** What must not grow: descriptors and threads. */
  holdings(): { descriptors: string[]; threads: number } {
    const descriptors = readdirSync(`/proc/${this.pid}/fd`)
    return { descriptors, threads: readdirSync(`/proc/${this.pid}/task`).length }
  }
}

async function attach(
  { load, keep }: Kit,
  library: string,
  name: string,
  options: AttachOptions,
): Promise<Network['addresses']> {
  const { attach } = (await load(library)) as typeof import('../../src/index.ts')
  const network = await attach(options)
  keep.set(name, network)
  return network.addresses
}

async function addForward(
  { keep }: Kit,
  name: string,
  options: ForwardOptions,
): Promise<PlainForward> {
  const forward = await (keep.get(name) as Network).forwards.add(options)
  keep.set(`forward ${forward.id}`, forward)
  return { ...forward }
}

async function ending({ keep, sleep }: Kit, name: string, limit: number): Promise<Ending | 'open'> {
  const ending = await Promise.race([(keep.get(name) as Network).closed, sleep(limit)])
  if (!ending) return 'open'
  const { reason, error } = ending
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException
  return error
    ? { reason, error: { name: error.name, message: error.message, code, syscall } as Error }
    : { reason }
}
