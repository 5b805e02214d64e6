/** What a thread may still do with files and other processes (landlock(7)). */
import { Arena, addressOf } from './arena.ts'
import { ENOSYS, EOPNOTSUPP } from './constants.ts'
import { must } from './errors.ts'
import type { ThreadCall } from './every-thread.ts'
import { syscall } from './syscalls.ts'

// LANDLOCK_ACCESS_FS_…
export const READ_FILE = 0x4
export const READ_DIR = 0x8
export const REMOVE_FILE = 0x20
/** All rights that a version of the interface knows; each is forbidden but where it is allowed. */
const RIGHTS: readonly number[] = [0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff]
/** LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL: only among ourselves. */
const SCOPES = 0x3
const FIRST_WITH_SCOPES = 6

const LANDLOCK_CREATE_RULESET_VERSION = 1
const LANDLOCK_RULE_PATH_BENEATH = 1
/** struct landlock_ruleset_attr: handled_access_fs, handled_access_net, scoped. */
const RULESET_LEN = 24
/** struct landlock_path_beneath_attr, packed: allowed_access, parent_fd. */
const PATH_BENEATH_LEN = 12

/** The version of the interface; 0 when the kernel has none, or was started without. */
export function landlockVersion(): number {
  const version = syscall('landlock_create_ruleset', 0, 0, LANDLOCK_CREATE_RULESET_VERSION)
  if (version === -ENOSYS || version === -EOPNOTSUPP) return 0
  return must(version, 'landlock_create_ruleset', 'cannot use Landlock')
}

/** Rules that forbid everything of that version, but to do `rights` below the open folders. */
export function landlockRules(
  version: number,
  allowed: readonly (readonly [folder: number, rights: number])[],
): number {
  const what = 'cannot make Landlock rules'
  const rules = new Arena(RULESET_LEN)
  const handled = RIGHTS[Math.min(version, RIGHTS.length) - 1]!
  rules.view.setUint32(0, handled, true)
  if (version >= FIRST_WITH_SCOPES) rules.view.setUint32(16, SCOPES, true)
  const at = addressOf(rules, 0, RULESET_LEN)
  const fd = must(
    syscall('landlock_create_ruleset', at, RULESET_LEN, 0),
    'landlock_create_ruleset',
    what,
  )
  const rule = new Arena(PATH_BENEATH_LEN)
  for (const [folder, rights] of allowed) {
    rule.view.setUint32(0, rights, true)
    rule.view.setInt32(8, folder, true)
    const place = addressOf(rule, 0, PATH_BENEATH_LEN)
    const n = syscall('landlock_add_rule', fd, LANDLOCK_RULE_PATH_BENEATH, place, 0)
    must(n, 'landlock_add_rule', what)
  }
  return fd
}

/** Needs no_new_privs. */
export function restrictBy(rules: number): ThreadCall[] {
  return [{ name: 'landlock_restrict_self', args: [rules, 0] }]
}
