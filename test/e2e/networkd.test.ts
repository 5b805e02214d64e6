/**
 * systemd-networkd in a network namespace: it takes its addresses from router advertisements and DHCP, and asks by DHCPv6
 * for what the O flag promises. It changes its user, so only root of the machine can have it here.
 */
import { existsSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { launch } from '../../src/lab/daemon.ts'
import { execute, Program } from '../../src/lab/program.ts'
import { peer } from './lab.ts'

const NETWORKD = '/lib/systemd/systemd-networkd'

/** Without udev: /sys is read-only, as in a container. What the host has in /run and /etc is not there. */
const SCRIPT = `
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases
chown -R systemd-network: /run/systemd/netif
cat >/run/systemd/network/10-tap.network <<END
[Match]
Name=tap0
[Network]
DHCP=ipv4
IPv6AcceptRA=yes
[DHCPv4]
UseDomains=yes
UseMTU=yes
[IPv6AcceptRA]
UseDomains=yes
[DHCPv6]
UseDomains=yes
END
mount --bind "$1" /etc/resolv.conf
ip link set lo up
exec timeout --kill-after=2 90 ${NETWORKD}`

const obstacle = obstacleFor()

describe.skipIf(peer || obstacle)(
  `systemd-networkd${obstacle ? ` (skipped: ${obstacle})` : ''}`,
  () => {
    test('has its addresses, routes, MTU, name servers and search list', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'slipway-networkd-'))
      const resolvConf = join(directory, 'resolv.conf')
      const own = readlinkSync('/proc/self/ns/net')
      await execute(['sh', '-c', `echo 'search example.com lan' >${resolvConf}`])
      const place = ['unshare', '--net', '--mount', '--propagation', 'private', 'sh', '-ec', SCRIPT]
      const networkd = new Program([...place, 'sh', resolvConf])
      const inside = (...command: string[]) =>
        execute(['nsenter', '--net', '--mount', '-t', `${networkd.pid}`, '--', ...command])
      let daemon: Program | undefined
      try {
        await expect.poll(() => readlinkSync(`/proc/${networkd.pid}/ns/net`)).not.toBe(own)
        // The host's resolv.conf, for the daemon as well.
        const bind = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec']
        const withConf = [...bind, `mount --bind ${resolvConf} /etc/resolv.conf; exec "$@"`, 'sh']
        const line = ['-6', '--mtu=9000', `${networkd.pid}`, 'tap0']
        daemon = new Program([
          ...withConf,
          'setpriv',
          '--pdeathsig',
          'KILL',
          '--',
          ...launch(),
          ...line,
        ])
        const known = async () => (await inside('cat', '/run/systemd/netif/links/2')).stdout
        await expect.poll(known, { timeout: 30_000 }).toContain('DNS=10.0.2.3 fd00::3')
        await expect.poll(known, { timeout: 30_000 }).toContain('DOMAINS=example.com lan')
        expect(await known()).toContain('OPER_STATE=routable')
        const addresses = (await inside('ip', 'addr', 'show', 'tap0')).stdout
        expect(addresses).toContain('mtu 9000')
        expect(addresses).toContain('inet 10.0.2.15/24')
        expect(addresses).toMatch(/inet6 fd00::[0-9a-f:]+\/64 scope global/)
        expect((await inside('ip', 'route')).stdout).toContain('default via 10.0.2.2 dev tap0')
        expect((await inside('ip', '-6', 'route')).stdout).toContain('default via fe80::2 dev tap0')
      } finally {
        networkd.kill('SIGTERM') // to timeout(1), which passes it on
        daemon?.kill('SIGKILL')
        await Promise.all([networkd.ended, daemon?.ended])
        rmSync(directory, { recursive: true })
      }
    })
  },
)

function obstacleFor(): string | undefined {
  if (!existsSync(NETWORKD)) {
    if (process.env.SLIPWAY_CI) throw new Error(`${NETWORKD} is not installed`)
    return `${NETWORKD}: not installed`
  }
  return process.getuid?.() === 0 ? undefined : 'only root can start it in a namespace'
}
