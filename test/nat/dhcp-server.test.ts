/** Each test plays messages to a server at times, and compares what it answers, a line for each. */
import { describe, expect, test } from 'vitest'
import { Leases } from '../../src/nat/dhcp-leases.ts'
import { answer, type DhcpNetwork, type DhcpReply, MAX_LEN } from '../../src/nat/dhcp-server.ts'
import * as address from '../../src/stack/wire/address.ts'
import * as dhcp from '../../src/stack/wire/dhcp.ts'

const ip = (text: string): number => address.parseIpv4(text)!
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const NETWORK: DhcpNetwork = {
  subnet: { network: ip('10.0.2.0'), prefix: 24 },
  gateway: ip('10.0.2.2'),
  dns: ip('10.0.2.3'),
  search: ['example.com', 'lan'],
  mtu: 1500,
}
const SECOND = 1000
const LEASE = 86_400 * SECOND
const TYPES = ['', 'DISCOVER', 'OFFER', 'REQUEST', 'DECLINE', 'ACK', 'NAK', 'RELEASE', 'INFORM']

/** A client's message. `mac` is the last octets of its MAC; `requested` and `server` are options. */
interface Sent {
  mac?: number
  requested?: string
  server?: string
  ciaddr?: string
  giaddr?: string
  flags?: number
  parameters?: number[]
  maxLen?: number
  clientId?: string
}

function message(type: string, sent: Sent): dhcp.Message {
  const m = new dhcp.Message()
  const { mac = 1, parameters = [], clientId = '' } = sent
  m.xid = 0x12345678
  m.messageType = TYPES.indexOf(type)
  m.chaddr.set([2, 0, 0, 0, mac >>> 8, mac & 255])
  m.ciaddr = ip(sent.ciaddr ?? '0.0.0.0')
  m.giaddr = ip(sent.giaddr ?? '0.0.0.0')
  m.requestedAddr = ip(sent.requested ?? '0.0.0.0')
  m.serverId = ip(sent.server ?? '0.0.0.0')
  m.flags = sent.flags ?? 0
  m.maxLen = sent.maxLen ?? 0
  m.parameters.set(parameters)
  m.parametersLen = parameters.length
  m.clientId.set(bytes(clientId))
  m.clientIdLen = clientId.length
  return m
}

class Server {
  now = 5 * SECOND
  network = NETWORK
  readonly leases = new Leases(ip('10.0.2.15'), ip('10.0.2.30'))

  reply(type: string, sent: Sent = {}): DhcpReply | undefined {
    return answer(message(type, sent), this.leases, this.network, this.now)
  }

  /** `ACK 10.0.2.15 to 10.0.2.15 …:01`: type, yiaddr, and where it goes. */
  asks(type: string, sent: Sent = {}): string {
    const reply = this.reply(type, sent)
    if (reply === undefined) return 'nothing'
    const { addr, port, mac } = reply.to
    const link = mac ? address.formatMac(mac) : 'ARP'
    const what = `${TYPES[option(reply, dhcp.MESSAGE_TYPE)![0]!]} ${address.formatIpv4(reply.yiaddr)}`
    return `${what} to ${address.formatIpv4(addr)}:${port} ${link}`
  }

  /** The last octet of the address that the client gets, by DISCOVER and REQUEST; or `nothing`. */
  lends(mac: number, requested?: string): string {
    const offer = this.reply('DISCOVER', { mac, ...(requested && { requested }) })
    if (offer === undefined) return 'nothing'
    const addr = address.formatIpv4(offer.yiaddr)
    const ack = this.asks('REQUEST', { mac, requested: addr, server: '10.0.2.2' })
    expect(ack).toContain(`ACK ${addr}`)
    return addr.replace('10.0.2', '')
  }
}

function option(reply: DhcpReply, code: number): Uint8Array | undefined {
  return reply.options.find(([n]) => n === code)?.[1]
}

const codes = (reply: DhcpReply | undefined): number[] => reply!.options.map(([code]) => code)

const MAC1 = '02:00:00:00:00:01'
const ALL = '255.255.255.255:68 ff:ff:ff:ff:ff:ff'
const SELECT = { requested: '10.0.2.15', server: '10.0.2.2' }

test('the 16 addresses of the pool are lent in order, one to each MAC', () => {
  const server = new Server()
  const lent = Array.from({ length: 16 }, (_, n) => server.lends(n))
  expect(lent).toEqual(Array.from({ length: 16 }, (_, n) => `.${n + 15}`))
  expect(server.lends(3)).toBe('.18')
})

describe('DISCOVER (RFC 2131 §4.3.1)', () => {
  test.each([
    ['no wish', undefined, '10.0.2.15'],
    ['a wish that is free', '10.0.2.20', '10.0.2.20'],
    ['the last address of the pool', '10.0.2.30', '10.0.2.30'],
    ['a wish behind the pool', '10.0.2.31', '10.0.2.15'],
    ['a wish for the gateway', '10.0.2.2', '10.0.2.15'],
    ['a wish of another network', '192.168.1.20', '10.0.2.15'],
    ['a wish that another has', '10.0.2.29', '10.0.2.15'],
  ])('with %s is offered an address', (_what, requested, offered) => {
    const server = new Server()
    server.lends(9, '10.0.2.29')
    const offer = server.asks('DISCOVER', requested === undefined ? {} : { requested })
    expect(offer).toBe(`OFFER ${offered} to ${offered}:68 ${MAC1}`)
  })

  test('of who has an address is offered that one, whatever it wishes', () => {
    const server = new Server()
    server.lends(1)
    expect(server.asks('DISCOVER', { requested: '10.0.2.20' })).toContain('OFFER 10.0.2.15')
  })

  test('of who had an address is offered that one again, when nobody else has it', () => {
    const server = new Server()
    for (const mac of [1, 2, 3]) server.lends(mac)
    server.now += LEASE
    expect(server.asks('DISCOVER', { mac: 2 })).toContain('OFFER 10.0.2.16')
    server.lends(4, '10.0.2.17')
    expect(server.asks('DISCOVER', { mac: 3 })).not.toContain('10.0.2.17')
  })

  test('twice is offered the same address', () => {
    const server = new Server()
    expect(server.asks('DISCOVER')).toBe(server.asks('DISCOVER'))
  })

  test('does not shorten the lease of who has one', () => {
    const server = new Server()
    server.lends(1)
    server.asks('DISCOVER')
    server.now += LEASE - 1
    expect(server.asks('DISCOVER', { mac: 2, requested: '10.0.2.15' })).toContain('OFFER 10.0.2.16')
  })
})

describe('REQUEST (RFC 2131 §4.3.2)', () => {
  describe('in SELECTING', () => {
    test('takes what was offered', () => {
      const server = new Server()
      server.asks('DISCOVER')
      expect(server.asks('REQUEST', SELECT)).toBe(`ACK 10.0.2.15 to 10.0.2.15:68 ${MAC1}`)
    })

    test('that comes twice is answered twice', () => {
      const server = new Server()
      server.asks('DISCOVER')
      expect(server.asks('REQUEST', SELECT)).toBe(server.asks('REQUEST', SELECT))
    })

    test('of another server’s offer is not answered, and ours is taken back', () => {
      const server = new Server()
      server.asks('DISCOVER')
      const other = { requested: '10.0.2.77', server: '10.0.2.9' }
      expect(server.asks('REQUEST', other)).toBe('nothing')
      expect(server.lends(2, '10.0.2.15')).toBe('.15')
    })

    test('without an address is not answered', () => {
      const server = new Server()
      server.asks('DISCOVER')
      expect(server.asks('REQUEST', { server: '10.0.2.2', ciaddr: '10.0.2.15' })).toBe('nothing')
    })

    test('of an offer that another was given meanwhile is refused', () => {
      const server = new Server()
      server.asks('DISCOVER')
      server.now += 60 * SECOND
      server.lends(2, '10.0.2.15')
      expect(server.asks('REQUEST', SELECT)).toBe(`NAK 0.0.0.0 to ${ALL}`)
    })
  })

  describe('in INIT-REBOOT', () => {
    test.each([
      ['its own', '10.0.2.15', `ACK 10.0.2.15 to 10.0.2.15:68 ${MAC1}`],
      ['another than its own', '10.0.2.16', `NAK 0.0.0.0 to ${ALL}`],
      ['another’s', '10.0.2.30', `NAK 0.0.0.0 to ${ALL}`],
      ['outside of the pool', '10.0.2.100', `NAK 0.0.0.0 to ${ALL}`],
      ['the gateway’s', '10.0.2.2', `NAK 0.0.0.0 to ${ALL}`],
      ['of another network', '192.168.1.15', `NAK 0.0.0.0 to ${ALL}`],
    ])('remembers an address: %s', (_what, requested, expected) => {
      const server = new Server()
      server.lends(1)
      server.lends(2, '10.0.2.30')
      expect(server.asks('REQUEST', { requested })).toBe(expected)
    })

    test('has its own again after it has expired', () => {
      const server = new Server()
      server.lends(1)
      server.now += 2 * LEASE
      expect(server.asks('REQUEST', { requested: '10.0.2.15' })).toContain('ACK 10.0.2.15')
    })
  })

  for (const state of ['RENEWING', 'REBINDING']) {
    test(`in ${state} has its lease made longer, and is answered at its address`, () => {
      const server = new Server()
      server.lends(1)
      server.now += LEASE / 2
      // Also when it asks for a broadcast: it has an address (RFC 2131 §4.1).
      const sent = { ciaddr: '10.0.2.15', flags: dhcp.BROADCAST }
      expect(server.asks('REQUEST', sent)).toBe(`ACK 10.0.2.15 to 10.0.2.15:68 ${MAC1}`)
      expect(server.reply('REQUEST', sent)!.ciaddr).toBe(ip('10.0.2.15'))
      server.now += LEASE - 1
      expect(server.asks('DISCOVER', { mac: 2, requested: '10.0.2.15' })).toContain('10.0.2.16')
    })

    test.each([
      ['another’s address', '10.0.2.16'],
      ['an address outside of the pool', '10.0.2.100'],
    ])(`in ${state} with %s is refused, to all (RFC 2131 §4.1)`, (_what, ciaddr) => {
      const server = new Server()
      server.lends(2, '10.0.2.16')
      expect(server.asks('REQUEST', { ciaddr })).toBe(`NAK 0.0.0.0 to ${ALL}`)
    })
  }

  test.each([
    { requested: '10.0.2.20' },
    { ciaddr: '10.0.2.20' },
    { requested: '10.0.2.20', server: '10.0.2.2' },
  ])('a client that remembers a free address gets it: %o', (sent) => {
    const server = new Server()
    expect(server.asks('REQUEST', sent)).toBe(`ACK 10.0.2.20 to 10.0.2.20:68 ${MAC1}`)
    server.now += LEASE - 1
    expect(server.asks('REQUEST', { ...sent, mac: 2 })).toContain('NAK')
  })

  test('without any address is not answered', () => {
    expect(new Server().asks('REQUEST')).toBe('nothing')
  })

  test('a client has one address at a time', () => {
    const server = new Server()
    for (let n = 15; n <= 30; n++) {
      server.asks('REQUEST', { requested: `10.0.2.${n}` })
    }
    expect(Array.from({ length: 15 }, (_, n) => server.lends(100 + n))).not.toContain('nothing')
    expect(server.lends(200)).toBe('nothing')
  })
})

describe('DECLINE (RFC 2131 §4.3.3)', () => {
  test('takes the address out of the pool for a while', () => {
    const server = new Server()
    server.lends(1)
    expect(server.asks('DECLINE', SELECT)).toBe('nothing')
    expect(server.lends(1)).toBe('.16')
    expect(server.asks('REQUEST', { mac: 2, requested: '10.0.2.15' })).toContain('NAK')
    server.now += 600 * SECOND
    expect(server.asks('REQUEST', { mac: 2, requested: '10.0.2.15' })).toContain('ACK 10.0.2.15')
  })

  test.each([
    ['another’s address', { ...SELECT, mac: 2 }],
    ['another server’s address', { ...SELECT, server: '10.0.2.9' }],
    ['no address', { server: '10.0.2.2' }],
  ])('of %s changes nothing', (_what, sent) => {
    const server = new Server()
    server.lends(1)
    server.asks('DECLINE', sent)
    expect(server.asks('REQUEST', { ciaddr: '10.0.2.15' })).toContain('ACK')
  })
})

describe('RELEASE (RFC 2131 §4.3.4)', () => {
  const RELEASE = { ciaddr: '10.0.2.15', server: '10.0.2.2' }

  test('gives the address back, which is remembered as its own', () => {
    const server = new Server()
    server.lends(1)
    expect(server.asks('RELEASE', RELEASE)).toBe('nothing')
    expect(server.lends(2)).toBe('.16')
    expect(server.lends(1)).toBe('.15')
    server.asks('RELEASE', RELEASE)
    expect(server.lends(3, '10.0.2.15')).toBe('.15')
    expect(server.lends(1)).toBe('.17')
  })

  test.each([
    ['another’s address', { ...RELEASE, mac: 2 }],
    ['another server’s address', { ...RELEASE, server: '10.0.2.9' }],
    ['an address that it does not have', { ...RELEASE, ciaddr: '10.0.2.16' }],
  ])('of %s changes nothing', (_what, sent) => {
    const server = new Server()
    server.lends(1)
    server.asks('RELEASE', sent)
    expect(server.lends(3, '10.0.2.15')).toBe('.16')
  })
})

describe('INFORM (RFC 2131 §4.3.5)', () => {
  test('is told of the network, not of a lease', () => {
    const server = new Server()
    const sent = { ciaddr: '10.0.2.100' }
    expect(server.asks('INFORM', sent)).toBe(`ACK 0.0.0.0 to 10.0.2.100:68 ${MAC1}`)
    const reply = server.reply('INFORM', sent)!
    expect(reply.ciaddr).toBe(ip('10.0.2.100'))
    expect(codes(reply)).toEqual([53, 54, 1, 3, 28, 26, 6, 119])
    expect(server.lends(2)).toBe('.15')
  })

  test.each([
    '0.0.0.0',
    '10.0.2.0',
    '10.0.2.2',
    '10.0.2.3',
    '10.0.2.255',
    '10.0.3.100',
    '127.0.0.1',
  ])('from %s, which no guest has, is not answered', (ciaddr) => {
    expect(new Server().asks('INFORM', { ciaddr })).toBe('nothing')
  })
})

describe('the pool', () => {
  const full = (): Server => {
    const server = new Server()
    for (let mac = 0; mac < 16; mac++) {
      server.lends(mac)
      server.now += SECOND
    }
    return server
  }

  test('that is all lent has nothing for who is new, and all for who is known', () => {
    const server = full()
    expect(server.lends(100)).toBe('nothing')
    expect(server.asks('REQUEST', { mac: 100, requested: '10.0.2.15' })).toContain('NAK')
    expect(server.lends(7)).toBe('.22')
  })

  test('lends the address that expired first', () => {
    const server = full()
    server.asks('REQUEST', { mac: 0, ciaddr: '10.0.2.15' }) // it expires last now
    server.now += LEASE - SECOND
    expect(server.lends(100)).toBe('.16')
    expect(server.lends(101)).toBe('.17')
    expect(server.asks('REQUEST', { mac: 1, ciaddr: '10.0.2.16' })).toContain('NAK')
  })

  test('prefers an address that nobody ever had', () => {
    const server = new Server()
    server.lends(1)
    server.now += LEASE
    expect(server.lends(2)).toBe('.16')
  })

  test('is not exhausted by clients that only ask, with ever new MACs', () => {
    const server = new Server()
    server.lends(1)
    for (let mac = 1000; mac < 11_000; mac++) {
      expect(server.asks('DISCOVER', { mac })).toMatch(/^OFFER 10\.0\.2\.(1[6-9]|2\d|30) /)
    }
    expect(server.lends(2)).not.toBe('nothing')
    expect(server.lends(1)).toBe('.15')
  })

  test('keeps an offer while other addresses are free', () => {
    const server = new Server()
    server.asks('DISCOVER')
    for (let mac = 2; mac <= 16; mac++) server.asks('DISCOVER', { mac })
    expect(server.asks('REQUEST', SELECT)).toContain('ACK 10.0.2.15')
  })

  test('has an offer that nobody takes back after a minute', () => {
    const server = new Server()
    server.asks('DISCOVER')
    server.now += 60 * SECOND - 1
    expect(server.asks('DISCOVER', { mac: 2, requested: '10.0.2.15' })).toContain('10.0.2.16')
    server.now += 1
    expect(server.asks('DISCOVER', { mac: 3, requested: '10.0.2.15' })).toContain('10.0.2.15')
  })

  test('may lie in the upper half of all addresses', () => {
    const leases = new Leases(ip('192.168.0.15'), ip('192.168.0.30'))
    const network = { ...NETWORK, subnet: { network: ip('192.168.0.0'), prefix: 16 } }
    const reply = answer(message('DISCOVER', {}), leases, network, 0)!
    expect(reply.yiaddr).toBe(ip('192.168.0.15'))
    expect([...option(reply, dhcp.BROADCAST_ADDRESS)!]).toEqual([192, 168, 255, 255])
  })
})

describe('an answer', () => {
  test('has xid, chaddr, flags and giaddr of its question (RFC 2131 §4.3.1, table 3)', () => {
    for (const flags of [0, dhcp.BROADCAST]) {
      const reply = new Server().reply('DISCOVER', { flags, giaddr: '10.0.2.50' })!
      expect(reply).toMatchObject({ xid: 0x12345678, flags, giaddr: ip('10.0.2.50'), ciaddr: 0 })
      expect(address.formatMac(reply.chaddr)).toBe(MAC1)
    }
  })

  test.each([
    ['OFFER', 'DISCOVER', {}, `10.0.2.15:68 ${MAC1}`],
    ['OFFER', 'DISCOVER', { flags: dhcp.BROADCAST }, ALL],
    ['OFFER', 'DISCOVER', { ciaddr: '10.0.2.99' }, `10.0.2.15:68 ${MAC1}`],
    ['OFFER', 'DISCOVER', { giaddr: '10.0.2.50', flags: dhcp.BROADCAST }, '10.0.2.50:67 ARP'],
    ['ACK', 'REQUEST', { ...SELECT, flags: dhcp.BROADCAST }, ALL],
    ['ACK', 'REQUEST', { ...SELECT, giaddr: '10.0.2.50' }, '10.0.2.50:67 ARP'],
    ['ACK', 'INFORM', { ciaddr: '10.0.2.100', giaddr: '10.0.2.50' }, '10.0.2.50:67 ARP'],
    ['NAK', 'REQUEST', { requested: '10.0.2.99', giaddr: '10.0.2.50' }, '10.0.2.50:67 ARP'],
  ])('%s to %s with %o goes where RFC 2131 §4.1 says', (answered, type, sent, to) => {
    const line = new Server().asks(type, sent)
    expect(line.split(' ')[0]).toBe(answered)
    expect(line.split(' to ')[1]).toBe(to)
  })

  test('that is a NAK by way of a relay agent is to be broadcast (RFC 2131 §4.3.2)', () => {
    const sent = { requested: '10.0.2.99' }
    expect(new Server().reply('REQUEST', sent)!.flags).toBe(0)
    const relayed = new Server().reply('REQUEST', { ...sent, giaddr: '10.0.2.50' })!
    expect(relayed.flags).toBe(dhcp.BROADCAST)
  })

  test.each(['10.0.3.1', '10.0.2.2', '127.0.0.1', '10.0.2.255'])(
    'goes to no relay agent at %s',
    (giaddr) => {
      expect(new Server().asks('DISCOVER', { giaddr })).toBe('nothing')
    },
  )

  test.each(['OFFER', 'ACK', 'NAK'])('is not given to a server’s message: %s', (type) => {
    expect(new Server().asks(type, SELECT)).toBe('nothing')
  })

  test('is not given to a message of a type that is not known, or of a group of stations', () => {
    const { leases } = new Server()
    const unknown = message('DISCOVER', {})
    unknown.messageType = 200
    expect(answer(unknown, leases, NETWORK, 0)).toBeUndefined()
    const group = message('DISCOVER', {})
    group.chaddr.fill(255)
    expect(answer(group, leases, NETWORK, 0)).toBeUndefined()
  })
})

describe('options', () => {
  const options = (network: Partial<DhcpNetwork>, sent: Sent = {}): Record<number, string> => {
    const server = new Server()
    server.network = { ...NETWORK, ...network }
    const { options } = server.reply('DISCOVER', sent)!
    return Object.fromEntries(options.map(([code, octets]) => [code, `${[...octets]}`]))
  }

  test('of a lease and the network, when nobody says which', () => {
    expect(options({})).toEqual({
      [dhcp.MESSAGE_TYPE]: '2',
      [dhcp.SERVER_ID]: '10,0,2,2',
      [dhcp.LEASE_TIME]: '0,1,81,128', // 86400
      [dhcp.RENEWAL_TIME]: '0,0,168,192', // 43200
      [dhcp.REBINDING_TIME]: '0,1,39,80', // 75600
      [dhcp.SUBNET_MASK]: '255,255,255,0',
      [dhcp.ROUTER]: '10,0,2,2',
      [dhcp.BROADCAST_ADDRESS]: '10,0,2,255',
      [dhcp.INTERFACE_MTU]: '5,220',
      [dhcp.DOMAIN_NAME_SERVER]: '10,0,2,3',
      [dhcp.DOMAIN_SEARCH]: `${[7, ...bytes('example'), 3, ...bytes('com'), 0, 3, ...bytes('lan'), 0]}`,
    })
  })

  test('of names are not there when names are not served', () => {
    const { dns: _dns, search: _search, ...network } = NETWORK
    const reply = answer(
      message('DISCOVER', { parameters: [1, 6, 119] }),
      new Server().leases,
      network,
      0,
    )
    expect(codes(reply)).toEqual([53, 54, 51, 58, 59, 1])
  })

  test.each([
    ['what and in which order the client asks (RFC 2132 §9.8)', [26, 6, 12, 1], [1, 26, 6]],
    ['the mask before the router (RFC 2132 §3.3)', [3, 1], [1, 3]],
    ['each once', [3, 3, 1, 1], [1, 3]],
    ['nothing that is not known, or goes without saying', [12, 15, 51, 53, 54, 252], []],
  ])('are %s', (_what, parameters, expected) => {
    const reply = new Server().reply('DISCOVER', { parameters })
    expect(codes(reply)).toEqual([53, 54, 51, 58, 59, ...expected])
  })

  test('of a NAK are why, and who says so (RFC 2131 §4.3.1, table 3)', () => {
    const parameters = [1, 3, 6]
    const reply = new Server().reply('REQUEST', { requested: '10.0.2.99', parameters })!
    expect(codes(reply)).toEqual([53, 54, 56])
    expect(option(reply, dhcp.MESSAGE)).toEqual(bytes('address not available'))
    expect(reply).toMatchObject({ yiaddr: 0, ciaddr: 0 })
  })

  test.each(['DISCOVER', 'REQUEST', 'INFORM'])(
    'of an answer to %s have the client’s identifier, as it came (RFC 6842 §3)',
    (type) => {
      const sent = { clientId: '\x01whoever', requested: '10.0.2.99', ciaddr: '10.0.2.99' }
      expect(option(new Server().reply(type, sent)!, dhcp.CLIENT_ID)).toEqual(bytes('\x01whoever'))
    },
  )

  test('say a large MTU, and none that is too small to be said (RFC 2132 §5.1)', () => {
    expect(options({ mtu: 65_521 })[dhcp.INTERFACE_MTU]).toBe('255,241')
    expect(options({ mtu: 68 })[dhcp.INTERFACE_MTU]).toBe('0,68')
    expect(options({ mtu: 67 })).not.toHaveProperty(`${dhcp.INTERFACE_MTU}`)
  })

  test.each([
    ['none', [], undefined],
    ['the root', ['.'], undefined],
    ['a dot at the end', ['lan.'], [3, ...bytes('lan'), 0]],
    [
      'what is no name is passed over',
      ['a..b', 'x'.repeat(64), 'ö', 'lan'],
      [3, ...bytes('lan'), 0],
    ],
    ['underscores', ['_a'], [2, ...bytes('_a'), 0]],
  ])('have the domains to search: %s', (_what, search, expected) => {
    expect(options({ search })[dhcp.DOMAIN_SEARCH]).toBe(expected && `${expected}`)
  })

  test('have as many domains to search as fit into 255 octets', () => {
    const search = Array.from({ length: 10 }, (_, n) => `${n}${'x'.repeat(48)}`) // 51 octets each
    const list = options({ search }, { maxLen: 1500 })[dhcp.DOMAIN_SEARCH]!.split(',')
    expect(list.length).toBe(255)
  })

  test('are left away where the message would be longer than the client takes', () => {
    const search = Array.from({ length: 5 }, (_, n) => `${n}${'x'.repeat(48)}`)
    const parameters = [119, 1, 3, 6]
    const clientId = 'x'.repeat(100)
    for (const [maxLen, found] of [
      [0, [1, 3, 6]],
      [300, [1, 3, 6]], // less than the least that may be said
      [576, [1, 3, 6]],
      [700, [1, 119, 3, 6]],
      [65_535, [1, 119, 3, 6]],
    ] as const) {
      const server = new Server()
      server.network = { ...NETWORK, search }
      const reply = server.reply('DISCOVER', { parameters, clientId, maxLen })!
      expect(codes(reply)).toEqual([53, 54, 61, 51, 58, 59, ...found])
    }
  })

  test('all at their longest are within the room for answers', () => {
    const server = new Server()
    server.network = { ...NETWORK, search: Array.from({ length: 99 }, (_, n) => `domain-${n}`) }
    const reply = server.reply('DISCOVER', { clientId: 'x'.repeat(255), maxLen: 65_535 })!
    const len = dhcp.emit(new DataView(new ArrayBuffer(MAX_LEN)), 0, reply)
    expect(len).toBeLessThanOrEqual(MAX_LEN)
  })
})
