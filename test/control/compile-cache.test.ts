/** Where what the command is compiled to may be kept: who could write there, could say what the next start runs. */
import { execFile } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ownDirectory } from '../../src/control/compile-cache.ts'
import { built } from '../../src/lab/agent.ts'

let home: string

beforeEach(() => {
  home = fs.mkdtempSync(join(tmpdir(), 'slipway-home-'))
})
afterEach(() => fs.rmSync(home, { recursive: true, force: true }))

const modeOf = (path: string): number => fs.statSync(path).mode & 0o777

describe('the directory', () => {
  test('is made in ~/.cache, for the user alone', () => {
    const directory = join(home, '.cache', 'slipway')
    expect(ownDirectory({ HOME: home })).toBe(directory)
    expect(modeOf(directory)).toBe(0o700)
    expect(ownDirectory({ HOME: home })).toBe(directory)
  })

  test('is where XDG_CACHE_HOME says', () => {
    const cache = join(home, 'elsewhere')
    expect(ownDirectory({ HOME: home, XDG_CACHE_HOME: cache })).toBe(join(cache, 'slipway'))
    expect(fs.existsSync(join(home, '.cache'))).toBe(false)
  })

  test('is none without a home, or with one that is no absolute path', () => {
    expect(ownDirectory({})).toBeUndefined()
    expect(ownDirectory({ HOME: '' })).toBeUndefined()
    expect(ownDirectory({ HOME: 'here' })).toBeUndefined()
    expect(ownDirectory({ HOME: home, XDG_CACHE_HOME: 'here' })).toBeUndefined()
  })

  test('is none where a file is in the way, or nothing can be made', () => {
    fs.writeFileSync(join(home, '.cache'), '')
    expect(ownDirectory({ HOME: home })).toBeUndefined()
    expect(ownDirectory({ HOME: '/proc/nowhere' })).toBeUndefined()
  })

  test.each([
    ['it', '.cache/slipway', 0o750],
    ['it', '.cache/slipway', 0o707],
    ['~/.cache', '.cache', 0o770],
    ['~/.cache', '.cache', 0o777],
    ['the home', '.', 0o770],
    ['the home', '.', 0o1777],
  ])('is none that others may write: %s (%s) has mode %o', (_, path, mode) => {
    ownDirectory({ HOME: home })
    fs.chmodSync(join(home, path), mode)
    expect(ownDirectory({ HOME: home })).toBeUndefined()
  })

  test('is none that a link leads to', () => {
    fs.mkdirSync(join(home, '.cache'), { mode: 0o700 })
    fs.mkdirSync(join(home, 'other'), { mode: 0o700 })
    fs.symlinkSync(join(home, 'other'), join(home, '.cache', 'slipway'))
    expect(ownDirectory({ HOME: home })).toBeUndefined()
  })

  test.runIf(process.getuid!() === 0).each([['.'], ['.cache'], ['.cache/slipway']])(
    "is none when somebody else's is %s",
    (path) => {
      ownDirectory({ HOME: home })
      fs.chownSync(join(home, path), 1234, 1234)
      expect(ownDirectory({ HOME: home })).toBeUndefined()
    },
  )
})

test('the command keeps what it is compiled to, where Node can', async () => {
  const { major, minor } = /^(?<major>\d+)\.(?<minor>\d+)/.exec(process.versions.node)!.groups!
  const hasCache = Number(major) > 22 || (Number(major) === 22 && Number(minor) >= 10)
  const run = async (): Promise<string[]> => {
    const env = { PATH: process.env.PATH, HOME: home }
    // Refused, for it names no namespace.
    const ended = promisify(execFile)(process.execPath, [built('cli.js'), '-c'], { env })
    await expect(ended).rejects.toMatchObject({ code: 1 })
    const files = fs.readdirSync(home, { recursive: true }) as string[]
    return files.filter((file) => fs.statSync(join(home, file)).isFile())
  }
  const kept = await run()
  expect(kept).toHaveLength(hasCache ? 1 : 0)
  for (const file of kept) expect(modeOf(join(home, file)) & 0o077).toBe(0)
  expect(await run()).toEqual(kept)
})
