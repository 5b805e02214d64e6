/** Each option that Podman has for `--network slirp4netns:`, and the host's name servers. Port handlers: podman-ports. */
import { describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import { serveDns } from '../../src/lab/dns-server.ts'
import {
  HOST,
  HOST6,
  INTERNET,
  INTERNET_NAME,
  INTERNET6,
  NAME_SERVER,
  OTHER,
  OTHER_LINK,
  OTHER6,
} from './closed-world.ts'
import { eventually, peer } from './lab.ts'
import { GATEWAY, GUEST, IMAGE, withPodman } from './podman.ts'
import { serveText } from './tasks.ts'

withPodman([], (lab, podman) => {
  const withOptions = (options: string): string[] => ['--network', `slirp4netns:${options}`]
  const clientOf = async (host: string): Promise<string> =>
    (await podman.fetch('one', `http://${host}/`)).client

  describe('allow_host_loopback', () => {
    const fetch = (port: number): ReturnType<typeof podman.execute> =>
      podman.execute(['exec', 'one', 'wget', '-T', '5', '-qO-', `http://${GATEWAY}:${port}/`])

    test('by default the gateway leads nowhere', async () => {
      const port = await lab.world.host.run(serveText, 'loopback', '127.0.0.1')
      await podman.idle('one')
      expect((await fetch(port)).status).not.toBe(0)
    })

    test('true: the gateway leads to 127.0.0.1 of the host', async () => {
      const port = await lab.world.host.run(serveText, 'loopback', '127.0.0.1')
      await podman.idle('one', withOptions('allow_host_loopback=true'))
      expect(await fetch(port)).toMatchObject({ status: 0, stdout: 'loopback' })
    })
  })

  test('mtu', async () => {
    await podman.idle('one', withOptions('mtu=1400'))
    expect(await podman.exec('one', ['cat', '/sys/class/net/tap0/mtu'])).toBe('1400')
    const command = `wget -qO- http://${INTERNET_NAME}/blob | sha256sum`
    const sum = await lab.world.internet.run(({ keep }) => keep.get('blob sha256') as string)
    expect(await podman.exec('one', ['sh', '-c', command])).toBe(`${sum}  -`)
  })

  test('cidr: guest, gateway and name server follow from it, and ports lead there', async () => {
    const options = withOptions('cidr=10.9.0.0/16,port_handler=slirp4netns')
    await podman.serve('one', [...options, '-p', '8080:80'])
    expect(await podman.exec('one', ['ip', 'addr', 'show', 'tap0'])).toContain('inet 10.9.0.100/16')
    expect(await podman.exec('one', ['ip', 'route'])).toContain('default via 10.9.0.2 dev tap0')
    expect(await podman.exec('one', ['cat', '/etc/resolv.conf'])).toContain('nameserver 10.9.0.3')
    expect(await clientOf(INTERNET_NAME)).toBe(HOST)
    expect((await podman.fetch('one', `http://${HOST}:8080/`)).name).toBe('one')
  })

  test('enable_ipv6=false: no IPv6 address but the link-local one', async () => {
    await podman.idle('one', withOptions('enable_ipv6=false'))
    const addresses = await podman.exec('one', ['ip', 'addr', 'show', 'tap0'])
    expect(addresses).toContain(`inet ${GUEST}/24`)
    expect(addresses).not.toMatch(/inet6 .* scope global/)
    expect(await clientOf(INTERNET_NAME)).toBe(HOST)
  })

  describe('outbound_addr, outbound_addr6', () => {
    for (const [kind, v4, v6] of [
      ['address', OTHER, OTHER6],
      ['interface', OTHER_LINK, OTHER_LINK],
    ]) {
      test(`an ${kind} of the host: TCP comes from there, and UDP`, async () => {
        await podman.idle('one', withOptions(`outbound_addr=${v4},outbound_addr6=${v6}`))
        expect(await clientOf(INTERNET)).toBe(OTHER)
        expect(await clientOf(`[${INTERNET6}]`)).toBe(OTHER6)
        if (peer) return
        expect((await podman.ask('one', INTERNET, 80)).client).toBe(OTHER)
        expect((await podman.ask('one', INTERNET6, 80)).client).toBe(OTHER6)
      })
    }

    test('one of a family is nothing to the other', async () => {
      await podman.idle('one', withOptions(`outbound_addr=${OTHER}`))
      expect(await clientOf(INTERNET)).toBe(OTHER)
      expect(await clientOf(`[${INTERNET6}]`)).toBe(HOST6)
    })
  })

  test('all options at once, from network_cmd_options of containers.conf', async () => {
    const options = ['mtu=9000', 'cidr=10.9.0.0/24', 'enable_ipv6=false', `outbound_addr=${OTHER}`]
    const file = `${lab.world.home}/.config/containers/options.conf`
    await lab.world.host.run(addOptions, file, `network_cmd_options = ${JSON.stringify(options)}`)
    const env = { CONTAINERS_CONF: file }
    const command = `cat /sys/class/net/tap0/mtu; wget -qO- http://${INTERNET_NAME}/`
    const output = await podman.run([], ['sh', '-c', command], { env })
    expect(output).toBe(`9000\n${JSON.stringify({ client: OTHER })}`)
  })

  test('a wrong option is said by Podman before anything is started', async () => {
    for (const options of ['cidr=nonsense', 'outbound_addr=missing0', 'frobnicate=1']) {
      const command = ['run', '--rm', ...withOptions(options), IMAGE, 'true']
      const { status, stderr } = await podman.execute(command)
      expect(status).not.toBe(0)
      expect(stderr).toContain(options.split('=')[1])
    }
  })

  test('a resolv.conf that changes is followed, in the sandbox, to a stub on the host’s loopback', async () => {
    await podman.idle('one')
    expect(await podman.exec('one', ['nslookup', INTERNET_NAME])).toContain(INTERNET)
    await lab.world.host.run(serveDns, { 'stub.example.test': ['198.51.100.7'] }, '127.0.0.53')
    await lab.world.host.run(setResolvConf, 'nameserver 127.0.0.53\n')
    try {
      const lookUp = () => podman.exec('one', ['nslookup', 'stub.example.test', '10.0.2.3'])
      expect(await eventually(lookUp)).toContain('198.51.100.7')
    } finally {
      await lab.world.host.run(setResolvConf, `nameserver ${NAME_SERVER}\n`)
    }
  })
})

/** The user's containers.conf with one more line for the engine. */
function addOptions({ fs }: Kit, file: string, line: string): void {
  const conf = fs.readFileSync(file.replace('options.conf', 'containers.conf'), 'utf8')
  fs.writeFileSync(file, conf.replace('[engine]', `[engine]\n${line}`))
}

function setResolvConf({ fs }: Kit, text: string): void {
  fs.writeFileSync('/etc/resolv.conf', text)
}
