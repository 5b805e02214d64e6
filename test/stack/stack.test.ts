/** What arrives in a frame: Ethernet, ARP, IPv4, ICMP and UDP; whatever is wrong is counted. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Counters, Drops } from '../../src/stack/counters.ts'
import * as arp from '../../src/stack/wire/arp.ts'
import * as ethernet from '../../src/stack/wire/ethernet.ts'
import * as icmp from '../../src/stack/wire/icmp.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import { IP, TRANSPORT, viewOf } from './rig/frames.ts'
import { arpPacket, datagram, line, message, packet } from './rig/packets.ts'
import { seededRandom } from './rig/random.ts'
import { DNS, GATEWAY, GUEST, GUEST_MAC, HOST, ip, Rig, STACK_MAC } from './rig/rig.ts'
import { established, LINUX } from './rig/states.ts'
import { pairSum } from './wire/trap-view.ts'

const OTHER_MAC = Uint8Array.of(2, 9, 9, 9, 9, 9)
const GROUP_MAC = Uint8Array.of(3, 9, 9, 9, 9, 9)

function receive(rig: Rig, ...frames: Uint8Array[]): void {
  for (const frame of frames) rig.receive(frame)
  rig.flush()
}

/** Why what was dropped was dropped. */
function drops({ drop }: Rig): Partial<Drops> {
  return Object.fromEntries(Object.entries(drop).filter(([, count]) => count > 0))
}

describe('Ethernet', () => {
  test.each<[string, Uint8Array, keyof Drops]>([
    ['shorter than a header', new Uint8Array(13), 'ethernetShort'],
    ['empty', new Uint8Array(0), 'ethernetShort'],
    ['for another station', datagram([1], { dstMac: OTHER_MAC }), 'ethernetDst'],
    ['from a group', datagram([1], { srcMac: GROUP_MAC }), 'ethernetSrc'],
    ['of IPv6, which is not spoken here', other(0x86dd), 'ethernetType'],
    ['of a VLAN', other(0x8100), 'ethernetType'],
    ['of IEEE 802.3', other(40), 'ethernetType'],
  ])('a frame %s is dropped', (_, frame, reason) => {
    const rig = new Rig()
    receive(rig, frame)
    expect([drops(rig), rig.lines(), rig.datagrams]).toEqual([{ [reason]: 1 }, [], []])
  })

  function other(type: number): Uint8Array {
    const frame = datagram([1, 2, 3])
    viewOf(frame).setUint16(12, type)
    return frame
  }

  test('a frame for all is taken', () => {
    const rig = new Rig()
    receive(rig, datagram([1], { dstMac: ethernet.BROADCAST }))
    expect(rig.datagrams.length).toBe(1)
  })

  test('padding behind the packet is not of the packet (RFC 894)', () => {
    const rig = new Rig()
    const frame = new Uint8Array(60)
    frame.set(datagram([7, 8]))
    receive(rig, frame)
    expect([...rig.datagrams[0]!.text]).toEqual([7, 8])
  })

  test('frames and octets are counted, both ways', () => {
    const rig = new Rig()
    receive(rig, arpPacket({ tpa: GATEWAY }))
    const { framesFromGuest, framesToGuest, octetsFromGuest, octetsToGuest } = rig.stack.counters
    expect([framesFromGuest, octetsFromGuest, framesToGuest, octetsToGuest]).toEqual([1, 42, 1, 42])
  })
})

describe('ARP (RFC 826)', () => {
  const US = '52:55:0a:00:02:02'
  const THEM = '02:00:00:00:00:64'

  test.each([
    ['10.0.2.2', GATEWAY],
    ['10.0.2.3', DNS],
  ])('who asks for %s is told our address', (text, tpa) => {
    const rig = new Rig()
    receive(rig, arpPacket({ tpa }))
    expect(rig.lines()).toEqual([`${THEM} ARP ${text} is-at ${US} to 10.0.2.100 at ${THEM}`])
  })

  test('who asks for another is told nothing: it may be there', () => {
    const rig = new Rig()
    receive(rig, arpPacket({ tpa: ip('10.0.2.7') }), arpPacket({ tpa: HOST }))
    expect(rig.lines()).toEqual([])
  })

  test('a probe is answered too: our addresses are taken (RFC 5227 §2.1.1)', () => {
    const rig = new Rig()
    receive(rig, arpPacket({ spa: 0, tpa: GATEWAY }))
    expect(rig.lines()).toEqual([`${THEM} ARP 10.0.2.2 is-at ${US} to 0.0.0.0 at ${THEM}`])
  })

  test('a reply is learnt from and not answered', () => {
    const rig = new Rig()
    receive(rig, arpPacket({ op: arp.REPLY, tpa: GATEWAY, tha: STACK_MAC, dstMac: STACK_MAC }))
    expect(rig.lines()).toEqual([])
    rig.connect(rig.peer())
    expect(rig.lines().length).toBe(1) // a SYN, and no question first
  })

  test.each<[string, Uint8Array, keyof Drops]>([
    ['that is cut off', arpPacket({ tpa: GATEWAY }).subarray(0, 41), 'arpMalformed'],
    ['of another kind', badArp(15, 6), 'arpMalformed'],
    ['of another protocol', badArp(17, 6), 'arpMalformed'],
    ['with long hardware addresses', badArp(18, 8), 'arpMalformed'],
    ['with long addresses', badArp(19, 16), 'arpMalformed'],
    ['from outside of the subnet', arpPacket({ spa: HOST, tpa: GATEWAY }), 'ipv4Src'],
    ['from our own address', arpPacket({ spa: GATEWAY, tpa: GATEWAY }), 'ipv4Src'],
    ['from the broadcast address', arpPacket({ spa: ip('10.0.2.255'), tpa: GATEWAY }), 'ipv4Src'],
    ['of a group’s MAC', arpPacket({ sha: GROUP_MAC, tpa: GATEWAY }), 'arpMalformed'],
  ])('a packet %s is dropped', (_, frame, reason) => {
    const rig = new Rig()
    receive(rig, frame)
    expect([drops(rig), rig.lines()]).toEqual([{ [reason]: 1 }, []])
  })

  function badArp(at: number, value: number): Uint8Array {
    const frame = arpPacket({ tpa: GATEWAY })
    frame[at] = value
    return frame
  }
})

describe('IPv4 (RFC 791)', () => {
  function broken(change: (frame: Uint8Array, v: DataView) => void, sum = true): Uint8Array {
    const frame = datagram([1, 2, 3])
    change(frame, viewOf(frame))
    if (sum) ipv4.emitChecksum(frame, viewOf(frame), IP)
    return frame
  }

  test.each<[string, Uint8Array, keyof Drops]>([
    ['that is cut off', datagram([1, 2, 3]).subarray(0, 44), 'ipv4Malformed'],
    ['without a whole header', datagram([]).subarray(0, IP + 19), 'ipv4Malformed'],
    ['of version 6', broken((f) => (f[IP] = 0x65)), 'ipv4Malformed'],
    ['with a header of 16 octets', broken((f) => (f[IP] = 0x44), false), 'ipv4Malformed'],
    ['shorter than its header', broken((_, v) => v.setUint16(IP + 2, 19)), 'ipv4Malformed'],
    ['longer than its frame', broken((_, v) => v.setUint16(IP + 2, 1500)), 'ipv4Malformed'],
    ['with options beyond its end', broken((f) => (f[IP] = 0x4f), false), 'ipv4Malformed'],
    ['with a wrong checksum', broken((f) => (f[IP + 10]! ^= 1), false), 'ipv4Checksum'],
    ['from outside of the subnet', datagram([1], { src: ip('10.0.3.1') }), 'ipv4Src'],
    ['from our own address', datagram([1], { src: GATEWAY }), 'ipv4Src'],
    ['from the network’s address', datagram([1], { src: ip('10.0.2.0') }), 'ipv4Src'],
    ['from the broadcast address', datagram([1], { src: ip('10.0.2.255') }), 'ipv4Src'],
    ['from nobody', datagram([1], { src: 0 }), 'ipv4Src'],
    ['to loopback', datagram([1], { dst: ip('127.0.0.1') }), 'ipv4Dst'],
    ['to this network', datagram([1], { dst: ip('0.1.2.3') }), 'ipv4Dst'],
    ['to a group', datagram([1], { dst: ip('224.0.0.251') }), 'ipv4Dst'],
    ['to class E', datagram([1], { dst: ip('250.0.0.1') }), 'ipv4Dst'],
    ['to all', datagram([1], { dst: -1 }), 'ipv4Dst'],
    ['to all of the subnet', datagram([1], { dst: ip('10.0.2.255') }), 'ipv4Dst'],
    ['with a TTL of 0', datagram([1], { ttl: 0 }), 'ipv4Ttl'],
  ])('a packet %s is dropped without a word', (_, frame, reason) => {
    const rig = new Rig()
    receive(rig, frame)
    expect([drops(rig), rig.lines(), rig.datagrams]).toEqual([{ [reason]: 1 }, [], []])
  })

  test('options are passed over (RFC 791 §3.1)', () => {
    const rig = new Rig()
    const options = [0x94, 4, 0, 0, 1, 1, 1, 1] // router alert, NOPs
    receive(rig, datagram([1, 2, 3], { options }))
    expect([...rig.datagrams[0]!.text]).toEqual([1, 2, 3])
  })

  test('an address of the subnet that nobody has is unreachable (RFC 1122 §3.2.2.1)', () => {
    const rig = new Rig()
    receive(rig, datagram([1], { dst: ip('10.0.2.7') }))
    expect(rig.lines()).toEqual([
      '10.0.2.2 > 10.0.2.100: ICMP 3/1 about 10.0.2.100 > 10.0.2.7 protocol 17, 29 quoted',
    ])
    expect(drops(rig)).toEqual({ ipv4Dst: 1 })
  })

  test('a protocol that is not spoken is unreachable (RFC 1122 §3.2.2.1)', () => {
    const rig = new Rig()
    receive(rig, packet(132, [1, 2, 3, 4]))
    expect(rig.lines()).toEqual([
      '10.0.2.2 > 10.0.2.100: ICMP 3/2 about 10.0.2.100 > 192.0.2.7 protocol 132, 24 quoted',
    ])
    expect(drops(rig)).toEqual({ ipv4Protocol: 1 })
  })

  test('a TTL that ends here is exceeded, for us it is not (RFC 1812 §5.3.1)', () => {
    const rig = new Rig()
    receive(rig, datagram([1], { ttl: 1 }))
    expect(rig.lines()).toEqual([
      '10.0.2.2 > 10.0.2.100: ICMP 11/0 about 10.0.2.100 > 192.0.2.7 protocol 17, 29 quoted',
    ])
    receive(rig, datagram([1], { ttl: 1, dst: DNS }))
    expect([rig.lines(), rig.datagrams.length]).toEqual([[], 1])
  })

  test('an error quotes as much as 576 octets hold (RFC 1812 §4.3.2.3)', () => {
    const rig = new Rig()
    receive(rig, datagram(new Uint8Array(1000), { ttl: 1 }))
    expect(rig.frames[0]!.length).toBe(IP + 576)
    expect([...rig.frames[0]!.subarray(TRANSPORT + 8, TRANSPORT + 12)]).toEqual([0x45, 0, 4, 4])
  })

  test.each([
    ['ICMP error', message(icmp.UNREACHABLE, 1, 0, new Uint8Array(28), { ttl: 1 })],
    ['ICMP message without a type', packet(ipv4.ICMP, [], { ttl: 1 })],
    ['IP packet in a frame for all', datagram([1], { dstMac: ethernet.BROADCAST, ttl: 1 })],
  ])('there is no error about an %s (RFC 1122 §3.2.2)', (_, frame) => {
    const rig = new Rig()
    receive(rig, frame)
    expect(rig.lines()).toEqual([])
  })

  test('there is one about an echo request', () => {
    const rig = new Rig()
    receive(rig, message(icmp.ECHO, 0, 0, [], { ttl: 1 }))
    expect(rig.lines().length).toBe(1)
  })
})

describe('an echo request to the outside', () => {
  test('goes up whole, with its identifier as the guest’s port', () => {
    const rig = new Rig()
    const frame = message(icmp.ECHO, 0, (77 << 16) | 5, [1, 2, 3])
    receive(rig, frame)
    expect([rig.lines(), drops(rig)]).toEqual([[], {}])
    const [echo] = rig.echoes
    expect([...echo!.text]).toEqual([...frame.subarray(TRANSPORT)])
    expect([echo!.key[3], echo!.key[7], echo!.key[8]]).toEqual([GUEST, HOST, 77 << 16])
  })

  test.each([0, 1, 3, 56, 1473, 4000])(
    'its reply of %i octets has the guest’s identifier',
    (len) => {
      const rig = new Rig()
      receive(rig, message(icmp.ECHO, 0, (0xfffe << 16) | 9, []))
      const { key } = rig.echoes[0]!
      const reply = message(icmp.ECHO_REPLY, 0, (4711 << 16) | 9, new Uint8Array(len).fill(0xfd))
      const octets = reply.subarray(TRANSPORT)
      const at = rig.memory.bytes.length - 8192 // sendEchoReply borrows them
      rig.memory.bytes.set(octets, at)
      const neighbour = rig.stack.neighbours.find(key)
      rig.stack.transmitter.sendEchoReply(key, neighbour, at, octets.length, rig.clock.now)
      if (len <= 1472) {
        const text = `echo reply, id ${0xfffe}, seq 9, length ${len}`
        expect(rig.lines()).toEqual([`192.0.2.7 > 10.0.2.100: ${text}`])
      } else {
        // In fragments, which are summed as a whole.
        const texts = rig.frames.map((frame) => [...frame.subarray(TRANSPORT)])
        expect(texts.length).toBeGreaterThan(1)
        expect(pairSum(texts.flat())).toBe(0xffff)
      }
    },
  )
})

describe('an echo request (RFC 792)', () => {
  test.each([0, 1, 56, 57, 1400])('with %i octets of text is answered with them', (len) => {
    const rig = new Rig()
    const text = Uint8Array.from({ length: len }, (_, i) => i * 7)
    receive(rig, message(icmp.ECHO, 0, (77 << 16) | 5, text, { dst: GATEWAY }))
    const [reply] = rig.frames
    expect([...reply!.subarray(TRANSPORT + 8)]).toEqual([...text])
    expect(rig.lines()).toEqual([`10.0.2.2 > 10.0.2.100: echo reply, id 77, seq 5, length ${len}`])
  })

  test('for the name server is answered by it', () => {
    const rig = new Rig()
    receive(rig, message(icmp.ECHO, 0, 1, [], { dst: DNS }))
    expect(rig.lines()).toEqual(['10.0.2.3 > 10.0.2.100: echo reply, id 0, seq 1, length 0'])
  })

  test('of any checksum is answered with a right one (RFC 1624; looked at with each frame)', () => {
    const rig = new Rig()
    for (let i = 0; i < 70_000; i += 7) {
      receive(rig, message(icmp.ECHO, 0, i, [i & 255], { dst: GATEWAY }))
    }
    receive(rig, message(icmp.ECHO, 9, 1, [], { dst: GATEWAY })) // a code, which should be 0
    expect(rig.lines().length).toBe(10_001)
  })

  test('that does not fit the link comes in fragments, and its answer goes so', () => {
    const rig = new Rig()
    const whole = message(icmp.ECHO, 0, 1, new Uint8Array(3000).fill(9), { dst: GATEWAY })
    const text = whole.subarray(TRANSPORT)
    receive(
      rig,
      packet(ipv4.ICMP, text.subarray(0, 1480), { dst: GATEWAY, fragment: ipv4.MF }),
      packet(ipv4.ICMP, text.subarray(1480, 2960), { dst: GATEWAY, fragment: ipv4.MF | 185 }),
      packet(ipv4.ICMP, text.subarray(2960), { dst: GATEWAY, fragment: 370 }),
    )
    expect(rig.lines()).toEqual([
      '10.0.2.2 > 10.0.2.100: fragment 0:1480+',
      '10.0.2.2 > 10.0.2.100: fragment 1480:2960+',
      '10.0.2.2 > 10.0.2.100: fragment 2960:3008',
    ])
  })

  test.each<[string, Uint8Array, keyof Drops]>([
    ['for somebody else, with a code', message(icmp.ECHO, 1, 1), 'icmpUnwanted'],
    ['that is a reply', message(icmp.ECHO_REPLY, 0, 1, [], { dst: GATEWAY }), 'icmpUnwanted'],
    ['that is too short', packet(ipv4.ICMP, [8, 0, 247, 255], { dst: GATEWAY }), 'icmpMalformed'],
    [
      'with a wrong checksum',
      packet(ipv4.ICMP, [8, 0, 1, 2, 0, 0, 0, 0], { dst: GATEWAY }),
      'icmpChecksum',
    ],
  ])('%s is dropped', (_, frame, reason) => {
    const rig = new Rig()
    receive(rig, frame)
    expect([drops(rig), rig.lines()]).toEqual([{ [reason]: 1 }, []])
  })
})

describe('a datagram (RFC 768)', () => {
  test('is handed up with its addresses', () => {
    const rig = new Rig()
    receive(rig, datagram([1, 2, 3], { srcPort: 60_000, dstPort: 65_535, dst: HOST }))
    const [{ key, text }] = rig.datagrams as [{ key: Int32Array; text: Uint8Array }]
    expect([...key]).toEqual([0, 0, 0xffff, GUEST, 0, 0, 0xffff, HOST, (60_000 << 16) | 65_535])
    expect([...text]).toEqual([1, 2, 3])
  })

  test('without text is one', () => {
    const rig = new Rig()
    receive(rig, datagram([]))
    expect(rig.datagrams[0]!.text.length).toBe(0)
  })

  test('without a checksum is taken', () => {
    const rig = new Rig()
    const frame = datagram([1, 2, 3])
    viewOf(frame).setUint16(TRANSPORT + 6, 0)
    receive(rig, frame)
    expect(rig.datagrams.length).toBe(1)
  })

  test('whose checksum the link vouches for is not summed again', () => {
    const rig = new Rig()
    const frame = datagram([1, 2, 3])
    viewOf(frame).setUint16(TRANSPORT + 6, 1234)
    rig.receive(frame, true)
    expect(rig.datagrams.length).toBe(1)
    rig.receive(frame)
    expect([rig.datagrams.length, drops(rig)]).toEqual([1, { udpChecksum: 1 }])
  })

  test.each<[string, number, keyof Drops]>([
    ['shorter than its header', 7, 'udpMalformed'],
    ['longer than its packet', 12, 'udpMalformed'],
  ])('%s is dropped', (_, length, reason) => {
    const rig = new Rig()
    const frame = datagram([1, 2, 3])
    viewOf(frame).setUint16(TRANSPORT + 4, length)
    receive(rig, frame)
    expect([drops(rig), rig.datagrams]).toEqual([{ [reason]: 1 }, []])
  })

  test('that finds nobody is unreachable, and quoted (RFC 1122 §4.1.3.1)', () => {
    const rig = new Rig()
    const { stack, clock } = rig
    rig.onDatagram = (d) => stack.refuseDatagram(d, 'port-unreachable', clock.now)
    receive(rig, datagram([1, 2, 3]))
    expect(rig.lines()).toEqual([
      '10.0.2.2 > 10.0.2.100: ICMP 3/3 about 10.0.2.100 > 192.0.2.7 protocol 17, 31 quoted',
    ])
  })

  test('of 65,507 octets is put together from its fragments, and refused whole', () => {
    const rig = new Rig()
    const text = Uint8Array.from({ length: 65_507 }, (_, i) => i * 3)
    const whole = datagram(text).subarray(TRANSPORT)
    for (let at = 0; at < whole.length; at += 1480) {
      const more = at + 1480 < whole.length ? ipv4.MF : 0
      rig.receive(packet(ipv4.UDP, whole.subarray(at, at + 1480), { fragment: more | (at >>> 3) }))
    }
    expect(Buffer.from(rig.datagrams[0]!.text).equals(Buffer.from(text))).toBe(true)
    expect(drops(rig)).toEqual({})
  })

  test('of which a fragment is missing is given up after 30 s, and the guest told (RFC 792)', () => {
    const rig = new Rig()
    rig.receive(packet(ipv4.UDP, new Uint8Array(64), { fragment: ipv4.MF }))
    rig.clock.advance(29_999)
    expect(rig.lines()).toEqual([])
    rig.clock.advance(1)
    expect(drops(rig)).toEqual({ fragmentTimeout: 1 })
    expect(rig.stack.deadline()).toBe(Infinity)
    expect(rig.lines().length).toBe(1) // where the guest is, is not known: it is asked for
    receive(rig, arpPacket({ tpa: HOST }))
    expect(rig.lines()).toEqual([
      '10.0.2.2 > 10.0.2.100: ICMP 11/1 about 10.0.2.100 > 192.0.2.7 protocol 17, 84 quoted',
    ])
  })
})

describe('a super-datagram of the guest (UDP_SEGMENT, udp(7))', () => {
  test('is as many datagrams, and the last may be shorter', () => {
    const rig = new Rig()
    const text = Uint8Array.from({ length: 2500 }, (_, i) => i * 7)
    rig.receive(datagram(text), true, 1000)
    expect(rig.datagrams.map(({ text }) => text.length)).toEqual([1000, 1000, 500])
    expect(Buffer.concat(rig.datagrams.map(({ text }) => text))).toEqual(Buffer.from(text))
    expect(new Set(rig.datagrams.map(({ key }) => `${key}`)).size).toBe(1)
  })

  test.each([
    [1000, 1],
    [999, 1],
    [1001, 2],
    [0, 1],
  ])('of segments of 1000 octets with %i octets of text is %i', (len, count) => {
    const rig = new Rig()
    rig.receive(datagram(new Uint8Array(len)), true, 1000)
    expect(rig.datagrams.map(({ text }) => text.length)).toEqual(
      [Math.min(len, 1000), len - 1000].slice(0, count),
    )
  })

  test('whose checksum is wrong, and for which nobody vouches, is dropped whole', () => {
    const rig = new Rig()
    const frame = datagram(new Uint8Array(2500))
    frame[TRANSPORT + 8]! ^= 1
    rig.receive(frame, false, 1000)
    expect(rig.datagrams).toEqual([])
    expect(drops(rig)).toEqual({ udpChecksum: 1 })
  })
})

describe('a datagram to the guest', () => {
  function send(rig: Rig, len: number): void {
    const peer = rig.peer()
    const at = rig.memory.bytes.length - 66_000
    for (let i = 0; i < len; i++) rig.memory.bytes[at + i] = i * 5
    const neighbour = rig.stack.neighbours.find(peer.key)
    rig.stack.transmitter.sendUdp(peer.key, neighbour, at, len, rig.clock.now)
  }

  test('goes from the host’s address and port, with its checksum', () => {
    const rig = new Rig()
    receive(rig, arpPacket({ tpa: HOST }))
    send(rig, 100)
    expect([...rig.frames[0]!.subarray(TRANSPORT + 8)]).toEqual(
      Array.from({ length: 100 }, (_, i) => (i * 5) & 255),
    )
    expect(rig.lines()).toEqual(['192.0.2.7 > 10.0.2.100: UDP 80 > 40000, length 100'])
  })

  test.each([
    [1500, 1472, 1],
    [1500, 1473, 2],
    [1500, 65_507, 45],
    [576, 3000, 6],
    [65_520, 65_492, 1],
    [65_520, 65_507, 2],
  ])('at MTU %i, one of %i octets goes in %i packets (RFC 791 §2.3)', (mtu, len, count) => {
    const rig = new Rig({ mtu })
    receive(rig, arpPacket({ tpa: HOST }))
    send(rig, len)
    const { frames } = rig
    expect(frames.length).toBe(count)
    // Another stack puts them together, and looks at the checksum.
    const guest = new Rig({ mtu })
    for (const frame of frames) {
      const v = viewOf(frame)
      frame.set(STACK_MAC, 0)
      frame.set(GUEST_MAC, 6)
      v.setInt32(IP + 12, GUEST)
      v.setInt32(IP + 16, HOST)
      ipv4.emitChecksum(frame, v, IP)
      guest.receive(frame)
    }
    // The addresses changed places, so to say; the sum of the pseudo-header did not.
    const back = new Uint8Array(len).map((_, i) => i * 5)
    if (guest.datagrams.length === 1) {
      expect(Buffer.from(guest.datagrams[0]!.text).equals(Buffer.from(back))).toBe(true)
    }
    expect([guest.datagrams.length, drops(guest)]).toEqual([1, {}])
  })
})

describe('a guest whose MAC is not known', () => {
  const ASKED = 'ff:ff:ff:ff:ff:ff ARP who-has 10.0.2.100 tell 10.0.2.2'

  test('is asked for, and gets what waits when it answers (RFC 1122 §2.3.2.2)', () => {
    const rig = new Rig()
    const peer = rig.peer()
    rig.connect(peer)
    expect(rig.lines()).toEqual([ASKED])
    receive(rig, arpPacket({ op: arp.REPLY, tpa: GATEWAY, dstMac: STACK_MAC }))
    peer.expects('S 0:0(0) win 65535 <mss 1460,sackOK,TS val 0 ecr 0,wscale 3>')
  })

  test('is asked for once a second at most (RFC 1122 §2.3.2.1)', () => {
    const rig = new Rig()
    for (let port = 1; port < 6; port++) rig.connect(rig.peer({ port }))
    expect(rig.lines()).toEqual([ASKED])
    rig.clock.advance(999)
    rig.connect(rig.peer({ port: 7 }))
    expect(rig.lines()).toEqual([])
    rig.clock.advance(1)
    expect(rig.lines()).toEqual([ASKED]) // with the SYNs that are sent again
  })

  test('has eight frames held, and the others counted', () => {
    const rig = new Rig()
    for (let port = 1; port <= 10; port++) rig.connect(rig.peer({ port }))
    rig.lines()
    expect(drops(rig)).toEqual({ neighbourUnknown: 2 })
    receive(rig, arpPacket({ tpa: HOST }))
    expect(rig.frames.length).toBe(8)
    expect(rig.stack.counters.framesToGuest).toBe(9) // the question is counted, too
  })

  test('is learnt from what opens a flow, too', () => {
    const rig = new Rig()
    rig.connect(rig.peer())
    rig.lines()
    receive(rig, datagram([1]))
    expect(rig.frames.length).toBe(1)
  })

  test('that moves to another MAC takes its connections along', () => {
    const { rig, host, peer } = established()
    receive(rig, arpPacket({ sha: OTHER_MAC, srcMac: OTHER_MAC, tpa: HOST }))
    host.sends(5)
    expect(ethernet.isTo(viewOf(rig.frames[0]!), 0, OTHER_MAC)).toBe(true)
    rig.frames.length = 0
    receive(rig, arpPacket({ tpa: HOST }))
    host.sends(5)
    peer.expects('P. 6:11(5) ack 1')
  })

  test('that invents addresses does not fill the memory: 4,096 are known', () => {
    const rig = new Rig()
    for (let i = 1; i < 254; i++) {
      if (i !== 2 && i !== 3) receive(rig, datagram([1], { src: ip(`10.0.2.${i}`) }))
    }
    expect(drops(rig)).toEqual({})
  })
})

describe('a TCP segment', () => {
  test.each<[string, (frame: Uint8Array, v: DataView) => void, keyof Drops]>([
    ['with a wrong checksum', (f) => (f[TRANSPORT + 17]! ^= 1), 'tcpChecksum'],
    ['with a header of 16 octets', (_, v) => v.setUint8(TRANSPORT + 12, 0x40), 'tcpMalformed'],
    ['with a header beyond its end', (_, v) => v.setUint8(TRANSPORT + 12, 0xf0), 'tcpMalformed'],
  ])('%s is dropped', (_, change, reason) => {
    const { rig, peer } = established()
    const frame = peer.frame('P. 1:3(2) ack 1')
    change(frame, viewOf(frame))
    rig.receive(frame, reason !== 'tcpChecksum')
    rig.flush()
    expect([drops(rig), rig.frames.length]).toEqual([{ [reason]: 1 }, 0])
  })

  test.each([0, 1, 3, 4, 12, 19])('of %i octets is dropped', (len) => {
    const rig = new Rig()
    rig.receive(packet(ipv4.TCP, new Uint8Array(len)), true)
    rig.flush()
    expect([drops(rig), rig.lines()]).toEqual([{ tcpMalformed: 1 }, []])
  })

  test('whose checksum the link vouches for is not summed again', () => {
    const { rig, peer, host } = established()
    const frame = peer.frame('P. 1:3(2) ack 1')
    viewOf(frame).setUint16(TRANSPORT + 16, 1234)
    rig.receive(frame, true)
    expect(host.received).toBe(2)
  })

  test('whose options are nonsense is a segment all the same (as Linux)', () => {
    const { peer, host } = established({ options: LINUX })
    peer.sends('P. 1:3(2) ack 1 <raw 8 ff 1 2>')
    peer.sends('P. 3:5(2) ack 1 <raw 5 0 1 2>')
    peer.sends('P. 5:7(2) ack 1 <raw 2 1 1 1>')
    peer.sends('P. 7:9(2) ack 1 <raw ff>')
    expect(host.received).toBe(8)
  })

  test('may come in fragments', () => {
    const { rig, peer, host } = established()
    const whole = peer.frame('P. 1:1001(1000) ack 1').subarray(TRANSPORT)
    receive(
      rig,
      packet(ipv4.TCP, whole.subarray(512), { fragment: 64 }),
      packet(ipv4.TCP, whole.subarray(0, 512), { fragment: ipv4.MF }),
    )
    peer.expects('. 1:1(0) ack 1001')
    expect(host.received).toBe(1000)
  })
})

describe('garbage', () => {
  /** Everything that may arrive, to be damaged. */
  function corpus(): { rig: Rig; frames: Uint8Array[] } {
    const { rig, peer } = established({ options: LINUX })
    const frames = [
      arpPacket({ tpa: GATEWAY }),
      datagram([1, 2, 3]),
      datagram([1, 2, 3], { options: [1, 1, 1, 1], fragment: ipv4.MF }),
      message(icmp.ECHO, 0, 1, [1, 2, 3], { dst: GATEWAY }),
      peer.frame('P. 1:101(100) ack 1'),
      peer.frame('. 101:101(0) ack 1 <sack 1:5 7:9>'),
      peer.frame('F. 1:1(0) ack 1'),
      peer.frame('R 7:7(0)'),
      rig.peer({ port: 9 }).frame(`S 0:0(0) win 9 <${LINUX}>`),
    ]
    return { rig, frames }
  }

  test('damaged frames never throw, and each is counted or taken', () => {
    const random = seededRandom(20)
    const { rig, frames } = corpus()
    const below = (n: number): number => (random() >>> 0) % n
    for (let i = 0; i < 20_000; i++) {
      const frame = frames[i % frames.length]!.slice(0, i % 3 === 0 ? below(200) : undefined)
      for (let k = below(5); k > 0 && frame.length > 0; k--) frame[below(frame.length)] = random()
      rig.receive(frame, (i & 1) === 0)
      if (i % 8 === 0) rig.flush()
      if (i % 100 === 0) rig.clock.advance(below(1000))
      rig.frames.length = 0
      rig.departures.length = 0
    }
    for (const request of rig.requests) request.refuse()
    rig.clock.advance(4_000_000)
    expect([rig.stack.tcp.connections.size, rig.stack.pool.free]).toEqual([0, rig.stack.pool.size])
    expect(rig.stack.deadline()).toBe(Infinity)
  })

  test('any octets at all do not throw', () => {
    const rig = new Rig()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (octets, checksummed) => {
        rig.receive(octets, checksummed)
        const frame = new Uint8Array(14 + octets.length)
        frame.set(STACK_MAC)
        frame.set(GUEST_MAC, 6)
        frame.set([8, octets.length & 7 ? 0 : 6], 12)
        frame.set(octets, 14)
        rig.receive(frame, checksummed)
        rig.flush()
      }),
      { numRuns: 2000 },
    )
  })
})

test('each counter begins with nothing', () => {
  const { drop, ...others }: Counters = new Rig().stack.counters
  expect(new Set([...Object.values(drop), ...Object.values(others)])).toEqual(new Set([0]))
})

test('a line of a frame says what tcpdump would', () => {
  expect(line(arpPacket({ tpa: GATEWAY }))).toBe(
    'ff:ff:ff:ff:ff:ff ARP who-has 10.0.2.2 tell 10.0.2.100',
  )
})
