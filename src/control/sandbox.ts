/**
 * --enable-sandbox: what this process still sees and may do, once everything is open and loaded.
 *
 *   files          a mount namespace whose root is an empty tmpfs with the host's /etc and /run, and the file that
 *                  /etc/resolv.conf leads to. All read-only, nosuid, nodev, noexec
 *   capabilities   none but CAP_NET_BIND_SERVICE, and no way to get others
 *   Landlock       where the kernel has it: reading files only; no signals and no abstract sockets of other processes
 *
 * It holds for every thread (sys/every-thread.ts). The main thread makes the namespace, the others follow it there:
 *
 *   this thread                                  the others
 *   a namespace of its own, a new root in it
 *   pivot_root; the old root is below it still   enter the namespace; give up all else
 *   detach the old root; give up all else
 *
 * Nothing of the host's mounts changes: what is mounted in /run there appears in here, but not the other way round.
 * When a step fails, the process must end: it is half in and half out.
 */

import {
  lstatSync,
  mkdirSync,
  readlinkSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { CLONE_FS, CLONE_NEWNS, O_RDONLY } from '../sys/constants.ts'
import { must } from '../sys/errors.ts'
import { callHere, callOnOtherThreads, type ThreadCall } from '../sys/every-thread.ts'
import { Folder, openPath } from '../sys/folder.ts'
import { close, open } from '../sys/io.ts'
import {
  landlockRules,
  landlockVersion,
  READ_DIR,
  READ_FILE,
  REMOVE_FILE,
  restrictBy,
} from '../sys/landlock.ts'
import {
  detachMount,
  lockDown,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  MS_SLAVE,
  mount,
  pivotRoot,
  tryMount,
} from '../sys/mounts.ts'
import { unshare } from '../sys/namespaces.ts'
import { CAP_NET_BIND_SERVICE, keepCapability, noNewPrivileges } from '../sys/privileges.ts'
import { type Entry, stepsTo } from './resolv-path.ts'

/** What is shown of the host. */
const SHOWN: readonly string[] = ['/etc', '/run']
const RESOLV_CONF = '/etc/resolv.conf'
/** Where the new root is mounted; in our namespace only. */
const NEW_ROOT = '/tmp'
/** Where the old root is, for a moment, in the new one. */
const OLD = 'old'
const TMPFS_FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC
/** Room for a few directories and links. */
const TMPFS_DATA = 'mode=755,size=64k'

/**
 * Shuts this process in. `folders` go along: what is in them can be unlinked, as far as the user may. Throws when
 * anything cannot be done.
 */
export function enterSandbox(folders: readonly Folder[]): void {
  must(unshare(CLONE_NEWNS), 'unshare(CLONE_NEWNS)', 'cannot make a mount namespace')
  mount(null, '/', MS_REC | MS_SLAVE)
  const namespace = open('/proc/thread-self/ns/mnt', O_RDONLY)
  makeRoot(folders)
  process.chdir(NEW_ROOT)
  pivotRoot('.', OLD)
  process.chdir('/')

  const rules = rulesFor(folders)
  const giveUp = [
    ...noNewPrivileges(),
    ...keepCapability(CAP_NET_BIND_SERVICE),
    ...(rules < 0 ? [] : restrictBy(rules)),
  ]
  const follow: ThreadCall[] = [
    // All of them have one root in common, and who shares it may not change namespaces.
    { name: 'unshare', args: [CLONE_FS] },
    { name: 'setns', args: [namespace, CLONE_NEWNS] },
  ]
  callOnOtherThreads([...follow, ...giveUp], `/${OLD}/proc`)
  detachMount(`/${OLD}`)
  rmdirSync(`/${OLD}`)
  mount('tmpfs', '/', MS_REMOUNT | MS_RDONLY | TMPFS_FLAGS, { type: 'tmpfs', data: TMPFS_DATA })
  callHere(giveUp)
  close(namespace)
  if (rules >= 0) close(rules)
}

/** Everything is opened before the new root covers what is below it. */
function makeRoot(folders: readonly Folder[]): void {
  const steps = [
    ...SHOWN.filter((path) => isThere(path)).map((path) => ({ kind: 'shown', path }) as const),
    ...stepsTo(RESOLV_CONF, SHOWN, look),
  ].map((step) => ({ ...step, fd: step.kind === 'link' ? -1 : openPath(step.path) }))
  const sources = folders.map(again)

  mount('tmpfs', NEW_ROOT, TMPFS_FLAGS, { type: 'tmpfs', data: TMPFS_DATA })
  for (const step of steps) {
    const path = `${NEW_ROOT}${step.path}`
    if (step.kind === 'link') symlinkSync(step.target, path)
    else if (step.kind === 'file') writeFileSync(path, '')
    else mkdirSync(path, { recursive: true })
    if (step.kind === 'file' || step.kind === 'shown') {
      mount(`/proc/self/fd/${step.fd}`, path, MS_BIND | MS_REC)
      lockDown(path)
    }
    if (step.fd >= 0) close(step.fd)
  }
  mkdirSync(`${NEW_ROOT}/${OLD}`)
  for (const [i, folder] of folders.entries()) cutOff(folder, sources[i]!)
}

/** The folder as it is in the namespace that this thread is in now. */
function again(folder: Folder): Folder {
  const source = new Folder(folder.path)
  if (source.identity('') !== folder.identity('')) {
    throw new Error(`cannot keep ${folder.path}: another folder is there now`)
  }
  return source
}

/** Puts the folder on a mount of its own, that is nowhere: from there no `..` leads up into the host's files. */
function cutOff(folder: Folder, source: Folder): void {
  const place = `${NEW_ROOT}/${OLD}`
  const from = `/proc/self/fd/${source.fd}`
  // What is mounted in there stays out, unless it must not be parted from it.
  if (tryMount(from, place, MS_BIND) < 0) mount(from, place, MS_BIND | MS_REC)
  mount(null, place, MS_REMOUNT | MS_BIND | TMPFS_FLAGS)
  folder.replace(place)
  detachMount(place)
  source.close()
}

/** Landlock's rules as a descriptor, -1 where there is no Landlock. */
function rulesFor(folders: readonly Folder[]): number {
  const version = landlockVersion()
  if (version === 0) return -1
  const root = new Folder('/')
  const rules = landlockRules(version, [
    [root.fd, READ_FILE | READ_DIR],
    ...folders.map(({ fd }): [number, number] => [fd, REMOVE_FILE]),
  ])
  root.close()
  return rules
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** What we may not see is not there for us. */
function look(path: string): Entry | undefined {
  let entry: Stats | undefined
  try {
    entry = lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
  if (entry === undefined) return undefined
  if (entry.isSymbolicLink()) return { kind: 'link', target: readlinkSync(path) }
  return { kind: entry.isDirectory() ? 'directory' : 'file' }
}
