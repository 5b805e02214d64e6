/**
 * System calls by name: their numbers on x86-64 and on arm64, and the way to make those for which not every C library
 * has a function. Pure but for `syscall`.
 */
import { libc } from './libc.ts'

export type Architecture = 'x64' | 'arm64'

/** From <asm/unistd_64.h> and <asm-generic/unistd.h>; -1: that architecture does not have the call. */
const NUMBERS = {
  acct: [163, 89],
  add_key: [248, 217],
  adjtimex: [159, 171],
  bpf: [321, 280],
  capget: [125, 90],
  capset: [126, 91],
  chroot: [161, 51],
  clock_adjtime: [305, 266],
  clock_settime: [227, 112],
  clone: [56, 220],
  clone3: [435, 435],
  create_module: [174, -1],
  delete_module: [176, 106],
  execve: [59, 221],
  execveat: [322, 281],
  fanotify_init: [300, 262],
  fcntl: [72, 25],
  finit_module: [313, 273],
  fork: [57, -1],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  getrandom: [318, 278],
  gettid: [186, 178],
  init_module: [175, 105],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioctl: [16, 29],
  ioperm: [173, -1],
  iopl: [172, -1],
  ioprio_set: [251, 30],
  kcmp: [312, 272],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  kill: [62, 129],
  landlock_add_rule: [445, 445],
  landlock_create_ruleset: [444, 444],
  landlock_restrict_self: [446, 446],
  lookup_dcookie: [212, 18],
  migrate_pages: [256, 238],
  modify_ldt: [154, -1],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  move_pages: [279, 239],
  msgget: [68, 186],
  name_to_handle_at: [303, 264],
  nfsservctl: [180, 42],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  open_tree_attr: [467, 467],
  openat: [257, 56],
  perf_event_open: [298, 241],
  pidfd_getfd: [438, 438],
  pidfd_open: [434, 434],
  pidfd_send_signal: [424, 424],
  pivot_root: [155, 41],
  prctl: [157, 167],
  prlimit64: [302, 261],
  process_madvise: [440, 440],
  process_mrelease: [448, 448],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  ptrace: [101, 117],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  reboot: [169, 142],
  request_key: [249, 218],
  rt_sigaction: [13, 134],
  rt_sigqueueinfo: [129, 138],
  rt_tgsigqueueinfo: [297, 240],
  sched_setaffinity: [203, 122],
  sched_setattr: [314, 274],
  sched_setparam: [142, 118],
  sched_setscheduler: [144, 119],
  seccomp: [317, 277],
  semget: [64, 190],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  setpriority: [141, 140],
  settimeofday: [164, 170],
  shmat: [30, 196],
  shmget: [29, 194],
  socket: [41, 198],
  statx: [332, 291],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  tgkill: [234, 131],
  tkill: [200, 130],
  umount2: [166, 39],
  unshare: [272, 97],
  uselib: [134, -1],
  userfaultfd: [323, 282],
  vfork: [58, -1],
  vhangup: [153, 58],
} as const

export type SyscallName = keyof typeof NUMBERS

export const SYSCALLS: readonly SyscallName[] = Object.keys(NUMBERS) as SyscallName[]

/** The number of a call; -1 when the architecture does not have it. */
export function numberOf(name: SyscallName, architecture: Architecture): number {
  return NUMBERS[name][architecture === 'x64' ? 0 : 1]
}

/** The architecture that we run on. */
export function architecture(): Architecture {
  const { arch } = process
  if (arch === 'x64' || arch === 'arm64') return arch
  throw new Error(`slipway needs x86-64 or arm64, not ${arch}`)
}

/** Makes the call on this thread: n or -errno. */
export function syscall(name: SyscallName, ...args: number[]): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args
  const n = Number(libc().syscall(numberOf(name, architecture()), a, b, c, d, e, f))
  return n < 0 ? -libc().errno() : n
}
