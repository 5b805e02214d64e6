/**
 * slirp4netns' command line: its options, their defaults, limits and messages. Pure: what it must ask of the
 * system comes in as `Host`, so that every row of the observed table is a test without a process.
 *
 * Order matters, because the first reason is the one that is shown: descriptors, MTU and the userns path are
 * judged where they stand, conflicts and operands after the last word, CIDR, MAC and outbound addresses at the end.
 */

import {
  DEFAULT_CIDR,
  DEFAULT_MTU,
  FILTERINGS,
  FORWARD_MODES,
  type Limits,
} from '../engine/limits.ts'
import type { Filtering, ForwardMode, KeepAliveOption, NetworkOptions } from '../engine/types.ts'
import { versionOf } from '../stack/wire/address.ts'
import { FLOW_LOG_FORMATS } from './flow-log.ts'
import { getopt, type Option } from './getopt.ts'
import { LEVELS } from './log.ts'
import {
  misused,
  type Observation,
  Refusal,
  readChoice,
  readCidr,
  readDescriptor,
  readFilePath,
  readKeepAlive,
  readLimit,
  readMac,
  readMetrics,
  readMtu,
  readPid,
  readSocketPath,
  readTapName,
  refused,
} from './values.ts'

/** What the parser must ask of the system. */
export interface Host {
  /** Why `path` cannot be reached, in strerror(3)'s words; undefined when it can. */
  pathError(path: string): string | undefined
  /** Has the interface `name` an address of this family? */
  interfaceHasAddress(name: string, family: 'IPv4' | 'IPv6'): boolean
  /** Was the descriptor open when we were started? */
  isInherited(fd: number): boolean
  /** Gets the lines that upstream prints on stdout on its way, at once and in their order. */
  warn(line: string): void
}

/** What a run needs, all of it checked. */
export interface Settings {
  readonly network: NetworkOptions
  readonly apiSocket?: string
  readonly exitFd?: number
  readonly readyFd?: number
  readonly sandbox: boolean
  readonly seccomp: boolean
  /** Files: where the guest may go, and what is decided by that. */
  readonly egress?: { readonly policy: string; readonly decisions?: string }
  readonly observation: Readonly<Observation>
}

/** What to do. A refusal has its reason for stderr ('' where upstream gives none). */
export type Command =
  | { kind: 'help' }
  | { kind: 'version' }
  | { kind: 'refuse'; reason: string; usage: boolean }
  | { kind: 'run'; settings: Settings }

/** The options as given, over their defaults. */
class Given {
  asked?: 'help' | 'version'
  configure = false
  exitFd?: number
  readyFd?: number
  mtu = DEFAULT_MTU
  ipv6 = false
  apiSocket?: string
  cidr = DEFAULT_CIDR
  hostLoopback = true
  netnsType?: string
  usernsPath?: string
  sandbox = false
  seccomp = false
  outboundAddr?: string
  outboundAddr6?: string
  dns = true
  macAddress?: string
  targetType = 'netns'
  forwardMode?: ForwardMode
  keepAlive?: KeepAliveOption
  filtering?: Filtering
  limits: Partial<Limits> = {}
  policy?: string
  decisions?: string
  observation: Observation = { logLevel: 'warning' }
  operands: string[] = []
}

type Take = (given: Given, value: string, host: Host) => void
interface Known extends Option {
  readonly take: Take
}
const flag = (name: string, short: string, take: Take): Known => ({
  name,
  short,
  takesValue: false,
  take,
})
const value = (name: string, short: string, take: Take): Known => ({
  name,
  short,
  takesValue: true,
  take,
})

const experimental = (host: Host, what: string) =>
  host.warn(`WARNING: Support for ${what} is experimental`)
const deprecated = (host: Host, name: string, successor: string) =>
  host.warn(
    `WARNING: ${name} is deprecated and will be removed in future releases, ` +
      `please use ${successor} instead.`,
  )

/** In upstream's order: the message about an ambiguous prefix lists them so. */
const OPTIONS: readonly Known[] = [
  flag('configure', 'c', (given) => {
    given.configure = true
  }),
  value('exit-fd', 'e', (given, text) => {
    given.exitFd = readDescriptor(text, 'exit-fd')
  }),
  value('ready-fd', 'r', (given, text) => {
    given.readyFd = readDescriptor(text, 'ready-fd')
  }),
  value('mtu', 'm', (given, text) => {
    given.mtu = readMtu(text)
  }),
  value('cidr', '', (given, text) => {
    given.cidr = text
  }),
  flag('disable-host-loopback', '', (given) => {
    given.hostLoopback = false
  }),
  flag('no-host-loopback', '', (given, _, host) => {
    deprecated(host, '--no-host-loopback', '--disable-host-loopback')
    given.hostLoopback = false
  }),
  value('netns-type', '', (given, text) => {
    given.netnsType = text
  }),
  value('userns-path', '', (given, text, host) => {
    if (host.pathError(text)) throw misused(`userns path doesn't exist: ${text}`)
    given.usernsPath = text
  }),
  value('api-socket', 'a', (given, text) => {
    given.apiSocket = text
  }),
  flag('enable-ipv6', '6', (given, _, host) => {
    experimental(host, 'IPv6')
    given.ipv6 = true
  }),
  flag('enable-sandbox', '', (given) => {
    given.sandbox = true
  }),
  flag('create-sandbox', '', (given, _, host) => {
    deprecated(host, '--create-sandbox', '--enable-sandbox')
    given.sandbox = true
  }),
  flag('enable-seccomp', '', (given, _, host) => {
    experimental(host, 'seccomp')
    given.seccomp = true
  }),
  flag('help', 'h', (given) => {
    given.asked = 'help'
  }),
  flag('version', 'v', (given) => {
    given.asked = 'version'
  }),
  value('outbound-addr', '', (given, text, host) => {
    experimental(host, '--outbound-addr')
    given.outboundAddr = text
  }),
  value('outbound-addr6', '', (given, text, host) => {
    experimental(host, '--outbound-addr6')
    given.outboundAddr6 = text
  }),
  flag('disable-dns', '', (given) => {
    given.dns = false
  }),
  value('macaddress', '', (given, text) => {
    given.macAddress = text
  }),
  value('target-type', '', (given, text) => {
    given.targetType = text
  }),
  // Ours, from here on. None begins so that a prefix of upstream's options becomes ambiguous.
  value('forward-mode', '', (given, text) => {
    given.forwardMode = readChoice(text, 'forward-mode', FORWARD_MODES)
  }),
  value('keepalive', '', (given, text) => {
    given.keepAlive = readKeepAlive(text)
  }),
  value('filtering', '', (given, text) => {
    given.filtering = readChoice(text, 'filtering', FILTERINGS)
  }),
  value('limit', '', (given, text) => {
    given.limits = { ...given.limits, ...readLimit(text) }
  }),
  value('log-flows', '', (given, text) => {
    given.observation.flowLog = readChoice(text, 'log-flows', FLOW_LOG_FORMATS)
  }),
  value('log-level', '', (given, text) => {
    given.observation.logLevel = readChoice(text, 'log-level', LEVELS)
  }),
  value('pcap', '', (given, text) => {
    given.observation.pcap = readFilePath(text, 'pcap')
  }),
  value('policy', '', (given, text) => {
    given.policy = readFilePath(text, 'policy')
  }),
  value('decisions', '', (given, text) => {
    given.decisions = readFilePath(text, 'decisions')
  }),
  value('metrics', '', (given, text) => {
    given.observation.metrics = readMetrics(text)
  }),
]

/** Reads the command line. `program` is the name that getopt's messages begin with. */
export function parseArguments(words: readonly string[], program: string, host: Host): Command {
  try {
    const given = readOptions(words, program, host)
    if (given.asked) return { kind: given.asked }
    checkTogether(given)
    const target = given.targetType === 'bess' ? readBess(given, host) : readTarget(given, host)
    const cidr = readCidr(given.cidr)
    const macAddress = given.macAddress === undefined ? undefined : readMac(given.macAddress)
    checkOutbound(given, host)
    const apiSocket =
      given.apiSocket === undefined ? undefined : readSocketPath(given.apiSocket, 'API')
    checkDescriptors(given, target, host)
    const network = {
      target,
      tapName: given.operands[1] ?? '',
      mtu: given.mtu,
      cidr,
      configure: given.configure,
      ...(macAddress && { macAddress }),
      ipv6: given.ipv6,
      hostLoopback: given.hostLoopback,
      ...(given.outboundAddr !== undefined && { outboundAddr: given.outboundAddr }),
      ...(given.outboundAddr6 !== undefined && { outboundAddr6: given.outboundAddr6 }),
      dns: given.dns,
      ...(given.forwardMode !== undefined && { forwardMode: given.forwardMode }),
      ...(given.keepAlive !== undefined && { keepAlive: given.keepAlive }),
      ...(given.filtering !== undefined && { filtering: given.filtering }),
      ...(Object.keys(given.limits).length > 0 && { limits: given.limits }),
    }
    const settings = {
      network,
      ...(apiSocket !== undefined && { apiSocket }),
      ...(given.exitFd !== undefined && { exitFd: given.exitFd }),
      ...(given.readyFd !== undefined && { readyFd: given.readyFd }),
      sandbox: given.sandbox,
      seccomp: given.seccomp,
      ...readEgress(given),
      observation: given.observation,
    }
    return { kind: 'run', settings }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { kind: 'refuse', reason: error.message, usage: error.usage }
  }
}

/** Word by word. -h and -v count where they stand: a wrong value before them is an error, one after them is not. */
function readOptions(words: readonly string[], program: string, host: Host): Given {
  const given = new Given()
  for (const item of getopt(words, OPTIONS)) {
    if (item.kind === 'problem') throw misused(`${program}: ${item.text}`)
    if (item.kind === 'operand') {
      given.operands.push(item.value)
      continue
    }
    item.option.take(given, item.value, host)
    if (given.asked) break
  }
  return given
}

/** What must not stand together, whatever the operands are. */
function checkTogether(given: Given): void {
  if (given.macAddress !== undefined && !given.configure) {
    throw misused('--macaddr cannot be specified when --configure or -c is not specified')
  }
  if (given.targetType !== 'netns' && given.targetType !== 'bess') {
    throw misused('--target-type must be either "netns" or "bess"')
  }
}

/** The operands PID|PATH|FD [TAPNAME]. */
function readTarget(given: Given, host: Host): NetworkOptions['target'] {
  const [target, tapName, ...more] = given.operands
  const { netnsType = 'pid', usernsPath } = given
  // Upstream says no more than its usage text when an operand is missing.
  if (target === undefined || (tapName === undefined && netnsType !== 'tapfd')) throw misused()
  if (more.length > 0) host.warn('WARNING: too many arguments')
  if (tapName !== undefined) readTapName(tapName)

  if (netnsType === 'pid') {
    const pid = readPid(target)
    if (usernsPath === undefined) return { pid }
    return { netns: `/proc/${pid}/ns/net`, userns: usernsPath }
  }
  if (netnsType === 'tapfd') {
    // Who opened the TAP configures it: from here there is no way into its namespaces.
    refuseConflicts('--netns-type=tapfd', [
      ['--configure', given.configure],
      ['--userns-path', usernsPath !== undefined],
      ['--forward-mode=splice', given.forwardMode === 'splice'],
    ])
    return { fd: readDescriptor(target, 'FD') }
  }
  // Upstream takes every other type for a path, and its words about the path come first.
  const reasons = []
  const why = host.pathError(target)
  if (why) reasons.push(`existing path expected when --netns-type=path: ${why}`)
  if (netnsType !== 'path') {
    reasons.push(`--netns-type must be "pid", "path" or "tapfd", not "${netnsType}"`)
  }
  if (reasons.length > 0) throw misused(reasons.join('\n'))
  return { netns: target, ...(usernsPath !== undefined && { userns: usernsPath }) }
}

/** The operand of --target-type=bess. */
function readBess(given: Given, host: Host): NetworkOptions['target'] {
  const [path, ...more] = given.operands
  if (path === undefined) throw misused()
  if (more.length > 0) throw misused('too many arguments')
  refuseConflicts('--target-type=bess', [
    ['--configure', given.configure],
    ['--netns-type', given.netnsType !== undefined],
    ['--userns-path', given.usernsPath !== undefined],
    ['--forward-mode=splice', given.forwardMode === 'splice'],
  ])
  host.warn('WARNING: BESS mode is experimental')
  return { bess: readSocketPath(path, 'BESS') }
}

function refuseConflicts(chosen: string, options: [name: string, isGiven: boolean][]): void {
  const conflict = options.find(([, isGiven]) => isGiven)
  if (conflict) throw misused(`${conflict[0]} conflicts with ${chosen}`)
}

function readEgress({ policy, decisions }: Given): Pick<Settings, 'egress'> {
  if (policy !== undefined)
    return { egress: { policy, ...(decisions !== undefined && { decisions }) } }
  if (decisions !== undefined) throw misused('--decisions goes with --policy')
  return {}
}

function checkOutbound({ outboundAddr: v4, outboundAddr6: v6 }: Given, host: Host): void {
  if (v4 !== undefined && versionOf(v4) !== 4 && !host.interfaceHasAddress(v4, 'IPv4')) {
    throw refused('outbound-addr has to be valid ipv4 address or interface name.')
  }
  if (v6 !== undefined && versionOf(v6) !== 6 && !host.interfaceHasAddress(v6, 'IPv6')) {
    throw refused('outbound-addr6 has to be valid ipv6 address or interface name.')
  }
}

/**
 * A ready-fd that was never open leaves the caller waiting, and Node may use its number for something else by now:
 * better to say so. (An exit-fd that was never open is an end at once, as upstream has it: lifecycle.ts.)
 */
function checkDescriptors(given: Given, target: NetworkOptions['target'], host: Host): void {
  if (given.readyFd !== undefined && !host.isInherited(given.readyFd)) {
    throw refused(`cannot use ready-fd ${given.readyFd}: it is not open`)
  }
  if ('fd' in target && !host.isInherited(target.fd)) {
    throw refused(`cannot use tapfd ${target.fd}: it is not open`)
  }
}
