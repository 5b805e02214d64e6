/** A container that is not configured gets on the net by DHCP, with clients that know nothing of us. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { DaemonOptions } from '../../src/lab/daemon.ts'
import { serveDns } from '../../src/lab/dns-server.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { DNS, GATEWAY, has, inWorlds, type Lab, type Pair, peer, shell } from './lab.ts'
import * as tasks from './tasks.ts'

/** What a client calls with what it got; the variables' names are its own. */
const UDHCPC_SCRIPT = `#!/bin/sh -e
case $1 in
deconfig) busybox ip link set $interface up ;;
bound | renew)
  busybox ip addr flush dev $interface
  busybox ip addr add $ip/$mask dev $interface
  [ -z "$mtu" ] || busybox ip link set $interface mtu $mtu
  busybox ip route replace default via $router dev $interface ;;
esac
echo "$1 ip=$ip subnet=$subnet router=$router dns=$dns search=$search mtu=$mtu lease=$lease server=$serverid"
`

const DHCLIENT_SCRIPT = `#!/bin/sh -e
case $reason in
PREINIT) busybox ip link set $interface up ;;
BOUND | RENEW | REBIND | REBOOT)
  busybox ip addr flush dev $interface
  busybox ip addr add $new_ip_address/$new_subnet_mask dev $interface
  [ -z "$new_interface_mtu" ] || busybox ip link set $interface mtu $new_interface_mtu
  busybox ip route replace default via $new_routers dev $interface ;;
esac
echo "$reason ip=$new_ip_address router=$new_routers dns=$new_domain_name_servers" \\
  "search=$new_domain_search mtu=$new_interface_mtu" \\
  "lease=$new_dhcp_lease_time server=$new_dhcp_server_identifier"
`

const DHCLIENT_CONF = `request subnet-mask, broadcast-address, routers, domain-name-servers,
  domain-search, interface-mtu;
`

inWorlds((lab) => {
  let udhcpcScript: string
  let dhclientScript: string
  let dhclientConf: string

  beforeAll(async () => {
    await lab.host.run(serveDns, { 'one.example': ['192.0.2.1'] })
    udhcpcScript = writeFile(lab, 'udhcpc.script', UDHCPC_SCRIPT)
    dhclientScript = writeFile(lab, 'dhclient.script', DHCLIENT_SCRIPT)
    dhclientConf = writeFile(lab, 'dhclient.conf', DHCLIENT_CONF)
    const resolvConf = join(lab.world.directory, 'resolv.conf')
    writeFileSync(resolvConf, 'nameserver 127.0.0.1\nsearch example.com lan\n')
  })

  /** A container with a TAP that is down and has no address. */
  const bare = (options: DaemonOptions = {}): Promise<Pair> =>
    lab.attach({ configure: false, ...options })

  /** Runs udhcpc until it has a lease; answers what it got. */
  async function udhcpc(guest: Namespace, ...options: string[]): Promise<string> {
    const { status, stdout, stderr } = await guest.execute([
      ...['busybox', 'udhcpc', '-i', 'tap0', '-f', '-q', '-n', '-t', '5', '-T', '1'],
      ...['-s', udhcpcScript, ...options],
    ])
    expect({ status, stderr }).toMatchObject({ status: 0 })
    return lastLine(stdout)
  }

  /** A page of the host through the gateway, and a name. */
  async function expectNet(guest: Namespace): Promise<void> {
    const port = await lab.host.run(tasks.serveText, 'a page')
    expect((await guest.run(tasks.fetchText, { host: GATEWAY, port })).text).toBe('a page')
    const found = await guest.run(({ dns }) => {
      const resolver = new dns.promises.Resolver({ timeout: 2_000, tries: 2 })
      return resolver.resolve4('one.example')
    })
    expect(found).toEqual(['192.0.2.1'])
  }

  describe.skipIf(!has('busybox'))('udhcpc', () => {
    test('gets the container on the net', async () => {
      const { guest } = await bare()
      expect(await udhcpc(guest, '-O', 'search')).toMatch(
        `bound ip=10.0.2.15 subnet=255.255.255.0 router=${GATEWAY} dns=${DNS} `,
      )
      await expectNet(guest)
    })

    // slirp4netns has no MTU option, and reads the search list once, at its start.
    test.skipIf(peer)('is told MTU, search list, lease time and server', async () => {
      const { guest } = await bare({ mtu: 9_000 })
      expect(await udhcpc(guest, '-O', 'search', '-O', 'mtu')).toBe(
        `bound ip=10.0.2.15 subnet=255.255.255.0 router=${GATEWAY} dns=${DNS} ` +
          `search=example.com lan mtu=9000 lease=86400 server=${GATEWAY}`,
      )
      await expectNet(guest)
    })

    test('gets its answers by broadcast when it asks for that', async () => {
      const { guest } = await bare()
      expect(await udhcpc(guest, '-B')).toContain('bound ip=10.0.2.15 ')
    })

    // slirp4netns knows neither a DISCOVER's wish nor RELEASE.
    test.skipIf(peer)('gets the address that it had', async () => {
      const { guest } = await bare()
      expect(await udhcpc(guest, '-r', '10.0.2.22')).toContain('bound ip=10.0.2.22 ')
      expect(await udhcpc(guest)).toContain('bound ip=10.0.2.22 ')
    })

    test.skipIf(peer)('renews its lease at its own address, and releases it', async () => {
      const { guest } = await bare()
      const client = guest.start([
        ...['busybox', 'udhcpc', '-i', 'tap0', '-f', '-R', '-s', udhcpcScript],
      ])
      const until = (text: string): Promise<void> =>
        expect.poll(() => client.stdout + client.stderr, { timeout: 10_000 }).toContain(text)
      await until('bound ip=10.0.2.15 ')
      client.kill('SIGUSR1')
      await until('renew ip=10.0.2.15 ')
      client.kill('SIGTERM')
      expect((await client.ended).stderr).toContain('released')
      await shell(guest, 'busybox ip link set tap0 down address 02:00:00:00:00:07')
      expect(await udhcpc(guest, '-r', '10.0.2.15')).toContain('bound ip=10.0.2.15 ')
    })

    test('with a MAC of its own gets an address of its own, 16 times', async () => {
      const { guest } = await bare()
      const addresses: string[] = []
      for (let n = 0; n < 16; n++) {
        const mac = `02:00:00:00:01:${n.toString(16).padStart(2, '0')}`
        await shell(guest, `busybox ip link set tap0 down; busybox ip link set tap0 address ${mac}`)
        addresses.push(/ip=(\S+)/.exec(await udhcpc(guest))![1]!)
      }
      expect(addresses).toEqual(Array.from({ length: 16 }, (_, n) => `10.0.2.${n + 15}`))
      await expectNet(guest)
    })

    test.skipIf(peer)('is told of no name server with --disable-dns', async () => {
      const { guest } = await bare({ args: ['--disable-dns'] })
      expect(await udhcpc(guest, '-O', 'search')).toContain(`router=${GATEWAY} dns= search= `)
    })

    test('gets an address of another network with --cidr', async () => {
      const { guest } = await bare({ args: ['--cidr=192.168.200.0/25'] })
      expect(await udhcpc(guest)).toContain(
        'bound ip=192.168.200.15 subnet=255.255.255.128 router=192.168.200.2 dns=192.168.200.3 ',
      )
    })
  })

  describe.skipIf(!has('dhclient') || !has('busybox'))('dhclient', () => {
    /** Runs dhclient until it has a lease; answers what it got. It remembers that, as on a disk. */
    async function dhclient(guest: Namespace): Promise<string> {
      const client = guest.start([
        ...['dhclient', '-4', '-1', '-d', '--no-pid', '-cf', dhclientConf, '-sf', dhclientScript],
        ...['-lf', join(lab.world.directory, `dhclient.leases.${guest.pid}`), 'tap0'],
      ])
      await expect
        .poll(() => client.stdout + client.stderr, { timeout: 15_000, interval: 50 })
        .toMatch(/^bound to/m)
      client.kill('SIGTERM')
      return lastLine((await client.ended).stdout)
    }

    test('gets the container on the net', { timeout: 60_000 }, async () => {
      const { guest } = await bare({ mtu: 9_000 })
      const line = await dhclient(guest)
      expect(line).toMatch(`BOUND ip=10.0.2.15 router=${GATEWAY} dns=${DNS} `)
      if (!peer) {
        expect(line).toContain(` search=example.com. lan. mtu=9000 lease=86400 server=${GATEWAY}`)
      }
      await expectNet(guest)
    })

    // Of another daemon's, too: a container may outlive it.
    test.skipIf(peer)('that remembers its address has it again', { timeout: 60_000 }, async () => {
      const { guest, daemon } = await bare()
      await udhcpc(guest, '-r', '10.0.2.15')
      expect(await dhclient(guest)).toContain('BOUND ip=10.0.2.15 ')
      expect(await dhclient(guest)).toContain('REBOOT ip=10.0.2.15 ')
      await daemon.stop()
      const next = await lab.world.attach(guest, { configure: false })
      expect(await dhclient(guest)).toContain('REBOOT ip=10.0.2.15 ')
      await expectNet(guest)
      await next.stop()
    })
  })
})

function writeFile(lab: Lab, name: string, text: string): string {
  const file = join(lab.world.directory, name)
  writeFileSync(file, text)
  chmodSync(file, 0o755)
  return file
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? ''
