/** Which links, folders and files a path needs in a root of its own. */

import { expect, test } from 'vitest'
import { type Entry, type Step, stepsTo } from '../../src/control/resolv-path.ts'

/** A host of some paths: a text is a link's target, true a file, and what leads to them are directories. */
function steps(host: Record<string, string | true>, path = '/etc/resolv.conf'): string[] {
  const look = (at: string): Entry | undefined => {
    const what = host[at]
    if (what === true) return { kind: 'file' }
    if (typeof what === 'string') return { kind: 'link', target: what }
    const isAbove = Object.keys(host).some((known) => known.startsWith(`${at}/`))
    return isAbove ? { kind: 'directory' } : undefined
  }
  return stepsTo(path, ['/etc', '/run'], look).map(say)
}

const say = (step: Step) =>
  step.kind === 'link' ? `${step.path} -> ${step.target}` : `${step.kind} ${step.path}`

test('a file in /etc needs nothing', () => {
  expect(steps({ '/etc/resolv.conf': true })).toEqual([])
})

test("systemd-resolved's link into /run needs nothing, relative or not", () => {
  const file = '/run/systemd/resolve/stub-resolv.conf'
  expect(steps({ '/etc/resolv.conf': file, [file]: true })).toEqual([])
  expect(steps({ '/etc/resolv.conf': `..${file}`, [file]: true })).toEqual([])
})

test('a link to elsewhere needs the file and the folders above it', () => {
  const host = { '/etc/resolv.conf': '/mnt/wsl/resolv.conf', '/mnt/wsl/resolv.conf': true } as const
  expect(steps(host)).toEqual(['directory /mnt', 'directory /mnt/wsl', 'file /mnt/wsl/resolv.conf'])
})

test('a link by way of /var/run needs that link only', () => {
  const host = {
    '/etc/resolv.conf': '/var/run/net/resolv.conf',
    '/var/run': '/run',
    '/run/net/resolv.conf': true,
  } as const
  expect(steps(host)).toEqual(['directory /var', '/var/run -> /run'])
  expect(steps({ ...host, '/var/run': '../run' })).toEqual(['directory /var', '/var/run -> ../run'])
})

test('a chain of links is made link by link', () => {
  const host = {
    '/etc/resolv.conf': 'dns/current',
    '/etc/dns/current': '../../opt/a',
    '/opt/a': './b/../c',
    '/opt/b/x': true,
    '/opt/c': true,
  } as const
  expect(steps(host)).toEqual([
    'directory /opt',
    '/opt/a -> ./b/../c',
    'directory /opt/b',
    'file /opt/c',
  ])
})

test('no path leads above the root', () => {
  const host = { '/etc/resolv.conf': '../../../../x', '/x': true } as const
  expect(steps(host)).toEqual(['file /x'])
})

test('a link to nowhere, and no file at all, need nothing that is not there', () => {
  expect(steps({ '/etc/resolv.conf': '/gone/resolv.conf' })).toEqual([])
  expect(steps({ '/etc/hosts': true })).toEqual([])
})

test('what is passed twice is made once', () => {
  const host = {
    '/etc/resolv.conf': '/mnt/l/../l/f',
    '/mnt/l': 'd',
    '/mnt/d/f': true,
  } as const
  expect(steps(host)).toEqual([
    'directory /mnt',
    '/mnt/l -> d',
    'directory /mnt/d',
    'file /mnt/d/f',
  ])
})

test('links in a circle end', () => {
  const host = { '/etc/resolv.conf': '/a', '/a': '/b', '/b': '/a' } as const
  expect(steps(host).length).toBeLessThan(50)
})
