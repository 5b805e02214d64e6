/**
 * A program of the tests, run as root of a network namespace of its own: the guest is this process'
 * own kernel. Its argument names one of the checks below; what that returns is compared by the test.
 */
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Arrival, Departure } from '../../src/stack/link.ts'
import { Slices } from '../../src/stack/slices.ts'
import { Arena } from '../../src/sys/arena.ts'
import { Batch } from '../../src/sys/batch.ts'
import * as c from '../../src/sys/constants.ts'
import { close, isNonblocking, open } from '../../src/sys/io.ts'
import { tryIoctl, tryIoctlGetInt, tryIoctlSetInt, tryIoctlValue } from '../../src/sys/ioctl.ts'
import { ReadRing } from '../../src/sys/read-ring.ts'
import { bind, sendSegments, sendTo, socket } from '../../src/sys/socket.ts'
import { type AttachedTap, adopt, attach } from '../../src/tap/attach.ts'
import { configure, macAddressOf } from '../../src/tap/configure.ts'
import { interfaceRequest, setRequestFlags } from '../../src/tap/interface-request.ts'
import { openTap } from '../../src/tap/open.ts'
import { Tap } from '../../src/tap/tap.ts'
import { acceptAndCount, isUdp, rowOfDatagrams, transportSumIsRight } from './frames.ts'
import { acknowledgedOf, awaitFrame, probe, superFrame } from './probe.ts'

const TUN = '/dev/net/tun'
const PLAIN = c.IFF_TAP | c.IFF_NO_PI
const US = '10.0.2.2'
const OUR_MAC = '52:55:0a:00:02:02'
const US_WORDS = Int32Array.of(0, 0, 0xffff, 0x0a000202)
const GUEST_WORDS = Int32Array.of(0, 0, 0xffff, 0x0a000264)

/** An interface as somebody else makes it, without a care for offloads. */
function foreign(name: string, flags: number, headerLen = 0, offload = -1): number {
  const fd = open(TUN, c.O_RDWR)
  const request = interfaceRequest(name)
  setRequestFlags(request, flags)
  const failed = tryIoctl(fd, c.TUNSETIFF, request)
  if (failed < 0) throw new Error(`TUNSETIFF: ${failed}`)
  if (headerLen > 0) tryIoctlSetInt(fd, c.TUNSETVNETHDRSZ, headerLen)
  if (offload >= 0) tryIoctlValue(fd, c.TUNSETOFFLOAD, offload)
  return fd
}

/** Makes a TAP that stays, as RootlessKit does; its descriptor is closed. */
function persistent(name: string, flags: number = PLAIN): void {
  const fd = foreign(name, flags)
  tryIoctlValue(fd, c.TUNSETPERSIST, 1)
  close(fd)
}

/** As one that was killed leaves it: 12 octets of header, and everything offloaded. */
function makeDirty(name: string): void {
  close(foreign(name, PLAIN | c.IFF_VNET_HDR, 12, c.TUN_F_CSUM | c.TUN_F_TSO4 | c.TUN_F_TSO6))
}

function bringUp(name: string, mtu = 1500): void {
  const inside = socket(c.AF_INET, c.SOCK_DGRAM)
  const addresses = { address: 0x0a000264, netmask: -256, gateway: 0x0a000202 }
  configure(inside, name, { mtu, ...addresses, macAddress: Uint8Array.of(2, 0, 0, 0, 0, 1) })
  close(inside)
  ip('neigh', 'replace', US, 'lladdr', OUR_MAC, 'dev', name, 'nud', 'permanent')
}

function ip(...words: string[]): void {
  const { status, stderr } = spawnSync('ip', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr}`)
}

const openTun = () => open(TUN, c.O_RDWR)
const shape = ({ fd: _, ...rest }: AttachedTap) => rest
const device = (attached: AttachedTap, mtu = 1500) => {
  const arena = new Arena(8 << 20)
  return { arena, tap: new Tap(attached, arena, mtu) }
}

async function attempt(what: () => unknown): Promise<unknown> {
  try {
    return await what()
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    return { message, code }
  }
}

/** Sends a datagram to us and says how its checksum looks when the next frame is read plainly. */
async function datagramSum(fd: number, headerLen: number): Promise<boolean | undefined> {
  const guest = createSocket('udp4')
  guest.send('hello', 9, US)
  await new Promise((resolve) => setTimeout(resolve, 50))
  guest.close()
  const plain = { csum: false, tso: false, uso: false, bigTcp: false }
  const { arena, tap } = device({
    fd,
    name: '',
    headerLen,
    packetInformation: false,
    offload: plain,
  })
  const arrival = new Arrival()
  while (tap.receive(arrival) > 0) {
    if (isUdp(arena.view, arrival)) return transportSumIsRight(arena.view, arrival)
  }
  return undefined
}

const CHECKS: Record<string, () => unknown> = {
  async attaching() {
    const first = attach(openTun(), 'tap%d')
    return {
      shape: shape(first),
      nonblocking: isNonblocking(first.fd),
      mac: macAddressOf(first.fd, first.name).length,
      plain: shape(attach(openTun(), 'plain0', { vnetHeader: false })),
      busy: await attempt(() => attach(openTun(), first.name)),
      notATap: await attempt(() => attach(openTun(), 'lo')),
      badName: await attempt(() => openTap({ pid: process.pid }, { name: 'a/b' })),
      longName: await attempt(() => openTap({ pid: process.pid }, { name: 'x'.repeat(16) })),
    }
  },

  'several queues'() {
    persistent('tap0', PLAIN | c.IFF_MULTI_QUEUE)
    return shape(attach(openTun(), 'tap0'))
  },

  async adopting() {
    const vnet = PLAIN | c.IFF_VNET_HDR
    return {
      ten: shape(adopt(foreign('ten', vnet))),
      twelve: shape(adopt(foreign('twelve', vnet, 12))),
      plain: shape(adopt(foreign('plain', PLAIN))),
      information: shape(adopt(foreign('pi', c.IFF_TAP | c.IFF_VNET_HDR))),
      nonblocking: isNonblocking(adopt(foreign('nb', PLAIN)).fd),
      twenty: await attempt(() => adopt(foreign('twenty', vnet, 20))),
      tun: await attempt(() => adopt(foreign('tun', c.IFF_TUN | c.IFF_NO_PI))),
      pipe: await attempt(() => adopt(1)),
      closed: await attempt(() => adopt(999)),
      unattached: await attempt(() => adopt(openTun())),
      configured: await attempt(() =>
        openTap({ fd: 1 }, { configure: { mtu: 1500, address: 1, netmask: 2, gateway: 3 } }),
      ),
    }
  },

  'frames through what was adopted'() {
    const found: Record<string, unknown> = {}
    const variants: [string, number, number][] = [
      ['ten', PLAIN | c.IFF_VNET_HDR, 10],
      ['twelve', PLAIN | c.IFF_VNET_HDR, 12],
      ['information', c.IFF_TAP | c.IFF_VNET_HDR, 10],
      ['nothing', PLAIN, 0],
      ['informationOnly', c.IFF_TAP, 0],
    ]
    for (const [name, flags, headerLen] of variants) {
      const { arena, tap } = device(adopt(foreign('tap0', flags, headerLen)))
      bringUp('tap0')
      const { synAnswered, superFrame } = probe(tap, arena)
      found[name] = [synAnswered, superFrame]
      tap.close()
    }
    return found
  },

  async 'left dirty'() {
    const sums: Record<string, unknown> = {}
    persistent('tap0')
    bringUp('tap0')
    makeDirty('tap0')
    const careless = foreign('tap0', PLAIN)
    sums.careless = await datagramSum(careless, 0)
    close(careless)

    makeDirty('tap0')
    const plain = attach(openTun(), 'tap0', { vnetHeader: false })
    sums.plain = await datagramSum(plain.fd, 0)
    close(plain.fd)

    makeDirty('tap0')
    const { arena, tap } = device(attach(openTun(), 'tap0'))
    sums.headerLen = tryIoctlGetInt(tap.fd, c.TUNGETVNETHDRSZ)
    sums.probe = probe(tap, arena).synAnswered
    tap.close()

    const successor = foreign('tap0', PLAIN)
    sums.successor = await datagramSum(successor, 0)
    close(successor)
    const heir = foreign('tap0', PLAIN | c.IFF_VNET_HDR)
    sums.heir = [tryIoctlGetInt(heir, c.TUNGETVNETHDRSZ), await datagramSum(heir, 10)]
    return sums
  },

  'down, up, down'() {
    const { arena, tap } = device(attach(openTun(), 'tap0'))
    const arrival = new Arrival()
    const frame = new Departure()
    frame.slices.push(arena.reserve(60), 60)
    const down = [tap.receive(arrival), tap.transmit(frame), tap.counters.droppedDown]
    bringUp('tap0')
    const up = probe(tap, arena).superFrame
    ip('link', 'set', 'tap0', 'down')
    while (tap.receive(arrival) > 0);
    const again = [tap.receive(arrival), tap.transmit(frame), tap.counters.droppedDown]
    ip('link', 'set', 'tap0', 'up')
    return { down, up, again, after: probe(tap, arena).superFrame }
  },

  deleted() {
    const { arena, tap } = device(attach(openTun(), 'tap0'))
    bringUp('tap0')
    ip('link', 'del', 'tap0')
    const frame = new Departure()
    frame.slices.push(arena.reserve(60), 60)
    const answers = [tap.receive(new Arrival()), tap.transmit(frame)]
    tap.close()
    return answers
  },

  'configured twice'() {
    persistent('tap0')
    bringUp('tap0')
    const { arena, tap } = device(attach(openTun(), 'tap0'))
    bringUp('tap0', 9000)
    return probe(tap, arena).synAnswered
  },

  'a frame that the kernel refuses'() {
    const { arena, tap } = device(attach(openTun(), 'tap0'))
    bringUp('tap0')
    const frame = new Departure()
    frame.slices.push(arena.reserve(60), 60)
    frame.csumStart = 34
    frame.csumOffset = 16
    frame.gsoType = 77
    return [tap.transmit(frame), tap.counters.droppedRefused]
  },

  'more than an IP packet can tell of'() {
    const { arena, tap } = device(attach(openTun(), 'tap0'))
    bringUp('tap0')
    const text = tap.gsoIpv4MaxSize - 40
    return [text, acknowledgedOf(tap, arena, text), tap.counters.sent]
  },

  'more than the kernel has room for'() {
    const { arena, tap } = device(attach(openTun(), 'tap0'))
    bringUp('tap0')
    const frame = superFrame(tap, arena, 160_000)!
    const { slices } = frame
    while (slices.count < slices.at.length) slices.push(slices.at[1]!, slices.len[1]!)
    const before = tap.counters.sent
    tap.transmit(frame)
    const { sent, droppedRefused } = tap.counters
    return [slices.total, sent - before, droppedRefused]
  },

  async 'super-frames from the guest'() {
    const { arena, tap } = device(attach(openTun(), 'tap0'))
    bringUp('tap0')
    const guest = connect(80, US)
    guest.on('error', () => {})
    const text = 1 << 20
    const count = acceptAndCount(tap, arena, text)
    await once(guest, 'connect')
    guest.write(Buffer.alloc(text))
    const result = await count
    guest.destroy()
    return result
  },

  'datagrams in a row from the guest'() {
    const { arena, tap } = device(attach(openTun(), 'tap0'))
    bringUp('tap0')
    const guest = socket(c.AF_INET, c.SOCK_DGRAM)
    const texts = new Slices(1)
    texts.push(arena.reserve(2500), 2500)
    const sent = sendSegments(guest, arena, texts, 1000, { words: US_WORDS, port: 9 })
    const arrival = awaitFrame(tap, (frame) => isUdp(arena.view, frame))
    close(guest)
    return [sent, arrival && arrival.end - arrival.at, arrival?.udpSegment]
  },

  'datagrams in a row to the guest'() {
    const answers: Record<string, unknown> = {}
    for (const uso of [true, false]) {
      const attached = attach(openTun(), `tap${uso ? 1 : 0}`)
      const found = device({ ...attached, offload: { ...attached.offload, uso } })
      bringUp(attached.name)
      const guest = socket(c.AF_INET, c.SOCK_DGRAM)
      bind(guest, { words: GUEST_WORDS, port: 9 })
      found.tap.transmit(rowOfDatagrams(found.arena, macAddressOf(attached.fd, attached.name)))
      const batch = new Batch(8)
      const room = found.arena.reserve(8 * 2048)
      for (let i = 0; i < 8; i++) {
        batch.at[i] = room + i * 2048
        batch.room[i] = 2048
      }
      const came = batch.receive(guest, found.arena)
      const firsts = Array.from({ length: came }, (_, i) => found.arena.bytes[batch.at[i]!])
      answers[`${uso}`] = [[...batch.len.subarray(0, came)], firsts, found.tap.counters.sent]
      close(guest)
      found.tap.close()
    }
    return answers
  },

  'frames that are kept'() {
    return [undefined, ReadRing.open()].map((ring) => {
      const { arena, tap } = device(attach(openTun(), 'tap%d'))
      tap.ring = ring
      bringUp(tap.name)
      const guest = socket(c.AF_INET, c.SOCK_DGRAM)
      const text = arena.reserve(1400)
      const arrival = new Arrival()
      const send = (octet: number): void => {
        arena.bytes.fill(octet, text, text + 1400)
        sendTo(guest, arena, text, 1400, { words: US_WORDS, port: 9 })
      }
      /** Where the next datagram ends. */
      const next = (): number | undefined => {
        for (let i = 0; i < 1000 && !tap.isFull; i++) {
          if (tap.receive(arrival, 8) > 0 && isUdp(arena.view, arrival)) return arrival.end - 1
        }
        return undefined
      }
      const kept: number[] = []
      while (!tap.isFull && kept.length < 1000) {
        for (let i = 0; i < 3; i++) send(kept.length + i)
        for (let i = 0; i < 3 && !tap.isFull; i++) kept.push(next() ?? 0)
      }
      const areWhole = kept.every((at, i) => at === 0 || arena.bytes[at] === (i & 255))
      const areAll = kept.filter((at) => at > 0).length
      tap.reuse()
      // What was sent and had no room.
      while (next() !== undefined) tap.reuse()
      send(77)
      const again = next()!
      const reused = again <= Math.max(...kept) && arena.bytes[again] === 77
      close(guest)
      tap.close()
      // Frames of the kernel's own are among them.
      return { many: areAll > 50 && areAll <= 64, areWhole, reused }
    })
  },

  async 'the largest datagram'() {
    const { arena, tap } = device(attach(openTun(), 'tap0'), 65520)
    bringUp('tap0', 65520)
    const guest = createSocket('udp4')
    await new Promise((resolve) => guest.send(Buffer.alloc(65520 - 28, 0xff), 9, US, resolve))
    const arrival = awaitFrame(tap, (frame) => isUdp(arena.view, frame))
    guest.close()
    return arrival && arrival.end - arrival.at
  },
}

console.log(JSON.stringify((await CHECKS[JSON.parse(process.argv[2]!) as string]!()) ?? null))
process.exit(0)
