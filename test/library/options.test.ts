/** Bad options: refused before anything is started, each by name. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { attach } from '../../src/index.ts'
import {
  readBindOptions,
  readConnectOptions,
  readListenOptions,
} from '../../src/library/endpoint-options.ts'
import { readAttachOptions, readForwardOptions } from '../../src/library/options.ts'

const target = { pid: 1 }
const NOT_STARTED = 'ERR_INVALID_OPTION'

type Row = [
  what: string,
  options: unknown,
  kind: typeof TypeError | typeof RangeError,
  says: string,
]

const ATTACH: Row[] = [
  ['no options', undefined, TypeError, 'options must be an object, not undefined'],
  ['null', null, TypeError, 'options must be an object, not null'],
  ['an unknown option', { target, cidrs: '' }, TypeError, 'options.cidrs is not known'],
  ['no target', {}, TypeError, 'options.target must be an object, not undefined'],
  ['an empty target', { target: {} }, TypeError, 'options.target must have one of'],
  [
    'a path of BESS that is too long',
    { target: { bess: `/${'x'.repeat(107)}` } },
    RangeError,
    'options.target.bess',
  ],
  [
    'a name for a switch',
    { target: { bess: '/x' }, tapName: 'tap1' },
    TypeError,
    'options.tapName',
  ],
  ['two targets', { target: { pid: 1, fd: 3 } }, TypeError, 'options.target must have one of'],
  ['another target', { target: { name: 'x' } }, TypeError, 'options.target.name is not known'],
  [
    'userns with a PID',
    { target: { pid: 1, userns: '/x' } },
    TypeError,
    'options.target.userns goes with netns',
  ],
  [
    'a PID in text',
    { target: { pid: '1' } },
    TypeError,
    "options.target.pid must be an integer from 1 to 2147483647, not '1'",
  ],
  ['PID 0', { target: { pid: 0 } }, RangeError, 'options.target.pid'],
  ['a PID that is none', { target: { pid: Number.NaN } }, RangeError, 'options.target.pid'],
  ['half a PID', { target: { pid: 1.5 } }, RangeError, 'options.target.pid'],
  ['a PID too far', { target: { pid: 2 ** 31 } }, RangeError, 'options.target.pid'],
  ['descriptor -1', { target: { fd: -1 } }, RangeError, 'options.target.fd'],
  ['a descriptor as text', { target: { fd: '3' } }, TypeError, 'options.target.fd'],
  ['an empty path', { target: { netns: '' } }, RangeError, 'options.target.netns'],
  ['a NUL in a path', { target: { netns: 'a\0b' } }, RangeError, 'options.target.netns'],
  ['a long path', { target: { netns: 'é'.repeat(2048) } }, RangeError, 'options.target.netns'],
  ['a path that is none', { target: { netns: 3 } }, TypeError, 'options.target.netns'],
  ['userns', { target: { netns: '/x', userns: '' } }, RangeError, 'options.target.userns'],
  [
    'mtu null',
    { target, mtu: null },
    TypeError,
    'options.mtu must be an integer from 68 to 65521, not null',
  ],
  ['mtu in text', { target, mtu: '1500' }, TypeError, 'options.mtu'],
  [
    'mtu 67',
    { target, mtu: 67 },
    RangeError,
    'options.mtu must be an integer from 68 to 65521, not 67',
  ],
  ['mtu 65522', { target, mtu: 65_522 }, RangeError, 'options.mtu'],
  ['mtu without end', { target, mtu: Infinity }, RangeError, 'options.mtu'],
  ['a bigint', { target, mtu: 1500n }, TypeError, 'options.mtu'],
  ['cidr null', { target, cidr: null }, TypeError, 'options.cidr'],
  ['cidr in no text', { target, cidr: 10 }, TypeError, 'options.cidr'],
  ['cidr in an array', { target, cidr: ['10.0.2.0/24'] }, TypeError, 'options.cidr'],
  ['cidr empty', { target, cidr: '' }, RangeError, 'options.cidr'],
  ['cidr without a prefix', { target, cidr: '10.0.2.0' }, RangeError, 'options.cidr'],
  ['cidr of a host', { target, cidr: '10.0.2.1/24' }, RangeError, 'options.cidr'],
  ['cidr too small', { target, cidr: '10.0.2.0/26' }, RangeError, 'options.cidr'],
  ['cidr of all', { target, cidr: '0.0.0.0/0' }, RangeError, 'options.cidr'],
  ['cidr of no numbers', { target, cidr: '10.0.256.0/24' }, RangeError, 'options.cidr'],
  ['cidr a symbol', { target, cidr: Symbol('10.0.2.0/24') }, TypeError, 'options.cidr'],
  ['cidr without a prototype', { target, cidr: Object.create(null) }, TypeError, 'options.cidr'],
  ['cidr of the loopback', { target, cidr: '127.0.0.0/8' }, RangeError, 'options.cidr'],
  ['cidr of this network', { target, cidr: '0.0.0.0/1' }, RangeError, 'options.cidr'],
  ['cidr of groups', { target, cidr: '224.0.0.0/24' }, RangeError, 'options.cidr'],
  ['cidr reserved', { target, cidr: '240.0.0.0/24' }, RangeError, 'options.cidr'],
  [
    'limits in an array',
    { target, limits: [] },
    TypeError,
    'options.limits must be an object, not an array',
  ],
  ['cidr of IPv6', { target, cidr: 'fd00::/64' }, RangeError, 'options.cidr'],
  ['configure', { target, configure: 1 }, TypeError, 'options.configure must be a boolean, not 1'],
  [
    'configure with a descriptor',
    { target: { fd: 3 }, configure: true },
    TypeError,
    'options.configure must be false with a descriptor',
  ],
  ['ipv6', { target, ipv6: 'yes' }, TypeError, 'options.ipv6'],
  ['hostLoopback', { target, hostLoopback: null }, TypeError, 'options.hostLoopback'],
  ['outboundAddress', { target, outboundAddress: 5 }, TypeError, 'options.outboundAddress'],
  [
    'another family',
    { target, outboundAddress: '::1' },
    RangeError,
    "options.outboundAddress must be an IPv4 address, or an interface of the host that has one, not '::1'",
  ],
  ['no interface', { target, outboundAddress6: 'x0' }, RangeError, 'options.outboundAddress6'],
  ['dns', { target, dns: 0 }, TypeError, 'options.dns'],
  ['forwardMode', { target, forwardMode: true }, TypeError, "options.forwardMode must be 'tap' or"],
  ['no such mode', { target, forwardMode: 'nat' }, RangeError, 'options.forwardMode'],
  [
    'splice without a namespace',
    { target: { fd: 3 }, forwardMode: 'splice' },
    TypeError,
    "options.forwardMode must not be 'splice' with a descriptor",
  ],
  ['a name too long', { target, tapName: 'x'.repeat(16) }, RangeError, 'options.tapName'],
  ['an empty name', { target, tapName: '' }, RangeError, 'options.tapName'],
  ['a name with a slash', { target, tapName: 'a/b' }, RangeError, 'options.tapName'],
  ['a name that is none', { target, tapName: {} }, TypeError, 'options.tapName'],
  ['a name of a descriptor', { target: { fd: 3 }, tapName: 'tap0' }, TypeError, 'options.tapName'],
  ['half a MAC address', { target, macAddress: '52:54:00' }, RangeError, 'options.macAddress'],
  ['a group', { target, macAddress: '01:00:00:00:00:01' }, RangeError, 'options.macAddress'],
  ['MAC zero', { target, macAddress: '00:00:00:00:00:00' }, RangeError, 'options.macAddress'],
  ['octets', { target, macAddress: new Uint8Array(6) }, TypeError, 'options.macAddress'],
  [
    'a MAC address to nobody',
    { target, configure: false, macAddress: '52:54:00:12:34:56' },
    TypeError,
    'options.macAddress goes with configure only',
  ],
  [
    'keepAlive',
    { target, keepAlive: 5 },
    TypeError,
    'options.keepAlive must be a boolean or an object, not 5',
  ],
  ['keepAlive null', { target, keepAlive: null }, TypeError, 'options.keepAlive'],
  [
    'keepAlive in seconds',
    { target, keepAlive: { idle: 60 } },
    RangeError,
    'options.keepAlive.idle must be an integer from 1000 to 32767000, not 60',
  ],
  ['no probe', { target, keepAlive: { probes: 0 } }, RangeError, 'options.keepAlive.probes'],
  ['probes of null', { target, keepAlive: { probes: null } }, TypeError, 'options.keepAlive.pr'],
  [
    'a keep-alive that is not known',
    { target, keepAlive: { time: 5000 } },
    TypeError,
    'options.keepAlive.time is not known',
  ],
  [
    'filtering',
    { target, filtering: 'symmetric' },
    RangeError,
    "options.filtering must be 'endpoint-independent' or 'address-dependent' or 'address-and-port-dependent', not 'symmetric'",
  ],
  ['filtering true', { target, filtering: true }, TypeError, 'options.filtering'],
  ['limits', { target, limits: 5 }, TypeError, 'options.limits must be an object, not 5'],
  ['another limit', { target, limits: { flows: 5 } }, TypeError, 'options.limits.flows is not'],
  [
    'no connections',
    { target, limits: { connections: 0 } },
    RangeError,
    'options.limits.connections must be an integer from 1 to 1000000, not 0',
  ],
  ['a limit in text', { target, limits: { memory: '64M' } }, TypeError, 'options.limits.memory'],
  ['too much memory', { target, limits: { memory: 2 ** 31 } }, RangeError, 'options.limits.mem'],
  ['too small a buffer', { target, limits: { buffer: 65_535 } }, RangeError, 'options.limits.bu'],
  ['signal', { target, signal: {} }, TypeError, 'options.signal must be an AbortSignal'],
  ['signal null', { target, signal: null }, TypeError, 'options.signal'],
]

describe('attach refuses', () => {
  test.each(ATTACH)('%s', async (_, options, kind, says) => {
    const error = await attach(options as never).catch((reason) => reason)
    expect(error).toBeInstanceOf(kind)
    expect(error.code).toBe(NOT_STARTED)
    expect(error.message).toContain(says)
  })

  test('to start when the signal is aborted already', async () => {
    const reason = new Error('no')
    await expect(attach({ target, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  test('another platform, by name', async () => {
    const platform = Object.getOwnPropertyDescriptor(process, 'platform')!
    Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' })
    try {
      await expect(attach({ target })).rejects.toMatchObject({
        code: 'ERR_NOT_SUPPORTED',
        message: expect.stringMatching(/Linux.*darwin/),
      })
    } finally {
      Object.defineProperty(process, 'platform', platform)
    }
  })
})

const network = readAttachOptions({ target, ipv6: true }).network
const without = readAttachOptions({ target, dns: false }).network

type EndpointRow = [
  what: string,
  read: () => unknown,
  kind: typeof TypeError | typeof RangeError,
  says: string,
]

const listen =
  (options: unknown, of = network): (() => unknown) =>
  () =>
    readListenOptions(options, of)
const connect =
  (options: unknown, of = network): (() => unknown) =>
  () =>
    readConnectOptions(options, of)
const bind =
  (options: unknown, of = network): (() => unknown) =>
  () =>
    readBindOptions(options, of)

const ENDPOINTS: EndpointRow[] = [
  ['no options', listen(undefined), TypeError, 'options must be an object'],
  ['an unknown option', listen({ port: 1, host: 'x' }), TypeError, 'options.host is not known'],
  [
    'no port',
    listen({}),
    TypeError,
    'options.port must be an integer from 0 to 65535, not undefined',
  ],
  ['a port too far', listen({ port: 65_536 }), RangeError, 'options.port'],
  ['a port in text', bind({ port: '53' }), TypeError, 'options.port'],
  ['a name as address', listen({ port: 1, address: 'localhost' }), RangeError, 'options.address'],
  ['a number', listen({ port: 1, address: 1 }), TypeError, 'options.address'],
  ...[
    ...['127.0.0.1', '0.0.0.0', '0.1.2.3', '224.0.0.1', '255.255.255.255', '240.0.0.1'],
    ...['10.0.2.0', '10.0.2.255', '10.0.2.100', '10.0.2.15', '10.0.2.30'],
    ...['::', '::1', 'fe80::2', 'ff02::1', '::ffff:127.0.0.1'],
  ].map(
    (address): EndpointRow => [
      `the address ${address}`,
      listen({ port: 1, address }),
      RangeError,
      'options.address must be an IP address that packets may be for',
    ],
  ),
  [
    'IPv6 without ipv6',
    listen({ port: 1, address: 'fd00::7' }, without),
    RangeError,
    'options.address must be an IPv4 address that',
  ],
  [
    'a name without dns',
    listen({ port: 1, name: 'a' }, without),
    TypeError,
    'options.name: the network',
  ],
  ...['', '.', 'a..b', '-a', 'a-', 'a b', 'ä', 'a'.repeat(64), `${'a.'.repeat(127)}a`].map(
    (name): EndpointRow => [
      `the name '${name.slice(0, 20)}'`,
      listen({ port: 1, name }),
      RangeError,
      "options.name must be a name such as 'metadata.internal'",
    ],
  ),
  ['a name that is none', bind({ name: 1 }), TypeError, 'options.name'],
  ['allowHalfOpen', listen({ port: 1, allowHalfOpen: 1 }), TypeError, 'options.allowHalfOpen'],
  ['little room', listen({ port: 1, highWaterMark: 4095 }), RangeError, 'options.highWaterMark'],
  ['much room', connect({ port: 1, highWaterMark: 2 ** 21 }), RangeError, 'options.highWaterMark'],
  ['a stream’s option for datagrams', bind({ highWaterMark: 4096 }), TypeError, 'is not known'],
  [
    'port 0 of the container',
    connect({ port: 0 }),
    RangeError,
    'options.port must be an integer from 1',
  ],
  [
    'a host elsewhere',
    connect({ port: 1, host: '10.0.3.1' }),
    RangeError,
    "options.host must be an address in 10.0.2.0/24, fd00::/64 or fe80::/10, not '10.0.3.1'",
  ],
  [
    'a host of IPv6',
    connect({ port: 1, host: 'fd00::7' }, without),
    RangeError,
    'in 10.0.2.0/24, not',
  ],
  ['a host that is none', connect({ port: 1, host: null }), TypeError, 'options.host'],
  ['no time', connect({ port: 1, timeout: -1 }), RangeError, 'options.timeout'],
  ['no signal', connect({ port: 1, signal: {} }), TypeError, 'options.signal'],
]

describe('listen, connect and bind refuse', () => {
  test.each(ENDPOINTS)('%s', (_, read, kind, says) => {
    let error: unknown
    try {
      read()
    } catch (reason) {
      error = reason
    }
    expect(error).toBeInstanceOf(kind)
    expect(error).toMatchObject({ code: NOT_STARTED, message: expect.stringContaining(says) })
  })

  test('nothing that can be', () => {
    for (const address of [
      '10.0.2.2',
      '10.0.2.3',
      '10.0.2.14',
      '10.0.2.31',
      '169.254.169.254',
      '8.8.8.8',
      'fd00::2',
      'fd00:ec2::254',
      '2001:db8::1',
    ]) {
      expect(readListenOptions({ port: 0, address }, network).endpoint).toMatchObject({ address })
    }
    expect(readListenOptions({ port: 80, name: 'Meta_data.Internal.' }, network)).toEqual({
      endpoint: {
        proto: 'tcp',
        address: '10.0.2.2',
        port: 80,
        name: 'meta_data.internal',
        window: 262_144,
      },
      allowHalfOpen: false,
    })
    expect(readBindOptions({}, without)).toMatchObject({
      proto: 'udp',
      address: '10.0.2.2',
      port: 0,
    })
  })
})

const without6 = { cidr: { network: 0x0a000200, prefix: 24 }, ipv6: false }
const with6 = { ...without6, ipv6: true }

const FORWARD: Row[] = [
  ['no options', undefined, TypeError, 'options must be an object'],
  ['an unknown option', { guestPort: 1, port: 2 }, TypeError, 'options.port is not known'],
  ['no port', {}, TypeError, 'options.guestPort must be an integer from 1 to 65535, not undefined'],
  ['port 0 of the container', { guestPort: 0 }, RangeError, 'options.guestPort'],
  ['a port too far', { guestPort: 65_536 }, RangeError, 'options.guestPort'],
  ['a port in text', { guestPort: '80' }, TypeError, 'options.guestPort'],
  ['port -1 of the host', { guestPort: 1, hostPort: -1 }, RangeError, 'options.hostPort'],
  ['half a port', { guestPort: 1, hostPort: 0.5 }, RangeError, 'options.hostPort'],
  ['no ports', { guestPort: 1, hostPort: 1, count: 0 }, RangeError, 'options.count'],
  [
    'more ports than go in one',
    { guestPort: 80, hostPort: 8000, count: 1025 },
    RangeError,
    'options.count must be an integer from 1 to 1024, not 1025',
  ],
  [
    'more ports than there are',
    { guestPort: 65_534, hostPort: 8000, count: 3 },
    RangeError,
    'options.count must be an integer from 1 to 2, not 3',
  ],
  ['a row of any ports', { guestPort: 1, count: 2 }, RangeError, 'options.hostPort must not be 0'],
  ['sctp', { guestPort: 1, proto: 'sctp' }, RangeError, "options.proto must be 'tcp' or 'udp' or"],
  ['protocol 6', { guestPort: 1, proto: 6 }, TypeError, 'options.proto'],
  ['a name', { guestPort: 1, hostAddress: 'localhost' }, RangeError, 'options.hostAddress'],
  ['an empty address', { guestPort: 1, hostAddress: '' }, RangeError, 'options.hostAddress'],
  ['no address', { guestPort: 1, hostAddress: null }, TypeError, 'options.hostAddress'],
  [
    'an address elsewhere',
    { guestPort: 1, guestAddress: '10.0.3.100' },
    RangeError,
    "options.guestAddress must be an IPv4 address in 10.0.2.0/24, not '10.0.3.100'",
  ],
  [
    'an IPv6 address inside',
    { guestPort: 1, guestAddress: 'fd00::2' },
    RangeError,
    'options.guest',
  ],
  ['a number', { guestPort: 1, guestAddress: 1 }, TypeError, 'options.guestAddress'],
  ['IPv6 without ipv6', { guestPort: 1, proto: 'tcp6' }, RangeError, 'options.proto: for tcp6'],
  [
    'an address of the other version at the host',
    { guestPort: 1, proto: 'udp4', hostAddress: '::1' },
    RangeError,
    "options.hostAddress must be an IPv4 address, not '::1'",
  ],
]

describe('forwards.add refuses', () => {
  test.each(FORWARD)('%s', (_, options, kind, says) => {
    let error: unknown
    try {
      readForwardOptions(options, without6)
    } catch (reason) {
      error = reason
    }
    expect(error).toBeInstanceOf(kind)
    expect(error).toMatchObject({ code: NOT_STARTED, message: expect.stringContaining(says) })
  })
})

test('the defaults are the safe ones', () => {
  expect(readAttachOptions({ target })).toEqual({
    network: {
      target,
      tapName: 'tap0',
      mtu: 1500,
      cidr: { network: 0x0a000200, prefix: 24 },
      configure: true,
      ipv6: false,
      hostLoopback: false,
      dns: true,
    },
    signal: undefined,
  })
  expect(readAttachOptions({ target: { fd: 7 } }).network).toMatchObject({
    tapName: '',
    configure: false,
  })
  expect(readForwardOptions({ guestPort: 80 }, without6)).toEqual({
    proto: 'tcp',
    hostAddr: '127.0.0.1',
    hostPort: 0,
    guestAddr: '',
    guestPort: 80,
    count: 1,
  })
})

test('what is not given of keep-alives is as Linux has it, and limits are those that are given', () => {
  const read = (options: object): object =>
    readAttachOptions({ target, ...options }).network as object
  const plain = read({})
  expect(read({ keepAlive: true, filtering: undefined, limits: undefined })).toEqual(plain)
  expect(read({ keepAlive: false })).toEqual({ ...plain, keepAlive: 'off' })
  expect(read({ keepAlive: { idle: 60_000 } })).toEqual({
    ...plain,
    keepAlive: { idle: 60_000, interval: 75_000, probes: 9 },
  })
  expect(read({ filtering: 'address-dependent' })).toMatchObject({ filtering: 'address-dependent' })
  const limits = { connections: 100, halfOpen: undefined, memory: 2 ** 20 }
  expect(read({ limits })).toEqual({
    ...plain,
    limits: { connections: 100, memory: 2 ** 20 },
  })
})

describe('with ipv6', () => {
  test('tcp6 and udp6 listen on ::1, for the address that the container makes itself', () => {
    for (const proto of ['tcp6', 'udp6'] as const) {
      expect(readForwardOptions({ guestPort: 80, proto }, with6)).toEqual({
        proto,
        hostAddr: '::1',
        hostPort: 0,
        guestAddr: '',
        guestPort: 80,
        count: 1,
      })
    }
  })

  test('a guest may have any address of fd00::/64, and tcp may go from one version to the other', () => {
    const mixed = { guestPort: 80, hostAddress: '127.0.0.1', guestAddress: 'fd00:0::0007' }
    expect(readForwardOptions(mixed, with6)).toMatchObject({ proto: 'tcp', guestAddr: 'fd00::7' })
    const wrong = [
      { guestPort: 1, guestAddress: 'fd01::7' },
      { guestPort: 1, proto: 'tcp6', guestAddress: '10.0.2.100' },
      { guestPort: 1, proto: 'tcp6', hostAddress: '127.0.0.1' },
      { guestPort: 1, proto: 'tcp4', guestAddress: 'fd00::7' },
    ]
    for (const options of wrong) {
      expect(() => readForwardOptions(options, with6)).toThrow(
        /options\.(guest|host)Address must be/,
      )
    }
  })
})

test('undefined is the default', () => {
  const all = { mtu: undefined, cidr: undefined, dns: undefined, tapName: undefined }
  expect(readAttachOptions({ target, ...all })).toEqual(readAttachOptions({ target }))
})

test('none of these has loaded koffi', () => {
  expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain('koffi')
})
