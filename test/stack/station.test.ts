/** `slipway/stack`, by its public names only: stations on one Ethernet, in virtual time. */
import { describe, expect, test } from 'vitest'
import {
  type Peer,
  Station,
  type StationOptions,
  type Stream,
  type StreamHandler,
} from '../../src/stack/index.ts'
import { inspect, type Octets } from './rig/frames.ts'
import { fillText, firstWrong, seededRandom } from './rig/random.ts'

const ALICE = '192.0.2.1'
const BOB = '192.0.2.2'
const CAROL = '192.0.2.3'
const MIB = 1024 * 1024

/** A hub: what one station sends reaches all others, at once. */
class Hub {
  now = 1000
  readonly frames: Uint8Array[] = []
  readonly #stations: Station[] = []
  readonly #random = seededRandom(5)

  add(address: string, options: Partial<StationOptions> = {}): Station {
    const station: Station = new Station({
      address: `${address}/24`,
      random: this.#random,
      transmit: (frame) => {
        this.frames.push(frame)
        for (const other of this.#stations) if (other !== station) other.receive(frame, this.now)
      },
      ...options,
    })
    this.#stations.push(station)
    return station
  }

  /** Lets `ms` pass, from deadline to deadline. */
  advance(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const next = Math.min(...this.#stations.map((station) => station.deadline()))
      if (next > end) break
      this.now = Math.max(this.now, next)
      for (const station of this.#stations) {
        if (station.deadline() <= this.now) station.timeout(this.now)
      }
    }
    this.now = end
  }
}

/** Notes what it is told. */
class Listener implements StreamHandler {
  readonly events: string[] = []
  text = ''
  octets = 0
  stream!: Stream

  open(stream: Stream): void {
    this.stream = stream
    this.events.push('open')
  }

  data(octets: Uint8Array): void {
    if (this.events.at(-1) !== 'data') this.events.push('data')
    this.octets += octets.length
    if (octets.length < 100) this.text += new TextDecoder().decode(octets)
  }

  end(): void {
    this.events.push('end')
  }

  close(end: string): void {
    this.events.push(end)
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Two stations with a stream between them. */
function joined(options: Partial<StationOptions> = {}): {
  hub: Hub
  alice: Station
  bob: Station
  a: Listener
  b: Listener
} {
  const hub = new Hub()
  const alice = hub.add(ALICE, options)
  const bob = hub.add(BOB, options)
  const a = new Listener()
  const b = new Listener()
  bob.listen(80, () => b)
  alice.connect({ address: BOB, port: 80 }, a, hub.now)
  return { hub, alice, bob, a, b }
}

describe('a stream', () => {
  test('carries octets both ways, and ends when both have finished', () => {
    const { hub, alice, bob, a, b } = joined()
    expect(a.stream.write(bytes('question'))).toBe(8)
    alice.flush(hub.now)
    expect(b.text).toBe('question')
    a.stream.finish()
    alice.flush(hub.now)
    expect(b.events).toEqual(['open', 'data', 'end'])
    b.stream.write(bytes('answer'))
    b.stream.finish()
    bob.flush(hub.now)
    hub.advance(1000)
    expect(a.text).toBe('answer')
    expect(a.events).toEqual(['open', 'data', 'end', 'finished'])
    expect(b.events).toEqual(['open', 'data', 'end', 'finished'])
  })

  test('knows both ends', () => {
    const hub = new Hub()
    const alice = hub.add(ALICE)
    const bob = hub.add(BOB)
    const b = new Listener()
    let from: Peer | undefined
    bob.listen(80, (peer) => {
      from = peer
      return b
    })
    const stream = alice.connect({ address: BOB, port: 80 }, {}, hub.now)
    expect(stream.remote).toEqual({ address: BOB, port: 80 })
    expect(from).toEqual({ address: ALICE, port: stream.localPort })
    expect(b.stream.remote).toEqual(from)
    expect(b.stream.localPort).toBe(80)
  })

  test('takes nothing before it is open, and remembers a finish', () => {
    const hub = new Hub()
    const held: Uint8Array[] = []
    const alice = hub.add(ALICE, { transmit: (frame) => held.push(frame) })
    const bob = hub.add(BOB)
    const b = new Listener()
    bob.listen(80, () => b)
    const stream = alice.connect({ address: BOB, port: 80 }, new Listener(), hub.now)
    expect(stream.write(bytes('too early'))).toBe(0)
    stream.finish()
    while (held.length > 0) bob.receive(held.shift()!, hub.now)
    expect(b.events).toEqual(['open', 'end'])
  })

  test('is refused where nobody listens', () => {
    const hub = new Hub()
    const alice = hub.add(ALICE)
    hub.add(BOB)
    const a = new Listener()
    alice.connect({ address: BOB, port: 81 }, a, hub.now)
    expect(a.events).toEqual(['refused'])
  })

  test('is refused by a listener that wants none, and by one that has ended', () => {
    const hub = new Hub()
    const alice = hub.add(ALICE)
    const bob = hub.add(BOB)
    bob.listen(80, () => undefined)
    const stop = bob.listen(81, () => new Listener())
    stop()
    for (const port of [80, 81]) {
      const a = new Listener()
      alice.connect({ address: BOB, port }, a, hub.now)
      expect(a.events).toEqual(['refused'])
    }
  })

  test('gives up when nobody is at the address', () => {
    const hub = new Hub()
    const alice = hub.add(ALICE)
    const a = new Listener()
    alice.connect({ address: BOB, port: 80 }, a, hub.now)
    hub.advance(600_000)
    expect(a.events).toEqual(['timeout'])
    expect(alice.deadline()).toBe(Infinity)
  })

  test('that is aborted is reset at the other end', () => {
    const { hub, alice, a, b } = joined()
    a.stream.abort()
    alice.flush(hub.now)
    expect(a.events).toEqual(['open', 'aborted'])
    expect(b.events).toEqual(['open', 'reset'])
    expect(a.stream.write(bytes('late'))).toBe(0)
  })

  test('whose reader pauses holds its writer back, and loses nothing', () => {
    const { hub, alice, b, a } = joined()
    b.stream.pause()
    const text = new Uint8Array(4 * MIB)
    fillText(1, 0, text)
    let said = 0
    let wrong = -1
    let heard = 0
    const say = (): void => {
      said += a.stream.write(text.subarray(said))
      if (said === text.length) a.stream.finish()
    }
    Object.assign(a, { drain: say })
    Object.assign(b, {
      data: (octets: Uint8Array) => {
        if (wrong < 0) wrong = firstWrong(1, heard, octets)
        heard += octets.length
      },
    })
    say()
    alice.flush(hub.now)
    hub.advance(10_000)
    expect(heard).toBe(0)
    expect(said).toBeLessThan(MIB) // no more than what both queues hold
    b.stream.resume()
    hub.advance(60_000)
    expect({ heard, wrong }).toEqual({ heard: text.length, wrong: -1 })
    expect(b.events.filter((event) => event !== 'data')).toEqual(['open', 'end'])
  })

  test('that found no memory is told when another has given some back', () => {
    const hub = new Hub()
    const held: Uint8Array[] = []
    let holds = false
    const bob = hub.add(BOB, { transmit: (frame) => alice.receive(frame, hub.now) })
    const alice: Station = hub.add(ALICE, {
      memory: 64 * 1024,
      transmit: (frame) => void (holds ? held.push(frame) : bob.receive(frame, hub.now)),
    })
    bob.listen(80, () => ({}))
    const [greedy, late] = [new Listener(), new Listener()]
    for (const a of [greedy, late]) alice.connect({ address: BOB, port: 80 }, a, hub.now)
    holds = true
    const drains: number[] = []
    Object.assign(late, {
      drain: (stream: Stream) => drains.push(stream.write(new Uint8Array(1000))),
    })
    expect(greedy.stream.write(new Uint8Array(200_000))).toBeGreaterThan(40_000)
    alice.flush(hub.now)
    expect(late.stream.write(new Uint8Array(1000))).toBe(0)
    alice.flush(hub.now)
    expect(drains).toEqual([])
    holds = false
    for (const frame of held) bob.receive(frame, hub.now)
    hub.advance(1000)
    expect(drains).toEqual([1000])
  })

  test('tells of its end only behind what was paused', () => {
    const { hub, alice, bob, a, b } = joined()
    b.stream.pause()
    b.stream.finish()
    bob.flush(hub.now)
    a.stream.write(bytes('last words'))
    a.stream.finish()
    alice.flush(hub.now)
    hub.advance(1000)
    expect(a.events).toEqual(['open', 'end', 'finished'])
    expect(b.events).toEqual(['open'])
    b.stream.resume()
    expect(b.text).toBe('last words')
    expect(b.events).toEqual(['open', 'data', 'end', 'finished'])
  })

  test('may be answered from within a handler', () => {
    const { hub, alice, a, b } = joined()
    Object.assign(b, {
      data: (octets: Uint8Array, stream: Stream) => {
        stream.write(octets)
        stream.finish()
      },
    })
    a.stream.write(bytes('echo'))
    a.stream.finish()
    alice.flush(hub.now)
    expect(a.text).toBe('echo')
    expect(a.events).toEqual(['open', 'data', 'end', 'finished'])
  })
})

test('what is asked for within transmit is done before the call returns', () => {
  const hub = new Hub()
  const sent: Uint8Array[] = []
  let ask: (() => void) | undefined
  const alice: Station = hub.add(ALICE, {
    transmit: (frame) => {
      sent.push(frame)
      const asked = ask
      ask = undefined
      asked?.()
    },
  })
  const bob = hub.add(BOB, { transmit: (frame) => alice.receive(frame, hub.now) })
  const b = new Listener()
  bob.listen(80, () => b)
  const isArp = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 6
  const port = alice.bind(0, () => {})
  const to = { address: BOB, port: 7 }
  ask = () => void alice.connect({ address: BOB, port: 80 }, {}, hub.now)
  port.send(bytes('one'), to, hub.now)
  expect(sent.filter(isArp).length).toBe(1)
  for (const frame of sent.splice(0)) bob.receive(frame, hub.now)
  expect(sent.length).toBe(2) // the datagram and the SYN that waited for the answer
  expect(alice.deadline()).toBeLessThan(Infinity)
  sent.length = 0
  ask = () => port.send(bytes('three'), to, hub.now)
  port.send(bytes('two'), to, hub.now)
  expect(sent.length).toBe(2)
})

test('frames are whole: none longer than the MTU, every checksum right', () => {
  for (const mtu of [576, 1500, 9000]) {
    const { hub, alice, a, b } = joined({ mtu })
    a.stream.write(new Uint8Array(200_000))
    alice.flush(hub.now)
    expect(b.octets).toBe(200_000)
    const packets = hub.frames.filter((frame) => frame[12] === 8 && frame[13] === 0)
    expect(packets.length).toBeGreaterThan(200_000 / mtu)
    for (const packet of packets) inspect(packet as Octets, mtu)
  }
})

test('what one network brings may be sent on another from within a handler', () => {
  const here = joined()
  const there = joined()
  const answered = here.b.data.bind(here.b)
  here.b.data = (octets) => {
    there.a.stream.write(octets.subarray(0, 1))
    there.alice.flush(there.hub.now)
    answered(octets)
  }
  for (const text of ['one', 'two', 'three']) {
    here.a.stream.write(bytes(text))
    here.alice.flush(here.hub.now)
  }
  expect([here.b.text, there.b.text]).toEqual(['onetwothree', 'ott'])
})

test('more than two share a hub', () => {
  const hub = new Hub()
  const stations = [ALICE, BOB, CAROL].map((address) => ({ address, station: hub.add(address) }))
  for (const { address, station } of stations) {
    station.listen(7, () => ({ open: (stream) => void stream.write(bytes(address)) }))
  }
  for (const from of stations) {
    for (const to of stations.filter((each) => each !== from)) {
      const a = new Listener()
      from.station.connect({ address: to.address, port: 7 }, a, hub.now)
      hub.advance(100)
      expect(a.text).toBe(to.address)
    }
  }
})

describe('UDP', () => {
  test('goes there and back, in fragments where it has to', () => {
    const hub = new Hub()
    const alice = hub.add(ALICE)
    const bob = hub.add(BOB)
    const echo = bob.bind(7, (octets, from) => echo.send(octets, from, hub.now))
    for (const len of [0, 1, 1472, 1473, 65_507]) {
      const text = new Uint8Array(len)
      fillText(3, 0, text)
      const heard: { octets: Uint8Array; from: Peer }[] = []
      const port = alice.bind(0, (octets, from) => heard.push({ octets, from }))
      port.send(text, { address: BOB, port: 7 }, hub.now)
      expect(heard).toEqual([{ octets: text, from: { address: BOB, port: 7 } }])
      port.close()
    }
  })

  test('is answered with an ICMP error where nobody is, and goes nowhere when closed', () => {
    const hub = new Hub()
    const alice = hub.add(ALICE)
    const bob = hub.add(BOB)
    let heard = 0
    const port = bob.bind(7, () => heard++)
    const own = alice.bind(0, () => {})
    own.send(bytes('one'), { address: BOB, port: 7 }, hub.now)
    port.close()
    own.send(bytes('two'), { address: BOB, port: 7 }, hub.now)
    expect(heard).toBe(1)
    const isUnreachable = (frame: Uint8Array): boolean =>
      frame[23] === 1 && frame[34] === 3 && frame[35] === 3
    expect(hub.frames.filter(isUnreachable).length).toBe(1)
  })
})

test('octets at random do no harm, and are counted', () => {
  const { hub, alice, bob } = joined()
  const random = seededRandom(9)
  const valid = hub.frames.slice()
  for (let i = 0; i < 20_000; i++) {
    const frame = valid[(random() >>> 0) % valid.length]!.slice()
    for (let k = 0; k < 3; k++) frame[(random() >>> 0) % frame.length] = random()
    bob.receive(frame.subarray(0, (random() >>> 0) % (frame.length + 1)), hub.now)
  }
  const drops = Object.values(bob.counters.drop).reduce((sum, count) => sum + count, 0)
  expect(drops).toBeGreaterThan(1000)
  bob.receive(new Uint8Array(100_000), hub.now)
  expect(bob.counters.drop.ethernetLong).toBe(1)
  // It still works, for whoever was not disturbed.
  const c = new Listener()
  alice.connect({ address: BOB, port: 80 }, c, hub.now)
  hub.advance(5000)
  expect(c.events[0]).toBe('open')
})

describe('what cannot be is refused by name', () => {
  const options = { address: '192.0.2.1/24', random: seededRandom(1), transmit: () => {} }

  test.each([
    [{ address: '192.0.2.1' }, TypeError, /address/],
    [{ address: '192.0.2.0/24' }, RangeError, /address/],
    [{ address: '192.0.2.255/24' }, RangeError, /address/],
    [{ address: '192.0.2.256/24' }, TypeError, /address/],
    [{ mac: '01:00:00:00:00:01' }, TypeError, /mac/],
    [{ mac: 'nonsense' }, TypeError, /mac/],
    [{ mtu: 67 }, RangeError, /mtu/],
    [{ mtu: Number.NaN }, RangeError, /mtu/],
    [{ memory: 1 }, RangeError, /memory/],
  ])('%o', (given, kind, message) => {
    const make = (): Station => new Station({ ...options, ...given })
    expect(make).toThrow(kind)
    expect(make).toThrow(message)
  })

  test('peers that are not on the link, ports that are none or taken, datagrams too large', () => {
    const station = new Station(options)
    const connect = (to: Peer): unknown => station.connect(to, {}, 0)
    expect(() => connect({ address: 'bob', port: 80 })).toThrow(TypeError)
    expect(() => connect({ address: '198.51.100.1', port: 80 })).toThrow(RangeError)
    expect(() => connect({ address: ALICE, port: 80 })).toThrow(RangeError)
    expect(() => connect({ address: BOB, port: 0 })).toThrow(/port/)
    station.listen(80, () => undefined)
    expect(() => station.listen(80, () => undefined)).toThrow(/port 80/)
    const port = station.bind(53, () => {})
    expect(() => station.bind(53, () => {})).toThrow(/port 53/)
    const large = new Uint8Array(65_508)
    expect(() => port.send(large, { address: BOB, port: 53 }, 0)).toThrow(/octets/)
  })
})
