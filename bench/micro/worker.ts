/**
 * Packets through the worker: a network of the library on a socket of packets in place of a TAP (`target: { bess }`), so
 * that nothing but memory is between its link and the guest, which is this file. Frames and datagrams go and come in
 * windows: there is always work for the worker, and no queue overflows.
 *
 * The rate is of the whole of it, in which this side and the kernel's sockets have their part; the processor time is the
 * worker's thread alone.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as library from '../../src/index.ts'
import { built } from '../../src/lab/agent.ts'
import * as ethernet from '../../src/stack/wire/ethernet.ts'
import * as icmp from '../../src/stack/wire/icmp.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import * as udp from '../../src/stack/wire/udp.ts'
import { Arena, addressOf } from '../../src/sys/arena.ts'
import { Batch } from '../../src/sys/batch.ts'
import {
  AF_INET,
  AF_UNIX,
  EAGAIN,
  EPOLLIN,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
} from '../../src/sys/constants.ts'
import { Epoll } from '../../src/sys/epoll.ts'
import { must } from '../../src/sys/errors.ts'
import * as io from '../../src/sys/io.ts'
import { libc } from '../../src/sys/libc.ts'
import * as socket from '../../src/sys/socket.ts'
import { type Bench, LONGER, type Measured } from './bench.ts'
import { GUEST, GUEST_MAC, HOST } from './memory.ts'

/** Packets that go and come at a time, and how many are under way: as many large ones as a socket has room for. */
const BATCH = 32
const WINDOW = 2 * BATCH
const ROOM = 2048
/** No answer for so long, in ms, is the end. */
const PATIENCE = 2_000

/** The guest's end of the link, a socket of the host, and batches of packets for both. */
class Bed {
  readonly arena = new Arena(2 * BATCH * ROOM + 4096)
  /** What goes out lies in the first places, the octets of each. */
  readonly lens = new Int32Array(BATCH)
  readonly in = new Batch(BATCH)
  readonly link: number
  readonly host: number
  readonly port: number
  readonly #epoll = new Epoll()
  readonly #network: library.Network
  readonly #directory: string

  private constructor(network: library.Network, directory: string, link: number) {
    this.#network = network
    this.#directory = directory
    this.link = link
    this.host = must(socket.socket(AF_INET, SOCK_DGRAM), 'socket')
    const loopback = { words: Int32Array.of(0, 0, 0xffff, 0x7f000001), port: 0 }
    must(socket.bind(this.host, loopback), 'bind')
    must(socket.localEndpoint(this.host, loopback), 'getsockname')
    this.port = loopback.port
    for (const fd of [link, this.host]) must(this.#epoll.add(fd, EPOLLIN, fd), 'epoll_ctl')
    for (let i = 0; i < BATCH; i++) {
      this.in.at[i] = (BATCH + i) * ROOM
      this.in.room[i] = ROOM
    }
  }

  static async open(): Promise<Bed> {
    const { attach } = (await import(pathToFileURL(built('index.js')).href)) as typeof library
    const directory = mkdtempSync(join(tmpdir(), 'slipway-worker-'))
    const path = join(directory, 'link.sock')
    const attached = attach({ target: { bess: path }, hostLoopback: true })
    try {
      const link = await connectPackets(path, attached)
      return new Bed(await attached, directory, link)
    } catch (error) {
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#network.close()
    this.#epoll.close()
    io.close(this.link)
    io.close(this.host)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** Sends a batch of frames, or of datagrams from the host; what the socket does not take is tried again. */
  send(to?: socket.Endpoint): void {
    const end = performance.now() + PATIENCE
    for (let i = 0; i < BATCH; ) {
      const at = i * ROOM
      const len = this.lens[i]!
      const n = to
        ? socket.sendTo(this.host, this.arena, at, len, to)
        : socket.send(this.link, this.arena, at, len)
      if (n > 0) i++
      else if (n !== -EAGAIN) must(n, 'send')
      else if (performance.now() > end) throw new Error('the worker takes nothing any more')
      else this.#sleep(1)
    }
  }

  /** Receives until there are so many. */
  receive(fd: number, count: number): void {
    const end = performance.now() + PATIENCE
    for (let got = 0; got < count; ) {
      const n = this.in.receive(fd, this.arena, Math.min(BATCH, count - got))
      if (n > 0) got += n
      else if (n !== -EAGAIN) must(n, 'recvmmsg')
      else if (performance.now() > end) throw new Error(`${count - got} packets were lost`)
      else this.#sleep(PATIENCE)
    }
  }

  /** Until something comes: who waits by looking would take the worker's processor, where there are few. */
  #sleep(ms: number): void {
    this.#epoll.wait(ms)
  }
}

/** The worker listens as soon as it runs. */
async function connectPackets(path: string, attached: Promise<unknown>): Promise<number> {
  let failed: unknown
  attached.catch((error) => {
    failed = error
  })
  const fd = must(socket.socket(AF_UNIX, SOCK_SEQPACKET), 'socket')
  const name = new Arena(110)
  name.view.setUint16(0, AF_UNIX, true)
  name.bytes.set(new TextEncoder().encode(path), 2)
  for (let waited = 0; waited < 5_000 && failed === undefined; waited += 5) {
    if (libc().connect(fd, addressOf(name, 0, 110), 110) === 0) return fd
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw failed ?? new Error(`cannot connect to ${path}`)
}

/** Writes the frame that every place of a batch holds; `emit` writes what follows the IP header and says where it ends. */
function frames({ arena, lens }: Bed, protocol: number, emit: (at: number) => number): void {
  for (let i = 0; i < BATCH; i++) {
    const at = i * ROOM
    const end = emit(at + ethernet.HEADER_LEN + ipv4.HEADER_LEN)
    const ip = ethernet.emit(arena.view, at, ethernet.BROADCAST, GUEST_MAC, ethernet.IPV4)
    ipv4.emit(arena.view, ip, end - ip, i, ipv4.DF, 64, protocol, GUEST, HOST)
    lens[i] = end - at
  }
}

/** What goes once round: a batch goes in, and as many come out. */
interface Flow {
  name: string
  prepare(bed: Bed): void
  send(bed: Bed): void
  receive(bed: Bed, count: number): void
}

const echo: Flow = {
  name: 'worker: echo that the gateway answers, 64 octets',
  prepare(bed) {
    const { bytes, view } = bed.arena
    const text = bytes.length - 64
    frames(bed, ipv4.ICMP, (at) => icmp.emitEcho(bytes, view, at, 8, 1, 1, text, text + 56))
  },
  send: (bed) => bed.send(),
  receive: (bed, count) => bed.receive(bed.link, count),
}

const toHost = (len: number): Flow => ({
  name: `worker: UDP guest → host, ${len.toLocaleString('en')} octets`,
  prepare: (bed) =>
    frames(bed, ipv4.UDP, (at) => {
      udp.emit(bed.arena.view, at, 40_000, bed.port, udp.HEADER_LEN + len, 0)
      return at + udp.HEADER_LEN + len
    }),
  send: (bed) => bed.send(),
  receive: (bed, count) => bed.receive(bed.host, count),
})

function toGuest(len: number): Flow {
  const guest = { words: new Int32Array(4), port: 0 }
  return {
    name: `worker: UDP host → guest, ${len.toLocaleString('en')} octets`,
    prepare(bed) {
      // One the other way first: it makes the flow, and tells where to.
      toHost(len).prepare(bed)
      bed.send()
      bed.receive(bed.host, BATCH)
      guest.words.set(bed.in.peers[0]!.words)
      guest.port = bed.in.peers[0]!.port
      bed.lens.fill(len)
    },
    send: (bed) => bed.send(guest),
    receive: (bed, count) => bed.receive(bed.link, count),
  }
}

function bench(flow: Flow): Bench {
  const { name } = flow
  return {
    name,
    async run(call) {
      const ms = call * LONGER
      const bed = await Bed.open()
      try {
        flow.prepare(bed)
        for (let sent = 0; sent < WINDOW; sent += BATCH) flow.send(bed)
        rounds(bed, flow, ms / 2)
        const before = threadTimes()
        const start = performance.now()
        const packets = rounds(bed, flow, ms)
        const seconds = (performance.now() - start) / 1000
        const used = busiest(before, threadTimes())
        flow.receive(bed, WINDOW)
        const rate: Measured = {
          name,
          value: packets / seconds / 1000,
          unit: '1000/s',
          less: false,
        }
        const each = { name: `${name}, the worker's time for each`, unit: 'ns', less: true }
        return used === undefined ? [rate] : [rate, { ...each, value: used / packets }]
      } finally {
        await bed.close()
      }
    },
  }
}

/** Takes a batch and gives another, for so long; says how many packets that were. */
function rounds(bed: Bed, flow: Flow, ms: number): number {
  const end = performance.now() + ms
  let packets = 0
  while (performance.now() < end) {
    flow.receive(bed, BATCH)
    flow.send(bed)
    packets += BATCH
  }
  return packets
}

/** What each thread of this process but the main one has worked, in ns; nothing where the kernel does not tell. */
function threadTimes(): Map<string, number> {
  const times = new Map<string, number>()
  for (const task of readdirSync('/proc/self/task')) {
    if (Number(task) === process.pid) continue
    try {
      const text = readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8')
      times.set(task, Number(text.split(' ')[0]))
    } catch {
      // it has ended, or there is no such file
    }
  }
  return times
}

/** The worker is the thread that did the most. */
function busiest(before: Map<string, number>, after: Map<string, number>): number | undefined {
  const used = [...after].map(([task, time]) => time - (before.get(task) ?? 0))
  return used.length === 0 ? undefined : Math.max(...used)
}

export const benches: readonly Bench[] = [
  echo,
  toHost(64),
  toHost(1400),
  toGuest(64),
  toGuest(1400),
].map(bench)
