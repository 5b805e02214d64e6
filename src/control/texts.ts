/**
 * The texts that programs read: help, version and the start banner. Podman and RootlessKit look for option names in
 * the help and use what they find. Pure, but for our own version.
 */

import { createRequire } from 'node:module'
import { DEFAULT_CIDR, DEFAULT_MTU, FILTERINGS, LIMIT_NAMES, MAX_MTU } from '../engine/limits.ts'
import type { Addresses, NetworkOptions } from '../engine/types.ts'
import { dashed } from './values.ts'

/** The slirp4netns whose command line and API are honoured: 1.3 brought `--netns-type=tapfd`. */
const HONOURED = '1.3.1'

const HELP: readonly { option: string; text: string }[] = [
  { option: '-c, --configure', text: 'bring the interface up, with addresses and default route' },
  { option: '-e, --exit-fd=FD', text: 'end when FD hangs up' },
  { option: '-r, --ready-fd=FD', text: 'write "1" to FD and close it when everything is ready' },
  {
    option: '-m, --mtu=MTU',
    text: `MTU of the interface (default=${DEFAULT_MTU}, max=${MAX_MTU})`,
  },
  { option: '-6, --enable-ipv6', text: 'IPv6 too' },
  { option: '-a, --api-socket=PATH', text: 'serve the API on a socket at PATH' },
  { option: '--cidr=CIDR', text: `network of the interface (default=${DEFAULT_CIDR})` },
  {
    option: '--disable-host-loopback',
    text: "keep the guest from the host's 127.0.0.1, which the gateway leads to",
  },
  {
    option: '--netns-type=TYPE',
    text: 'what the operand is: pid, path (of a namespace) or tapfd (default=pid)',
  },
  { option: '--userns-path=PATH', text: 'user namespace to join first' },
  { option: '--enable-sandbox', text: 'see only /etc and /run, and drop all capabilities but one' },
  { option: '--enable-seccomp', text: 'give up system calls that are not needed' },
  { option: '--outbound-addr=IPv4|IF', text: 'address or interface that IPv4 goes out from' },
  { option: '--outbound-addr6=IPv6|IF', text: 'address or interface that IPv6 goes out from' },
  { option: '--disable-dns', text: 'no DNS at the network address + 3' },
  { option: '--macaddress=MAC', text: 'MAC address of the interface (only with -c)' },
  {
    option: '--target-type=TYPE',
    text: 'netns, or bess: a socket for frames (default=netns)',
  },
  {
    option: '--forward-mode=MODE',
    text: "how published TCP ports lead in: tap, or splice to the guest's loopback (default=tap)",
  },
  {
    option: '--keepalive=TIMES|off',
    text: 'ask idle ends of TCP after IDLE[,INTERVAL[,PROBES]] seconds whether they live',
  },
  {
    option: '--filtering=KIND',
    text: `whom UDP ports hear: ${FILTERINGS.join(', ')}`,
  },
  { option: '--limit=NAME=NUMBER', text: `at most so many ${LIMIT_NAMES.map(dashed).join(', ')}` },
  { option: '--log-flows=FORMAT', text: 'tell of each flow on stderr, as text or json' },
  {
    option: '--log-level=LEVEL',
    text: 'say error, warning, info or debug on stderr (default=warning)',
  },
  { option: '--policy=FILE', text: 'let the guest go where FILE says, and nowhere else' },
  { option: '--decisions=FILE|-', text: 'record there what is decided by the policy, as JSON' },
  { option: '--pcap=FILE', text: 'write all frames to FILE, as pcapng' },
  { option: '--metrics=ADDR:PORT|PATH', text: 'serve counters there, for Prometheus' },
  { option: '-h, --help', text: 'show this and exit' },
  { option: '-v, --version', text: 'show the version and exit' },
]

export function usage(program: string): string {
  return [
    `Usage: ${program} [OPTION]... PID|PATH|FD [TAPNAME]`,
    'Gives a network namespace its network, without privileges.',
    '',
    ...HELP.map(({ option, text }) => `${option.padEnd(24)} ${text}`),
    '',
  ].join('\n')
}

export function ownVersion(): string {
  return createRequire(import.meta.url)('slipway/package.json').version
}

/** Callers print the first line, and some compare its number. */
export function version(own: string): string {
  return `slirp4netns version ${HONOURED}\nslipway: version ${own}\n`
}

/** What is said on stdout when the network is up, in upstream's columns. */
export function banner(
  options: NetworkOptions,
  addresses: Addresses,
  apiSocket: string | undefined,
): string {
  const rows = [
    ['MTU', String(options.mtu)],
    ['Network', addresses.network],
    ['Netmask', addresses.netmask],
    ['Gateway', addresses.gateway],
    ['DNS', addresses.dns],
    ['DHCP begin', addresses.dhcpBegin],
    ['DHCP end', addresses.dhcpEnd],
    ['Recommended IP', addresses.guest],
  ]
  if (apiSocket !== undefined) rows.push(['API Socket', apiSocket])
  if (options.macAddress) rows.push(['MAC address', formatMac(options.macAddress)])
  const lines = rows.map(([name, value]) => `* ${`${name}:`.padEnd(16)} ${value}`)
  if (options.hostLoopback) {
    lines.push(
      `WARNING: 127.0.0.1:* on the host is accessible as ${addresses.gateway} ` +
        '(set --disable-host-loopback to prohibit connecting to 127.0.0.1:*)',
    )
  }
  return ['Starting slirp', ...lines, ''].join('\n')
}

const formatMac = (octets: Uint8Array) =>
  Array.from(octets, (octet) => octet.toString(16).padStart(2, '0')).join(':')
