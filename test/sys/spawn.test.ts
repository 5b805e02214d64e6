import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { expect, test } from 'vitest'
import { O_RDONLY } from '../../src/sys/constants.ts'
import { close, open } from '../../src/sys/io.ts'
import { Child } from '../../src/sys/spawn.ts'

const environment = { PATH: process.env.PATH ?? '', GREETING: 'hello' }
const shell = (script: string, descriptors: number[] = []): Child =>
  new Child({ file: 'sh', args: ['-c', script, 'name'], environment, descriptors })

test('a child says its lines, sees its environment, and no more of ours than any child', async () => {
  const script = 'echo "$GREETING $0" /proc/self/fd/*'
  const child = shell(`${script}; sleep 60`)
  const other = spawnSync('sh', ['-c', script, 'name'], { env: environment, encoding: 'utf8' })
  expect(await child.line()).toBe(other.stdout.trim())
  expect(other.stdout).toMatch(/^hello name /)
  expect(child.end()).toBe(128 + 9)
  expect(() => statSync(`/proc/${child.pid}`)).toThrow('ENOENT')
})

test('descriptors are in their places, whatever their numbers are here', async () => {
  // Of 3 to 9 some are taken: the places of one may be the numbers of others.
  const paths = ['/proc/self/stat', '/proc/self/maps', '/proc/self/limits']
  const fds = paths.map((path) => open(path, O_RDONLY))
  const order = [fds[2]!, -1, fds[0]!, fds[1]!]
  const child = shell(
    'for fd in 3 4 5 6; do readlink /proc/self/fd/$fd; done | tr "\\n" " "; echo',
    order,
  )
  const here = `/proc/${process.pid}`
  expect(await child.line()).toBe(`${here}/limits /dev/null ${here}/stat ${here}/maps `)
  child.end()
  for (const fd of fds) close(fd)
})

test('a child that ends tells why, and how', async () => {
  const child = shell('echo cannot >&2; exit 7')
  expect(await child.line()).toBeUndefined()
  expect(await child.complaint()).toBe('cannot\n')
  expect(child.end()).toBe(7)
})

test('it dies of a pipe that nobody reads, which Node does not', async () => {
  const ignoresPipes = (status: string) => {
    const [, mask] = /^SigIgn:\s+(\S+)/m.exec(status) ?? []
    return (Number(`0x${mask}`) & (1 << (constants.signals.SIGPIPE - 1))) !== 0
  }
  const child = shell('grep SigIgn /proc/self/status')
  expect(ignoresPipes((await child.line()) ?? '')).toBe(false)
  expect(ignoresPipes(readFileSync('/proc/self/status', 'utf8'))).toBe(true)
  child.end()
})

test('a program that is not there is an error, and nothing is left open', () => {
  const before = descriptors()
  const missing = () => new Child({ file: 'no-such-program', args: [], environment })
  expect(missing).toThrow('cannot run no-such-program: ENOENT')
  expect(descriptors()).toEqual(before)
})

function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`]
    } catch {
      return [] // that of readdir itself
    }
  })
}
