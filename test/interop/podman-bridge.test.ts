/** Bridge networks of rootless Podman: netavark and aardvark-dns behind one slipway for all of a user's containers. */
import { expect, test } from 'vitest'
import { HOST, INTERNET, INTERNET_NAME } from './closed-world.ts'
import { type Answer, GUEST, withPodman } from './podman.ts'
import { askHttp, askUdp } from './tasks.ts'

withPodman(['netavark', 'aardvark-dns', 'iptables', 'curl'], (lab, podman) => {
  const join = ['--network', 'mine']

  /** A bridge network, for one test. */
  const withNetwork = async (body: () => Promise<void>, subnet = '--subnet=10.8.0.0/24') => {
    await podman.succeed(['network', 'create', subnet, 'mine'])
    try {
      await body()
    } finally {
      await podman.removeAll()
      await podman.succeed(['network', 'rm', 'mine'])
    }
  }

  test('one daemon for all containers, with the option line for it; the last one ends it', async () => {
    await withNetwork(async () => {
      await podman.idle('one', join)
      await podman.idle('two', join)
      const [daemon, ...others] = await lab.daemons()
      expect(others).toEqual([])
      const argv = daemon!.argv.slice(daemon!.argv.indexOf(lab.binary) + 1)
      expect(argv).toEqual([
        ...['--disable-host-loopback', '--mtu=65520', '--enable-sandbox', '--enable-seccomp'],
        ...['--enable-ipv6', '-c', '-r', '3', '--netns-type=path', argv.at(-2), 'tap0'],
      ])
      expect(argv.at(-2)).toMatch(/^\/run\/user\/2001\/netns\/rootless-netns-/)
      expect(daemon).toMatchObject({ root: 'etc,run', seccomp: '2', noNewPrivs: '1' })
      await podman.succeed(['stop', '--time', '0', 'one'])
      expect(await lab.daemons()).toHaveLength(1)
      expect((await podman.fetch('two', `http://${INTERNET_NAME}/`)).client).toBe(HOST)
      await podman.succeed(['stop', '--time', '0', 'two'])
      expect(await lab.quiet()).toEqual([])
    })
  })

  test('containers find each other by name, and the Internet too', async () => {
    await withNetwork(async () => {
      await podman.serve('web', join)
      await podman.idle('two', join)
      expect((await podman.fetch('two', 'http://web/')).name).toBe('web')
      expect((await podman.ask('two', 'web', 80)).name).toBe('web')
      expect((await podman.fetch('two', `http://${INTERNET_NAME}/`)).client).toBe(HOST)
      expect((await podman.fetch('two', `http://${INTERNET}/`)).client).toBe(HOST)
      expect((await podman.ask('two', INTERNET, 80)).client).toBe(HOST)
      const command = `wget -qO- http://${INTERNET_NAME}/blob | sha256sum`
      const sum = await lab.world.internet.run(({ keep }) => keep.get('blob sha256') as string)
      expect(await podman.exec('two', ['sh', '-c', command])).toBe(`${sum}  -`)
    })
  })

  test('ports are published, TCP and UDP', async () => {
    await withNetwork(async () => {
      await podman.serve('web', [...join, '-p', '8080:80', '-p', '8080:80/udp'])
      for (const ask of [askHttp, askUdp]) {
        const answer: Answer = JSON.parse(await lab.world.internet.run(ask, HOST, 8080))
        expect(answer.name).toBe('web')
      }
    })
  })

  // By itself it leaves the daemon running, for the next container.
  test('`podman unshare --rootless-netns` stands in the network behind the bridges', async () => {
    const inside = (...command: string[]): Promise<string> =>
      podman.succeed(['unshare', '--rootless-netns', ...command])
    await withNetwork(async () => {
      await podman.serve('web', [...join, '--ip', '10.9.0.7'])
      expect(await inside('ip', 'addr', 'show', 'tap0')).toContain(`inet ${GUEST}/24`)
      expect(JSON.parse(await inside('curl', '-sS', 'http://10.9.0.7/')).name).toBe('web')
      const answer = JSON.parse(await inside('curl', '-sS', `http://${INTERNET_NAME}/`))
      expect(answer.client).toBe(HOST)
    }, '--subnet=10.9.0.0/24')
  })
})
