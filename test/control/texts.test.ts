import { expect, test } from 'vitest'
import { banner, usage, version } from '../../src/control/texts.ts'
import type { NetworkOptions } from '../../src/engine/types.ts'

const OPTIONS: NetworkOptions = {
  target: { pid: 1 },
  tapName: 'tap0',
  mtu: 1400,
  cidr: { network: 0x0a000200, prefix: 24 },
  configure: true,
  ipv6: false,
  hostLoopback: true,
  dns: true,
}
const ADDRESSES = {
  network: '10.0.2.0',
  netmask: '255.255.255.0',
  gateway: '10.0.2.2',
  dns: '10.0.2.3',
  guest: '10.0.2.100',
  dhcpBegin: '10.0.2.15',
  dhcpEnd: '10.0.2.30',
}

test('the banner is the one that was observed', () => {
  const macAddress = Uint8Array.of(0x0e, 0xd4, 0x18, 0xd9, 0x38, 0xfb)
  expect(banner({ ...OPTIONS, macAddress }, ADDRESSES, '/path/api.sock')).toBe(`Starting slirp
* MTU:             1400
* Network:         10.0.2.0
* Netmask:         255.255.255.0
* Gateway:         10.0.2.2
* DNS:             10.0.2.3
* DHCP begin:      10.0.2.15
* DHCP end:        10.0.2.30
* Recommended IP:  10.0.2.100
* API Socket:      /path/api.sock
* MAC address:     0e:d4:18:d9:38:fb
WARNING: 127.0.0.1:* on the host is accessible as 10.0.2.2 (set --disable-host-loopback to prohibit connecting to 127.0.0.1:*)
`)
})

test('the banner has no line for what was not asked for', () => {
  const text = banner({ ...OPTIONS, hostLoopback: false }, ADDRESSES, undefined)
  expect(text).toMatch(/^Starting slirp\n[\s\S]*10\.0\.2\.100\n$/)
  expect(text).not.toMatch(/WARNING|API|MAC/)
})

test('the help has the options that Podman and RootlessKit look for', () => {
  const text = usage('slirp4netns')
  expect(text).toMatch(/^Usage: slirp4netns \[OPTION\]\.\.\. PID\|PATH\|FD \[TAPNAME\]\n/)
  for (const name of [
    '--netns-type',
    '--cidr',
    '--disable-host-loopback',
    '--api-socket',
    '--mtu',
    '--outbound-addr',
    '--outbound-addr6',
    '--enable-ipv6',
    '--enable-sandbox',
    '--enable-seccomp',
    '--outbound-addr',
    '--target-type',
  ]) {
    expect(text).toContain(name)
  }
})

test('the first line of the version is that of the slirp4netns that is honoured', () => {
  expect(version('0.1.0')).toBe('slirp4netns version 1.3.1\nslipway: version 0.1.0\n')
})
