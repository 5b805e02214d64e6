/** What ICMP says of our segments (RFC 9293 §3.9.2.2, RFC 1191, RFC 8201, RFC 5927). */
import { describe, expect, test } from 'vitest'
import type { ConnectionUser } from '../../../src/stack/tcp/connection.ts'
import * as icmpv6 from '../../../src/stack/wire/icmpv6.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as wire from '../../../src/stack/wire/tcp.ts'
import { IP, type Octets, TRANSPORT, viewOf } from '../rig/frames.ts'
import { datagram, message, packet } from '../rig/packets.ts'
import { GUEST, HOST, ip } from '../rig/rig.ts'
import { HOST6, icmpOctets, packet6, Rig6, TRANSPORT6, tcpOctets, udpOctets } from '../rig/rig6.ts'
import { established, FACTORIES, type Joined, LINUX, PLAIN, synSent } from '../rig/states.ts'
import { assertTcb, tcbOf } from '../rig/tcb.ts'

/** A router behind the guest. */
const ROUTER = ip('10.0.2.101')

/** What is quoted of the stack's frames: IP header and eight octets, as little as may be. */
const quoteOf = (frame: Octets, len = 28): Octets => frame.slice(IP, IP + len)

/** The error of a router, about a frame of the stack. */
function tell({ rig }: Joined, type: number, code: number, rest: number, quote: Octets): void {
  rig.receive(message(type, code, rest, quote, { src: ROUTER, dst: HOST }))
  rig.flush()
}

/** The host has sent `len` octets, of which nobody has looked at a frame. */
function sending(len: number, options = LINUX): Joined & { quotes: Octets[] } {
  const joined = established({ options })
  joined.host.sends(len)
  const quotes = joined.rig.frames.map((frame) => quoteOf(frame))
  joined.peer.takeAll()
  return { ...joined, quotes }
}

const lens = ({ peer }: Joined): number[] => peer.takeAll().map(({ len }) => len)

describe('fragmentation needed (RFC 1191)', () => {
  test('makes segments smaller, and sends at once what is out; the congestion window stays', () => {
    const joined = sending(5000)
    const { host, peer, quotes } = joined
    const { cwnd, ssthresh } = host.c.congestion
    tell(joined, 3, 4, 1300, quotes[0]!)
    peer.expects('. 1:1249(1248) ack 1', '. 1249:2497(1248) ack 1', '. 2497:3745(1248) ack 1')
    peer.expects('. 3745:4993(1248) ack 1', 'P. 4993:5001(8) ack 1')
    peer.expectsNothing()
    expect(host.c).toMatchObject({ smss: 1248, recovery: 'none', congestion: { cwnd, ssthresh } })
    peer.sends('. 1:1(0) ack 5001')
    host.sends(2000)
    expect(lens(joined)).toEqual([1248, 752])
  })

  test('is heard once: what other segments met says nothing new', () => {
    const joined = sending(5000)
    for (const quote of joined.quotes) tell(joined, 3, 4, 1300, quote)
    expect(lens(joined)).toEqual([1248, 1248, 1248, 1248, 8])
  })

  test('also of a super-segment, which goes again as one, cut to the size', () => {
    const joined = established({ options: `${PLAIN},wscale 7` })
    const { host, peer, rig } = joined
    host.c.congestion.cwnd = 200_000
    host.sends(40 * 1460)
    const quote = quoteOf(rig.frames[0]!)
    peer.takeAll()
    rig.departures.length = 0
    tell(joined, 3, 4, 1400, quote)
    expect(rig.departures).toEqual([{ text: 40 * 1460, gsoSize: 1360 }])
  })

  test('sends again only what the guest has not SACKed', () => {
    const joined = sending(5000, 'mss 1460,sackOK')
    const { peer, quotes } = joined
    peer.sends('. 1:1(0) ack 1 <sack 4381:5001>') // the short one got through
    tell(joined, 3, 4, 1300, quotes[0]!)
    expect(peer.takeAll().map(({ seq, len }) => [seq, len])).toEqual([
      ...[
        [1, 1260],
        [1261, 1260],
        [2521, 1260],
        [3781, 600],
      ],
    ])
    peer.sends('. 1:1(0) ack 5001')
    expect(joined.host.c.inFlight).toMatchObject({ count: 0, lost: 0, sacked: 0 })
  })

  test('without a number is of an old router: 552 octets, as Linux has it (RFC 1191 §3)', () => {
    const joined = sending(1460, PLAIN)
    tell(joined, 3, 4, 0, joined.quotes[0]!)
    expect(lens(joined)).toEqual([512, 512, 436])
  })

  test('of next to nothing leaves segments of 48 octets', () => {
    const joined = sending(100, PLAIN)
    tell(joined, 3, 4, 1, joined.quotes[0]!)
    expect(lens(joined)).toEqual([48, 48, 4])
  })

  test('that is as large as what was sent, or larger, changes nothing', () => {
    for (const mtu of [1500, 1501, 65_535]) {
      const joined = sending(5000)
      const before = tcbOf(joined)
      tell(joined, 3, 4, mtu, joined.quotes[0]!)
      assertTcb(joined, before)
      joined.peer.expectsNothing()
    }
  })

  test('holds for what is opened to this guest in the next ten minutes, and then no more (§6.3)', () => {
    const joined = sending(5000, PLAIN)
    const { rig, clock } = joined
    tell(joined, 3, 4, 1300, joined.quotes[0]!)
    const segments = (port: number): number[] => {
      const peer = rig.peer({ port, hostPort: 443 })
      peer.sends('S 0:0(0) win 65535 <mss 1460>')
      const host = rig.accept()
      peer.expects('S. 0:0(0) ack 1 win 65535 <mss 1460>') // of what we take nothing was said
      peer.sends('. 1:1(0) ack 1')
      host.sends(2000)
      return peer.takeAll().map(({ len }) => len)
    }
    expect(segments(1)).toEqual([1260, 740])
    clock.advance(599_999)
    expect(segments(2)).toEqual([1260, 740])
    clock.advance(1)
    expect(segments(3)).toEqual([1460, 540])
  })

  test('of what was never sent, or is acknowledged, is not believed (RFC 5927 §7)', () => {
    const { quotes } = sending(5000)
    for (const [at, name] of [
      [5001, 'not sent yet'],
      [0, 'the SYN, long acknowledged'],
      [-100_000, 'before'],
    ] as const) {
      const joined = sending(5000)
      const before = tcbOf(joined)
      const quote = quotes[0]!.slice()
      viewOf(quote).setInt32(24, (joined.host.c.iss + at) | 0)
      tell(joined, 3, 4, 1300, quote)
      assertTcb(joined, before)
      expect(joined.rig.drop.icmpUnwanted, name).toBe(1)
    }
  })

  test('of another connection, protocol or fragment, or cut off, is nobody’s', () => {
    const change = (what: (quote: Octets) => Octets): void => {
      const joined = sending(5000)
      const before = tcbOf(joined)
      tell(joined, 3, 4, 1300, what(joined.quotes[0]!.slice()))
      assertTcb(joined, before)
      expect(joined.rig.drop.icmpUnwanted).toBe(1)
    }
    const set = (at: number, octet: number) => (quote: Octets) => {
      quote[at] = octet
      return quote
    }
    change(set(23, 1)) // a port
    change(set(19, 1)) // the guest
    change(set(15, 1)) // the host
    change(set(9, ipv4.UDP))
    change(set(7, 1)) // the offset
    change(set(0, 0x65))
    change(set(0, 0x44))
    change(set(0, 0x4f))
    for (let len = 0; len < 28; len++) change((quote) => quote.slice(0, len))
  })

  test('without a right checksum is counted, and nothing else', () => {
    const joined = sending(5000)
    const before = tcbOf(joined)
    const frame = message(3, 4, 1300, joined.quotes[0]!, { src: ROUTER, dst: HOST })
    frame[TRANSPORT + 2]! ^= 1
    joined.rig.receive(frame)
    assertTcb(joined, before)
    expect(joined.rig.drop.icmpChecksum).toBe(1)
  })

  test('of a datagram changes nothing: ours may be cut on their way', () => {
    const joined = sending(10)
    const { rig } = joined
    rig.receive(datagram([1, 2, 3]))
    const { neighbours, transmitter } = rig.stack
    const { key } = rig.datagrams[0]!
    transmitter.sendUdp(key, neighbours.find(key), 0, 1400, rig.clock.now)
    const [frame] = rig.frames.splice(0)
    expect(ipv4.dontFragment(viewOf(frame!), IP)).toBe(false)
    tell(joined, 3, 4, 600, quoteOf(frame!))
    expect(rig.drop.icmpUnwanted).toBe(1)
  })
})

describe('what is unreachable ends what is being opened, and nothing else (RFC 5461 §4, MUST-56)', () => {
  test.each([0, 1, 2, 3, 5, 9, 10, 13])('our SYN to the guest, code %i', (code) => {
    const joined = synSent()
    const quote = packet(ipv4.TCP, new Uint8Array(20), { src: HOST, dst: GUEST }).slice(IP)
    const v = viewOf(quote)
    v.setUint16(20, 80)
    v.setUint16(22, 40_000)
    v.setInt32(24, joined.host.c.iss)
    tell(joined, 3, code, 0, quote)
    expect([joined.host.state(), joined.host.reason]).toEqual(['CLOSED', 'refused'])
    joined.peer.expectsNothing()
    expect(joined.rig.stack.deadline()).toBe(Infinity)
  })

  const states = Object.keys(FACTORIES) as (keyof typeof FACTORIES)[]
  test.each(states.filter((state) => state !== 'SYN-SENT'))('but not in %s', (state) => {
    for (const [type, code] of [
      ...[0, 1, 2, 3, 5].map((code) => [3, code] as const),
      ...[
        [4, 0], // source quench (MUST-55)
        [11, 0],
        [11, 1],
        [12, 0],
      ],
    ] as [number, number][]) {
      const joined = FACTORIES[state]()
      const before = tcbOf(joined)
      const quote = packet(ipv4.TCP, new Uint8Array(20), { src: HOST, dst: GUEST }).slice(IP)
      const v = viewOf(quote)
      v.setUint16(20, 80)
      v.setUint16(22, 40_000)
      v.setInt32(24, joined.host.c.sndUna)
      tell(joined, type, code, 0, quote)
      assertTcb(joined, before)
      joined.peer.expectsNothing()
      expect(joined.rig.drop.icmpUnwanted).toBe(1)
    }
  })
})

describe('over IPv6', () => {
  const SYN = tcpOctets(7, 0, wire.SYN)

  /** A connection with a guest that says this of its MSS, whose host has sent so much. */
  function sent(len: number, options: number[], mtu = 1500): Rig6 {
    const rig = new Rig6(mtu)
    rig.receive(packet6(ipv4.TCP, tcpOctets(7, 0, wire.SYN, options)))
    const user: ConnectionUser = {
      established() {},
      text: (_c, { total }) => total,
      readable() {},
      finArrived() {},
      writable() {},
      closed() {},
    }
    const c = rig.requests.shift()!.accept(user, rig.now)
    rig.stack.flush(rig.now)
    rig.receive(packet6(ipv4.TCP, tcpOctets(8, (c.iss + 1) | 0, wire.ACK)))
    rig.frames.length = 0
    rig.send(c, len)
    return rig
  }

  const texts = ({ frames }: Rig6): number[] =>
    frames.splice(0).map((frame) => frame.length - TRANSPORT6 - wire.HEADER_LEN)

  test('a SYN without the option means 1,220 octets (MUST-15)', () => {
    expect(texts(sent(3000, []))).toEqual([1220, 1220, 560])
    expect(texts(sent(3000, [2, 4, 5, 160]))).toEqual([1440, 1440, 120]) // 1,440
    expect(SYN.length).toBe(20)
  })

  test('packet too big makes segments smaller, and sends at once what is out (RFC 8201)', () => {
    const rig = sent(3000, [2, 4, 5, 160])
    const quote = rig.frames[0]!.slice(IP, IP + 60)
    rig.frames.length = 0
    const tell = (mtu: number): void =>
      rig.receive(
        packet6(58, icmpOctets(icmpv6.PACKET_TOO_BIG, 0, mtu, quote, { dst: HOST6 }), {
          dst: HOST6,
        }),
      )
    tell(1279) // RFC 8201 §4: to be discarded
    tell(1500)
    expect(rig.drops()).toEqual({ icmpUnwanted: 2 })
    expect(texts(rig)).toEqual([])
    tell(1280)
    expect(texts(rig)).toEqual([1220, 1220, 560])
  })

  test('datagrams are cut to it, for ten minutes', () => {
    const rig = new Rig6()
    rig.receive(packet6(ipv4.UDP, udpOctets([])))
    const octets = new Uint8Array(1400)
    rig.sendUdp(octets)
    const quote = rig.frames[0]!.slice(IP, IP + 48)
    const sizes = (): number[] => {
      rig.frames.length = 0
      rig.sendUdp(octets)
      return rig.frames.map((frame) => frame.length - IP)
    }
    const about = (quote: Octets, mtu: number): void =>
      rig.receive(
        packet6(58, icmpOctets(icmpv6.PACKET_TOO_BIG, 0, mtu, quote, { dst: HOST6 }), {
          dst: HOST6,
        }),
      )
    about(quote, 1279)
    expect(sizes()).toEqual([1448])
    about(quote, 1300)
    expect(sizes()).toEqual([1296, 208])
    about(quote, 1400)
    expect(sizes()).toEqual([1296, 208])
    rig.now += 600_000
    expect(sizes()).toEqual([1448])
    // For a guest that nobody has seen it means nothing.
    const other = quote.slice()
    other[39] = 0x77
    about(other, 1300)
    expect(rig.stack.neighbours.known(Int32Array.of(0xfd000000 | 0, 0, 0, 0x77))).toBeUndefined()
  })
})
