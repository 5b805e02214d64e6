/** stack/wire/: each header read and written. */
import * as arp from '../../src/stack/wire/arp.ts'
import * as dhcp from '../../src/stack/wire/dhcp.ts'
import * as dns from '../../src/stack/wire/dns.ts'
import * as ethernet from '../../src/stack/wire/ethernet.ts'
import * as icmp from '../../src/stack/wire/icmp.ts'
import * as icmpv6 from '../../src/stack/wire/icmpv6.ts'
import * as ipv4 from '../../src/stack/wire/ipv4.ts'
import * as ipv6 from '../../src/stack/wire/ipv6.ts'
import * as tcp from '../../src/stack/wire/tcp.ts'
import * as udp from '../../src/stack/wire/udp.ts'
import { type Bench, callAt } from './bench.ts'
import { atEach, GUEST, GUEST_MAC, HOST, HOST_MAC, makeMemory } from './memory.ts'

const { bytes, view } = makeMemory()
const addresses = Int32Array.of(0xfd000000, 0, 0, 0x64, 0xfd000000, 0, 0, 2)
const seg = new tcp.Segment()
const message = new dhcp.Message()
const question = new dns.Question()
const read = new Int32Array(8)

// Where each packet stands within a place. What is written has its own, behind them.
const IPV4 = 0
const TCP = 20
const SYN = 100
const SACK = 200
const IPV6 = 300
const UDP = 400
const ARP = 450
const ICMP = 500
const NDP = 600
const DNS = 700
const DHCP = 800
const OUT = 1400

const REPLY: dhcp.Reply = {
  ...{ xid: 1, flags: 0, ciaddr: 0, yiaddr: GUEST, giaddr: 0, chaddr: GUEST_MAC },
  options: [
    [dhcp.MESSAGE_TYPE, Uint8Array.of(dhcp.ACK)],
    [dhcp.SERVER_ID, Uint8Array.of(10, 0, 2, 2)],
    [dhcp.LEASE_TIME, Uint8Array.of(0, 1, 0x51, 0x80)],
    [dhcp.SUBNET_MASK, Uint8Array.of(255, 255, 255, 0)],
    [dhcp.ROUTER, Uint8Array.of(10, 0, 2, 2)],
    [dhcp.DOMAIN_NAME_SERVER, Uint8Array.of(10, 0, 2, 3)],
  ],
}

atEach((at) => {
  ipv4.emit(view, at + IPV4, 1500, 7, ipv4.DF, 64, ipv4.TCP, GUEST, HOST)
  tcp.emitTimestamp(view, emitTcp(at + TCP, tcp.ACK, 32), 1, 2)
  let end = tcp.emitMss(view, emitTcp(at + SYN, tcp.SYN, 40), 1460)
  end = tcp.emitSackPermitted(view, end)
  end = tcp.emitTimestamp(view, end, 1, 2)
  end = tcp.emitTimestamp(view, emitTcp(at + SACK, tcp.ACK, 60), 1, 2)
  tcp.emitSack(view, end, Int32Array.of(1, 2, 3, 4, 5, 6), 3)
  ipv6.emit(view, at + IPV6, 1000, 6, 64, addresses, 0, addresses, 4)
  udp.emit(view, at + UDP, 40_000, 53, 40, 0)
  arp.emit(view, at + ARP, 1, GUEST_MAC, GUEST, HOST_MAC, HOST)
  icmp.emitEcho(bytes, view, at + ICMP, 8, 1, 1, at + OUT, at + OUT + 56)
  icmpv6.emitLinkLayer(view, icmpv6.emit(view, at + NDP, 135, 0, 0) + 16, 1, GUEST_MAC)
  bytes.set([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], at + DNS)
  bytes.set(new TextEncoder().encode('\x03www\x07example\x03com\0\0\x01\0\x01'), at + DNS + 12)
  const dhcpEnd = dhcp.emit(view, at + DHCP, REPLY)
  bytes[at + DHCP] = 1 // a client's
  if (!dhcp.parse(view, at + DHCP, dhcpEnd, message)) throw new Error('that is no DHCP message')
})

function emitTcp(at: number, ctl: number, headerLen: number): number {
  return tcp.emitHeader(view, at, 80, 40_000, at, 1, ctl, 1000, headerLen)
}

function parseTcp(at: number, len: number): number {
  tcp.parse(view, at, at + len, seg)
  return seg.seq ^ seg.tsVal ^ seg.mss
}

export const benches: readonly Bench[] = [
  callAt('ethernet: check, type', (at) =>
    ethernet.check(at, at + 1514) ? ethernet.type(view, at) : 0,
  ),
  callAt('ethernet: emit', (at) =>
    ethernet.emit(view, at + OUT, GUEST_MAC, HOST_MAC, ethernet.IPV4),
  ),
  callAt('arp: check, addresses', (at) =>
    arp.check(view, at + ARP, at + ARP + 28) ? arp.spa(view, at + ARP) : 0,
  ),
  callAt('arp: emit', (at) => arp.emit(view, at + OUT, 2, HOST_MAC, HOST, GUEST_MAC, GUEST)),
  callAt('ipv4: check, checksum', (at) =>
    Number(ipv4.check(view, at, at + 1500) && ipv4.checksumOk(bytes, view, at)),
  ),
  callAt('ipv4: emit', (at) =>
    ipv4.emit(view, at + OUT, 1500, at & 0xffff, ipv4.DF, 64, ipv4.TCP, HOST, GUEST),
  ),
  callAt('ipv6: check, addresses', (at) => {
    if (!ipv6.check(view, at + IPV6, at + IPV6 + 1040)) return 0
    ipv6.readAddress(view, at + IPV6 + 8, read, 0)
    ipv6.readAddress(view, at + IPV6 + 24, read, 4)
    return read[3]
  }),
  callAt('ipv6: emit', (at) => ipv6.emit(view, at + OUT, 1000, 6, 64, addresses, 4, addresses, 0)),
  callAt('tcp: parse, timestamps', (at) => parseTcp(at + TCP, 32)),
  callAt('tcp: parse, SYN', (at) => parseTcp(at + SYN, 40)),
  callAt('tcp: parse, timestamps and three SACK blocks', (at) => parseTcp(at + SACK, 60)),
  callAt('tcp: emit, timestamps', (at) =>
    tcp.emitTimestamp(view, emitTcp(at + OUT, tcp.ACK, 32), at, at),
  ),
  callAt('udp: check, ports', (at) =>
    udp.check(view, at + UDP, at + UDP + 40) ? udp.dstPort(view, at + UDP) : 0,
  ),
  callAt('udp: emit', (at) => udp.emit(view, at + OUT, 53, 40_000, 40, 0)),
  callAt('icmp: check, checksum of an echo', (at) =>
    Number(
      icmp.check(at + ICMP, at + ICMP + 64) &&
        icmp.checksumOk(bytes, view, at + ICMP, at + ICMP + 64),
    ),
  ),
  callAt('icmp: emit an echo', (at) =>
    icmp.emitEcho(bytes, view, at + OUT, 0, 1, 1, at + OUT + 8, at + OUT + 64),
  ),
  callAt('icmpv6: find an option', (at) =>
    icmpv6.findOption(view, at + NDP + 24, at + NDP + 32, 1),
  ),
  callAt('icmpv6: emit with an address', (at) =>
    icmpv6.emitLinkLayer(view, icmpv6.emit(view, at + OUT, 136, 0, 0) + 16, 2, HOST_MAC),
  ),
  callAt('dns: parse a question', (at) =>
    dns.parseQuestion(view, at + DNS, at + DNS + 33, question) ? question.end : 0,
  ),
  callAt('dhcp: parse', (at) =>
    dhcp.parse(view, at + DHCP, at + DHCP + 300, message) ? message.xid : 0,
  ),
  callAt('dhcp: emit', (at) => dhcp.emit(view, at + OUT, REPLY)),
]
