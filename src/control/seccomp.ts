/**
 * Which system calls are given up with --enable-seccomp, as a filter for seccomp(2).
 *
 *   killed    what upstream kills for (its list as observed in slirp4netns 1.2.0, SECCOMP_RET_KILL_PROCESS), the
 *             newer calls of the same kinds, and what a process that only moves octets never asks for: who makes such
 *             a call is not our program any more
 *   refused   what Node, V8 or the C library may ask for in passing, and can do without: EPERM
 *   all else  allowed: what a runtime needs differs from one release of Node to the next, so there is no list of that
 *
 * A call of another architecture (i386, x32) is killed whatever it is. Pure but for `confineCalls`.
 */

import { choose, encode, give, ifAnyBit, ifEqual, load, type Program } from '../sys/bpf.ts'
import { AF_INET, AF_INET6, AF_NETLINK, ENOSYS, EPERM } from '../sys/constants.ts'
import { installFilter } from '../sys/seccomp.ts'
import { type Architecture, architecture, numberOf, type SyscallName } from '../sys/syscalls.ts'

// <linux/seccomp.h>
export const KILL = 0x80000000
export const ALLOW = 0x7fff0000
const ERRNO = 0x00050000
export const refuse = (errno: number): number => ERRNO | errno

// Places in struct seccomp_data. Of an argument it is the low half: the kernel takes those below for an int.
const NR = 0
const ARCH = 4
const argument = (index: number) => 16 + 8 * index

/** <linux/audit.h>: AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64 */
const AUDIT_ARCH: Record<Architecture, number> = { x64: 0xc000003e, arm64: 0xc00000b7 }
/** __X32_SYSCALL_BIT: no number of a real call has it, on either architecture. */
const X32 = 0x40000000

// clone(2)
const CLONE_THREAD = 0x00010000
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET */
const CLONE_NEW = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x60000000
/** Puts octets into a terminal as if they were typed (ioctl_tty(2)). */
const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c
/** Whom a descriptor signals, another process perhaps: <asm-generic/sockios.h> and, by other numbers, fcntl(2). */
const FIOSETOWN = 0x8901
const SIOCSPGRP = 0x8902
const F_SETOWN = 8
const F_SETSIG = 10
const F_SETOWN_EX = 15
const IOCTLS: readonly number[] = [TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP]

const KILLED: readonly SyscallName[] = [
  // Upstream's: other programs, other processes,
  ...(['execve', 'execveat', 'ptrace', 'process_vm_readv', 'process_vm_writev'] as const),
  ...(['pidfd_open', 'pidfd_getfd', 'pidfd_send_signal'] as const),
  // namespaces and mounts,
  ...(['setns', 'unshare', 'mount', 'umount2', 'pivot_root', 'chroot', 'move_mount'] as const),
  ...(['open_tree', 'fsopen', 'fsconfig', 'fsmount', 'fspick'] as const),
  ...(['open_by_handle_at', 'name_to_handle_at'] as const),
  // the kernel itself.
  ...(['init_module', 'finit_module', 'delete_module', 'kexec_load', 'kexec_file_load'] as const),
  ...(['reboot', 'lookup_dcookie'] as const),

  // Ours: of the same kinds,
  ...(['mount_setattr', 'open_tree_attr', 'create_module', 'kcmp', 'process_madvise'] as const),
  ...(['process_mrelease', 'move_pages', 'migrate_pages', 'fanotify_init'] as const),
  // much attacked,
  ...(['bpf', 'perf_event_open', 'userfaultfd', 'add_key', 'request_key', 'keyctl'] as const),
  // the machine's.
  ...(['swapon', 'swapoff', 'acct', 'quotactl', 'quotactl_fd', 'nfsservctl', 'uselib'] as const),
  ...(['settimeofday', 'clock_settime', 'adjtimex', 'clock_adjtime', 'syslog', 'vhangup'] as const),
  ...(['sethostname', 'setdomainname', 'iopl', 'ioperm', 'modify_ldt'] as const),
]

const REFUSED: readonly SyscallName[] = [
  // Upstream kills for it; the runtime names threads and memory with it.
  'prctl',
  // Rings do what this filter does not see; the one that is open can only read. libuv has its own ways without.
  'io_uring_setup',
  'io_uring_register',
  // There are no new processes, and no signals to others.
  ...(['fork', 'vfork', 'tkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo'] as const),
  // Other processes of the user's: their share of the processor, and memory and queues in common with them.
  ...(['setpriority', 'ioprio_set', 'sched_setscheduler', 'sched_setparam'] as const),
  ...(['sched_setattr', 'sched_setaffinity', 'shmget', 'shmat', 'semget', 'msgget'] as const),
]

/** The filter for the process `pid`. */
export function filterOf(on: Architecture, pid: number): Program {
  const cases: [SyscallName, Program][] = [
    ...KILLED.map((name): [SyscallName, Program] => [name, give(KILL)]),
    ...REFUSED.map((name): [SyscallName, Program] => [name, give(refuse(EPERM))]),
    ['clone', threadsOnly()],
    // Its flags are in memory, where they may change: the C library takes clone(2) instead.
    ['clone3', give(refuse(ENOSYS))],
    // No UNIX sockets: in /run are those of the system's and the user's daemons.
    ['socket', oneOf(0, [AF_INET, AF_INET6, AF_NETLINK], give(ALLOW), give(refuse(EPERM)))],
    ['kill', oneOf(0, [pid], give(ALLOW), give(refuse(EPERM)))],
    ['tgkill', oneOf(0, [pid], give(ALLOW), give(refuse(EPERM)))],
    ['prlimit64', oneOf(0, [0, pid], give(ALLOW), give(refuse(EPERM)))],
    ['ioctl', oneOf(1, IOCTLS, give(refuse(EPERM)), give(ALLOW))],
    ['fcntl', oneOf(1, [F_SETOWN, F_SETSIG, F_SETOWN_EX], give(refuse(EPERM)), give(ALLOW))],
  ]
  const numbered = cases
    .map(([name, program]): [number, Program] => [numberOf(name, on), program])
    .filter(([number]) => number >= 0)
  const byNumber = load(NR, ifAnyBit(X32, give(KILL), choose(numbered, give(ALLOW))))
  return load(ARCH, ifEqual(AUDIT_ARCH[on], byNumber, give(KILL)))
}

/** clone(2): threads of this process, in the namespaces where it is. */
function threadsOnly(): Program {
  const isThread = ifAnyBit(CLONE_THREAD, give(ALLOW), give(refuse(EPERM)))
  return load(argument(0), ifAnyBit(CLONE_NEW, give(KILL), isThread))
}

function oneOf(index: number, values: readonly number[], yes: Program, no: Program): Program {
  return load(
    argument(index),
    choose(
      values.map((value) => [value, yes] as const),
      no,
    ),
  )
}

/** Holds from here on, for every thread of this process, and cannot be undone. */
export function confineCalls(): void {
  installFilter(encode(filterOf(architecture(), process.pid)))
}
