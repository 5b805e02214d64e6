import { describe, expect, test } from 'vitest'
import { type Host, parseArguments, type Settings } from '../../src/control/arguments.ts'
import { OWN_ROWS, ROWS, type Row, UPSTREAM_OPTIONS } from './observed.ts'

/** A system with the paths / and below /proc, the interface lo, and the descriptors 0 to 9. */
function parse(...args: string[]) {
  const warnings: string[] = []
  const host: Host = {
    pathError: (path) => (/^\/($|proc)/.test(path) ? undefined : 'No such file or directory'),
    interfaceHasAddress: (name) => name === 'lo',
    isInherited: (fd) => fd < 10,
    warn: (line) => warnings.push(line),
  }
  return { command: parseArguments(args, 'slirp4netns', host), warnings }
}

function settings(...args: string[]): Settings {
  const { command } = parse(...args)
  if (command.kind !== 'run') throw new Error(JSON.stringify(command))
  return command.settings
}

const titled = (rows: Row[]) => rows.map((row) => [row.args.join(' ') || '(nothing)', row] as const)

describe('is refused:', () => {
  test.each(titled([...ROWS, ...OWN_ROWS]))('%s', (_, row) => {
    const { command, warnings } = parse(...row.args)
    expect(command).toEqual({
      kind: 'refuse',
      reason: row.stderr?.join('\n') ?? '',
      usage: row.usage ?? false,
    })
    expect(warnings).toEqual(row.warnings ?? [])
  })
})

test("what slipway says more follows upstream's words", () => {
  for (const { stderr = [], upstream = [] } of ROWS) {
    for (const [at, line] of upstream.entries()) expect(stderr[at]?.startsWith(line)).toBe(true)
  }
})

test('the defaults are those of slirp4netns', () => {
  expect(settings('1234', 'tap0')).toEqual({
    network: {
      target: { pid: 1234 },
      tapName: 'tap0',
      mtu: 1500,
      cidr: { network: 0x0a000200, prefix: 24 },
      configure: false,
      ipv6: false,
      hostLoopback: true,
      dns: true,
    },
    sandbox: false,
    seccomp: false,
    observation: { logLevel: 'warning' },
  })
})

test('every option that is there reaches its setting', () => {
  const mac = '--macaddress=0e:D4:18:d9:38:b'
  const given = settings(
    '-c',
    '-e3',
    '-r',
    '4',
    '--mtu=65520',
    '-a/run/s.sock',
    '--cidr',
    '192.168.0.0/16',
    '--disable-host-loopback',
    '--disable-dns',
    '--outbound-addr=192.0.2.5',
    '--outbound-addr6=lo',
    '--enable-sandbox',
    '--enable-seccomp',
    '--forward-mode=splice',
    '--keepalive=60,5,3',
    '--filtering=address-and-port-dependent',
    '--limit=connections=100',
    '--limit',
    'udp-flows=50',
    '--limit=half-open=7',
    '--limit=memory=64M',
    '--log-flows=json',
    '--log-level=debug',
    '--pcap=/run/all.pcapng',
    '--metrics=[::1]:9100',
    '--policy=/etc/policy.json',
    '--decisions=-',
    mac,
    '--netns-type=path',
    '--userns-path=/proc/self/ns/user',
    '/proc/self/ns/net',
    'tap1',
  )
  expect(given).toEqual({
    network: {
      target: { netns: '/proc/self/ns/net', userns: '/proc/self/ns/user' },
      tapName: 'tap1',
      mtu: 65520,
      cidr: { network: 0xc0a80000 | 0, prefix: 16 },
      configure: true,
      macAddress: Uint8Array.of(0x0e, 0xd4, 0x18, 0xd9, 0x38, 0x0b),
      ipv6: false,
      hostLoopback: false,
      outboundAddr: '192.0.2.5',
      outboundAddr6: 'lo',
      dns: false,
      forwardMode: 'splice',
      keepAlive: { idle: 60_000, interval: 5000, probes: 3 },
      filtering: 'address-and-port-dependent',
      limits: { connections: 100, udpFlows: 50, halfOpen: 7, memory: 64 * 2 ** 20 },
    },
    apiSocket: '/run/s.sock',
    exitFd: 3,
    readyFd: 4,
    sandbox: true,
    seccomp: true,
    egress: { policy: '/etc/policy.json', decisions: '-' },
    observation: {
      logLevel: 'debug',
      flowLog: 'json',
      pcap: '/run/all.pcapng',
      metrics: { host: '::1', port: 9100 },
    },
  })
})

test('the lines of Podman, Buildah and RootlessKit are taken', () => {
  const podman =
    '--disable-host-loopback --mtu=65520 --enable-sandbox --enable-seccomp --enable-ipv6 -c -e 3 -r 4 --api-socket /s.net --netns-type=path /proc/1/ns/net tap0'
  expect(settings(...podman.split(' '))).toMatchObject({ exitFd: 3, readyFd: 4 })
  const build = '--mtu 65520 -r 3 -c 4321 tap0'
  expect(settings(...build.split(' '))).toMatchObject({
    network: { target: { pid: 4321 }, configure: true, mtu: 65520 },
  })
  const rootlesskit =
    '--mtu 65520 -r 3 --disable-host-loopback --cidr 10.9.0.0/16 --api-socket /s/.s4nn.sock 4321 tap0'
  expect(settings(...rootlesskit.split(' '))).toMatchObject({
    network: { configure: false, hostLoopback: false, cidr: { network: 0x0a090000, prefix: 16 } },
  })
})

test('what is not given of keep-alives is as Linux has it', () => {
  const keepAlive = (text: string) => settings(`--keepalive=${text}`, '1', 't').network.keepAlive
  expect(keepAlive('off')).toBe('off')
  expect(keepAlive('600')).toEqual({ idle: 600_000, interval: 75_000, probes: 9 })
  expect(keepAlive('600,1')).toEqual({ idle: 600_000, interval: 1000, probes: 9 })
  expect(settings('1', 't').network.keepAlive).toBeUndefined()
})

test('the last of a repeated limit counts, and K, M and G are powers of 1024', () => {
  const limits = (...words: string[]) =>
    settings(...words.map((word) => `--limit=${word}`), '1', 't').network.limits
  expect(limits('buffer=64K', 'buffer=2M')).toEqual({ buffer: 2 * 2 ** 20 })
  expect(limits('memory=1G', 'connections=1K')).toEqual({ memory: 2 ** 30, connections: 1024 })
})

test('options of ours take no prefix away from those of slirp4netns', () => {
  const isOnly = (prefix: string): boolean =>
    UPSTREAM_OPTIONS.filter((name) => name.startsWith(prefix)).length === 1
  let count = 0
  for (const name of UPSTREAM_OPTIONS) {
    for (let end = 1; end < name.length; end++) {
      const prefix = name.slice(0, end)
      if (!isOnly(prefix)) continue
      count++
      const { command } = parse(`--${prefix}`)
      const reason = command.kind === 'refuse' ? command.reason : ''
      expect(reason, prefix).not.toMatch(/ambiguous|unrecognized/)
    }
  }
  expect(count).toBeGreaterThan(100)
})

test('an open TAP needs no name', () => {
  expect(settings('--netns-type=tapfd', '5').network).toMatchObject({
    target: { fd: 5 },
    tapName: '',
  })
  expect(settings('--netns-type=tapfd', '5', 'tap0').network.target).toEqual({ fd: 5 })
})

test('a PID with a user namespace of another place is its namespace file', () => {
  expect(settings('--userns-path=/proc/7/ns/user', '8', 'tap0').network.target).toEqual({
    netns: '/proc/8/ns/net',
    userns: '/proc/7/ns/user',
  })
})

test('the first and the last network and MTU are taken', () => {
  expect(settings('--cidr=128.0.0.0/1', '1', 't').network.cidr.prefix).toBe(1)
  expect(settings('--cidr=10.0.2.128/25', '1', 't').network.cidr.network).toBe(0x0a000280)
  expect(settings('-m', '1', '1', 't').network.mtu).toBe(1)
  expect(settings('-m', ' +65521', '1', 't').network.mtu).toBe(65521)
})

test('the last of a repeated option counts', () => {
  expect(settings('--cidr=foo', '--cidr=10.1.0.0/16', '1', 't').network.cidr.prefix).toBe(16)
})

test('operands that are too many are a warning', () => {
  const { command, warnings } = parse('1', 'tap0', 'more')
  expect(command.kind).toBe('run')
  expect(warnings).toEqual(['WARNING: too many arguments'])
})

test('an exit-fd that is not open is no error here: it is an end at once', () => {
  expect(settings('-e', '99', '1', 'tap0').exitFd).toBe(99)
})

test('help and version come first where they stand first', () => {
  expect(parse('-hv').command.kind).toBe('help')
  expect(parse('-v', '-m', '0').command.kind).toBe('version')
  expect(parse('--vers').command.kind).toBe('version')
})
