/** Settings of the kernel that keep an ordinary user from namespaces, and what to do about each. */
import { readFileSync } from 'node:fs'

export interface Obstacle {
  /** What is forbidden or missing, and by what. */
  readonly what: string
  /** What to do about it. */
  readonly remedy: string
}

const SYSCTLS: readonly [string, (value: number) => boolean, string][] = [
  [
    'kernel.unprivileged_userns_clone',
    (value) => value === 0,
    'as root: sysctl -w kernel.unprivileged_userns_clone=1',
  ],
  [
    'user.max_user_namespaces',
    (value) => value === 0,
    'as root: sysctl -w user.max_user_namespaces=15000',
  ],
  [
    'user.max_net_namespaces',
    (value) => value === 0,
    'as root: sysctl -w user.max_net_namespaces=15000',
  ],
  [
    'kernel.apparmor_restrict_unprivileged_userns',
    (value) => value !== 0,
    'as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give node, unshare and nsenter an ' +
      'AppArmor profile with the rule "userns,"',
  ],
]

/** Why namespaces are forbidden; `complaint` is what was said when one was tried. */
export function namespaceObstacle(complaint: string): Obstacle {
  for (const [name, forbids, remedy] of SYSCTLS) {
    const value = sysctl(name)
    if (value !== undefined && forbids(value)) {
      return { what: `user namespaces are forbidden: ${name} = ${value} (${complaint})`, remedy }
    }
  }
  return {
    what: `user namespaces are forbidden, by no sysctl: ${complaint}`,
    remedy:
      'inside Docker or Podman, run the container with --security-opt seccomp=unconfined ' +
      '--security-opt apparmor=unconfined (its seccomp profile forbids unshare); in a chroot, leave it',
  }
}

/** The first number of a setting; undefined when there is none of that name. */
export function sysctl(name: string): number | undefined {
  const text = sysctlText(name)
  return text === undefined ? undefined : Number(text.split(/\s/)[0])
}

export function sysctlText(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim()
  } catch {
    return undefined
  }
}
