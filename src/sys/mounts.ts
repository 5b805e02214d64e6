/** Mounts of this thread's mount namespace (mount(2), mount_setattr(2), pivot_root(2)). */
import { readFileSync } from 'node:fs'
import { Arena, addressOf } from './arena.ts'
import { ENOSYS } from './constants.ts'
import { must } from './errors.ts'
import { libc, ownFunction } from './libc.ts'
import { withStrings } from './strings.ts'
import { syscall } from './syscalls.ts'

export const MS_RDONLY = 0x1
export const MS_NOSUID = 0x2
export const MS_NODEV = 0x4
export const MS_NOEXEC = 0x8
export const MS_REMOUNT = 0x20
export const MS_BIND = 0x1000
export const MS_REC = 0x4000
export const MS_SLAVE = 0x80000

const MNT_DETACH = 2
const AT_FDCWD = -100
const AT_RECURSIVE = 0x8000
/** The attributes have the values of the flags (MOUNT_ATTR_RDONLY, …). */
const LOCKED_DOWN: number = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
/** struct mount_attr: set, clear, propagation, userns_fd, 64 bits each. */
const MOUNT_ATTR_LEN = 32

export interface MountOptions {
  readonly type?: string
  readonly data?: string
}

/** Returns 0 or -errno. */
export function tryMount(
  source: string | null,
  target: string,
  flags: number,
  options: MountOptions = {},
): number {
  const mount = ownFunction('int mount(int64_t, int64_t, int64_t, uint64_t, int64_t)')
  const texts = [source, target, options.type ?? null, options.data ?? null]
  const n = withStrings(texts, (from = 0, to = 0, type = 0, data = 0) =>
    mount(from, to, type, flags, data),
  )
  return n < 0 ? -libc().errno() : 0
}

export function mount(
  source: string | null,
  target: string,
  flags: number,
  options: MountOptions = {},
): void {
  must(tryMount(source, target, flags, options), 'mount', `cannot mount ${target}`)
}

/** Read-only, nosuid, nodev, noexec: the mount and all below it. */
export function lockDown(target: string, way: 'setattr' | 'remount' = 'setattr'): void {
  const failed = way === 'setattr' ? setAttributes(target) : -ENOSYS
  if (failed !== -ENOSYS) {
    must(failed, 'mount_setattr', `cannot make ${target} read-only`)
    return
  }
  // Linux before 5.12: one by one. What is covered by another mount cannot be reached either way.
  for (const path of mountsBelow(target, readFileSync('/proc/thread-self/mountinfo', 'utf8'))) {
    const done = tryMount(null, path, MS_REMOUNT | MS_BIND | LOCKED_DOWN)
    must(done, 'mount', `cannot make ${path} read-only`)
  }
}

function setAttributes(target: string): number {
  const attributes = new Arena(MOUNT_ATTR_LEN)
  attributes.view.setBigInt64(0, BigInt(LOCKED_DOWN), true)
  const at = addressOf(attributes, 0, MOUNT_ATTR_LEN)
  return withStrings([target], (path = 0) =>
    syscall('mount_setattr', AT_FDCWD, path, AT_RECURSIVE, at, MOUNT_ATTR_LEN),
  )
}

/** The mount points at and below `target`, of the text of /proc/PID/mountinfo (proc(5)). */
export function mountsBelow(target: string, mountinfo: string): string[] {
  const paths = mountinfo.split('\n').map((line) => plain(line.split(' ')[4] ?? ''))
  return [...new Set(paths)].filter((path) => path === target || path.startsWith(`${target}/`))
}

/** Blank, tab, newline and backslash are written as octal numbers. */
function plain(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** `newRoot` becomes the root, and the old one is found at `oldRoot`, a directory below it. */
export function pivotRoot(newRoot: string, oldRoot: string): void {
  const n = withStrings([newRoot, oldRoot], (to = 0, old = 0) => syscall('pivot_root', to, old))
  must(n, 'pivot_root', 'cannot change the root')
}

/** Takes the mount and all below it out of the namespace; who has a descriptor in there keeps it. */
export function detachMount(target: string): void {
  const umount2 = ownFunction('int umount2(int64_t, int)')
  const n = withStrings([target], (path = 0) => umount2(path, MNT_DETACH))
  if (n < 0) must(-libc().errno(), 'umount2', `cannot unmount ${target}`)
}
