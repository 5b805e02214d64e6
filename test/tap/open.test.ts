import { afterEach, describe, expect, test } from 'vitest'
import { AF_INET, AF_INET6 } from '../../src/sys/constants.ts'
import type { TapTarget } from '../../src/tap/open.ts'
import type { Answer, Task } from './opener.ts'
import {
  AS_ROOT,
  AS_USER,
  endAll,
  holder,
  inUserns,
  isRoot,
  nsenter,
  onlyPrograms,
  program,
  run,
  whyNoTap,
} from './world.ts'

afterEach(endAll)

const CONFIGURE = {
  mtu: 65520,
  address: 0x0a000264,
  netmask: -256,
  gateway: 0x0a000202,
  macAddress: [0x0e, 0xd4, 0x18, 0xd9, 0x38, 0xfb],
}

const refusal = async (as: string[], target: TapTarget) => (await open(as, { target })).error
async function open(as: string[], task: Task): Promise<Answer> {
  const answer = await program<Answer>(as, './opener.ts', task)
  expect(answer.home).toBe(true)
  expect(answer.left).toEqual([])
  return answer
}

function expectGuest(answer: Answer): void {
  expect(answer.error).toBeUndefined()
  expect(answer.attached).toMatchObject({ headerLen: 10, offload: { csum: true, tso: true } })
  expect(answer.findings).toMatchObject({
    mac: '0ed418d938fb',
    synAnswered: true,
    superFrame: 40_000,
  })
}

describe.skipIf(whyNoTap() !== undefined)('opens the TAP', () => {
  describe.skipIf(!isRoot)('as root', () => {
    test('in a network namespace, given by its process or by a path', async () => {
      const pid = await holder([...AS_ROOT, 'unshare', '-n'])
      for (const target of [{ pid }, { netns: `/proc/${pid}/ns/net` }]) {
        expectGuest(await open(AS_ROOT, { target, configure: CONFIGURE, probe: true }))
      }
    })

    test("in a user's network namespace", async () => {
      const pid = await holder([...AS_USER, 'unshare', '-Urn'])
      expectGuest(await open(AS_ROOT, { target: { pid }, configure: CONFIGURE, probe: true }))
    })
  })

  test('as an ordinary user, in a namespace of the same user', async () => {
    const pid = await holder([...AS_USER, 'unshare', '-Urn'])
    for (const way of ['auto', 'rights'] as const) {
      const task: Task = { target: { pid }, configure: CONFIGURE, probe: true, options: { way } }
      expectGuest(await open(AS_USER, task))
    }
  })

  test('as Podman starts us: root in a user namespace, the host above it', async () => {
    const pause = await holder([...AS_USER, 'unshare', '-Ur'])
    const pid = await holder([...inUserns(pause), 'unshare', '-n'])
    for (const way of ['auto', 'thread'] as const) {
      const answer = await open(inUserns(pause), {
        target: { pid },
        configure: CONFIGURE,
        probe: true,
        options: { way },
      })
      expectGuest(answer)
    }
  })

  test('as Podman starts us for keep-id: the namespace belongs to a user namespace below', async () => {
    const pause = await holder([...AS_USER, 'unshare', '-Ur'])
    const keepId = ['unshare', '-U', '--map-user=1', '--map-group=1', '-n']
    const pid = await holder([...inUserns(pause), ...keepId])
    for (const way of ['auto', 'thread'] as const) {
      const task: Task = { target: { pid }, configure: CONFIGURE, probe: true, options: { way } }
      expectGuest(await open(inUserns(pause), task))
    }
  })

  test('with keep-id: our user is not root in the namespace', async () => {
    const pid = await holder([...AS_USER, 'unshare', '-U', '--map-current-user', '-n'])
    expectGuest(await open(AS_USER, { target: { pid }, configure: CONFIGURE, probe: true }))
  })

  test('given by paths, with and without the one of the user namespace', async () => {
    const pid = await holder([...AS_USER, 'unshare', '-Urn'])
    const netns = `/proc/${pid}/ns/net`
    for (const target of [{ netns }, { netns, userns: `/proc/${pid}/ns/user` }]) {
      expectGuest(await open(AS_USER, { target, configure: CONFIGURE, probe: true }))
    }
  })

  test('as RootlessKit starts us: without capabilities, for a TAP that is there and down', async () => {
    const make = 'ip tuntap add name tap0 mode tap'
    const pid = await holder([...AS_USER, 'unshare', '-Urn'], make)
    const up = 'ip addr add 10.0.2.100/24 dev tap0; ip link set tap0 address 0e:d4:18:d9:38:fb up'
    const whenDown = [...nsenter(pid), 'sh', '-c', up]
    const answer = await open(AS_USER, { target: { pid }, probe: true, whenDown })
    expect(answer.lostWhenDown).toBe(1)
    expectGuest(answer)
    await run([...AS_USER, ...nsenter(pid), 'ip', 'link', 'show', 'tap0'])
  })

  describe('and TCP sockets beside it', () => {
    const streams = [...new Array(100).fill(AF_INET), ...new Array(50).fill(AF_INET6)]
    const task = (pid: number, options: Task['options'] = {}): Task => ({
      target: { pid },
      configure: CONFIGURE,
      options: { ...options, streams },
    })

    test.skipIf(!isRoot)('as root', async () => {
      const pid = await holder([...AS_ROOT, 'unshare', '-n'])
      expect((await open(AS_ROOT, task(pid))).streams).toEqual([150, 100])
    })

    test('as the owner of the namespace', async () => {
      const pid = await holder([...AS_USER, 'unshare', '-Urn'])
      for (const way of ['auto', 'nsenter', 'rights'] as const) {
        expect((await open(AS_USER, task(pid, { way }))).streams).toEqual([150, 100])
      }
      const path = await onlyPrograms('nsenter', 'sh')
      const withoutPerl = [...AS_USER, 'env', `PATH=${path}`]
      expect((await open(withoutPerl, task(pid))).streams).toEqual([150, 100])
    })

    test('as Podman starts us', async () => {
      const pause = await holder([...AS_USER, 'unshare', '-Ur'])
      const pid = await holder([...inUserns(pause), 'unshare', '-n'])
      for (const way of ['auto', 'thread'] as const) {
        expect((await open(inUserns(pause), task(pid, { way }))).streams).toEqual([150, 100])
      }
    })
  })

  test('with Node in the place of a Perl that is not there', async () => {
    const pid = await holder([...AS_USER, 'unshare', '-Urn'])
    const path = await onlyPrograms('nsenter', 'sh')
    const as = [...AS_USER, 'env', `PATH=${path}`]
    expectGuest(await open(as, { target: { pid }, configure: CONFIGURE, probe: true }))
  })

  test('without nsenter when a thread may enter, else the error names what is missing', async () => {
    const pause = await holder([...AS_USER, 'unshare', '-Ur'])
    const pid = await holder([...inUserns(pause), 'unshare', '-n'])
    const none = ['env', 'PATH=/nonexistent']
    const task = { target: { pid }, configure: CONFIGURE, probe: true }
    expectGuest(await open([...inUserns(pause), ...none], task))
    const { error } = await open([...AS_USER, ...none], task)
    expect(error).toEqual({
      message: 'cannot enter the network namespace: ENOENT (nsenter: No such file or directory)',
      code: 'ENOENT',
      syscall: 'nsenter',
    })
  })
})

describe.skipIf(whyNoTap() !== undefined)('the guest', () => {
  test('has its addresses, route and MTU, and its loopback is up', async () => {
    const pid = await holder([...AS_USER, 'unshare', '-Urn'])
    const look = [...nsenter(pid), 'sh', '-c', 'ip -j addr && ip -j route']
    const { seen, error } = await open(AS_USER, { target: { pid }, configure: CONFIGURE, look })
    expect(error).toBeUndefined()
    const [links, routes] = seen!
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(links).toMatchObject([
      { ifname: 'lo', flags: expect.arrayContaining(['UP']) },
      {
        ifname: 'tap0',
        flags: expect.arrayContaining(['UP']),
        mtu: 65520,
        address: '0e:d4:18:d9:38:fb',
        addr_info: [
          { family: 'inet', local: '10.0.2.100', prefixlen: 24, broadcast: '10.0.2.255' },
          {},
        ],
      },
    ])
    expect(routes).toMatchObject([
      { dst: 'default', gateway: '10.0.2.2', dev: 'tap0' },
      { dst: '10.0.2.0/24', dev: 'tap0' },
    ])
  })
})

describe.skipIf(whyNoTap() !== undefined)('says why it cannot', () => {
  test('there is no such process', async () => {
    expect(await refusal(AS_USER, { pid: 0x3fffffff })).toEqual({
      message: 'cannot open /proc/1073741823/ns/net: ENOENT (open: No such file or directory)',
      code: 'ENOENT',
      syscall: 'open',
    })
  })

  test('the path is no namespace, or not one of a network', async () => {
    for (const netns of ['/etc/passwd', '/proc/self/ns/user', '/dev/null']) {
      expect(await refusal(AS_USER, { netns })).toEqual({
        message:
          'cannot enter the network namespace: EINVAL (setns(CLONE_NEWNET): Invalid argument)',
        code: 'EINVAL',
        syscall: 'setns(CLONE_NEWNET)',
      })
    }
  })

  test.skipIf(!isRoot)("the namespace is somebody else's", async () => {
    const pid = await holder([...AS_ROOT, 'unshare', '-n'])
    expect((await refusal(AS_USER, { pid }))?.code).toBe('EACCES')
    expect(await refusal(AS_USER, { netns: '/proc/self/ns/net' })).toMatchObject({
      code: 'EPERM',
      message: expect.stringContaining('cannot enter the network namespace: EPERM'),
    })
  })

  test('the name is taken', async () => {
    const pid = await holder([...AS_USER, 'unshare', '-Urn'], 'ip link add tap0 type bridge')
    expect(await refusal(AS_USER, { pid })).toEqual({
      message: 'cannot open TAP tap0: EINVAL (ioctl(TUNSETIFF): Invalid argument)',
      code: 'EINVAL',
      syscall: 'ioctl(TUNSETIFF)',
    })
  })

  test.skipIf(!isRoot)('the device is not for us, or not there', async () => {
    const pid = await holder([...AS_USER, 'unshare', '-Urn'])
    const nobody = AS_USER.slice(AS_USER.indexOf('setpriv'))
    expect(await refusal(nobody, { pid })).toEqual({
      message: 'cannot open /dev/net/tun: EACCES (open: Permission denied)',
      code: 'EACCES',
      syscall: 'open',
    })
    const hidden = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', 'sh']
    expect((await refusal([...hidden, ...nobody], { pid }))?.code).toBe('ENOENT')
  })
})
