import { beforeEach, describe, expect, test } from 'vitest'
import { answer } from '../../src/control/api.ts'
import { FakeForwards } from './fake-forwards.ts'

let forwards = new FakeForwards()
beforeEach(() => {
  forwards = new FakeForwards()
})

const ask = (request: unknown) =>
  answer(typeof request === 'string' ? request : JSON.stringify(request), { forwards })
const add = (args: object) => ask({ execute: 'add_hostfwd', arguments: args })
const remove = (args: unknown) => ask({ execute: 'remove_hostfwd', arguments: args })

/** The error's text without the frame around it. */
async function error(answering: Promise<string>): Promise<string> {
  const { desc } = JSON.parse(await answering).error
  expect(desc).toMatch(/^bad request: /)
  return desc.slice('bad request: '.length)
}

const TCP = {
  proto: 'tcp',
  host_addr: '127.0.0.1',
  host_port: 8080,
  guest_addr: '10.0.2.7',
  guest_port: 80,
}

test('a forward is added, listed in both forms, and removed', async () => {
  expect(await add(TCP)).toBe('{"return":{"id":1}}')
  expect(await add({ proto: 'udp', host_port: 8081, guest_port: 81 })).toBe('{"return":{"id":2}}')
  const entries =
    '[{"id":1,"proto":"tcp","host_addr":"127.0.0.1","host_port":8080,"guest_addr":"10.0.2.7","guest_port":80},' +
    '{"id":2,"proto":"udp","host_addr":"0.0.0.0","host_port":8081,"guest_addr":"10.0.2.100","guest_port":81}]'
  expect(await ask('{"execute":"list_hostfwd"}')).toBe(
    `{"return":{"entries":${entries}},"entries":${entries}}`,
  )
  expect(await remove({ id: 1 })).toBe('{"return":{}}')
  expect(await error(remove({ id: 1 }))).toBe(
    'remove_hostfwd: bad arguments.id: no forward has the id 1',
  )
})

test('no forwards are an empty list', async () => {
  expect(await ask('{"execute":"list_hostfwd"}')).toBe('{"return":{"entries":[]},"entries":[]}')
})

test('an id is not used again', async () => {
  await add(TCP)
  await remove({ id: 1 })
  expect(await add(TCP)).toBe('{"return":{"id":2}}')
})

test("an address that is missing, null or empty is 0.0.0.0 for the host and the guest's own", async () => {
  for (const [at, none] of [undefined, null, ''].entries()) {
    await add({ ...TCP, host_port: 1 + at, host_addr: none, guest_addr: none })
  }
  for (const entry of forwards.entries) {
    expect(entry).toMatchObject({ hostAddr: '0.0.0.0', guestAddr: '10.0.2.100' })
  }
})

describe('IPv6', () => {
  const entries = () =>
    forwards.entries.map(({ proto, hostAddr, guestAddr }) => [proto, hostAddr, guestAddr])

  test('tcp6 and udp6 are at :: when no address is given, tcp4 and udp4 at 0.0.0.0', async () => {
    for (const proto of ['tcp6', 'udp6', 'tcp4', 'udp4']) {
      expect(await add({ proto, host_port: 1, guest_port: 2 })).toMatch('return')
    }
    expect(entries().map(([proto, host]) => [proto, host])).toEqual([
      ['tcp6', '::'],
      ['udp6', '::'],
      ['tcp4', '0.0.0.0'],
      ['udp4', '0.0.0.0'],
    ])
    expect(await ask('{"execute":"list_hostfwd"}')).toContain('"proto":"tcp6","host_addr":"::"')
  })

  test('tcp goes from an address of either version to one of either', async () => {
    await add({ ...TCP, host_addr: '::1' })
    await add({ ...TCP, host_port: 8081, guest_addr: 'fd00::7' })
    expect(entries()).toEqual([
      ['tcp', '::1', '10.0.2.7'],
      ['tcp', '127.0.0.1', 'fd00::7'],
    ])
  })

  test.each([
    ['tcp4', 'host_addr', '::1', 'an IPv4 address'],
    ['udp4', 'guest_addr', 'fd00::7', 'an IPv4 address'],
    ['tcp6', 'host_addr', '127.0.0.1', 'an IPv6 address'],
    ['udp6', 'guest_addr', '10.0.2.100', 'an IPv6 address'],
    ['tcp', 'host_addr', 'fe80::1%lo', 'an IP address'],
    ['tcp', 'host_addr', '::g', 'an IP address'],
  ])('%s has no %s of %s', async (proto, name, value, wanted) => {
    const args = { proto, host_port: 1, guest_port: 2, [name]: value }
    expect(await error(add(args))).toBe(
      `add_hostfwd: bad arguments.${name}: must be ${wanted}, not "${value}"`,
    )
  })
})

test('a port may be written with a fraction of zero or an exponent', async () => {
  const request =
    '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":8093.0,"guest_port":8e1}}'
  expect(await ask(request)).toBe('{"return":{"id":1}}')
  expect(forwards.entries[0]).toMatchObject({ hostPort: 8093, guestPort: 80 })
})

test('a port that the host refuses is an error with its cause, and the forwards before it stay', async () => {
  await add(TCP)
  expect(await error(add(TCP))).toBe(
    'add_hostfwd: slirp_add_hostfwd failed: cannot listen on 127.0.0.1:8080: EADDRINUSE',
  )
  expect(forwards.entries).toHaveLength(1)
})

describe('is a bad request:', () => {
  test.each([
    ['badjson', 'cannot parse JSON'],
    ['', 'cannot parse JSON'],
    ['{"execute":"list_hostfwd",}', 'cannot parse JSON'],
    ['{"execute":"list_', 'cannot parse JSON'],
    ['[1,2]', 'json_object() failed'],
    ['42', 'json_object() failed'],
    ['null', 'json_object() failed'],
    ['"x"', 'json_object() failed'],
    ['{"foo": 42}', 'no execute found'],
    ['{"execute": 42}', 'no execute found'],
    ['{"execute": null}', 'no execute found'],
    ['{"execute": "frobnicate"}', 'unknown execute'],
    ['{"execute": "__proto__"}', 'unknown execute'],
    ['{"__proto__": {"execute": "list_hostfwd"}}', 'no execute found'],
    ['{"execute": "add_hostfwd"}', 'add_hostfwd: bad arguments.proto'],
    ['{"execute": "add_hostfwd", "arguments": 7}', 'add_hostfwd: bad arguments.proto'],
    ['{"execute": "remove_hostfwd"}', 'remove_hostfwd: bad arguments.id'],
    ['{"execute": "remove_hostfwd", "arguments": [1]}', 'remove_hostfwd: bad arguments.id'],
  ])('%s', async (request, why) => {
    expect(`${await error(ask(request))}: `).toMatch(`${why}: `)
  })
})

describe('is a bad argument of add_hostfwd:', () => {
  test.each<[keyof typeof TCP, unknown]>([
    ['proto', undefined],
    ['proto', 'sctp'],
    ['proto', 'TCP'],
    ['proto', 6],
    ['host_addr', 'foo'],
    ['host_addr', 'fe80::1%lo'],
    ['host_addr', '127.1'],
    ['host_addr', '010.0.0.1'],
    ['host_addr', 5],
    ['guest_addr', 'foo'],
    ['guest_addr', {}],
    ...(['host_port', 'guest_port'] as const).flatMap((name) =>
      [undefined, null, 0, -1, 65536, 80.5, '80', true, [80]].map(
        (port): [keyof typeof TCP, unknown] => [name, port],
      ),
    ),
  ])('%s %j', async (name, value) => {
    const why = await error(add({ ...TCP, [name]: value }))
    expect(why).toMatch(`add_hostfwd: bad arguments.${name}: must be `)
    expect(forwards.entries).toEqual([])
  })
})

test('a port of 1e400 is refused', async () => {
  const request =
    '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1e400,"guest_port":8}}'
  expect(await error(ask(request))).toMatch('bad arguments.host_port: ')
})

test('arguments are judged in the order proto, host_addr, host_port, guest_addr, guest_port', async () => {
  const wrong: Record<string, unknown> = {}
  for (const name of ['guest_port', 'guest_addr', 'host_port', 'host_addr', 'proto'] as const) {
    wrong[name] = 'wrong'
    expect(await error(add({ ...TCP, ...wrong }))).toMatch(`bad arguments.${name}: `)
  }
})

test.each([0, -1, 1.5, '2', null, undefined, Infinity])('%j is no id', async (id) => {
  expect(await error(remove({ id }))).toMatch('remove_hostfwd: bad arguments.id: must be ')
})

test('an error is never longer than what Podman reads at once', async () => {
  const long = '\u0001'.repeat(600)
  const wrongs = [ask({ execute: long }), add({ ...TCP, host_addr: long }), ask(`["${long}`)]
  for (const answer of wrongs) expect(Buffer.byteLength(await answer)).toBeLessThanOrEqual(2048)
})

test('a failure to list or to remove is an answer, too', async () => {
  const broken = { forwards: { add: fail, list: fail, remove: fail } }
  const asked = (execute: string) =>
    answer(JSON.stringify({ execute, arguments: { id: 1 } }), broken)
  expect(await error(asked('remove_hostfwd'))).toBe(
    'remove_hostfwd: slirp_remove_hostfwd failed: out of order',
  )
  expect(await error(asked('list_hostfwd'))).toBe('out of order')
})

async function fail(): Promise<never> {
  throw new Error('out of order')
}

test('a row of ports is one forward, which says so', async () => {
  expect(await add({ ...TCP, count: 10 })).toBe('{"return":{"id":1}}')
  expect(await add({ ...TCP, host_port: 9000 })).toBe('{"return":{"id":2}}')
  const [row, port] = JSON.parse(await ask('{"execute":"list_hostfwd"}')).entries
  expect(row).toMatchObject({ host_port: 8080, guest_port: 80, count: 10 })
  expect(port).not.toHaveProperty('count')
  const bad = 'add_hostfwd: bad arguments.count: must be an integer from 1 to'
  for (const count of [0, 1.5, '2', 1025]) {
    expect(await error(add({ ...TCP, count }))).toMatch(`${bad} 1024, not `)
  }
  const last = { ...TCP, host_port: 65_530 }
  expect(await error(add({ ...last, count: 7 }))).toMatch(`${bad} 6, not 7`)
  expect(await add({ ...last, count: 6 })).toBe('{"return":{"id":3}}')
})
