/**
 * `slipway doctor [PID]`: what this machine lets an ordinary user have for the network of containers; with a PID, of that
 * process's namespace as well. A line for each thing, with one remedy where there is one.
 *
 * Exit status: 0, nothing stands in the way; 1, something does; 2, the command line is wrong.
 */

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { namespaceObstacle, sysctl, sysctlText } from '../sys/obstacles.ts'
import { randomWord } from '../sys/random.ts'
import { ReadRing } from '../sys/read-ring.ts'
import { say, strerror } from './host.ts'

/** `no`: a network cannot be made. `less`: it can, and lacks something. */
interface Finding {
  readonly state: 'ok' | 'less' | 'no'
  readonly what: string
  readonly remedy?: string
}

const TUN = '/dev/net/tun'
const OLDEST_NODE = [20, 20] as const
/** A container that many people use has more connections than this. */
const FEW_DESCRIPTORS = 4096

export function doctor(words: readonly string[], program: string): number {
  const [pid, ...more] = words
  if (pid === '--help' || pid === '-h') {
    say(1, `Usage: ${program} doctor [PID]\nTells what stands in the way of a network here.\n`)
    return 0
  }
  if (more.length > 0 || (pid !== undefined && !/^\d{1,10}$/.test(pid))) {
    say(2, `Usage: ${program} doctor [PID]\n`)
    return 2
  }
  const findings = [...machine(), ...(pid === undefined ? [] : [namespaceOf(Number(pid))])]
  for (const finding of findings) say(1, `${line(finding)}\n`)
  return findings.some(({ state }) => state === 'no') ? 1 : 0
}

function line({ state, what, remedy }: Finding): string {
  const mark = { ok: 'ok   ', less: 'less ', no: 'NO   ' }[state]
  return `${mark} ${what}${remedy === undefined ? '' : `; ${remedy}`}`
}

function machine(): Finding[] {
  return [
    system(),
    node(),
    koffi(),
    namespaces(),
    tun(),
    subordinateIds('subuid'),
    subordinateIds('subgid'),
    ping(),
    lowPorts(),
    descriptors(),
    ring(),
  ]
}

function system(): Finding {
  const { platform, arch } = process
  const isOne = platform === 'linux' && (arch === 'x64' || arch === 'arm64')
  const what = `${platform} on ${arch}`
  if (isOne) return { state: 'ok', what }
  return { state: 'no', what, remedy: 'slipway needs Linux on x64 or arm64' }
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [least, leastMinor] = OLDEST_NODE
  const isNew = major > least || (major === least && minor >= leastMinor)
  const what = `Node ${process.versions.node}`
  if (isNew) return { state: 'ok', what }
  return { state: 'no', what, remedy: `install ${OLDEST_NODE.join('.')} or later` }
}

function koffi(): Finding {
  try {
    randomWord()
    return { state: 'ok', what: 'koffi can be loaded' }
  } catch (error) {
    const what = `koffi cannot be loaded: ${(error as Error).message.split('\n')[0]}`
    return { state: 'no', what, remedy: 'install slipway again, with npm, on this machine' }
  }
}

function namespaces(): Finding {
  const what = 'user and network namespaces'
  const trial = ['--user', '--map-root-user', '--net', '--mount', 'true']
  const { status, stderr, error } = spawnSync('unshare', trial, { encoding: 'utf8' })
  if (status === 0) return { state: 'ok', what }
  if (error !== undefined) {
    const missing = 'unshare(1) cannot be run'
    return { state: 'no', what: missing, remedy: 'install util-linux (on Alpine: util-linux-misc)' }
  }
  return { state: 'no', ...namespaceObstacle(stderr.trim().split('\n')[0] ?? '') }
}

function tun(): Finding {
  try {
    closeSync(openSync(TUN, 'r+'))
    return { state: 'ok', what: `${TUN} can be opened` }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const what = `${TUN} cannot be opened: ${strerror(error)}`
    const remedy =
      code === 'EACCES'
        ? `as root: chmod 666 ${TUN} (the usual mode; it gives no rights outside of one's own namespaces)`
        : code === 'EPERM'
          ? 'a device cgroup forbids it: run the container with --device /dev/net/tun'
          : 'as root: modprobe tun'
    return { state: 'no', what, remedy }
  }
}

/** Containers with several users need them; one with root alone does not. */
function subordinateIds(file: 'subuid' | 'subgid'): Finding {
  const { username, uid } = userInfo()
  const flag = file === 'subuid' ? '--add-subuids' : '--add-subgids'
  if (uid === 0) return { state: 'ok', what: `/etc/${file}: root needs none` }
  const text = tryRead(`/etc/${file}`) ?? ''
  const found = text
    .split('\n')
    .find((entry) => [username, `${uid}`].includes(entry.split(':')[0]!))
  if (found !== undefined) return { state: 'ok', what: `/etc/${file}: ${found}` }
  return {
    state: 'less',
    what: `/etc/${file} has no line for ${username}`,
    remedy: `as root: usermod ${flag} 100000-165535 ${username}`,
  }
}

function ping(): Finding {
  const name = 'net.ipv4.ping_group_range'
  const [low = 1, high = 0] = (sysctlText(name) ?? '1 0').split(/\s+/).map(Number)
  const groups = [process.getgid!(), ...process.getgroups!()]
  const what = `ping to the outside (${name} = ${low} ${high})`
  if (groups.some((gid) => gid >= low && gid <= high)) return { state: 'ok', what }
  const remedy = `as root: sysctl -w ${name}="0 2147483647"`
  return { state: 'less', what: `no ${what}`, remedy }
}

function lowPorts(): Finding {
  const name = 'net.ipv4.ip_unprivileged_port_start'
  const first = sysctl(name) ?? 1024
  if (process.getuid!() === 0 || first <= 80) return { state: 'ok', what: `ports from ${first} on` }
  return {
    state: 'less',
    what: `ports below ${first} cannot be published`,
    remedy: `as root: sysctl -w ${name}=80`,
  }
}

function descriptors(): Finding {
  const limits = tryRead('/proc/self/limits') ?? ''
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024)
  const what = `${soft} open files, and connections in proportion`
  if (soft >= FEW_DESCRIPTORS) return { state: 'ok', what }
  return { state: 'less', what, remedy: 'ulimit -n 65536, or LimitNOFILE= of the service' }
}

function ring(): Finding {
  if (hasRing()) return { state: 'ok', what: 'io_uring, for several frames at once' }
  const name = 'kernel.io_uring_disabled'
  const isOff = (sysctl(name) ?? 0) > 0
  const what = 'no io_uring: frames of the container are read one at a time'
  const remedy = isOff
    ? `as root: sysctl -w ${name}=0, or 1 and a group in kernel.io_uring_group`
    : 'it takes Linux 6.6, and no seccomp filter that forbids it'
  return { state: 'less', what, remedy }
}

function hasRing(): boolean {
  try {
    const ring = ReadRing.open()
    ring?.close()
    return ring !== undefined
  } catch {
    return false // `koffi` and `system` say why
  }
}

function namespaceOf(pid: number): Finding {
  const path = `/proc/${pid}/ns/net`
  try {
    const name = readlinkSync(path)
    if (name === readlinkSync('/proc/self/ns/net')) {
      const what = `process ${pid} is in our own network namespace`
      return { state: 'no', what, remedy: 'give the PID of a process in the container' }
    }
    statSync(path)
    const entered = spawnSync(
      'nsenter',
      ['-t', `${pid}`, '-U', '-n', '--preserve-credentials', 'true'],
      {
        encoding: 'utf8',
      },
    )
    const isOurs = entered.status === 0 || process.getuid!() === 0
    if (isOurs) return { state: 'ok', what: `process ${pid} is in ${name}, which we may enter` }
    const why = entered.stderr.trim().split('\n')[0] ?? ''
    return {
      state: 'no',
      what: `the namespaces of process ${pid} cannot be entered: ${why}`,
      remedy: 'run as the user who has made its user namespace, or inside that',
    }
  } catch (error) {
    return { state: 'no', what: `cannot look at process ${pid}: ${strerror(error)}` }
  }
}

function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
