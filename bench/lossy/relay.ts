/**
 * A bad cable between two network namespaces: makes a TAP in each and carries frames from one to the
 * other, late, and not all of them. Its one argument is JSON: RelayOptions.
 *
 *   namespace a: tap ──► read ──► LossyLink ──► write ──► tap :namespace b
 *
 * It is the same cable whoever is at its ends, so that two TCPs can be compared over it.
 */
import { parseArgs } from 'node:util'
import { Arena } from '../../src/sys/arena.ts'
import { EPOLLIN } from '../../src/sys/constants.ts'
import { Epoll } from '../../src/sys/epoll.ts'
import { read, write } from '../../src/sys/io.ts'
import { openTap } from '../../src/tap/open.ts'
import type { Octets } from '../../test/stack/rig/frames.ts'
import { type LinkOptions, LossyLink } from '../../test/stack/rig/lossy-link.ts'
import { seededRandom } from '../../test/stack/rig/random.ts'

const SLOT = 2048

export interface RelayOptions {
  /** A process in each namespace, and what the TAP there is called. */
  ends: readonly [{ pid: number; name: string }, { pid: number; name: string }]
  /** Of each direction. */
  link: LinkOptions
  seed: number
}

class End {
  readonly fd: number
  /** Frames that were read here, on their way to the other. */
  readonly link: LossyLink
  readonly #arena: Arena
  readonly #at: number

  constructor(fd: number, arena: Arena, link: LossyLink) {
    this.fd = fd
    this.link = link
    this.#arena = arena
    this.#at = arena.reserve(SLOT)
  }

  /** Reads what is there. */
  take(now: number): void {
    for (;;) {
      const n = read(this.fd, this.#arena, this.#at, SLOT)
      if (n <= 0) return
      this.link.send(this.#arena.bytes.slice(this.#at, this.#at + n) as Octets, now)
    }
  }

  give(frame: Octets): void {
    this.#arena.bytes.set(frame, this.#at)
    write(this.fd, this.#arena, this.#at, frame.length)
  }
}

async function main(): Promise<void> {
  const { positionals } = parseArgs({ allowPositionals: true })
  const { ends, link, seed } = JSON.parse(positionals[0]!) as RelayOptions
  const arena = new Arena(1 << 20)
  const epoll = new Epoll(arena)
  const sides: End[] = []
  for (const [i, { pid, name }] of ends.entries()) {
    const { fd } = await openTap({ pid }, { name, vnetHeader: false })
    sides.push(new End(fd, arena, new LossyLink(link, seededRandom(seed + i))))
    epoll.add(fd, EPOLLIN, i)
  }
  const [a, b] = sides as [End, End]
  console.log('ready')
  const parent = process.ppid
  for (;;) {
    const due = Math.min(a.link.deadline(), b.link.deadline())
    const count = epoll.wait(Math.min(1000, Math.max(0, due - performance.now())))
    if (process.ppid !== parent) return
    const now = performance.now()
    for (let i = 0; i < count; i++) sides[epoll.token(i)]!.take(now)
    for (let f = a.link.take(now); f !== undefined; f = a.link.take(now)) b.give(f)
    for (let f = b.link.take(now); f !== undefined; f = b.link.take(now)) a.give(f)
  }
}

await main()
