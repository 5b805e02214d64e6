/** The command lines of the observed table, given to the built command and, where it is installed, to slirp4netns. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import pkg from '../../package.json' with { type: 'json' }
import { OWN_ROWS, ROWS, type Row } from '../control/observed.ts'
import { CLI, run, start } from './command.ts'

const titled = (rows: Row[]) => rows.map((row) => [row.args.join(' ') || '(nothing)', row] as const)
const linesOf = (text: string) => text.split('\n').filter((line) => line !== '')

/** Only slirp4netns' words for its name are in the rows. */
const renamed = (lines: string[]) =>
  lines.map((line) => line.replace(/^slirp4netns: /, 'slipway: '))

const slipway = (...args: string[]) => run([process.execPath, CLI, ...args])

describe.concurrent('exits with 1:', () => {
  test.each(titled([...ROWS, ...OWN_ROWS]))('%s', async (_, row) => {
    const { status, stdout, stderr } = await slipway(...row.args)
    expect(status).toBe(1)
    expect(linesOf(stderr)).toEqual(renamed(row.stderr ?? []))
    const { length } = row.warnings ?? []
    expect(linesOf(stdout).slice(0, length)).toEqual(row.warnings ?? [])
    const rest = linesOf(stdout).slice(length)
    expect(rest[0] ?? '').toMatch(row.usage ? /^Usage: slipway / : /^$/)
  })
})

const UPSTREAM = '1.2.0'
describe.skipIf(upstreamVersion() !== UPSTREAM)(`slirp4netns ${UPSTREAM} says the same to:`, () => {
  test.each(titled(ROWS))('%s', async (_, row) => {
    const { status, stdout, stderr } = await run(['slirp4netns', ...row.args])
    expect(status).toBe(1)
    expect(linesOf(stderr)).toEqual(row.upstream ?? row.stderr ?? [])
    const lines = linesOf(stdout)
    expect(lines.filter((line) => line.startsWith('WARNING'))).toEqual(row.warnings ?? [])
    expect(lines.some((line) => line.startsWith('Usage: '))).toBe(row.usage ?? false)
  })
})

function upstreamVersion(): string | undefined {
  try {
    const text = execFileSync('slirp4netns', ['--version'], { encoding: 'utf8' })
    return /^slirp4netns version (\S+)/.exec(text)?.[1]
  } catch {
    return undefined
  }
}

test.each(['-h', '--help', '--he'])('%s is answered on stdout, with 0', async (option) => {
  const { status, stdout, stderr } = await slipway(option)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(/^Usage: slipway \[OPTION\]\.\.\. PID\|PATH\|FD \[TAPNAME\]\n/)
})

test.each(['-v', '--version'])('%s is answered on stdout, with 0', async (option) => {
  expect(await slipway(option)).toEqual({
    status: 0,
    stdout: `slirp4netns version 1.3.1\nslipway: version ${pkg.version}\n`,
    stderr: '',
  })
})

describe('run by its name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-cli-'))
  const link = join(folder, 'slirp4netns')
  symlinkSync(CLI, link)
  afterAll(() => rmSync(folder, { recursive: true }))

  test('linked as slirp4netns, it calls itself so', async () => {
    const { stdout, stderr } = await run([link, '-Z'])
    expect(stderr).toBe("slirp4netns: invalid option -- 'Z'\n")
    expect(stdout).toMatch(/^Usage: slirp4netns /)
  })

  test.each(['-h', '--help', '-v', '--version'])('%s is answered without Node', async (option) => {
    const env = { PATH: folder }
    for (const program of [CLI, link]) {
      const answer = await run([program, option], { env })
      expect(answer).toEqual(await run([process.execPath, program, option]))
      expect(answer).toMatchObject({ status: 0, stderr: '' })
    }
    const more = await run([CLI, option, '1'], { env })
    expect(more).toMatchObject({ status: 127, stderr: expect.stringContaining('node') })
  })
})

test('SIGUSR1 opens no debugger, whenever it comes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-usr1-'))
  const attempts = Array.from({ length: 16 }, async (_, i) => {
    await delay(200 * i)
    const bess = ['--target-type=bess', join(folder, `${i}.sock`)]
    const { child, outcome } = start([CLI, ...bess])
    await delay(12 * i)
    child.kill('SIGUSR1')
    await Promise.race([outcome, delay(200)])
    child.kill('SIGKILL')
    return await outcome
  })
  for (const { stderr } of await Promise.all(attempts)) {
    expect(stderr).not.toContain('Debugger listening')
  }
  rmSync(folder, { recursive: true })
})

test.each([{ PATH: '' }, {}])('the shell is found without a PATH: %j', async (env) => {
  expect(await run([CLI, '--version'], { env })).toMatchObject({ status: 0, stderr: '' })
})

test("the caller's variables for Node are not for us", async () => {
  const env = { ...process.env, NODE_OPTIONS: '--inspect=0', NODE_DEBUG: 'module' }
  const { status, stderr } = await run([CLI, '--mtu=0', '1', 'tap0'], { env })
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: 'MTU must be a positive integer (< 65522)\n',
  })
})

test('a wrong command line does not load koffi, a right one does', async () => {
  const loadedBy = async (mtu: string) => {
    const env = { ...process.env, NODE_DEBUG: 'module' }
    const args = ['-m', mtu, '999999999', 'tap0']
    const { status, stderr } = await run([process.execPath, CLI, ...args], { env })
    expect(status).toBe(1)
    return stderr
  }
  expect(await loadedBy('0')).not.toContain('koffi')
  const loaded = await loadedBy('1500')
  expect(loaded).toContain('koffi')
  // From one file, not from the hundred of which it is made.
  expect(loaded).not.toMatch(/dist\/(engine|nat|stack|sys|tap|control)\//)
})
