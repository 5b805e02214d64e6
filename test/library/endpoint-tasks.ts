/** What the tests of endpoints have programs do. */
import { afterEach, expect } from 'vitest'
import type { Network } from '../../src/index.ts'
import type { Kit } from '../../src/lab/agent.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { format, parse } from '../../src/stack/wire/address.ts'
import type { Lab } from '../e2e/lab.ts'
import { Embedder } from './embedder.ts'

export const METADATA = '169.254.169.254'

/** Waits until it holds, and fails when it does not. */
export async function soon(holds: () => boolean | Promise<boolean>, limit: number): Promise<void> {
  const until = performance.now() + limit
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`not after ${limit} ms: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export type Options = Parameters<Network['listen']>[0]

/** An HTTP server of the program's; answers where it listens. */
export async function serveHttp({ keep, http }: Kit, name: string, options: Options) {
  const network = keep.get('network') as Network
  const web = http.createServer((request, response) => {
    response.setHeader('x-client', `${request.socket.remoteAddress}`)
    response.end(name)
  })
  const server = await network.listen(options, (socket) => web.emit('connection', socket))
  keep.set(name, server)
  return server.address()
}

/** A server of the program's that echoes. */
export async function serveEcho({ keep }: Kit, options: Options) {
  const network = keep.get('network') as Network
  const server = await network.listen({ allowHalfOpen: true, ...options }, (socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  keep.set('server', server)
  return server.address()
}

/** Keeps the next connection as `name`, and notes what happens to it. */
export async function serveKept({ keep }: Kit, name: string, options: Options) {
  const network = keep.get('network') as Network
  const server = await network.listen(options, (socket) => {
    const events: string[] = []
    keep.set(name, socket)
    keep.set(`${name} events`, events)
    socket.on('end', () => events.push('end'))
    socket.on('error', (error: NodeJS.ErrnoException) => events.push(`${error.code}`))
    socket.on('close', () => events.push('close'))
  })
  keep.set('server', server)
  return server.address()
}

/** Dials and keeps the stream as `name`; answers the ends, or the error's code. */
export async function dial(
  { keep }: Kit,
  name: string,
  options: Parameters<Network['connect']>[0],
) {
  const network = keep.get('network') as Network
  try {
    const socket = await network.connect(options)
    const events: string[] = []
    keep.set(name, socket)
    keep.set(`${name} events`, events)
    socket.on('error', (error: NodeJS.ErrnoException) => events.push(`${error.code}`))
    socket.on('close', () => events.push('close'))
    const { remoteAddress, remotePort, remoteFamily, localAddress, localFamily } = socket
    return { remoteAddress, remotePort, remoteFamily, localAddress, localFamily }
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException
    return { code, syscall, message }
  }
}

export const eventsOf = ({ keep }: Kit, name: string): string[] =>
  (keep.get(`${name} events`) ?? []) as string[]

/** An address in its usual form. */
export function short(address: string): string {
  const words = new Int32Array(4)
  parse(address, words)
  return format(words)
}

export async function eventsSoon(program: Embedder, name: string, wanted: string[]): Promise<void> {
  let events: string[] = []
  for (let i = 0; i < 250; i++) {
    events = await program.run(eventsOf, name)
    if (events.length >= wanted.length) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(events).toEqual(wanted)
}

export interface Attached {
  readonly guest: Namespace
  readonly program: Embedder
}

/** Containers, with a program beside each: both end with the test. */
export function pairsOf(lab: Lab): {
  pair(): Promise<Attached>
  attached(options?: object): Promise<Attached>
} {
  const opened: Promise<{ close(): Promise<void> }>[] = []
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(async (each) => (await each).close()))
  })
  async function pair(): Promise<Attached> {
    const guest = lab.world.container()
    const program = Embedder.beside({ outer: lab.host.enter })
    opened.push(guest, program)
    return { guest: await guest, program: await program }
  }
  async function attached(options: object = {}): Promise<Attached> {
    const { guest, program } = await pair()
    await program.attach({ target: { pid: guest.pid }, ...options })
    return { guest, program }
  }
  return { pair, attached }
}
