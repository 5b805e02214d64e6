/**
 * What is counted: one number per reason. A frame that is malformed, unwanted or of no use is
 * dropped and counted here; nothing that arrives throws. docs/counters.md says the same for people.
 */
export interface Drops {
  /** Shorter than an Ethernet header. */
  ethernetShort: number
  /** Longer than any link's frame: 68 KiB. */
  ethernetLong: number
  /** An EtherType that is not spoken here. */
  ethernetType: number
  /** Not for our address, nor for all. */
  ethernetDst: number
  /** From a group: nobody sends so (IEEE 802.3 §3.2.3). */
  ethernetSrc: number
  /** Not of IPv4 over Ethernet, cut off, or from a group. */
  arpMalformed: number
  /** Header or lengths do not fit the frame. */
  ipv4Malformed: number
  ipv4Checksum: number
  /** A source address that is not a guest's: ours, or outside of the subnet. */
  ipv4Src: number
  /** Loopback, 0.0.0.0/8, class E, multicast, or an unused address of the subnet. */
  ipv4Dst: number
  /** TTL 0; or 1, and it would have to go on. */
  ipv4Ttl: number
  /** No protocol of ours. */
  ipv4Protocol: number
  /** Header, extension headers or lengths do not fit the frame. */
  ipv6Malformed: number
  /** No address of a guest: ours, or neither on the prefix nor link-local. */
  ipv6Src: number
  /** Multicast, link-local, loopback, unspecified, IPv4-mapped, or an unused address of the prefix. */
  ipv6Dst: number
  /** Hop limit 0; or 1, and it would have to go on. */
  ipv6HopLimit: number
  /** No protocol of ours. */
  ipv6Protocol: number
  /** Cut off, a wrong checksum, or Neighbor Discovery as it must not be. */
  icmpv6Malformed: number
  /** A fragment of no length, of one that is no multiple of eight and not the last, or without its headers. */
  fragmentMalformed: number
  /** A fragmented datagram that would be longer than an IP packet may be. */
  fragmentTooLong: number
  /** A datagram whose fragments overlap, or disagree about its end; and what comes of it later. */
  fragmentOverlap: number
  /** A datagram whose fragments did not all come in time. */
  fragmentTimeout: number
  /** A datagram that waited for fragments for longer than as many others as may wait. */
  fragmentLimit: number
  /** Cut off. */
  icmpMalformed: number
  icmpChecksum: number
  /** An ICMP message that nothing here wants: an error about nothing that is out, a reply to nobody. */
  icmpUnwanted: number
  /** An echo request to the outside that the host does not permit us (net.ipv4.ping_group_range). */
  echoDenied: number
  /** No flow could be made for an echo request: the host has no resources. */
  echoLimit: number
  /** The length does not fit the packet. */
  udpMalformed: number
  udpChecksum: number
  /** No message of a DHCP client in Ethernet. */
  dhcpMalformed: number
  /** No flow could be made for a datagram: a limit, or the host has no resources. */
  udpLimit: number
  /** A datagram of a host that may not send to the guest's port: `filtering`, or the host's loopback. */
  udpFiltered: number
  /** A datagram or echo request that the host's socket had no room for. */
  hostFull: number
  /** … that the host's kernel refused, for a reason that ICMP has no word for: port 0, say. Or an endpoint, of port 0. */
  hostRefused: number
  /** A datagram or echo request, or the answer to one, that the egress policy denies. */
  egressDenied: number
  /** An answer to a question of DNS from somebody who was not asked. */
  dnsStranger: number
  /** To the name server: no question, or one that is too long. */
  dnsMalformed: number
  /** The header does not fit the packet. */
  tcpMalformed: number
  tcpChecksum: number
  /** A segment for no connection; answered with a RST unless it is one. */
  tcpNoConnection: number
  /** Out of the window, older than another (PAWS), or it acknowledges nothing, or what was never sent. */
  tcpUnacceptable: number
  /** A SYN, or a client of a published port, while there are as many connections as there may be: refused. */
  tcpLimit: number
  /** A SYN while as many handshakes are under way as may be: it comes again, or takes the place of an old one. */
  tcpHalfOpen: number
  /** Text that found no room in the pool: it is not acknowledged and comes again. Or a SYN, or a client: refused. */
  tcpNoMemory: number
  /** For a guest whose MAC is asked for, as many frames as may be wait already. */
  neighbourUnknown: number
}

export interface Counters {
  framesFromGuest: number
  framesToGuest: number
  octetsFromGuest: number
  octetsToGuest: number
  tcpRetransmits: number
  tcpTimeouts: number
  /** Probes of the tail (RFC 8985 §7). */
  tcpTailProbes: number
  /** D-SACKs: the guest had what was sent again (RFC 2883). */
  tcpSpurious: number
  tcpChallengeAcks: number
  /** Idle guests were asked whether they live (RFC 9293 §3.8.4). */
  tcpKeepAlives: number
  readonly drop: Drops
}

export function createCounters(): Counters {
  return {
    framesFromGuest: 0,
    framesToGuest: 0,
    octetsFromGuest: 0,
    octetsToGuest: 0,
    tcpRetransmits: 0,
    tcpTimeouts: 0,
    tcpTailProbes: 0,
    tcpSpurious: 0,
    tcpChallengeAcks: 0,
    tcpKeepAlives: 0,
    drop: {
      ethernetShort: 0,
      ethernetLong: 0,
      ethernetType: 0,
      ethernetDst: 0,
      ethernetSrc: 0,
      arpMalformed: 0,
      ipv4Malformed: 0,
      ipv4Checksum: 0,
      ipv4Src: 0,
      ipv4Dst: 0,
      ipv4Ttl: 0,
      ipv4Protocol: 0,
      ipv6Malformed: 0,
      ipv6Src: 0,
      ipv6Dst: 0,
      ipv6HopLimit: 0,
      ipv6Protocol: 0,
      icmpv6Malformed: 0,
      fragmentMalformed: 0,
      fragmentTooLong: 0,
      fragmentOverlap: 0,
      fragmentTimeout: 0,
      fragmentLimit: 0,
      icmpMalformed: 0,
      icmpChecksum: 0,
      icmpUnwanted: 0,
      echoDenied: 0,
      echoLimit: 0,
      udpMalformed: 0,
      udpChecksum: 0,
      dhcpMalformed: 0,
      udpLimit: 0,
      udpFiltered: 0,
      hostFull: 0,
      hostRefused: 0,
      egressDenied: 0,
      dnsStranger: 0,
      dnsMalformed: 0,
      tcpMalformed: 0,
      tcpChecksum: 0,
      tcpNoConnection: 0,
      tcpUnacceptable: 0,
      tcpLimit: 0,
      tcpHalfOpen: 0,
      tcpNoMemory: 0,
      neighbourUnknown: 0,
    },
  }
}
