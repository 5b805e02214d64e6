/**
 * What a machine must allow so that an ordinary user can make a container's namespaces and attach a daemon, and, where
 * it does not, which setting forbids it and what to do.
 */
import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { namespaceObstacle, type Obstacle } from '../sys/obstacles.ts'
import { execute } from './program.ts'
import type { Identity } from './world.ts'

const TUN = '/dev/net/tun'

/** The first thing that stands in the way of a world of `identity`, or undefined. */
export async function preflight(identity?: Identity): Promise<Obstacle | undefined> {
  if (process.platform !== 'linux') {
    return {
      what: `slipway attaches to Linux network namespaces; this is ${process.platform}`,
      remedy: 'run it on Linux, or in a Linux virtual machine',
    }
  }
  return (
    (await missingTool()) ??
    (await forbiddenNamespaces(identity)) ??
    forbiddenTun(identity) ??
    missingKoffi()
  )
}

export function explain({ what, remedy }: Obstacle): string {
  return `${what}; ${remedy}`
}

async function missingTool(): Promise<Obstacle | undefined> {
  for (const tool of ['unshare', 'nsenter', 'setpriv', 'mount']) {
    const { stdout } = await execute([tool, '--version']).catch(() => ({ stdout: '' }))
    if (stdout.includes('util-linux')) continue
    return {
      what: `${tool} of util-linux is not installed`,
      remedy: 'install the package util-linux (on Alpine: util-linux-misc and setpriv)',
    }
  }
  return undefined
}

async function forbiddenNamespaces(identity?: Identity): Promise<Obstacle | undefined> {
  const trial = ['unshare', '--user', '--map-root-user', '--net', '--mount', 'true']
  const { status, stderr } = await execute([...become(identity), ...trial])
  if (status === 0) return undefined
  return namespaceObstacle(stderr.trim().split('\n')[0] ?? '')
}

function forbiddenTun(identity?: Identity): Obstacle | undefined {
  const root = process.getuid!() === 0
  let mode: number
  try {
    mode = fs.statSync(TUN).mode & 0o777
  } catch {
    if (root && mayMakeTun()) return undefined
    return {
      what: `${TUN} is missing`,
      remedy:
        'as root: modprobe tun; inside Docker or Podman: run the container with --device /dev/net/tun',
    }
  }
  // Root makes a node of its own in the world, see world.ts.
  if (root && (identity === undefined || identity.uid === 0 || mayMakeTun())) return undefined
  try {
    fs.closeSync(fs.openSync(TUN, 'r+'))
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES') {
      return {
        what: `${TUN} has mode ${mode.toString(8)} and may not be opened by this user`,
        remedy: `as root: chmod 666 ${TUN} (the usual mode; it gives no rights outside of one's own namespaces)`,
      }
    }
    return {
      what: `${TUN} cannot be opened: ${code}`,
      remedy:
        code === 'EPERM'
          ? 'a device cgroup forbids it: run the container with --device /dev/net/tun'
          : 'as root: modprobe tun',
    }
  }
}

/** Root without CAP_MKNOD (bit 27) is root of a container only. */
function mayMakeTun(): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))
  return line !== null && ((BigInt(`0x${line[1]}`) >> 27n) & 1n) === 1n
}

function missingKoffi(): Obstacle | undefined {
  try {
    createRequire(import.meta.url).resolve('koffi')
    return undefined
  } catch {
    return { what: 'the dependency koffi is not installed', remedy: 'run npm ci in the checkout' }
  }
}

/** The command line with which root becomes another user. */
export function become(identity?: Identity): string[] {
  if (process.getuid!() !== 0 || identity === undefined || identity.uid === 0) return []
  return ['setpriv', `--reuid=${identity.uid}`, `--regid=${identity.gid}`, '--clear-groups', '--']
}
