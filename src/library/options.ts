/**
 * What a caller gives, checked before anything is started: TypeError for what is of the wrong kind, RangeError for a value that
 * cannot be had, each with the option's name and the code ERR_INVALID_OPTION.
 */
import { ipv6Subnet } from '../engine/addresses.ts'
import {
  DEFAULT_CIDR,
  DEFAULT_MTU,
  FILTERINGS,
  FORWARD_MODES,
  FORWARD_PROTOS,
  KEEP_ALIVE,
  LIMIT_NAMES,
  LIMITS,
  type LimitName,
  MAX_COUNT,
  MAX_MTU,
  MAX_PREFIX,
  MIN_MTU,
} from '../engine/limits.ts'
import { type Family, outboundAddress } from '../engine/outbound.ts'
import type {
  Filtering,
  ForwardMode,
  ForwardProto,
  ForwardRequest,
  NetworkOptions,
} from '../engine/types.ts'
import {
  format,
  formatIpv4,
  isIn,
  isLoopback,
  isMapped,
  isMulticast,
  isReserved,
  isThisNetwork,
  parse,
  parseIpv4,
  parseMac,
} from '../stack/wire/address.ts'
import { isInterfaceName } from '../tap/interface-request.ts'
import type { EgressOptions } from './egress.ts'
import {
  coded,
  mistyped,
  readBoolean,
  readInteger,
  readObject,
  readPath,
  readSignal,
  wrong,
} from './values.ts'

/**
 * Where the container is: the network namespace of a process, or the file of one with, where it cannot be found from
 * that, the file of the user namespace that owns it; or a TAP that is open already.
 */
export type Target =
  | { readonly pid: number }
  | { readonly netns: string; readonly userns?: string | undefined }
  | { readonly fd: number }
  | { readonly bess: string }

export interface AttachOptions {
  /** The container. A TAP's descriptor stays yours: slipway uses a duplicate, and sets O_NONBLOCK on it. */
  readonly target: Target
  /** The name of the interface in the container; one that is there already is used. Default: `'tap0'`. */
  readonly tapName?: string | undefined
  /** 68 to 65521. Default: 1500. */
  readonly mtu?: number | undefined
  /** The container's subnet, at most a /25. Default: `'10.0.2.0/24'`. */
  readonly cidr?: string | undefined
  /**
   * Bring `lo` and the interface up, with addresses and the default route. Default: true, except with a
   * descriptor or a switch: there it is for others to do.
   */
  readonly configure?: boolean | undefined
  /** Of the container's interface, only with `configure`. Default: the kernel's choice. */
  readonly macAddress?: string | undefined
  /** Speak IPv6 as well, fd00::/64. Default: false. */
  readonly ipv6?: boolean | undefined
  /** May the container reach the host's 127.0.0.1, through the gateway's address? Default: false. */
  readonly hostLoopback?: boolean | undefined
  /**
   * The host's IPv4 address that the container's flows go out from, or the name of an interface: then it is the address
   * that that one has now. Default: the system's choice.
   */
  readonly outboundAddress?: string | undefined
  /** The same for IPv6. */
  readonly outboundAddress6?: string | undefined
  /** Does the address `addresses.dns` answer, from the host's name servers? Default: true. */
  readonly dns?: boolean | undefined
  /**
   * How published TCP ports lead to the container. `'tap'`: through the stack, and its servers see the client's address.
   * `'splice'`: to its loopback, with the octets carried by the kernel, and they see 127.0.0.1; what listens only at the
   * container's address is reached by the TAP. Not with a descriptor or a switch. Default: `'tap'`.
   */
  readonly forwardMode?: ForwardMode | undefined
  /**
   * Find out which ends of idle TCP connections have vanished, the container's and the other one, and end those
   * connections; one whose ends live is never ended. Default: true, which is after two hours (for the other end: as the
   * host's net.ipv4.tcp_keepalive_* says).
   */
  readonly keepAlive?: boolean | KeepAliveOptions | undefined
  /**
   * Whom a UDP port of the container hears (RFC 4787 §5). Default: `'endpoint-independent'`, whoever knows its port at
   * the host; else only hosts, or hosts and ports, that it has sent to.
   */
  readonly filtering?: Filtering | undefined
  /** What the network may hold at most. Default: what RLIMIT_NOFILE lets have. */
  readonly limits?: LimitOptions | undefined
  /** Where the container may go, and who is asked. Default: anywhere. */
  readonly egress?: EgressOptions | undefined
  /** Cancels attaching: it rejects with the signal's reason. Without effect on a network that is there. */
  readonly signal?: AbortSignal | undefined
}

/** How idle connections are looked after, at both ends. Times in ms; the host's kernel counts in seconds. */
export interface KeepAliveOptions {
  /** How long nothing was heard of an end before it is asked whether it lives. Default: 7,200,000. */
  readonly idle?: number | undefined
  /** How long it has to answer before it is asked again. Default: 75,000. */
  readonly interval?: number | undefined
  /** How often it is asked in vain, before the connection is ended. Default: 9. */
  readonly probes?: number | undefined
}

/** At each limit what is new is refused or waits, is counted, and what is there goes on. */
export interface LimitOptions {
  /** TCP connections, those that are being opened among them. Default: RLIMIT_NOFILE less 32. */
  readonly connections?: number | undefined
  /** TCP handshakes of the container's that are under way. Default: half of the connections, at most 4096. */
  readonly halfOpen?: number | undefined
  /** UDP ports of the container; the one that was silent longest makes room. Default: half of RLIMIT_NOFILE. */
  readonly udpFlows?: number | undefined
  /** Pings to the outside; the same. Default: an eighth of RLIMIT_NOFILE, at most 1024. */
  readonly pings?: number | undefined
  /** Datagrams that wait for fragments, of each IP version, 64 KiB each; the oldest makes room. Default: 64. */
  readonly fragments?: number | undefined
  /**
   * Octets that a TCP connection may buffer, each way, from 65,536 on. It begins with 1 MiB at most towards the container and
   * 512 KiB from there, and has more where the path is long and full. Default: 4 MiB.
   */
  readonly buffer?: number | undefined
  /** Octets that all of them may buffer, from 1 MiB to 1 GiB. Default: 224 MiB. */
  readonly memory?: number | undefined
}

export interface ForwardOptions {
  /**
   * Default: `'tcp'`. With a number, both ends are of that IP version; without one, each is of the version of its
   * address, and `'::'` takes clients of both.
   */
  readonly proto?: ForwardProto | undefined
  /** The host's address to listen on, IPv4 or IPv6. Default: `'127.0.0.1'`, or `'::1'`. */
  readonly hostAddress?: string | undefined
  /** 0 is any that is free. Default: 0. */
  readonly hostPort?: number | undefined
  /**
   * An address in the container's subnet. Default: `addresses.guest`; for IPv6 the one that the container's kernel
   * makes of the interface's MAC.
   */
  readonly guestAddress?: string | undefined
  readonly guestPort: number
  /**
   * How many ports in a row, `hostPort` and `guestPort` being the first of them: all of them are published or none, and
   * they are removed together. At most 1,024; more than one need a `hostPort` that is not 0. Default: 1.
   */
  readonly count?: number | undefined
}

const MAX_INT = 0x7fffffff
const MAX_PORT = 65535
/** sun_path of unix(7), less the NUL. */
const MAX_SOCKET_PATH = 107

const ATTACH_OPTIONS = [
  'target',
  'tapName',
  'mtu',
  'cidr',
  'configure',
  'macAddress',
  'ipv6',
  'hostLoopback',
  'outboundAddress',
  'outboundAddress6',
  'dns',
  'forwardMode',
  'keepAlive',
  'filtering',
  'limits',
  'egress',
  'signal',
] as const satisfies readonly (keyof AttachOptions)[]

const FORWARD_OPTIONS = [
  'proto',
  'hostAddress',
  'hostPort',
  'guestAddress',
  'guestPort',
  'count',
] as const satisfies readonly (keyof ForwardOptions)[]

export function readAttachOptions(given: unknown): {
  network: NetworkOptions
  signal: AbortSignal | undefined
  /** To be read by `readEgress`. */
  egress: unknown
} {
  const options = readObject(given, 'options', ATTACH_OPTIONS)
  const { mtu = DEFAULT_MTU, cidr = DEFAULT_CIDR, macAddress: mac, signal } = options
  const target = readTarget(options.target)
  const isOpen = 'fd' in target || 'bess' in target
  const tapName = readTapName(options.tapName, isOpen)
  const configure = readBoolean(options, 'configure', !isOpen)
  if (configure && isOpen) {
    throw mistyped(
      'options.configure must be false with a descriptor or a switch: that is for others to do',
    )
  }
  const macAddress = readMac(mac, configure)
  const outboundAddr = readOutbound(options, 'outboundAddress', 'IPv4')
  const outboundAddr6 = readOutbound(options, 'outboundAddress6', 'IPv6')
  const network = {
    target,
    tapName,
    mtu: readInteger(mtu, 'options.mtu', MIN_MTU, MAX_MTU),
    cidr: readCidr(cidr),
    configure,
    ...(macAddress && { macAddress }),
    ipv6: readBoolean(options, 'ipv6', false),
    hostLoopback: readBoolean(options, 'hostLoopback', false),
    ...(outboundAddr !== undefined && { outboundAddr }),
    ...(outboundAddr6 !== undefined && { outboundAddr6 }),
    dns: readBoolean(options, 'dns', true),
    ...readForwardMode(options.forwardMode, isOpen),
    ...readKeepAlive(options.keepAlive),
    ...readFiltering(options.filtering),
    ...readLimits(options.limits),
  }
  return { network, signal: readSignal(signal), egress: options.egress }
}

export function readForwardOptions(
  given: unknown,
  { cidr, ipv6 }: Pick<NetworkOptions, 'cidr' | 'ipv6'>,
): ForwardRequest {
  const options = readObject(given, 'options', FORWARD_OPTIONS)
  const { proto: wanted = 'tcp' } = options
  const proto = FORWARD_PROTOS.find((known) => known === wanted)
  if (proto === undefined) {
    const protos = FORWARD_PROTOS.map((known) => `'${known}'`).join(' or ')
    throw wrong(wanted, 'options.proto', protos, typeof wanted === 'string')
  }
  const isOf6 = proto.endsWith('6')
  if (isOf6 && !ipv6) {
    throw coded(new RangeError(`options.proto: for ${proto} the network must be one with ipv6`))
  }
  const versions = /[46]$/.test(proto) ? [isOf6 ? 6 : 4] : [4, 6]
  const { hostAddress = isOf6 ? '::1' : '127.0.0.1', guestAddress } = options
  return {
    proto,
    hostAddr: readAddress(hostAddress, 'options.hostAddress', versions),
    guestAddr: readGuestAddress(guestAddress, versions, cidr, ipv6),
    ...readPorts(options),
  }
}

function readPorts({
  hostPort: atHost = 0,
  guestPort: atGuest,
  count: wanted = 1,
}: Partial<Record<keyof ForwardOptions, unknown>>): Required<
  Pick<ForwardRequest, 'hostPort' | 'guestPort' | 'count'>
> {
  const hostPort = readInteger(atHost, 'options.hostPort', 0, MAX_PORT)
  const guestPort = readInteger(atGuest, 'options.guestPort', 1, MAX_PORT)
  const most = Math.min(MAX_COUNT, MAX_PORT + 1 - Math.max(hostPort, guestPort))
  const count = readInteger(wanted, 'options.count', 1, most)
  if (count > 1 && hostPort === 0) {
    throw coded(
      new RangeError('options.hostPort must not be 0 with options.count: a row needs its first'),
    )
  }
  return { hostPort, guestPort, count }
}

function readForwardMode(given: unknown, isOpen: boolean): { forwardMode?: ForwardMode } {
  if (given === undefined) return {}
  const forwardMode = FORWARD_MODES.find((known) => known === given)
  if (forwardMode === undefined) {
    const modes = FORWARD_MODES.map((known) => `'${known}'`).join(' or ')
    throw wrong(given, 'options.forwardMode', modes, typeof given === 'string')
  }
  if (forwardMode === 'splice' && isOpen) {
    throw mistyped(
      "options.forwardMode must not be 'splice' with a descriptor or a switch: its namespace is not known",
    )
  }
  return { forwardMode }
}

function readAddress(given: unknown, name: string, versions: readonly number[]): string {
  const words = new Int32Array(4)
  const isAddress = typeof given === 'string' && parse(given, words)
  if (isAddress && versions.includes(isMapped(words) ? 4 : 6)) return given
  const wanted = versions.length > 1 ? 'an IP address' : `an IPv${versions[0]} address`
  throw wrong(given, name, wanted, typeof given === 'string')
}

/** '' is the address that the container has by default. */
function readGuestAddress(
  given: unknown,
  versions: readonly number[],
  { network, prefix }: NetworkOptions['cidr'],
  ipv6: boolean,
): string {
  if (given === undefined) return ''
  const words = new Int32Array(4)
  const { prefix: prefix6 } = ipv6Subnet(false)
  if (typeof given === 'string' && parse(given, words)) {
    const isThere = isMapped(words)
      ? isIn(words[3]!, network, prefix)
      : ipv6 && words[0] === prefix6[0] && words[1] === prefix6[1]
    if (isThere && versions.includes(isMapped(words) ? 4 : 6)) return format(words)
  }
  const subnets = [
    ...(versions.includes(4) ? [`an IPv4 address in ${formatIpv4(network)}/${prefix}`] : []),
    ...(versions.includes(6) && ipv6 ? [`an IPv6 address in ${format(prefix6)}/64`] : []),
  ]
  throw wrong(given, 'options.guestAddress', subnets.join(' or '), typeof given === 'string')
}

export function readForwardId(given: unknown): number {
  if (typeof given === 'number') return given
  throw wrong(given, 'id', 'a number', false)
}

function readTarget(given: unknown): NetworkOptions['target'] {
  const target = readObject(given, 'options.target', ['pid', 'netns', 'userns', 'fd', 'bess'])
  const kinds = (['pid', 'netns', 'fd', 'bess'] as const).filter(
    (kind) => target[kind] !== undefined,
  )
  const [kind] = kinds
  if (kind === undefined || kinds.length > 1) {
    throw mistyped('options.target must have one of pid, netns, fd and bess')
  }
  if (target.userns !== undefined && kind !== 'netns') {
    throw mistyped('options.target.userns goes with netns only')
  }
  switch (kind) {
    case 'pid':
      return { pid: readInteger(target.pid, 'options.target.pid', 1, MAX_INT) }
    case 'fd':
      return { fd: readInteger(target.fd, 'options.target.fd', 0, MAX_INT) }
    case 'bess':
      return { bess: readPath(target.bess, 'options.target.bess', MAX_SOCKET_PATH) }
    case 'netns': {
      const netns = readPath(target.netns, 'options.target.netns')
      if (target.userns === undefined) return { netns }
      return { netns, userns: readPath(target.userns, 'options.target.userns') }
    }
  }
}

function readTapName(name: unknown, isOpen: boolean): string {
  if (name === undefined) return isOpen ? '' : 'tap0'
  if (isOpen) throw mistyped('options.tapName goes with pid and netns only')
  if (typeof name === 'string' && isInterfaceName(name)) return name
  const wanted = 'the name of an interface (1 to 15 octets, no "/", no ":", no blank)'
  throw wrong(name, 'options.tapName', wanted, typeof name === 'string')
}

function readMac(given: unknown, configure: boolean): Uint8Array | undefined {
  if (given === undefined) return undefined
  if (!configure) throw mistyped('options.macAddress goes with configure only')
  const octets = typeof given === 'string' ? parseMac(given) : undefined
  // Of a group, or all zero: the kernel has neither for an interface (is_valid_ether_addr).
  if (octets === undefined || octets[0]! & 1 || octets.every((octet) => octet === 0)) {
    const wanted = "one interface's MAC address, such as '52:54:00:12:34:56'"
    throw wrong(given, 'options.macAddress', wanted, typeof given === 'string')
  }
  return octets
}

function readOutbound<Name extends string>(
  options: Partial<Record<Name, unknown>>,
  name: Name,
  family: Family,
): string | undefined {
  const { [name]: given } = options
  if (given === undefined) return undefined
  if (typeof given === 'string' && outboundAddress(given, family)) return given
  const wanted = `an ${family} address, or an interface of the host that has one`
  throw wrong(given, `options.${name}`, wanted, typeof given === 'string')
}

function readKeepAlive(given: unknown): Pick<NetworkOptions, 'keepAlive'> {
  if (given === undefined || given === true) return {}
  if (given === false) return { keepAlive: 'off' }
  const name = 'options.keepAlive'
  if (typeof given !== 'object' || given === null) {
    throw wrong(given, name, 'a boolean or an object', false)
  }
  const options = readObject(given, name, ['idle', 'interval', 'probes'])
  const part = (key: keyof typeof KEEP_ALIVE): number => {
    const { least, most, default: otherwise } = KEEP_ALIVE[key]
    return readInteger(
      options[key] === undefined ? otherwise : options[key],
      `${name}.${key}`,
      least,
      most,
    )
  }
  return { keepAlive: { idle: part('idle'), interval: part('interval'), probes: part('probes') } }
}

function readFiltering(given: unknown): Pick<NetworkOptions, 'filtering'> {
  if (given === undefined) return {}
  const filtering = FILTERINGS.find((known) => known === given)
  if (filtering !== undefined) return { filtering }
  const wanted = FILTERINGS.map((known) => `'${known}'`).join(' or ')
  throw wrong(given, 'options.filtering', wanted, typeof given === 'string')
}

function readLimits(given: unknown): Pick<NetworkOptions, 'limits'> {
  if (given === undefined) return {}
  const options = readObject(given, 'options.limits', LIMIT_NAMES)
  const limits: Partial<Record<LimitName, number>> = {}
  for (const name of LIMIT_NAMES) {
    const { [name]: value } = options
    const { least, most } = LIMITS[name]
    if (value === undefined) continue
    limits[name] = readInteger(value, `options.limits.${name}`, least, most)
  }
  return { limits }
}

function readCidr(given: unknown): NetworkOptions['cidr'] {
  const wanted = `a network of unicast addresses such as '${DEFAULT_CIDR}', with a prefix of 1 to ${MAX_PREFIX}`
  const text = typeof given === 'string' ? given : ''
  const [, address = '', length] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? []
  const network = parseIpv4(address)
  const prefix = Number(length)
  const isOne = network !== undefined && prefix >= 1 && prefix <= MAX_PREFIX
  if (!isOne || network << prefix !== 0 || !isUnicast(network)) {
    throw wrong(given, 'options.cidr', wanted, typeof given === 'string')
  }
  return { network, prefix }
}

/** The stack knows no guest elsewhere (RFC 1122 §3.2.1.3). */
const isUnicast = (addr: number): boolean =>
  !isThisNetwork(addr) && !isLoopback(addr) && !isMulticast(addr) && !isReserved(addr)
