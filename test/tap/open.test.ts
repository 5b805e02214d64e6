import { afterEach, describe, expect, test } from 'vitest'
import type { Answer, Task } from './opener.ts'
import { AS_ROOT, AS_USER, endAll, holder, inUserns, isRoot, program, whyNoTap } from './world.ts'

afterEach(endAll)

const CONFIGURE = {
  mtu: 65520,
  address: 0x0a000264,
  netmask: -256,
  gateway: 0x0a000202,
  macAddress: [0x0e, 0xd4, 0x18, 0xd9, 0x38, 0xfb],
}

const open = (as: string[], task: Task) => program<Answer>(as, './opener.ts', task)

function expectGuest(answer: Answer): void {
  expect(answer.error).toBeUndefined()
  expect(answer.home).toBe(true)
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
    const answer = await open(AS_USER, { target: { pid }, configure: CONFIGURE, probe: true })
    expectGuest(answer)
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

  test('with keep-id: our user is not root in the namespace', async () => {
    const pid = await holder([...AS_USER, 'unshare', '-U', '--map-current-user', '-n'])
    expectGuest(await open(AS_USER, { target: { pid }, configure: CONFIGURE, probe: true }))
  })
})
