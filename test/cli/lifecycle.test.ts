/** The command's life over a network that carries nothing: ready-fd, exit-fd, signals, banner, API socket. */

import { type ChildProcess, execFile, spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAKE_DAEMON, run, start, textOf } from './command.ts'

const TARGET = ['1', 'tap0']
const BANNER =
  /^Starting slirp\n\* MTU: {13}1500\n[\s\S]*\nWARNING: 127\.0\.0\.1:\* on the host .*\n$/
const TAPFD = 'sent tapfd=5 for tap0\nreceived tapfd=5\n'

const hasPython = spawnSync('python3', ['--version']).status === 0

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-life-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A daemon with descriptor 3 for ready and 4 for exit, as Podman has them the other way round. */
function daemon(args: string[], fake = '') {
  const command = [process.execPath, FAKE_DAEMON, '-r', '3', '-e', '4', ...args, ...TARGET]
  const env = { ...process.env, FAKE: fake }
  const stdio = ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] as const
  const running = start(command, { stdio: [...stdio], env })
  const ready = textOf(running.child.stdio[3] as Socket)
  return { ...running, ready, exit: running.child.stdio[4] as Socket }
}

/** Ms that `task` takes. */
async function timed(task: Promise<unknown>): Promise<number> {
  const before = performance.now()
  await task
  return performance.now() - before
}

test('"1" comes when the banner is written and the API listens, and then the end', async () => {
  const path = join(folder, 'ready.sock')
  const { child, ready, outcome } = daemon(['-a', path])
  let banner = ''
  child.stdout?.on('data', (text) => {
    banner += text
  })
  expect(await ready).toBe('1')
  const socket = connect(path)
  const answer = textOf(socket)
  socket.end('{"execute":"list_hostfwd"}')
  expect(await answer).toBe('{"return":{"entries":[]},"entries":[]}')
  expect(banner).toMatch(BANNER)
  expect(banner).toContain(`* API Socket:      ${path}\n`)
  child.kill('SIGTERM')
  expect(await outcome).toEqual({ status: 0, stdout: banner, stderr: TAPFD })
  expect(existsSync(path)).toBe(false)
})

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  test('ends it with 0', async () => {
    const { child, ready, outcome } = daemon([])
    await ready
    child.kill(signal)
    expect(await outcome).toMatchObject({ status: 0, stderr: TAPFD })
  })

  test('ends a start that does not come to an end', async () => {
    const { child, ready, outcome } = daemon([], 'hang')
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    child.kill(signal)
    expect(await outcome).toEqual({ status: 0, stdout: 'starting\n', stderr: '' })
    expect(await ready).toBe('')
  })
})

test('a network that does not close holds up the end for a second at the most', async () => {
  const { child, ready, outcome } = daemon([], 'stuck')
  await ready
  child.kill('SIGTERM')
  expect(await timed(outcome)).toBeLessThan(1_900)
  expect((await outcome).status).toBe(0)
})

test('a hang-up of the exit-fd ends it with 0, and unlinks the API socket', async () => {
  const path = join(folder, 'exit.sock')
  const { ready, exit, outcome } = daemon(['-a', path])
  await ready
  expect(existsSync(path)).toBe(true)
  exit.destroy()
  expect(await outcome).toMatchObject({ status: 0, stderr: `${TAPFD}exitfd event\n` })
  expect(existsSync(path)).toBe(false)
})

test('octets on the exit-fd do not end it', async () => {
  const { child, ready, exit, outcome } = daemon([])
  await ready
  exit.write('octets')
  expect(await Promise.race([outcome, delay(300)])).toBeUndefined()
  child.kill()
  await outcome
})

test('pipes serve as well as sockets', async () => {
  const script = `sleep 0.5 | { "$@" -r 3 -e 4 1 tap0 3>&1 >/dev/null 4<&0 </dev/null; echo " $?" >&2; } | cat`
  const outcome = await run(['sh', '-c', script, 'sh', process.execPath, FAKE_DAEMON])
  expect(outcome).toEqual({ status: 0, stdout: '1', stderr: `${TAPFD}exitfd event\n 0\n` })
})

test.skipIf(!hasPython)('both ends of a pipe may be handed over', async () => {
  const { stdout } = await promisify(execFile)('python3', [
    '-c',
    'import os, subprocess, sys\n' +
      'r, w = os.pipe()\n' +
      'p = subprocess.Popen([*sys.argv[1:], "-r", str(w), "1", "tap0"], pass_fds=(r, w), stdout=2)\n' +
      'print(os.read(r, 1).decode(), end="")\n' +
      'p.terminate()\n' +
      'print(p.wait(), end="")',
    process.execPath,
    FAKE_DAEMON,
  ])
  expect(stdout).toBe('10')
})

// Most of these numbers are open in our process, but by Node itself.
test.each(Array.from({ length: 18 }, (_, at) => at + 3).concat(99))(
  'an exit-fd that was not open, %i, ends it at once with 0',
  async (fd) => {
    const args = ['-e', String(fd), ...TARGET]
    const { status, stderr } = await run([process.execPath, FAKE_DAEMON, ...args])
    expect({ status, stderr }).toEqual({ status: 0, stderr: `${TAPFD}exitfd event\n` })
  },
)

test.each([3, 4, 5, 6, 7, 8, 11])('a ready-fd that was not open, %i, is refused', async (fd) => {
  const outcome = await run([process.execPath, FAKE_DAEMON, '-r', String(fd), ...TARGET])
  const stderr = `cannot use ready-fd ${fd}: it is not open\n`
  expect(outcome).toEqual({ status: 1, stdout: '', stderr })
})

test.each(['/dev/null', 'a regular file'])('%s as exit-fd never ends it', async (name) => {
  const file = name === '/dev/null' ? name : join(folder, 'regular')
  if (name !== '/dev/null') writeFileSync(file, 'octets')
  const fd = openSync(file, 'r')
  const command = [process.execPath, FAKE_DAEMON, '-e', '3', '-r', '4', ...TARGET]
  const { child, outcome } = start(command, { stdio: ['ignore', 'pipe', 'pipe', fd, 'pipe'] })
  closeSync(fd)
  expect(await textOf(child.stdio[4] as Socket)).toBe('1')
  expect(await Promise.race([outcome, delay(300)])).toBeUndefined()
  child.kill()
  expect((await outcome).status).toBe(0)
})

test.each([0, 1, 2])('descriptor %i as ready-fd is not free for others afterwards', async (fd) => {
  const path = join(folder, `standard${fd}.sock`)
  const command = [process.execPath, FAKE_DAEMON, '-a', path, '-r', `${fd}`, ...TARGET]
  const { child, outcome } = start(command, { stdio: ['pipe', 'pipe', 'pipe'] })
  const isReady = () => existsSync(path) && readlinkSync(`/proc/${child.pid}/fd/${fd}`)
  await expect.poll(isReady, { timeout: 10_000 }).toBe('/dev/null')
  child.kill()
  expect((await outcome).status).toBe(0)
})

test('descriptors 0 to 2 that are closed are not free for others', async () => {
  const path = join(folder, 'closed.sock')
  const script = 'exec "$@" <&- >&- 2>&-'
  const command = [process.execPath, FAKE_DAEMON, '-a', path, ...TARGET]
  const { child, outcome } = start(['sh', '-c', script, 'sh', ...command])
  await expect.poll(() => existsSync(path), { timeout: 10_000 }).toBe(true)
  const links = [0, 1, 2].map((fd) => readlinkSync(`/proc/${child.pid}/fd/${fd}`))
  expect(links).toEqual(['/dev/null', '/dev/null', '/dev/null'])
  child.kill()
  expect((await outcome).status).toBe(0)
})

test('a start that fails ends it with 1 and the reason, and without "1"', async () => {
  const path = join(folder, 'fail.sock')
  const { ready, outcome } = daemon(['-a', path], 'fail')
  const stderr = 'cannot open TAP tap0: EPERM\n'
  expect(await outcome).toEqual({ status: 1, stdout: '', stderr })
  expect(await ready).toBe('')
  expect(existsSync(path)).toBe(false)
})

test('a TAP that is deleted ends it with 1 and the reason', async () => {
  const path = join(folder, 'gone.sock')
  const { outcome } = daemon(['-a', path], 'gone')
  const stderr = `${TAPFD}cannot go on: the TAP is gone\n`
  expect(await outcome).toMatchObject({ status: 1, stderr })
  expect(existsSync(path)).toBe(false)
})

test('an API socket in a missing folder ends it with 1, after the banner and without "1"', async () => {
  const { ready, outcome } = daemon(['-a', join(folder, 'none', 'api.sock')])
  const stderr = `${TAPFD}api_bindlisten: bind: No such file or directory\n`
  expect(await outcome).toEqual({ status: 1, stdout: expect.stringMatching(BANNER), stderr })
  expect(await ready).toBe('')
})

test('a crash leaves no API socket behind', async () => {
  const path = join(folder, 'crash.sock')
  const { ready, outcome } = daemon(['-a', path], 'crash')
  expect(await ready).toBe('1')
  expect(await outcome).toMatchObject({ status: 1, stderr: expect.stringContaining('nowhere') })
  expect(readdirSync(folder)).not.toContain('crash.sock')
})

test('a caller that no longer reads the ready-fd ends it with 1', async () => {
  const { child, outcome } = daemon([])
  ;(child.stdio[3] as Socket).destroy()
  const stderr = `${TAPFD}cannot write to ready-fd 3: Broken pipe\n`
  expect(await outcome).toMatchObject({ status: 1, stderr })
})

test('nobody need read stdout and stderr', async () => {
  const { child, ready } = daemon([])
  child.stdout?.destroy()
  child.stderr?.destroy()
  expect(await ready).toBe('1')
  child.kill()
  expect(await endOf(child)).toBe(0)
})

const endOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once('exit', resolve))
