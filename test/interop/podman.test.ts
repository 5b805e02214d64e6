/** One container of rootless Podman on slipway, with Podman's whole option line: from start to stop. */
import { expect, test } from 'vitest'
import { INTERNET, INTERNET_NAME, INTERNET6 } from './closed-world.ts'
import { peer } from './lab.ts'
import { GATEWAY, GUEST, IMAGE, withPodman } from './podman.ts'

withPodman([], (lab, podman) => {
  /** The only daemon there is, and it is the one under test. */
  const theDaemon = async () => {
    // One whose container has just been stopped ends by its exit pipe, a moment later.
    await expect.poll(async () => (await lab.daemons()).length, { timeout: 5_000 }).toBe(1)
    return (await lab.daemons())[0]!
  }

  test('a container reaches the Internet by address and by name, over IPv4 and IPv6', async () => {
    await podman.idle('one', ['--cap-add', 'NET_RAW'])
    expect((await podman.fetch('one', `http://${INTERNET}/`)).client).toBe('192.0.2.1')
    expect((await podman.fetch('one', `http://${INTERNET_NAME}/`)).client).toBe('192.0.2.1')
    expect((await podman.fetch('one', `http://[${INTERNET6}]/`)).client).toBe('2001:db8:1::1')
    expect((await podman.ask('one', INTERNET, 80)).client).toBe('192.0.2.1')
    expect((await podman.ask('one', INTERNET6, 80)).client).toBe('2001:db8:1::1')
    expect(await podman.exec('one', ['nslookup', INTERNET_NAME])).toContain(INTERNET)
    await podman.exec('one', ['ping', '-c', '1', '-W', '5', GATEWAY])
  })

  test('what is downloaded is what was sent', async () => {
    await podman.idle('one')
    const command = `wget -qO- http://${INTERNET_NAME}/blob | sha256sum`
    const sum = await lab.world.internet.run(({ keep }) => keep.get('blob sha256') as string)
    expect(await podman.exec('one', ['sh', '-c', command])).toBe(`${sum}  -`)
  })

  test('the daemon is started with the whole option line, and is in its sandbox', async () => {
    await podman.idle('one')
    const daemon = await theDaemon()
    const argv = daemon.argv.slice(daemon.argv.indexOf(lab.binary) + 1)
    const netns = argv.at(-2)
    expect(argv).toEqual([
      ...['--disable-host-loopback', '--mtu=65520', '--enable-sandbox', '--enable-seccomp'],
      ...['--enable-ipv6', '-c', '-e', '3', '-r', '4', '--netns-type=path', netns, 'tap0'],
    ])
    expect(netns).toMatch(/^\/run\/user\/2001\/netns\/netns-/)
    if (!peer) expect(daemon.argv[0]).toContain('node')
    expect(daemon).toMatchObject({
      root: 'etc,run',
      seccomp: '2',
      noNewPrivs: '1',
      capabilities: '0000000000000400',
    })
    const addresses = await podman.exec('one', ['ip', 'addr', 'show', 'tap0'])
    expect(addresses).toContain('mtu 65520')
    expect(addresses).toContain(`inet ${GUEST}/24`)
    expect(addresses).toMatch(/inet6 fd00::[0-9a-f:]+\/64 scope global/)
  })

  test('`podman info` shows the program, and the version whose contract it honours', async () => {
    const info = JSON.parse(await podman.succeed(['info', '--format', 'json']))
    expect(info.host.slirp4netns.executable).toBe(lab.binary)
    expect(info.host.slirp4netns.version).toMatch(/^slirp4netns version 1\.\d+\.\d+/)
    if (!peer) expect(info.host.slirp4netns.version).toMatch(/^slipway: version /m)
  })

  // As docs/troubleshooting.md has it.
  test.skipIf(peer)('a script in its place adds options of its own', async () => {
    const [script, log, pcap] = ['script', 'log', 'pcapng'].map(
      (name) => `${lab.world.home}/${name}`,
    )
    const more = `--log-level=debug --log-flows=text --pcap=${pcap}`
    const input = `#!/bin/sh\nexec ${lab.binary} ${more} "$@" 2>>${log}\n`
    await lab.world.succeed(['sh', '-ec', `cat >${script}; chmod +x ${script}`], { input })
    const container = ['run', '--rm', IMAGE, 'wget', '-qO-', `http://${INTERNET}/`]
    const answer = await podman.succeed(['--network-cmd-path', script!, ...container])
    expect(JSON.parse(answer).client).toBe('192.0.2.1')
    expect(await lab.quiet()).toEqual([])
    const lines = await lab.world.succeed(['cat', log!])
    expect(lines).toMatch(/^\+ tcp 10\.0\.2\.100:\d+ → 198\.51\.100\.80:80$/m)
    expect(lines).toContain('received tapfd=')
    const octets = await lab.world.succeed(['sh', '-c', `wc -c <${pcap}`])
    expect(Number(octets)).toBeGreaterThan(1_000)
  })

  test('stop, kill, exit and removal end the daemon', async () => {
    const end = {
      stop: () => podman.succeed(['stop', '--time', '0', 'one']),
      kill: () => podman.succeed(['kill', 'one']),
      exit: () => podman.exec('one', ['touch', '/exit']),
      remove: () => podman.succeed(['rm', '--force', '--time', '0', 'one']),
    }
    for (const [how, run] of Object.entries(end)) {
      await podman.idle('one')
      await theDaemon()
      await run()
      expect(await lab.quiet(), how).toEqual([])
      await podman.removeAll()
    }
  })

  test('a restart gives the container a daemon and a network anew', async () => {
    await podman.serve('one')
    const before = await theDaemon()
    await podman.succeed(['restart', '--time', '0', 'one'])
    const after = await theDaemon()
    expect(after.pid).not.toBe(before.pid)
    expect((await podman.fetch('one', `http://${INTERNET_NAME}/`)).client).toBe('192.0.2.1')
    await podman.succeed(['stop', '--time', '0', 'one'])
    expect(await lab.quiet()).toEqual([])
    await podman.succeed(['start', 'one'])
    expect((await podman.fetch('one', `http://${INTERNET_NAME}/`)).client).toBe('192.0.2.1')
  })

  test('with --userns=keep-id, where the network belongs to a user namespace below', async () => {
    await podman.idle('one', ['--userns=keep-id'])
    const { argv } = await theDaemon()
    expect(argv.at(-2)).toMatch(/^\d+$/)
    expect((await podman.fetch('one', `http://${INTERNET_NAME}/`)).client).toBe('192.0.2.1')
    expect((await podman.fetch('one', `http://[${INTERNET6}]/`)).client).toBe('2001:db8:1::1')
  })

  test('two containers have a daemon each, and the end of one is not the end of the other', async () => {
    await podman.idle('one')
    await podman.idle('two')
    expect(await lab.daemons()).toHaveLength(2)
    await podman.succeed(['stop', '--time', '0', 'one'])
    await theDaemon()
    expect((await podman.fetch('two', `http://${INTERNET_NAME}/`)).client).toBe('192.0.2.1')
  })

  test('ten containers that start at once have a network each', async () => {
    const names = Array.from({ length: 10 }, (_, n) => `many-${n}`)
    await Promise.all(names.map((name) => podman.idle(name)))
    expect(await lab.daemons()).toHaveLength(10)
    const url = `http://${INTERNET_NAME}/`
    const answers = await Promise.all(names.map((name) => podman.fetch(name, url)))
    expect(answers.map(({ client }) => client)).toEqual(names.map(() => '192.0.2.1'))
  })

  test("when the start fails, Podman says the daemon's reason", async () => {
    const options = ['--network', 'slirp4netns:mtu=65522']
    const { status, stderr } = await podman.execute(['run', '--rm', ...options, IMAGE, 'true'])
    expect(status).not.toBe(0)
    expect(stderr).toContain('MTU must be a positive integer (< 65522)')
  })
})
