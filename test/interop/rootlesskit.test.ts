/** RootlessKit on slipway, as rootless Docker, k3s and Usernetes use it: both port drivers, its API, its options. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import type { Program } from '../../src/lab/program.ts'
import { HOST, HOST6, INTERNET, INTERNET_NAME, INTERNET6, type Process } from './closed-world.ts'
import { eventually, inClosedWorld, type Lab } from './lab.ts'
import type { Answer } from './podman.ts'
import { askHttp, askUdp, serveText } from './tasks.ts'

const GATEWAY = '10.0.2.2'

/** One RootlessKit with peer.mjs as its command. */
class RootlessKit {
  readonly program: Program
  readonly #lab: Lab
  readonly #state: string

  constructor(lab: Lab, options: readonly string[]) {
    this.#lab = lab
    this.#state = `/run/user/2001/rootlesskit-${++started}`
    this.program = lab.world.start([
      ...['rootlesskit', '--state-dir', this.#state, '--copy-up=/etc', '--net=slirp4netns'],
      ...[`--slirp4netns-binary=${lab.binary}`, ...options],
      ...['node', `${lab.world.bin}/peer.mjs`, 'serve', 'child', '80'],
    ])
  }

  /** Runs a command beside its child. */
  async inside(...command: string[]): Promise<string> {
    const pid = await this.#lab.world.succeed(['cat', `${this.#state}/child_pid`])
    const enter = ['nsenter', '-U', '--preserve-credentials', '-n', '-m', '-t', pid, '--']
    return this.#lab.world.succeed([...enter, ...command])
  }

  async fetch(host: string): Promise<Answer> {
    return JSON.parse(await this.inside('curl', '-sS', '--max-time', '5', `http://${host}/`))
  }

  /** Waits until its child serves. */
  async up(): Promise<void> {
    const served = eventually(() => this.fetch('127.0.0.1'))
    const failed = this.program.ended.then(({ stderr }) => {
      throw new Error(`rootlesskit has ended: ${stderr}`)
    })
    failed.catch(() => {})
    await Promise.race([served, failed])
  }

  control(...command: string[]): ReturnType<Lab['world']['execute']> {
    const client = ['rootlessctl', '--socket', `${this.#state}/api.sock`]
    return this.#lab.world.execute([...client, ...command])
  }

  async publish(...ports: string[]): Promise<void> {
    const { status, stderr } = await this.control('add-ports', ...ports)
    expect(stderr).toBe('')
    expect(status).toBe(0)
  }

  /** The process itself, and not what it has started. */
  async process(): Promise<Process> {
    const found = await this.#lab.running()
    return found.find(({ argv }) => argv[0] === 'rootlesskit' && argv[2] === this.#state)!
  }

  async signal(name: string): Promise<void> {
    await this.#lab.world.succeed(['kill', '-s', name, `${(await this.process()).pid}`])
    await this.program.ended
  }
}

let started = 0

inClosedWorld(
  ['rootlesskit', 'rootlessctl', 'curl', 'iptables'],
  async () => {},
  (lab) => {
    const kits: RootlessKit[] = []

    const start = async (...options: string[]): Promise<RootlessKit> => {
      const kit = new RootlessKit(lab, options)
      kits.push(kit)
      await kit.up()
      return kit
    }

    const theDaemon = async (): Promise<Process & { line: string[] }> => {
      const [daemon, ...others] = await lab.daemons()
      expect(others).toEqual([])
      return { ...daemon!, line: daemon!.argv.slice(daemon!.argv.indexOf(lab.binary) + 1) }
    }

    // Before the end that inClosedWorld asks for: hooks run in the opposite order.
    afterEach(async () => {
      for (const kit of kits.splice(0)) if (await kit.process()) await kit.signal('TERM')
    })

    test('its child reaches the Internet by address and by name, with TCP and UDP', async () => {
      const kit = await start()
      expect((await kit.fetch(INTERNET)).client).toBe(HOST)
      expect((await kit.fetch(INTERNET_NAME)).client).toBe(HOST)
      const udp = await kit.inside('node', `${lab.world.bin}/peer.mjs`, 'udp', INTERNET, '80')
      expect(JSON.parse(udp).client).toBe(HOST)
      const sum = await lab.world.internet.run(({ keep }) => keep.get('blob sha256') as string)
      const blob = `curl -sS http://${INTERNET_NAME}/blob | sha256sum`
      expect(await kit.inside('sh', '-c', blob)).toBe(`${sum}  -`)
      const { line, capabilities } = await theDaemon()
      expect(line).toEqual(['--mtu', '65520', '-r', '3', expect.stringMatching(/^\d+$/), 'tap0'])
      expect(capabilities).toBe('0000000000000000')
    })

    test('by the command of docs/rootlesskit.md', async () => {
      const text = readFileSync('docs/rootlesskit.md', 'utf8')
      const command = /^```sh\n(rootlesskit [\s\S]*?)^```$/m.exec(text)![1]!
      // The shell at its end finds nothing to do.
      const line = command.replace('/usr/local/bin/slipway', lab.binary)
      const { status, stderr } = await lab.world.execute(['sh', '-ec', line])
      expect(status, stderr).toBe(0)
    })

    test('with all of its options', async () => {
      const kit = await start(
        ...['--mtu=1400', '--cidr=10.9.0.0/16', '--ifname=eth9', '--ipv6'],
        ...['--disable-host-loopback', '--slirp4netns-sandbox=auto', '--slirp4netns-seccomp=auto'],
      )
      const { line, ...daemon } = await theDaemon()
      for (const option of ['--enable-sandbox', '--enable-seccomp', '--disable-host-loopback']) {
        expect(line).toContain(option)
      }
      expect(daemon).toMatchObject({ root: 'etc,run', seccomp: '2', noNewPrivs: '1' })
      const addresses = await kit.inside('ip', 'addr', 'show', 'eth9')
      expect(addresses).toContain('mtu 1400')
      expect(addresses).toContain('inet 10.9.0.100/16')
      expect((await kit.fetch(INTERNET_NAME)).client).toBe(HOST)
      // Duplicate address detection takes a second; Podman turns it off, RootlessKit does not.
      const addresses6 = () => kit.inside('ip', '-6', 'addr', 'show', 'eth9')
      const isReady = (text: string) => text.includes('scope global') && !text.includes('tentative')
      await eventually(addresses6, isReady)
      expect((await kit.fetch(`[${INTERNET6}]`)).client).toBe(HOST6)
    })

    test("the gateway leads to the host's loopback, unless that is forbidden", async () => {
      const port = await lab.world.host.run(serveText, 'loopback', '127.0.0.1')
      const ask = ['curl', '-sS', '--max-time', '5', `http://${GATEWAY}:${port}/`]
      expect(await (await start()).inside(...ask)).toBe('loopback')
      const forbidden = await start('--disable-host-loopback')
      await expect(forbidden.inside(...ask)).rejects.toThrow('curl')
    })

    // The child has an interface of 65520 octets and what is behind it one of 1500, as rootless Docker's bridge has.
    test('a container behind a bridge of the child, with another MTU', async () => {
      const kit = await start()
      await kit.inside('sh', '-ec', BRIDGE)
      const inner = (command: string) =>
        kit.inside('ip', 'netns', 'exec', 'inner', 'sh', '-c', command)
      expect(JSON.parse(await inner(`curl -sS http://${INTERNET}/`)).client).toBe(HOST)
      const sum = await lab.world.internet.run(({ keep }) => keep.get('blob sha256') as string)
      expect(await inner(`curl -sS http://${INTERNET}/blob | sha256sum`)).toBe(`${sum}  -`)
    })

    /** What the child sees of a client on another machine. */
    const seen = { builtin: '127.0.0.1', slirp4netns: '192.0.2.254' }

    for (const [driver, client] of Object.entries(seen)) {
      describe(`--port-driver=${driver}`, () => {
        const withDriver = `--port-driver=${driver}`

        test('ports of the command line and of the API, TCP and UDP', async () => {
          const kit = await start(withDriver, '-p', '0.0.0.0:8080:80/tcp')
          await kit.publish('0.0.0.0:8081:80/tcp')
          await kit.publish('0.0.0.0:8080:80/udp')
          for (const [ask, port] of [
            [askHttp, 8080],
            [askHttp, 8081],
            [askUdp, 8080],
          ] as const) {
            const answer = JSON.parse(await lab.world.internet.run(ask, HOST, port))
            expect(answer).toEqual({ name: 'child', client })
          }
          expect((await theDaemon()).line.includes('--api-socket')).toBe(driver === 'slirp4netns')
        })

        test('ports are listed, and removed for good', async () => {
          const kit = await start(withDriver)
          await kit.publish('127.0.0.1:8080:80/tcp', '127.0.0.1:8081:80/tcp')
          const ports = (await kit.control('list-ports', '--json')).stdout.trim().split('\n')
          const listed = ports.map((line) => JSON.parse(line).spec.parentPort)
          expect(listed.toSorted()).toEqual([8080, 8081])
          expect((await kit.control('remove-ports', '1')).status).toBe(0)
          const ask = (port: number) => lab.world.host.run(askHttp, '127.0.0.1', port)
          await expect(ask(8080)).rejects.toThrow('ECONNREFUSED')
          expect(JSON.parse(await ask(8081)).name).toBe('child')
          await kit.publish('127.0.0.1:8080:80/tcp')
          expect(JSON.parse(await ask(8080)).name).toBe('child')
        })

        test('a port that is taken is an error, and the others stay', async () => {
          const kit = await start(withDriver)
          await kit.publish('127.0.0.1:8080:80/tcp')
          const port = await lab.world.host.run(serveText, 'taken', '127.0.0.1')
          const { status, stderr } = await kit.control('add-ports', `127.0.0.1:${port}:80/tcp`)
          expect(status).not.toBe(0)
          expect(stderr).toMatch(driver === 'builtin' ? 'address already in use' : 'add_hostfwd')
          const answer = await lab.world.host.run(askHttp, '127.0.0.1', 8080)
          expect(JSON.parse(answer).name).toBe('child')
        })
      })
    }

    test('TERM, KILL and the end of its child leave nothing', async () => {
      const first = await start('--port-driver=slirp4netns')
      await first.signal('TERM')
      expect(await lab.quiet()).toEqual([])

      const second = await start('--port-driver=slirp4netns')
      await second.signal('KILL')
      // Its parent's death ends the daemon; peer.mjs is not ended by RootlessKit itself.
      await eventually(
        () => lab.daemons(),
        (left) => left.length === 0,
      )
      expect(await lab.daemons()).toEqual([])

      const third = await start('--port-driver=slirp4netns')
      const child = (await lab.running()).find(({ argv }) => argv[2] === 'serve')!
      await lab.world.succeed(['kill', `${child.pid}`])
      await third.program.ended
      expect(await lab.quiet()).toEqual([])
    })
  },
)

/** In the child: a bridge, a network namespace on it, and the way out. */
const BRIDGE = `
  mount -t tmpfs none /var/run
  echo 1 > /proc/sys/net/ipv4/ip_forward
  ip link add br0 type bridge
  ip addr add 172.17.0.1/16 dev br0
  ip link set br0 up
  ip netns add inner
  ip link add outer type veth peer name eth0 netns inner
  ip link set outer master br0 up
  ip -n inner addr add 172.17.0.2/16 dev eth0
  ip -n inner link set eth0 up
  ip -n inner route add default via 172.17.0.1
  iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o br0 -j MASQUERADE`
