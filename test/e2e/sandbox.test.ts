/**
 * --enable-sandbox and --enable-seccomp: what holds, seen from outside in /proc for every thread, and that everything
 * works in there.
 */

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type DaemonOptions, launch } from '../../src/lab/daemon.ts'
import { serveDns } from '../../src/lab/dns-server.ts'
import { Program } from '../../src/lab/program.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { HOST_ADDRESS, inWorlds, type Lab, peer } from './lab.ts'
import { eventually } from './proc.ts'
import * as tasks from './tasks.ts'

const BOTH = ['--enable-sandbox', '--enable-seccomp']
/** CAP_NET_BIND_SERVICE alone. */
const ONE = '0000000000000400'
const NONE = '0000000000000000'

let lastPort = 23_000

/** What /proc says of each thread. */
function threads(pid: number) {
  return readdirSync(`/proc/${pid}/task`).map((tid) => {
    const at = `/proc/${pid}/task/${tid}`
    const status = readFileSync(`${at}/status`, 'utf8')
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]
    return {
      root: readdirSync(`${at}/root/`).toSorted().join(),
      mounts: readlinkSync(`${at}/ns/mnt`),
      capabilities: ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(field),
      noNewPrivs: field('NoNewPrivs'),
      seccomp: field('Seccomp'),
    }
  })
}

function expectConfined(pid: number, shown = 'etc,run'): void {
  const seen = threads(pid)
  expect(seen.length).toBeGreaterThan(1)
  const mounts = readlinkSync(`/proc/${pid}/ns/mnt`)
  expect(mounts).not.toBe(readlinkSync('/proc/self/ns/mnt'))
  for (const thread of seen) {
    expect(thread).toEqual({
      root: shown,
      mounts,
      // slirp4netns keeps nothing inheritable beyond that either.
      capabilities: [ONE, ONE, ONE, ONE, NONE],
      noNewPrivs: '1',
      seccomp: '2',
    })
  }
  expectReadOnly(pid)
  if (!peer) expectNoWayOut(pid)
}

/** slirp4netns does so for /etc and /run themselves, not for what is mounted below them. */
function expectReadOnly(pid: number): void {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n')
  const flags = lines.map((line) => line.split(' ')).map(([, , , , path, of]) => `${path} ${of}`)
  for (const line of flags) {
    if (peer && !/^\/(etc|run)? /.test(line)) continue
    for (const flag of ['ro', 'nosuid', 'nodev', 'noexec']) {
      expect(line).toMatch(new RegExp(`[ ,]${flag}(,|$)`))
    }
  }
  expect(flags.length).toBeGreaterThanOrEqual(3)
}

/** No descriptor leads to a folder above which there is another. */
function expectNoWayOut(pid: number): void {
  const folder = (path: string) => {
    try {
      const { dev, ino } = statSync(path)
      return statSync(path).isDirectory() ? `${dev} ${ino}` : undefined
    } catch {
      return undefined // what cannot be looked at, such as a socket
    }
  }
  const folders = readdirSync(`/proc/${pid}/fd`).filter((fd) => folder(`/proc/${pid}/fd/${fd}/`))
  expect(folders.length).toBeLessThanOrEqual(1)
  for (const fd of folders) {
    expect(folder(`/proc/${pid}/fd/${fd}/..`)).toBe(folder(`/proc/${pid}/fd/${fd}/`))
  }
}

interface Running {
  program: Program
  pid: number
  apiSocket: string
  ready: Promise<string>
}

/** Podman's line: exit pipe 3, ready pipe 4. `prefix` is where and as whom it runs. */
function startAsPodman(lab: Lab, prefix: readonly string[], netns: string): Running {
  const apiSocket = join(lab.world.directory, `podman-${++lastPort}.net`)
  const line = [
    ...['--disable-host-loopback', '--mtu=65520', ...BOTH, '-c', '-e', '3', '-r', '4'],
    ...['--api-socket', apiSocket, '--netns-type=path', netns, 'tap0'],
  ]
  const program = new Program(
    [...prefix, 'setpriv', '--pdeathsig', 'KILL', '--', ...launch(), ...line],
    { descriptors: ['pipe', 'pipe'] },
  )
  const pipe = program.child.stdio[4] as Readable
  const ready = new Promise<string>((resolve) => {
    pipe.once('data', (octets) => resolve(String(octets)))
    pipe.once('end', () => resolve(`not ready: ${program.stderr}`))
  })
  return { program, pid: program.pid, apiSocket, ready }
}

const plain = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--']

inWorlds((lab) => {
  const records = { 'one.example': ['192.0.2.1'] }
  const moved = { 'one.example': ['192.0.2.2'] }

  const resolve = (guest: Namespace): Promise<string[]> =>
    guest.run(async ({ dns }) => {
      const resolver = new dns.promises.Resolver({ timeout: 1_000, tries: 2 })
      return resolver.resolve4('one.example').catch((error) => [error.code])
    })

  async function expectAnswer(guest: Namespace, answer: string): Promise<void> {
    let last: string[] = []
    for (let attempt = 0; attempt < 40 && last[0] !== answer; attempt++) {
      last = await resolve(guest)
      await new Promise((done) => setTimeout(done, 100))
    }
    expect(last).toEqual([answer])
  }

  /** Name servers at 127.0.0.1 and 127.0.0.2, with different answers. */
  async function serveNames(): Promise<void> {
    await lab.host.run(serveDns, records).catch(() => {})
    await lab.host.run(serveDns, moved, '127.0.0.2').catch(() => {})
  }

  async function expectDns(guest: Namespace, resolvConf: string): Promise<void> {
    await serveNames()
    try {
      await expectAnswer(guest, '192.0.2.1')
      writeFileSync(resolvConf, 'nameserver 127.0.0.2\n')
      await expectAnswer(guest, '192.0.2.2')
    } finally {
      writeFileSync(resolvConf, 'nameserver 127.0.0.1\n')
    }
  }

  async function expectFlows(guest: Namespace): Promise<void> {
    const port = await lab.host.run(tasks.serveText, 'outside', HOST_ADDRESS)
    const page = await guest.run(tasks.fetchText, { host: HOST_ADDRESS, port })
    expect(page.text).toBe('outside')
    const udp = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
    const answer = await guest.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port: udp }, 5_000)
    expect(answer).toMatchObject({ outcome: 'answer', equal: true })
  }

  async function expectForwards(guest: Namespace, apiSocket: string): Promise<void> {
    const tcp = await guest.run(tasks.serveText, 'inside', '0.0.0.0')
    const udp = await guest.run(tasks.serveUdpEcho, '0.0.0.0')
    const [hostTcp, hostUdp] = [++lastPort, ++lastPort]
    for (const [proto, host_port, guest_port] of [
      ['tcp', hostTcp, tcp],
      ['udp', hostUdp, udp],
    ]) {
      const request = { host_addr: '0.0.0.0', guest_addr: '', proto, host_port, guest_port }
      expect(await ask(apiSocket, { execute: 'add_hostfwd', arguments: request })).toHaveProperty(
        'return.id',
      )
    }
    const page = await lab.host.run(tasks.fetchText, { host: HOST_ADDRESS, port: hostTcp })
    expect(page.text).toBe('inside')
    const there = { host: HOST_ADDRESS, port: hostUdp }
    const answer = await lab.host.run(tasks.exchangeUdp, there, 500)
    expect(answer).toMatchObject({ outcome: 'answer', equal: true })
  }

  const callers = [
    ["in Podman's user and mount namespaces", { podman: true }, []],
    ['by the owner, with all capabilities', {}, []],
    ['by a user without capabilities', {}, plain],
  ] as const

  for (const [who, container, privileges] of callers) {
    test(`Podman's line ${who}: everything holds, and everything works`, async () => {
      const guest = await lab.world.container(container)
      const prefix = [...guest.outer, ...privileges]
      const running = startAsPodman(lab, prefix, `/proc/${guest.pid}/ns/net`)
      const { program, pid, apiSocket } = running
      try {
        expect(await running.ready).toBe('1')
        expectConfined(pid)
        await expectFlows(guest)
        await expectDns(guest, join(lab.world.directory, 'resolv.conf'))
        await expectForwards(guest, apiSocket)
        expect(await guest.run(tasks.mtuOf, 'tap0')).toBe(65_520)
        expect(program.stdout.match(/WARNING: .*/g)).toEqual([
          'WARNING: Support for seccomp is experimental',
        ])
        // Still, now that libuv has made threads for this or that.
        expectConfined(pid)
        ;(program.child.stdio[3] as Duplex).destroy()
        const { status, stderr } = await program.ended
        expect({ status, ended: stderr.includes('exitfd event') }).toEqual({
          status: 0,
          ended: true,
        })
        if (!peer)
          expect(readdirSync(lab.world.directory)).not.toContain(apiSocket.split('/').at(-1))
      } finally {
        program.kill('SIGKILL')
        await program.ended
        await guest.close()
      }
    })
  }

  for (const as of ['owner', 'plain'] as const) {
    test.skipIf(peer)(`SIGTERM ends it with 0, and unlinks the API socket (${as})`, async () => {
      const { daemon } = await lab.attach({ as, args: BOTH, exitPipe: false })
      daemon.program.kill('SIGTERM')
      expect(await daemon.program.ended).toMatchObject({ status: 0 })
      expect(readdirSync(lab.world.directory)).not.toContain(daemon.apiSocket.split('/').at(-1))
    })

    test(`the sandbox alone, and the filter alone (${as})`, async () => {
      const sandboxed = await lab.attach({ as, args: ['--enable-sandbox'] })
      for (const { seccomp, root } of threads(sandboxed.daemon.pid)) {
        expect([seccomp, root]).toEqual(['0', 'etc,run'])
      }
      await expectFlows(sandboxed.guest)
      const filtered = await lab.attach({ as, args: ['--enable-seccomp'] })
      for (const { seccomp, mounts } of threads(filtered.daemon.pid)) {
        const before = readlinkSync(`/proc/${filtered.daemon.pid}/ns/mnt`)
        expect([seccomp, mounts]).toEqual(['2', before])
      }
      await expectFlows(filtered.guest)
    })
  }

  test("by a user without capabilities it is the container's root, in the same process", async () => {
    const { guest, daemon } = await lab.attach({ as: 'plain', args: BOTH })
    expect(readlinkSync(`/proc/${daemon.pid}/ns/user`)).toBe(
      readlinkSync(`/proc/${guest.pid}/ns/user`),
    )
    expect(readFileSync(`/proc/${daemon.pid}/environ`, 'utf8')).toContain('PATH=')
    expectConfined(daemon.pid)
  })

  // It starts again in the container's user namespace.
  test.skipIf(peer)('a user without capabilities: SIGTERM ends it whenever it comes', async () => {
    const guest = await lab.world.container()
    const late = delay(20_000)
    const endings = Array.from({ length: 32 }, async (_, i) => {
      await delay(150 * i)
      const operands = [`${guest.pid}`, `tap${i}`]
      const options = { as: 'plain', args: BOTH, operands, configure: false, exitPipe: false }
      const { program } = lab.world.daemon(guest, options as DaemonOptions)
      await delay(15 * i)
      program.kill('SIGTERM')
      const ending = await Promise.race([program.ended, late])
      return ending?.signal ?? ending?.status
    })
    for (const ending of await Promise.all(endings)) expect(['SIGTERM', 0]).toContain(ending)
    await guest.close()
  })

  test('a user without capabilities needs no PATH', async () => {
    const wrapper = ['/usr/bin/env', 'PATH=']
    const { daemon } = await lab.attach({ as: 'plain', args: BOTH, wrapper })
    expectConfined(daemon.pid)
  })

  test('a user without capabilities: it still dies with its parent', async () => {
    const guest = await lab.world.container()
    const parent = new Program([
      ...[...guest.outer, ...plain, 'sh', '-c', '"$@" & echo $!; wait', 'sh'],
      ...[
        'setpriv',
        '--pdeathsig',
        'KILL',
        '--',
        ...launch(),
        ...BOTH,
        '-c',
        `${guest.pid}`,
        'tap0',
      ],
    ])
    const isReady = () => parent.stdout.includes('Recommended IP')
    expect(await eventually(isReady)).toBe(true)
    const pid = Number(parent.stdout.split('\n')[0])
    const lives = () => {
      try {
        return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
      } catch {
        return false
      }
    }
    expect(lives()).toBe(true)
    // nsenter has become sh: the same process.
    parent.kill('SIGKILL')
    expect(await eventually(() => !lives(), 3_000)).toBe(true)
    await guest.close()
  })

  test.skipIf(peer)(
    'a user who cannot be root in there gets an error, and nothing starts',
    async () => {
      const guest = await lab.world.container({ uid: 1000 })
      const daemon = lab.world.daemon(guest, { as: 'plain', args: BOTH })
      await expect(daemon.ready).rejects.toThrow(
        /cannot enter the user namespace for the sandbox: we cannot be root in there/,
      )
      expect((await daemon.program.ended).status).toBe(1)
      expect((await guest.run(tasks.interfaces)).join()).not.toContain('tap0')
      await guest.close()
    },
  )

  for (const [missing, call] of [
    ['sys_chroot', 'setns'],
    ['setpcap', 'prctl'],
  ]) {
    test.skipIf(peer)(`where ${call} is forbidden it ends with 1 and the reason`, async () => {
      const guest = await lab.world.container({ podman: true })
      const wrapper = ['setpriv', `--bounding-set=-${missing}`, `--inh-caps=-${missing}`, '--']
      const daemon = lab.world.daemon(guest, { args: BOTH, wrapper })
      await expect(daemon.ready).rejects.toThrow(
        new RegExp(`cannot make the sandbox: thread \\d+ \\(.*\\): EPERM \\(${call}: `),
      )
      expect((await daemon.program.ended).status).toBe(1)
      expect(readdirSync(lab.world.directory)).not.toContain(daemon.apiSocket.split('/').at(-1))
      await guest.close()
    })
  }

  /** Runs the daemon in a mount namespace that was prepared by a shell script. */
  const prepared = (script: string, propagation = 'private') => [
    ...['unshare', '--mount', '--propagation', propagation],
    ...['sh', '-ec', `${script}\nexec "$@"`, 'sh'],
  ]

  test('a resolv.conf that is a link to elsewhere is followed, and obeyed when it changes', async () => {
    const folder = join(lab.world.directory, 'elsewhere')
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    const file = join(folder, 'resolv.conf')
    writeFileSync(file, 'nameserver 127.0.0.1\n')
    const wrapper = prepared(
      `mount -t tmpfs tmpfs /etc; mount -t tmpfs tmpfs /mnt
       ln -s ${folder} /mnt/link; ln -s ../mnt/link/resolv.conf /etc/resolv.conf`,
    )
    const args = peer ? ['--enable-sandbox'] : BOTH
    const { guest, daemon } = await lab.attach({ args, wrapper }, { podman: true })
    if (!peer) expectConfined(daemon.pid, 'etc,mnt,run,tmp')
    await expectDns(guest, file)
  })

  test('a resolv.conf that leads to where the user may not look stops nothing', async () => {
    const wrapper = prepared(
      `mount -t tmpfs tmpfs /etc; mount -t tmpfs tmpfs /mnt; mkdir /mnt/locked; touch /mnt/locked/f
       chmod 0 /mnt/locked; ln -s /mnt/locked/f /etc/resolv.conf`,
    )
    // Who may read everything can look there, too.
    const without = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-all']
    const options = { args: BOTH, wrapper: [...wrapper, ...without, '--'] }
    const { daemon } = await lab.attach(options, { podman: true })
    if (!peer) expectConfined(daemon.pid, 'etc,mnt,run')
  })

  test.skipIf(peer)('a resolv.conf that is replaced in /run is obeyed', async () => {
    const folder = join(lab.world.directory, 'run')
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    const file = join(folder, 'resolv.conf')
    writeFileSync(file, 'nameserver 127.0.0.1\n')
    const wrapper = prepared(
      `mount --bind ${folder} /run; mount -t tmpfs tmpfs /etc; mount -t tmpfs tmpfs /var
       ln -s /run /var/run; ln -s /var/run/resolv.conf /etc/resolv.conf`,
    )
    const { guest, daemon } = await lab.attach({ args: BOTH, wrapper }, { podman: true })
    expectConfined(daemon.pid, 'etc,run,var')
    await serveNames()
    await expectAnswer(guest, '192.0.2.1')
    writeFileSync(`${file}.new`, 'nameserver 127.0.0.2\n')
    renameSync(`${file}.new`, file)
    await expectAnswer(guest, '192.0.2.2')
  })

  test.skipIf(peer)('a link that comes to point to another file in /run is followed', async () => {
    const folder = join(lab.world.directory, 'relinked')
    for (const each of ['etc', 'run'])
      mkdirSync(join(folder, each), { recursive: true, mode: 0o755 })
    for (const n of [1, 2]) writeFileSync(join(folder, 'run', `${n}`), `nameserver 127.0.0.${n}\n`)
    const link = join(folder, 'etc', 'resolv.conf')
    symlinkSync('../run/1', link)
    const wrapper = prepared(`mount --bind ${folder}/run /run; mount --bind ${folder}/etc /etc`)
    const { guest, daemon } = await lab.attach({ args: BOTH, wrapper }, { podman: true })
    expectConfined(daemon.pid)
    await serveNames()
    await expectAnswer(guest, '192.0.2.1')
    symlinkSync('../run/2', `${link}.new`)
    renameSync(`${link}.new`, link)
    await expectAnswer(guest, '192.0.2.2')
  })

  test("what is mounted in the host's /run appears in there, and nothing of it changes the host", async () => {
    const wrapper = prepared(
      `mount -t tmpfs tmpfs /run; mkdir /run/later
       sleep 60 <&- >/dev/null 2>&1 3>&- 4>&- & echo holder $! >&2`,
      'shared',
    )
    const { guest, daemon } = await lab.attach({ args: BOTH, wrapper }, { podman: true })
    const holder = Number(/^holder (\d+)$/m.exec(daemon.program.stderr)?.[1])
    const mounts = () => readFileSync(`/proc/${holder}/mountinfo`, 'utf8')
    const before = mounts()
    expect(before).not.toMatch(/ \/tmp rw,nosuid,nodev,noexec/)
    const enter = [...guest.outer, 'nsenter', '--preserve-credentials', '-m', '-t', `${holder}`]
    const mount = new Program([...enter, 'mount', '-t', 'tmpfs', 'later', '/run/later'])
    expect(await mount.ended).toMatchObject({ status: 0, stderr: '' })
    expect(readFileSync(`/proc/${daemon.pid}/mountinfo`, 'utf8')).toContain(' /run/later ')
    await daemon.stop()
    expect(mounts().split('\n').length).toBe(before.split('\n').length + 1)
    process.kill(holder, 'SIGKILL')
  })
})

describe.skipIf(process.getuid?.() !== 0)('as root of the machine', () => {
  test("Podman's line: everything holds", async () => {
    const inside = new Program(['unshare', '--net', 'sleep', '60'])
    const own = readlinkSync('/proc/self/ns/net')
    const isInside = () => readlinkSync(`/proc/${inside.pid}/ns/net`) !== own
    expect(await eventually(isInside)).toBe(true)
    const { mkdtempSync, rmSync } = await import('node:fs')
    const directory = mkdtempSync('/tmp/slipway-root-')
    const lab = { world: { directory } } as Lab
    const running = startAsPodman(lab, [], `/proc/${inside.pid}/ns/net`)
    try {
      expect(await running.ready).toBe('1')
      expectConfined(running.pid)
      const enter = ['nsenter', `--net=/proc/${inside.pid}/ns/net`]
      const address = new Program([...enter, 'ip', '-br', 'address', 'show', 'tap0'])
      expect((await address.ended).stdout).toContain('10.0.2.100/24')
      // A port below 1024 takes the one capability that is left.
      const hostPort = 1_000 + (process.pid % 20)
      const request = { proto: 'tcp', host_addr: '127.0.0.1', host_port: hostPort, guest_port: 80 }
      expect(
        await ask(running.apiSocket, { execute: 'add_hostfwd', arguments: request }),
      ).toHaveProperty('return.id')
      ;(running.program.child.stdio[3] as Duplex).destroy()
      expect(await running.program.ended).toMatchObject({ status: 0 })
      if (!peer) expect(readdirSync(directory)).toEqual([])
    } finally {
      running.program.kill('SIGKILL')
      inside.kill('SIGKILL')
      await Promise.all([running.program.ended, inside.ended])
      rmSync(directory, { recursive: true })
    }
  })
})

/** One request to an API socket. */
async function ask(path: string, request: object): Promise<unknown> {
  const { connect } = await import('node:net')
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(path, () => socket.end(`${JSON.stringify(request)}\n`))
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(JSON.parse(text)))
  })
}
