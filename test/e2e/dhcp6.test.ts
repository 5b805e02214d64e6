/** What IPv6 guests are told besides their prefix: by router advertisement, and by DHCPv6 (RFC 8415 §6.1). */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { serveDns } from '../../src/lab/dns-server.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { address6, DNS6, linkLocal6 } from './ipv6.ts'
import { has, inWorlds, peer } from './lab.ts'

const SCRIPT = `#!/bin/sh
echo "$reason dns=$new_dhcp6_name_servers search=$new_dhcp6_domain_search"
`
const CONF = 'also request dhcp6.name-servers, dhcp6.domain-search;\n'

// slirp4netns has no DHCPv6.
describe.skipIf(peer || !has('dhclient'))('dhclient -6 -S', () => {
  inWorlds((lab) => {
    /** Asks for information; answers what the script was given, or that nobody has answered. */
    async function inform(guest: Namespace): Promise<string> {
      const file = (name: string, text: string): string => {
        const path = join(lab.world.directory, name)
        writeFileSync(path, text)
        chmodSync(path, 0o755)
        return path
      }
      const client = guest.start([
        ...['dhclient', '-6', '-S', '-d', '--no-pid', '-cf', file('dhclient6.conf', CONF)],
        ...['-sf', file('dhclient6.script', SCRIPT), '-lf', '/dev/null', 'tap0'],
      ])
      const told = () =>
        /^.* dns=.*search=.*$/m.exec(client.stdout.replace(/^PREINIT6.*$/m, ''))?.[0]
      for (let waited = 0; told() === undefined && waited < 6_000; waited += 50) {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      client.kill('SIGKILL')
      const { stdout, stderr } = await client.ended
      return told() ?? `nobody has answered: ${stdout} ${stderr}`
    }

    test('is told the name server, which answers, and the search list', async () => {
      await lab.host.run(serveDns, { 'one.example': ['192.0.2.1'] })
      const resolvConf = join(lab.world.directory, 'resolv.conf')
      writeFileSync(resolvConf, 'nameserver 127.0.0.1\nsearch example.com lan\n')
      const { guest } = await lab.attach({ args: ['-6'] })
      expect(await linkLocal6(guest)).toMatch(/^fe80:/)
      expect(await address6(guest)).toMatch(/^fd00:/)
      expect(await inform(guest)).toMatch(`dns=${DNS6} search=example.com. lan.`)
      const found = await guest.run(({ dns }, server) => {
        const resolver = new dns.promises.Resolver({ timeout: 2_000, tries: 2 })
        resolver.setServers([`[${server}]`])
        return resolver.resolve4('one.example')
      }, DNS6)
      expect(found).toEqual(['192.0.2.1'])
    })

    test('is told nothing with --disable-dns', async () => {
      const { guest } = await lab.attach({ args: ['-6', '--disable-dns'] })
      expect(await linkLocal6(guest)).toMatch(/^fe80:/)
      expect(await address6(guest)).toMatch(/^fd00:/)
      expect(await inform(guest)).toMatch(/^nobody has answered/)
    })
  })
})
