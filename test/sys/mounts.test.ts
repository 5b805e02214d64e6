/** Mounts, and a folder that is held open when no path leads to it any more. */

import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Folder } from '../../src/sys/folder.ts'
import { mountsBelow } from '../../src/sys/mounts.ts'
import { confined, hasNamespaces, IN_NAMESPACES } from './confined.ts'

const MODULES = {
  'sys/mounts': 'mount, lockDown, detachMount, MS_BIND, MS_REC',
  'sys/folder': 'Folder',
}

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-mounts-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('the mounts below a path are found, with blanks in their names, and each once', () => {
  const mountinfo = [
    '22 1 0:20 / / rw - ext4 /dev/vda rw',
    '23 22 0:21 / /run rw - tmpfs tmpfs rw',
    '24 23 0:22 / /run/user/1\\040x\\134y rw - tmpfs tmpfs rw',
    '25 24 0:23 / /run/user/1\\040x\\134y rw - tmpfs tmpfs rw',
    '26 22 0:24 / /running rw - tmpfs tmpfs rw',
    '',
  ].join('\n')
  expect(mountsBelow('/run', mountinfo)).toEqual(['/run', '/run/user/1 x\\y'])
})

test.skipIf(!hasNamespaces).each(['setattr', 'remount'])(
  'a mount and all below it are made read-only, by %s',
  (way) => {
    const { status, stdout, stderr } = confined(
      MODULES,
      `const at = '${folder}'
       mount('tmpfs', at, 0, { type: 'tmpfs' })
       fs.mkdirSync(at + '/from'), fs.mkdirSync(at + '/to')
       mount('tmpfs', at + '/from', 0, { type: 'tmpfs' })
       fs.mkdirSync(at + '/from/a b')
       mount('tmpfs', at + '/from/a b', 0, { type: 'tmpfs' })
       mount(at + '/from', at + '/to', MS_BIND | MS_REC)
       lockDown(at + '/to', '${way}')
       fs.writeFileSync(at + '/from/a b/x', '')
       const code = (path) => { try { fs.writeFileSync(path, ''); return 'written' } catch (error) { return error.code } }
       const flags = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\\n')
         .map((line) => line.split(' ')).filter(([,,,, path]) => path?.startsWith(at + '/to')).map((words) => words[5])
       console.log(JSON.stringify([code(at + '/to/x'), code(at + '/to/a b/y'), fs.existsSync(at + '/to/a b/x'), flags]))`,
      IN_NAMESPACES,
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const flags = 'ro,nosuid,nodev,noexec,relatime'
    expect(JSON.parse(stdout)).toEqual(['EROFS', 'EROFS', true, [flags, flags]])
  },
)

test('what cannot be mounted is an error with the place and the cause', () => {
  const { stdout } = confined(
    MODULES,
    `try { mount('tmpfs', '/nonexistent', 0, { type: 'tmpfs' }) } catch (error) { console.log(error.message) }
     try { detachMount('/nonexistent') } catch (error) { console.log(error.message) }
     try { mount('a\\0b', '/', 0) } catch (error) { console.log(error.name) }`,
  )
  expect(stdout).toMatch(
    /^cannot mount \/nonexistent: (ENOENT|EPERM) .*\ncannot unmount \/nonexistent: .*\nTypeError\n$/,
  )
})

test('entries of an open folder are told apart and unlinked, links not followed', () => {
  const open = new Folder(folder)
  writeFileSync(join(folder, 'one'), '')
  symlinkSync('one', join(folder, 'link'))
  const one = open.identity('one')
  expect(one).toMatch(/^\d+ \d+$/)
  expect(open.identity('link')).not.toBe(one)
  expect(open.identity('none')).toBeUndefined()
  expect(open.identity('')).toBe(new Folder(folder).identity(''))
  expect(open.unlink('link')).toBe(0)
  expect(open.unlink('link')).toBe(-2)
  expect(readdirSync(folder)).toEqual(['one'])
  rmSync(join(folder, 'one'))
  writeFileSync(join(folder, 'two'), '')
  expect(open.unlink('two')).toBe(0)
  open.close()
})

test.skipIf(!hasNamespaces)(
  'a folder on a mount of its own that is nowhere leads to nothing above',
  () => {
    writeFileSync(join(folder, 'x'), '')
    const { status, stdout, stderr } = confined(
      MODULES,
      `const folder = new Folder('${folder}')
     const [before, up] = [folder.identity('x'), folder.identity('..')]
     fs.mkdirSync('/tmp/slipway-place-' + process.pid)
     mount('${folder}', '/tmp/slipway-place-' + process.pid, MS_BIND)
     folder.replace('/tmp/slipway-place-' + process.pid)
     detachMount('/tmp/slipway-place-' + process.pid)
     fs.rmdirSync('/tmp/slipway-place-' + process.pid)
     const own = folder.identity('')
     console.log(JSON.stringify([
       folder.identity('x') === before, up !== own, folder.identity('..') === own, folder.identity('../..') === own,
       folder.unlink('x')]))`,
      IN_NAMESPACES,
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual([true, true, true, true, 0])
    expect(readdirSync(folder)).toEqual([])
  },
)

test('another program takes the place of this one, with the descriptors that it is given', () => {
  writeFileSync(join(folder, 'text'), 'handed over')
  const { status, stdout } = confined(
    { 'sys/exec': 'become' },
    `const [kept, other] = [fs.openSync('${folder}/text'), fs.openSync('${folder}/text')]
     console.log(process.pid)
     become('/bin/sh', ['sh', '-c', 'echo $$; cat /proc/self/fd/' + kept + '; echo; echo $A-$B; ls /proc/self/fd/' + other + ' 2>&1'],
       { ...process.env, A: 'a b', B: undefined }, [0, 1, 2, kept])`,
  )
  expect(status).not.toBe(0)
  const lines = stdout.split('\n')
  expect(lines[0]).toBe(lines[1])
  expect(lines.slice(2, 4)).toEqual(['handed over', 'a b-'])
  expect(lines[4]).toContain('No such file')
})

test('a program that is not there is an error', () => {
  const { stdout } = confined(
    { 'sys/exec': 'become' },
    `try { become('/nonexistent', ['x'], {}, []) } catch (error) { console.log(error.message) }`,
  )
  expect(stdout).toBe('cannot run /nonexistent: ENOENT (execve: No such file or directory)\n')
})
