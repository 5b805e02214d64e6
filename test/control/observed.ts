/**
 * slirp4netns 1.2.0's answers to wrong command lines, as observed: what was asked, the lines on stderr, the warnings
 * on stdout, and whether the usage text follows there. All end with exit status 1.
 */
export interface Row {
  args: string[]
  stderr?: string[]
  warnings?: string[]
  usage?: true
  /** What upstream has on stderr, where slipway says more: each of its lines begins one of ours. */
  upstream?: string[]
}

const MTU = ['MTU must be a positive integer (< 65522)']
const PID = ['PID must be a positive integer']
const MAC =
  "macaddress has to be a valid MAC address (hex string, 6 bytes, each byte separated by a ':')."
const AMBIGUOUS =
  "slirp4netns: option '--=' is ambiguous; possibilities: '--configure' '--exit-fd' '--ready-fd' '--mtu' '--cidr' " +
  "'--disable-host-loopback' '--no-host-loopback' '--netns-type' '--userns-path' '--api-socket' '--enable-ipv6' " +
  "'--enable-sandbox' '--create-sandbox' '--enable-seccomp' '--help' '--version' '--outbound-addr' " +
  "'--outbound-addr6' '--disable-dns' '--macaddress' '--target-type'"
const LONG = `./${'A'.repeat(203)}`
const experimental = (what: string) => `WARNING: Support for ${what} is experimental`

export const ROWS: Row[] = [
  { args: [], usage: true },
  { args: ['1'], usage: true },
  { args: ['--'], usage: true },
  {
    args: ['--frobnicate', '1', 'tap0'],
    stderr: ["slirp4netns: unrecognized option '--frobnicate'"],
    usage: true,
  },
  {
    args: ['--bogus=5', '1'],
    stderr: ["slirp4netns: unrecognized option '--bogus=5'"],
    usage: true,
  },
  { args: ['---'], stderr: ["slirp4netns: unrecognized option '---'"], usage: true },
  { args: ['-Z', '1', 'tap0'], stderr: ["slirp4netns: invalid option -- 'Z'"], usage: true },
  { args: ['-Zh'], stderr: ["slirp4netns: invalid option -- 'Z'"], usage: true },
  { args: ['-1', 'tap0'], stderr: ["slirp4netns: invalid option -- '1'"], usage: true },
  {
    args: ['1', 'tap0', '-m'],
    stderr: ["slirp4netns: option requires an argument -- 'm'"],
    usage: true,
  },
  { args: ['--mtu'], stderr: ["slirp4netns: option '--mtu' requires an argument"], usage: true },
  {
    args: ['--outbound-addr'],
    stderr: ["slirp4netns: option '--outbound-addr' requires an argument"],
    usage: true,
  },
  {
    args: ['--configure=yes', '1', 'tap0'],
    stderr: ["slirp4netns: option '--configure' doesn't allow an argument"],
    usage: true,
  },
  {
    args: ['--conf=yes'],
    stderr: ["slirp4netns: option '--configure' doesn't allow an argument"],
    usage: true,
  },
  {
    args: ['--enable', '1', 'tap0'],
    stderr: [
      "slirp4netns: option '--enable' is ambiguous; possibilities: '--enable-ipv6' '--enable-sandbox' '--enable-seccomp'",
    ],
    usage: true,
  },
  {
    args: ['--m', '1', 'tap0'],
    stderr: [
      "slirp4netns: option '--m' is ambiguous; possibilities: '--mtu' '--macaddress' '--metrics'",
    ],
    upstream: ["slirp4netns: option '--m' is ambiguous; possibilities: '--mtu' '--macaddress'"],
    usage: true,
  },
  {
    args: ['--outbound=1', '1', 'tap0'],
    stderr: [
      "slirp4netns: option '--outbound=1' is ambiguous; possibilities: '--outbound-addr' '--outbound-addr6'",
    ],
    usage: true,
  },
  {
    args: ['--='],
    stderr: [
      `${AMBIGUOUS} '--forward-mode' '--keepalive' '--filtering' '--limit' '--log-flows' '--log-level' '--pcap' '--policy' '--decisions' '--metrics'`,
    ],
    upstream: [AMBIGUOUS],
    usage: true,
  },
  // '--net' is '--netns-type', and takes the next word.
  { args: ['--net', '1', 'tap0'], usage: true },

  ...['0', '65522', 'abc', '-1', '', '1500x', '0x100', '99999999999'].map((mtu) => ({
    args: ['-m', mtu, '1', 'tap0'],
    stderr: MTU,
    usage: true as const,
  })),
  { args: ['--mtu=', '1', 'tap0'], stderr: MTU, usage: true },
  { args: ['-m', '0', '-m', '1500', '1', 'tap0'], stderr: MTU, usage: true },
  { args: ['-m', '0', '--help'], stderr: MTU, usage: true },
  { args: ['-cm0', '1', 'tap0'], stderr: MTU, usage: true },

  ...['24', 'foo', '10.0.2.0', 'fd00::/64', '', '10.0.2/24', '10.0.2.0/24x', '10.0.2.0/-1'].map(
    (cidr) => ({ args: [`--cidr=${cidr}`, '1', 'tap0'], stderr: [`invalid CIDR: ${cidr}`] }),
  ),
  ...['10.0.2.0/24/5', '10.0.2.0/', '/24', ' 10.0.2.0/24', '10.0.2.0/100', '1000.0.2.0/24'].map(
    (cidr) => ({ args: [`--cidr=${cidr}`, '1', 'tap0'], stderr: [`invalid CIDR: ${cidr}`] }),
  ),
  {
    args: ['--cidr=999.0.2.0/24', '1', 'tap0'],
    stderr: ['invalid network address: 999.0.2.0'],
  },
  {
    args: ['--cidr=010.0.2.0/24', '1', 'tap0'],
    stderr: ['invalid network address: 010.0.2.0'],
  },
  ...['26', '0', '33'].map((prefix) => ({
    args: [`--cidr=10.0.2.0/${prefix}`, '1', 'tap0'],
    stderr: [`prefix length needs to be 1-25, not ${prefix}`],
    upstream: ['prefix length needs to be 1-25'],
  })),
  {
    args: ['--cidr=10.0.2.100/24', '1', 'tap0'],
    stderr: ['CIDR needs to be a network address like 10.0.2.0/24, not like 10.0.2.100/24'],
  },
  {
    args: ['1', 'tap0', 'foo', '--cidr=foo'],
    stderr: ['invalid CIDR: foo'],
    warnings: ['WARNING: too many arguments'],
  },

  ...['zz:00:00:00:00:01', '100:d4:18:d9:38:fb', ''].map((mac) => ({
    args: ['-c', `--macaddress=${mac}`, '1', 'tap0'],
    stderr: [`"${mac}" is an invalid MAC address.`, MAC],
  })),
  {
    args: ['-c', '--macaddress=0e:d4:18:d9:38:fb:00', '1', 'tap0'],
    stderr: ['"0e:d4:18:d9:38:fb:00" is an invalid MAC address.  Is it too long?', MAC],
  },
  ...['0e:d4:18:d9:38:fb', 'zz'].map((mac) => ({
    args: [`--macaddress=${mac}`, '1', 'tap0'],
    stderr: ['--macaddr cannot be specified when --configure or -c is not specified'],
    usage: true as const,
  })),

  ...['foo', '0', '1x', '', '-'].map((pid) => ({
    args: [pid, 'tap0'],
    stderr: PID,
    usage: true as const,
  })),
  { args: ['--', '-1', 'tap0'], stderr: PID, usage: true },

  ...['foo', '-1', '3.5'].flatMap((fd) => [
    {
      args: ['-r', fd, '1', 'tap0'],
      stderr: ['ready-fd must be a non-negative integer'],
      usage: true as const,
    },
    {
      args: ['-e', fd, '1', 'tap0'],
      stderr: ['exit-fd must be a non-negative integer'],
      usage: true as const,
    },
  ]),

  {
    args: ['--netns-type=path', '/nonexistent', 'tap0'],
    stderr: ['existing path expected when --netns-type=path: No such file or directory'],
    usage: true,
  },
  {
    args: ['--netns-type=bogus', '1', 'tap0'],
    stderr: [
      'existing path expected when --netns-type=path: No such file or directory',
      '--netns-type must be "pid", "path" or "tapfd", not "bogus"',
    ],
    upstream: ['existing path expected when --netns-type=path: No such file or directory'],
    usage: true,
  },
  {
    args: ['--userns-path=/nonexistent', '1', 'tap0'],
    stderr: ["userns path doesn't exist: /nonexistent"],
    usage: true,
  },
  {
    args: ['--userns-path=/nonexistent', '-m', '0', '1', 'tap0'],
    stderr: ["userns path doesn't exist: /nonexistent"],
    usage: true,
  },

  {
    args: ['--target-type=foo', '1', 'tap0'],
    stderr: ['--target-type must be either "netns" or "bess"'],
    usage: true,
  },
  {
    args: ['--target-type=bess', '-c', './x.sock'],
    stderr: ['--configure conflicts with --target-type=bess'],
    usage: true,
  },
  {
    args: ['--target-type=bess', '--netns-type=pid', './x.sock'],
    stderr: ['--netns-type conflicts with --target-type=bess'],
    usage: true,
  },
  {
    args: ['--target-type=bess', '--userns-path=/proc/self/ns/user', './x.sock'],
    stderr: ['--userns-path conflicts with --target-type=bess'],
    usage: true,
  },
  {
    args: ['--target-type=bess', './x.sock', 'tap0'],
    stderr: ['too many arguments'],
    usage: true,
  },
  { args: ['--target-type=bess'], usage: true },

  {
    args: ['--outbound-addr=nonsense', '1', 'tap0'],
    stderr: ['outbound-addr has to be valid ipv4 address or interface name.'],
    warnings: [experimental('--outbound-addr')],
  },
  {
    args: ['--no-host-loopback', '--create-sandbox', 'x'],
    warnings: [
      'WARNING: --no-host-loopback is deprecated and will be removed in future releases, please use --disable-host-loopback instead.',
      'WARNING: --create-sandbox is deprecated and will be removed in future releases, please use --enable-sandbox instead.',
    ],
    usage: true,
  },
  {
    args: ['-6', '--enable-seccomp', '--outbound-addr=127.0.0.1', 'x'],
    warnings: [experimental('IPv6'), experimental('seccomp'), experimental('--outbound-addr')],
    usage: true,
  },
]

/** Rows whose answer upstream gives in other words, from another place, or has a slip in. */
export const OWN_ROWS: Row[] = [
  ...[
    '',
    '9100',
    ':9100',
    '127.0.0.1',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '::1:9100',
    '[127.0.0.1]:1',
    'x:1',
  ].map((address) => ({
    args: [`--metrics=${address}`, '1', 'tap0'],
    stderr: [
      `--metrics must be a path with a slash in it or an address such as 127.0.0.1:9100, not "${address}"`,
    ],
    usage: true as const,
  })),
  ...['constructor', '__proto__', 'toString'].map((name) => ({
    args: [`--outbound-addr=${name}`, '1', 'tap0'],
    stderr: ['outbound-addr has to be valid ipv4 address or interface name.'],
    warnings: [experimental('--outbound-addr')],
  })),
  {
    args: ['--metrics', LONG, '1', 'tap0'],
    stderr: ['the path of --metrics is too long (>= 108)'],
  },
  {
    args: ['--forward-mode=slirp', '1', 'tap0'],
    stderr: ['--forward-mode must be one of tap, splice, not "slirp"'],
    usage: true,
  },
  {
    args: ['--forward-mode=splice', '--target-type=bess', './x.sock'],
    stderr: ['--forward-mode=splice conflicts with --target-type=bess'],
    usage: true,
  },
  {
    args: ['--forward-mode=splice', '--netns-type=tapfd', '3'],
    stderr: ['--forward-mode=splice conflicts with --netns-type=tapfd'],
    usage: true,
  },
  ...['', 'x', '0', '60,', '60,1,', '60,0', '60,1,128', '60,1,9,9', '1.5', '-1', '32768'].map(
    (text) => ({
      args: [`--keepalive=${text}`, '1', 'tap0'],
      stderr: [
        `--keepalive must be off or IDLE[,INTERVAL[,PROBES]], seconds from 1 to 32767 and a number from 1 to 127, not "${text}"`,
      ],
      usage: true as const,
    }),
  ),
  {
    args: ['--filtering=symmetric', '1', 'tap0'],
    stderr: [
      '--filtering must be one of endpoint-independent, address-dependent, address-and-port-dependent, not "symmetric"',
    ],
    usage: true,
  },
  ...['', 'connections', 'flows=5', 'udpFlows=5', '=5'].map((text) => ({
    args: [`--limit=${text}`, '1', 'tap0'],
    stderr: [
      text === 'connections'
        ? '--limit=connections must be an integer from 1 to 1000000, not ""'
        : `--limit must be NAME=NUMBER with one of connections, half-open, udp-flows, pings, fragments, buffer, memory, not "${text}"`,
    ],
    usage: true as const,
  })),
  ...['0', '-1', '5x', '1.5', '1=2', '1T', '1000001'].map((value) => ({
    args: [`--limit=connections=${value}`, '1', 'tap0'],
    stderr: [`--limit=connections must be an integer from 1 to 1000000, not "${value}"`],
    usage: true as const,
  })),
  {
    args: ['--limit=memory=2G', '1', 'tap0'],
    stderr: ['--limit=memory must be an integer from 1048576 to 1073741824, not "2G"'],
    usage: true,
  },
  { args: ['--pcap=', '1', 'tap0'], stderr: ['--pcap must not be empty'], usage: true },
  {
    args: ['--log-flows=xml', '1', 'tap0'],
    stderr: ['--log-flows must be one of text, json, not "xml"'],
    usage: true,
  },
  {
    args: ['--decisions=-', '1', 'tap0'],
    stderr: ['--decisions goes with --policy'],
    usage: true,
  },
  {
    args: ['--log-level', 'loud', '1', 'tap0'],
    stderr: ['--log-level must be one of error, warning, info, debug, not "loud"'],
    usage: true,
  },
  {
    args: ['--target-type=bess', LONG],
    warnings: ['WARNING: BESS mode is experimental'],
    stderr: ['the specified BESS socket path is too long (>= 108)'],
  },
  {
    args: ['-a', LONG, '1', 'tap0'],
    stderr: ['the specified API socket path is too long (>= 108)'],
  },
  { args: ['-a', '', '1', 'tap0'], stderr: ['the API socket path must not be empty'], usage: true },
  {
    args: ['--outbound-addr6=nonsense', '1', 'tap0'],
    stderr: ['outbound-addr6 has to be valid ipv6 address or interface name.'],
    warnings: [experimental('--outbound-addr6')],
  },
  {
    args: ['--outbound-addr=::1', '1', 'tap0'],
    stderr: ['outbound-addr has to be valid ipv4 address or interface name.'],
    warnings: [experimental('--outbound-addr')],
  },
  {
    args: ['--outbound-addr6=127.0.0.1', '1', 'tap0'],
    stderr: ['outbound-addr6 has to be valid ipv6 address or interface name.'],
    warnings: [experimental('--outbound-addr6')],
  },
  {
    args: ['--cidr=10.0.0.0/1', '1', 'tap0'],
    stderr: ['CIDR needs to be a network address like 10.0.2.0/24, not like 10.0.0.0/1'],
  },
  {
    args: ['-c', '--macaddress=0e:d4:18:d9:38', '1', 'tap0'],
    stderr: ['"0e:d4:18:d9:38" is an invalid MAC address.', MAC],
  },
  {
    args: ['-c', '--macaddress=0e-d4-18-d9-38-fb', '1', 'tap0'],
    stderr: ['"0e-d4-18-d9-38-fb" is an invalid MAC address.', MAC],
  },
  {
    args: ['-c', '--macaddress=01:02:03:04:05:06', '1', 'tap0'],
    stderr: ['"01:02:03:04:05:06" is an invalid MAC address.  It is a group address.', MAC],
  },
  {
    args: ['-c', '--macaddress=00:00:00:00:00:00', '1', 'tap0'],
    stderr: ['"00:00:00:00:00:00" is an invalid MAC address.  It is all zero.', MAC],
  },
  ...['averyverylongtapname', 'a/b', 'a b', 'tap:0', '', '..'].map((name) => ({
    args: ['1', name],
    stderr: [
      `TAPNAME must be an interface name (1 to 15 octets, no "/", no ":", no blank), not "${name}"`,
    ],
    usage: true as const,
  })),
  {
    args: ['--netns-type=bogus', '/', 'tap0'],
    stderr: ['--netns-type must be "pid", "path" or "tapfd", not "bogus"'],
    usage: true,
  },
  { args: ['--netns-type=tapfd'], usage: true },
  {
    args: ['--netns-type=tapfd', 'x'],
    stderr: ['FD must be a non-negative integer'],
    usage: true,
  },
  {
    args: ['--netns-type=tapfd', '-c', '3'],
    stderr: ['--configure conflicts with --netns-type=tapfd'],
    usage: true,
  },
  {
    args: ['--netns-type=tapfd', '--userns-path=/', '3'],
    stderr: ['--userns-path conflicts with --netns-type=tapfd'],
    usage: true,
  },
  { args: ['--netns-type=tapfd', '99'], stderr: ['cannot use tapfd 99: it is not open'] },
  { args: ['-r', '99', '1', 'tap0'], stderr: ['cannot use ready-fd 99: it is not open'] },
  {
    args: ['-r', '99999999999', '1', 'tap0'],
    stderr: ['ready-fd must be a non-negative integer'],
    usage: true,
  },
]

/** The long options of slirp4netns 1.3, of which any prefix may be used that only one has. */
export const UPSTREAM_OPTIONS: readonly string[] = [
  ...[
    'configure',
    'exit-fd',
    'ready-fd',
    'mtu',
    'cidr',
    'disable-host-loopback',
    'no-host-loopback',
  ],
  ...['netns-type', 'userns-path', 'api-socket', 'enable-ipv6', 'enable-sandbox', 'create-sandbox'],
  ...['enable-seccomp', 'help', 'version', 'outbound-addr', 'outbound-addr6', 'disable-dns'],
  ...['macaddress', 'target-type'],
]
