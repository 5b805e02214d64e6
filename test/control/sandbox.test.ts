/** The sandbox seen from within; from outside it is seen by test/e2e/sandbox.test.ts. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { landlockVersion } from '../../src/sys/landlock.ts'
import { confined, hasNamespaces, IN_NAMESPACES } from '../sys/confined.ts'

const MODULES = {
  'control/sandbox': 'enterSandbox',
  'sys/folder': 'Folder',
  'sys/syscalls': 'syscall',
  'sys/own-thread': 'textArgument',
  'sys/arena': 'addressOf',
}

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-sandbox-'))
  writeFileSync(join(folder, 'socket'), '')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** What each attempt in there gives: the names of errors, or what it returns. */
function inside(attempts: Record<string, string>): Record<string, unknown> {
  const { status, stdout, stderr } = confined(
    MODULES,
    `const folder = new Folder('${folder}')
     const at = (name, flags) => {
       const text = textArgument(name)
       return syscall('openat', folder.fd, addressOf(text, 0, text.size), flags, 0o600)
     }
     const attempts = { ${Object.entries(attempts).map(([name, code]) => `${name}: () => ${code}`)} }
     enterSandbox([folder])
     const outcomes = {}
     for (const [name, attempt] of Object.entries(attempts)) {
       try { outcomes[name] = attempt() } catch (error) { outcomes[name] = error.code }
     }
     fs.writeSync(1, JSON.stringify(outcomes))
     process.exit(0)`,
    IN_NAMESPACES,
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return JSON.parse(stdout)
}

const EACCES = -13
const O_CREAT_WRONLY = 0o101

describe.skipIf(!hasNamespaces)('in the sandbox', () => {
  test('there is nothing but /etc and /run, to be read', () => {
    const seen = inside({
      root: "fs.readdirSync('/')",
      passwd: "fs.readFileSync('/etc/passwd', 'utf8').length > 0",
      written: "fs.writeFileSync('/etc/slipway', '')",
      made: "fs.mkdirSync('/run/slipway')",
      rootWritten: "fs.writeFileSync('/slipway', '')",
      proc: "fs.readdirSync('/proc')",
      home: "fs.readdirSync('/root')",
    })
    const isRefused = expect.stringMatching(/^(EROFS|EACCES)$/)
    expect(seen).toEqual({
      ...{ root: ['etc', 'run'], passwd: true, written: isRefused, made: isRefused },
      ...{ rootWritten: isRefused, proc: 'ENOENT', home: 'ENOENT' },
    })
  })

  test('an entry of a folder that goes along can be unlinked, and nothing above it reached', () => {
    const seen = inside({
      above: "at('..', 0o10000000) >= 0 && folder.identity('..') === folder.identity('')",
      unlinked: "folder.unlink('socket')",
    })
    expect(seen).toEqual({ above: true, unlinked: 0 })
    expect(existsSync(join(folder, 'socket'))).toBe(false)
  })

  test.skipIf(landlockVersion() === 0)(
    'Landlock: no file is made in that folder, none is read',
    () => {
      const seen = inside({
        made: `at('new', ${O_CREAT_WRONLY})`,
        read: "at('socket', 0)",
        written: "at('socket', 1)",
      })
      expect(seen).toEqual({ made: EACCES, read: EACCES, written: EACCES })
      expect(existsSync(join(folder, 'new'))).toBe(false)
    },
  )

  test.skipIf(landlockVersion() < 6)('Landlock: no other process gets a signal', () => {
    expect(
      inside({ parent: 'process.kill(process.ppid, 0)', own: 'process.kill(process.pid, 0)' }),
    ).toEqual({
      parent: 'EPERM',
      own: true,
    })
  })
})
