/** The API's socket with clients of every kind, over a network that is only a list. */

import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ApiServer, type ApiServerOptions, serveApi } from '../../src/control/api-server.ts'
import { FakeForwards } from './fake-forwards.ts'

const LIST = '{"execute":"list_hostfwd"}'
const NONE = '{"return":{"entries":[]},"entries":[]}'

let folder = ''
let path = ''
let forwards = new FakeForwards()
const servers: ApiServer[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-api-'))
  path = join(folder, 'api.sock')
  forwards = new FakeForwards()
})
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function serve(options: ApiServerOptions = {}, at = path): Promise<ApiServer> {
  const server = await serveApi(at, { forwards }, options)
  servers.push(server)
  return server
}

/** Connects; `all` is what the server sent until it closed its side. */
function client(at = path): { socket: Socket; all: Promise<string>; chunks: string[] } {
  const socket = connect({ path: at, allowHalfOpen: true })
  const chunks: string[] = []
  const all = new Promise<string>((resolve, reject) => {
    socket.on('data', (chunk) => chunks.push(chunk.toString()))
    socket.on('end', () => resolve(chunks.join('')))
    socket.on('close', () => resolve(chunks.join('')))
    socket.on('error', reject)
  })
  all.catch(() => {})
  return { socket, all, chunks }
}

/** Sends a request, with a half-close after it, and reads the answer. */
function ask(request: string, at = path): Promise<string> {
  const { socket, all } = client(at)
  socket.end(request)
  return all
}

const failed = (why: string) => expect.stringMatching(`^{"error":{"desc":"bad request: ${why}`)

test('a client that half-closes gets its answer, in one piece', async () => {
  await serve()
  const { socket, all, chunks } = client()
  socket.end(
    '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"0.0.0.0","host_port":8081,"guest_addr":"","guest_port":80}}\n',
  )
  expect(await all).toBe('{"return":{"id":1}}')
  expect(chunks).toHaveLength(1)
  expect(forwards.entries[0]).toMatchObject({ hostPort: 8081, guestAddr: '10.0.2.100' })
})

test('a client that stays open gets its answer and the end, as soon as the request is complete', async () => {
  await serve()
  const { socket, all } = client()
  socket.write(LIST)
  expect(await all).toBe(NONE)
  expect(socket.writable).toBe(true)
  socket.destroy()
})

test('a client that sends octet by octet is understood', async () => {
  await serve()
  const { socket, all } = client()
  socket.setNoDelay(true)
  for (const octet of LIST) {
    socket.write(octet)
    await delay(2)
  }
  expect(await all).toBe(NONE)
  socket.end()
})

test('a client that sends on after its request is not reset', async () => {
  await serve()
  const { socket, all } = client()
  socket.write(LIST)
  expect(await all).toBe(NONE)
  socket.write('\nmore')
  await delay(20)
  socket.end('and more')
  await new Promise((resolve) => socket.once('close', resolve))
})

test('malformed JSON is answered at once, with or without a half-close', async () => {
  await serve()
  expect(await ask('badjson')).toEqual(failed('cannot parse JSON'))
  expect(await ask('{"execute":')).toEqual(failed('cannot parse JSON'))
  const { socket, all } = client()
  socket.write('badjson')
  expect(await all).toEqual(failed('cannot parse JSON'))
  socket.end()
})

test('a half-close without an octet is answered', async () => {
  await serve()
  expect(await ask('')).toEqual(failed('cannot parse JSON'))
})

test('4,095 octets are a request, 4,096 are too many', async () => {
  await serve()
  expect(await ask(LIST.padEnd(4095))).toBe(NONE)
  expect(await ask(' '.repeat(4095))).toEqual(failed('cannot parse JSON'))
  expect(await ask(' '.repeat(4096))).toEqual(failed('too large message'))
  expect(await ask(LIST.padEnd(4096))).toEqual(failed('too large message'))
  expect(await ask(' '.repeat(2_000_000))).toEqual(failed('too large message'))
})

test('twenty clients at once are served, each with an id of its own', async () => {
  await serve()
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      ask(
        `{"execute":"add_hostfwd","arguments":{"proto":"udp","host_port":${n + 1},"guest_port":80}}`,
      ),
    ),
  )
  const ids = answers.map((answer) => JSON.parse(answer).return.id)
  expect(new Set(ids).size).toBe(20)
})

test('a silent client stops nobody, and is dropped', async () => {
  await serve({ patience: 150 })
  const silent = client()
  await delay(20)
  expect(await ask(LIST)).toBe(NONE)
  expect(await silent.all).toBe('')
  silent.socket.destroy()
})

test('half a request is answered when nothing more comes', async () => {
  await serve({ patience: 100 })
  const { socket, all } = client()
  socket.write('{"execute":')
  expect(await all).toEqual(failed('cannot parse JSON'))
  socket.destroy()
})

test('a client that keeps its side open is closed after a while', async () => {
  await serve({ linger: 100 })
  const { socket, all } = client()
  socket.write(LIST)
  await all
  await delay(250)
  const failure = new Promise((resolve) => socket.once('error', resolve))
  socket.write('x')
  expect(await failure).toMatchObject({ code: 'EPIPE' })
})

test('a client that sends on after its answer, and on, is closed after a while', async () => {
  await serve({ linger: 150 })
  const { socket } = client()
  socket.write(LIST)
  const sending = setInterval(() => socket.write('more'), 20)
  const failure = new Promise((resolve) => socket.once('error', resolve))
  expect(await Promise.race([failure, delay(2_000)])).toMatchObject({ code: 'EPIPE' })
  clearInterval(sending)
})

test('of too many silent clients the oldest give way', async () => {
  await serve({ maxClients: 4 })
  const silent = Array.from({ length: 10 }, () => client())
  await Promise.all(silent.slice(0, 6).map(({ all }) => all))
  expect(await ask(LIST)).toBe(NONE)
  for (const { socket } of silent) socket.destroy()
})

test('a client that goes away without its answer does no harm', async () => {
  await serve()
  for (let n = 0; n < 20; n++) {
    const { socket } = client()
    socket.write(LIST, () => socket.destroy())
  }
  await delay(50)
  expect(await ask(LIST)).toBe(NONE)
})

test('a forward that takes its time holds up nobody else', async () => {
  const add = forwards.add.bind(forwards)
  forwards.add = async (wanted) => {
    await delay(200)
    return add(wanted)
  }
  await serve()
  let isAdded = false
  const adding = ask(
    '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":1,"guest_port":1}}',
  ).finally(() => {
    isAdded = true
  })
  expect(await ask(LIST)).toBe(NONE)
  expect(isAdded).toBe(false)
  expect(await adding).toBe('{"return":{"id":1}}')
})

test('a long list arrives whole', async () => {
  await serve()
  for (let hostPort = 1; hostPort <= 1_500; hostPort++) {
    await forwards.add({ proto: 'tcp', hostAddr: '0.0.0.0', hostPort, guestAddr: '', guestPort: 1 })
  }
  expect(JSON.parse(await ask(LIST)).return.entries).toHaveLength(1_500)
})

test('the socket is the only file, and is gone after close', async () => {
  const server = await serve()
  expect(readdirSync(folder)).toEqual(['api.sock'])
  expect(statSync(path).isSocket()).toBe(true)
  server.close()
  server.close()
  await delay(20)
  expect(readdirSync(folder)).toEqual([])
})

test('a socket that is there already is replaced, and its owner leaves the new one alone', async () => {
  const before = await serve()
  await serve()
  before.close()
  await delay(20)
  expect(await ask(LIST)).toBe(NONE)
})

test('a stale socket is replaced', async () => {
  const dead = createServer().listen(`${path}.dead`)
  await new Promise((resolve) => dead.once('listening', resolve))
  // Under this name, its end will not unlink it.
  renameSync(`${path}.dead`, path)
  dead.close()
  await expect(ask(LIST)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await serve()
  expect(await ask(LIST)).toBe(NONE)
})

test('a path as long as sun_path takes it is served', async () => {
  const long = join(folder, 'a'.repeat(107 - folder.length - 1))
  await serve({}, long)
  expect(await ask(LIST, long)).toBe(NONE)
})

test('a relative path is served', async () => {
  const before = process.cwd()
  process.chdir(folder)
  try {
    await serve({}, 'here.sock')
  } finally {
    process.chdir(before)
  }
  expect(await ask(LIST, join(folder, 'here.sock'))).toBe(NONE)
})

test("a missing folder is an error in upstream's words", async () => {
  await expect(serve({}, join(folder, 'none', 'api.sock'))).rejects.toThrow(
    /^api_bindlisten: bind: No such file or directory$/,
  )
})

test('a file that is no socket is not replaced', async () => {
  writeFileSync(path, 'precious')
  await expect(serve()).rejects.toThrow('api_bindlisten: bind: Address already in use')
  await expect(serve({}, folder)).rejects.toThrow('api_bindlisten: bind: Address already in use')
  expect(readdirSync(folder)).toEqual(['api.sock'])
})

test.skipIf(process.getuid?.() === 0)('a folder that may not be written is an error', async () => {
  chmodSync(folder, 0o500)
  await expect(serve()).rejects.toThrow('api_bindlisten: bind: Permission denied')
  chmodSync(folder, 0o700)
})
