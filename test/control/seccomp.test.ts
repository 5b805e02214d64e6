/** The filter of system calls, call by call, on both architectures. */

import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ALLOW, filterOf, KILL, refuse } from '../../src/control/seccomp.ts'
import { encode } from '../../src/sys/bpf.ts'
import { ENOSYS, EPERM } from '../../src/sys/constants.ts'
import { numberOf, SYSCALLS } from '../../src/sys/syscalls.ts'
import { evaluate } from '../sys/bpf-machine.ts'

const PID = 4711
const ARCHITECTURES = [
  { name: 'x64', arch: 0xc000003e, other: 0x40000003, headers: ['asm/unistd_64.h'] },
  { name: 'arm64', arch: 0xc00000b7, other: 0x40000028, headers: ['asm-generic/unistd.h'] },
] as const

/** What slirp4netns 1.2.0 was seen to kill for on x86-64, but for prctl: numbers of its filter. */
const UPSTREAM = [
  0x3b, 0x65, 0x9b, 0xa1, 0xa5, 0xa6, 0xa9, 0xaf, 0xb0, 0xd4, 0xf6, 0x110, 0x12f, 0x130, 0x134,
  0x136, 0x137, 0x139, 0x140, 0x142, 0x1a8, 0x1ac, 0x1ad, 0x1ae, 0x1af, 0x1b0, 0x1b1, 0x1b2, 0x1b6,
]
/** The same by name, with arm64's numbers. */
const UPSTREAM_NAMES = [
  ...['execve', 'execveat', 'ptrace', 'process_vm_readv', 'process_vm_writev', 'pidfd_open'],
  ...['pidfd_getfd', 'pidfd_send_signal', 'setns', 'unshare', 'mount', 'umount2', 'pivot_root'],
  ...['chroot', 'move_mount', 'open_tree', 'fsopen', 'fsconfig', 'fsmount', 'fspick'],
  ...['open_by_handle_at', 'name_to_handle_at', 'init_module', 'finit_module', 'delete_module'],
  ...['kexec_load', 'kexec_file_load', 'reboot', 'lookup_dcookie'],
] as const

/** Some of what a runtime lives by, as [x86-64, arm64]. */
const NEEDED = {
  read: [0, 63],
  write: [1, 64],
  close: [3, 57],
  mmap: [9, 222],
  mprotect: [10, 226],
  munmap: [11, 215],
  brk: [12, 214],
  rt_sigaction: [13, 134],
  rt_sigreturn: [15, 139],
  readv: [19, 65],
  writev: [20, 66],
  sched_yield: [24, 124],
  madvise: [28, 233],
  connect: [42, 203],
  accept4: [288, 242],
  sendto: [44, 206],
  recvmsg: [47, 212],
  bind: [49, 200],
  listen: [50, 201],
  setsockopt: [54, 208],
  exit: [60, 93],
  fcntl: [72, 25],
  futex: [202, 98],
  exit_group: [231, 94],
  epoll_ctl: [233, 21],
  openat: [257, 56],
  unlinkat: [263, 35],
  epoll_pwait: [281, 22],
  eventfd2: [290, 19],
  prlimit64: [302, 261],
  sendmmsg: [307, 269],
  getrandom: [318, 278],
  membarrier: [324, 283],
  statx: [332, 291],
  io_uring_enter: [426, 426],
} as const

describe.each(ARCHITECTURES)('on $name', ({ name: on, arch, other, headers }) => {
  const octets = encode(filterOf(on, PID))
  const judge = (nr: number, ...args: (number | bigint)[]) => evaluate(octets, { nr, arch, args })
  const call = (name: (typeof SYSCALLS)[number], ...args: (number | bigint)[]) =>
    judge(numberOf(name, on), ...args).value

  test('what upstream kills for is killed, but prctl', () => {
    for (const name of UPSTREAM_NAMES) expect([name, call(name)]).toEqual([name, KILL])
    if (on === 'x64') for (const nr of UPSTREAM) expect([nr, judge(nr).value]).toEqual([nr, KILL])
  })

  test('what a runtime may ask for in passing is refused with EPERM, and it lives', () => {
    for (const name of ['prctl', 'io_uring_setup', 'io_uring_register', 'tkill'] as const) {
      expect([name, call(name)]).toEqual([name, refuse(EPERM)])
    }
    if (on === 'x64') for (const nr of [57, 58]) expect(judge(nr).value).toBe(refuse(EPERM))
  })

  test('what a runtime needs is allowed', () => {
    for (const [name, numbers] of Object.entries(NEEDED)) {
      expect([name, judge(numbers[on === 'x64' ? 0 : 1]).value]).toEqual([name, ALLOW])
    }
  })

  test('every number that is not in the table is allowed', () => {
    const known = new Set(SYSCALLS.map((name) => numberOf(name, on)))
    for (let nr = 0; nr < 1024; nr++) {
      if (!known.has(nr)) expect([nr, judge(nr).value]).toEqual([nr, ALLOW])
    }
  })

  test('no system call costs more than 16 instructions', () => {
    for (let nr = 0; nr < 600; nr++) expect(judge(nr).steps).toBeLessThanOrEqual(16)
  })

  test('threads are made, processes are not, and no namespaces with either', () => {
    // glibc's pthread_create, glibc's fork, vfork.
    expect(call('clone', 0x3d0f00)).toBe(ALLOW)
    expect(call('clone', 0x1200011)).toBe(refuse(EPERM))
    expect(call('clone', 0x4111)).toBe(refuse(EPERM))
    for (const flag of [
      0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
    ]) {
      expect(call('clone', 0x3d0f00 | flag)).toBe(KILL)
      expect(call('clone', flag | 17)).toBe(KILL)
    }
    expect(call('clone3')).toBe(refuse(ENOSYS))
  })

  test('sockets are of IPv4, IPv6 and netlink', () => {
    const families = Array.from({ length: 50 }, (_, family) => family)
    const allowed = families.filter((family) => call('socket', family, 1, 0) === ALLOW)
    expect(allowed).toEqual([2, 10, 16])
    expect(call('socket', 1, 1, 0)).toBe(refuse(EPERM))
    // The kernel takes an int: what is above it does not count.
    expect(call('socket', 0x1_0000_0001n, 1, 0)).toBe(refuse(EPERM))
  })

  test('signals go to this process only', () => {
    expect(call('kill', PID, 15)).toBe(ALLOW)
    expect(call('tgkill', PID, PID + 1, 6)).toBe(ALLOW)
    for (const pid of [0, -1, 1, PID + 1, -PID]) {
      expect(call('kill', pid, 15)).toBe(refuse(EPERM))
      expect(call('tgkill', pid, pid, 15)).toBe(refuse(EPERM))
    }
  })

  test('a terminal is not typed into, other ioctls pass', () => {
    expect(call('ioctl', 0, 0x5412)).toBe(refuse(EPERM))
    expect(call('ioctl', 0, 0x541c)).toBe(refuse(EPERM))
    expect(call('ioctl', 0, 0xffffffff_00005412n)).toBe(refuse(EPERM))
    expect(call('ioctl', 5, 0x400454d0)).toBe(ALLOW) // TUNSETOFFLOAD
  })

  test('limits, priorities and processors of other processes are left alone', () => {
    expect(call('prlimit64', 0, 7)).toBe(ALLOW)
    expect(call('prlimit64', PID, 7)).toBe(ALLOW)
    for (const pid of [1, -1, PID + 1]) expect(call('prlimit64', pid, 7)).toBe(refuse(EPERM))
    const names = ['setpriority', 'ioprio_set', 'sched_setscheduler', 'sched_setaffinity'] as const
    for (const name of names) expect([name, call(name)]).toEqual([name, refuse(EPERM)])
  })

  test('no descriptor signals another process, and there is no memory in common with one', () => {
    for (const command of [8, 10, 15]) expect(call('fcntl', 5, command)).toBe(refuse(EPERM))
    for (const command of [1, 2, 3, 4, 1030, 1031]) expect(call('fcntl', 5, command)).toBe(ALLOW)
    for (const request of [0x8901, 0x8902]) expect(call('ioctl', 5, request)).toBe(refuse(EPERM))
    for (const name of ['shmget', 'shmat', 'semget', 'msgget'] as const) {
      expect([name, call(name)]).toEqual([name, refuse(EPERM)])
    }
  })

  test('calls of another architecture are killed, whatever they are', () => {
    for (const wrong of [other, 0, arch ^ 1]) {
      for (const nr of [0, 1, 3, 60, 102, 400]) {
        expect(evaluate(octets, { nr, arch: wrong }).value).toBe(KILL)
      }
    }
    for (const nr of [0, 1, 59, 512, 520]) expect(judge(0x40000000 | nr).value).toBe(KILL)
  })

  const paths = headers.flatMap((header) => [
    `/usr/include/x86_64-linux-gnu/${header}`,
    `/usr/include/${header}`,
  ])
  const header = paths.find((path) => existsSync(path))
  test.skipIf(header === undefined)("the numbers are those of the kernel's headers", () => {
    const text = readFileSync(header!, 'utf8')
    const defined = new Map(
      [...text.matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm)].map((m) => [
        m[1],
        Number(m[2]),
      ]),
    )
    expect(defined.size).toBeGreaterThan(250)
    for (const name of SYSCALLS) {
      const number = defined.get(name)
      // A newer call than these headers know is in neither.
      if (number !== undefined) expect([name, numberOf(name, on)]).toEqual([name, number])
      else
        expect([name, numberOf(name, on) === -1 || numberOf(name, on) > 450]).toEqual([name, true])
    }
  })
})
