/**
 * The functions of the C library that we call, by their C signatures, and the one place where koffi
 * is known. It is loaded by the first call, never by an import: `import 'slipway'` costs nothing.
 *
 * Pointers are declared as int64_t and given as plain numbers: koffi then converts nothing and a call
 * costs 0.2 µs. Variadic functions (ioctl, fcntl, open, syscall) are called as if they were not: on
 * x86-64 and arm64 Linux integers go in the same registers either way.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'

/** By name; also for a thread that binds its own (thread.ts). */
export const SIGNATURES = {
  read: 'int64_t read(int, int64_t, int64_t)',
  write: 'int64_t write(int, int64_t, int64_t)',
  readv: 'int64_t readv(int, int64_t, int)',
  writev: 'int64_t writev(int, int64_t, int)',
  close: 'int close(int)',
  open: 'int open(int64_t, int, int)',
  pipe2: 'int pipe2(int64_t, int)',
  fcntl: 'int fcntl(int, int, int64_t)',
  ioctl: 'int ioctl(int, uint64_t, int64_t)',
  poll: 'int poll(int64_t, uint64_t, int)',
  eventfd: 'int eventfd(uint32_t, int)',
  epoll_create1: 'int epoll_create1(int)',
  epoll_ctl: 'int epoll_ctl(int, int, int, int64_t)',
  epoll_wait: 'int epoll_wait(int, int64_t, int, int)',
  socket: 'int socket(int, int, int)',
  socketpair: 'int socketpair(int, int, int, int64_t)',
  bind: 'int bind(int, int64_t, uint32_t)',
  listen: 'int listen(int, int)',
  accept4: 'int accept4(int, int64_t, int64_t, int)',
  connect: 'int connect(int, int64_t, uint32_t)',
  shutdown: 'int shutdown(int, int)',
  getsockname: 'int getsockname(int, int64_t, int64_t)',
  getpeername: 'int getpeername(int, int64_t, int64_t)',
  getsockopt: 'int getsockopt(int, int, int, int64_t, int64_t)',
  setsockopt: 'int setsockopt(int, int, int, int64_t, uint32_t)',
  send: 'int64_t send(int, int64_t, int64_t, int)',
  recv: 'int64_t recv(int, int64_t, int64_t, int)',
  sendto: 'int64_t sendto(int, int64_t, int64_t, int, int64_t, uint32_t)',
  recvfrom: 'int64_t recvfrom(int, int64_t, int64_t, int, int64_t, int64_t)',
  sendmsg: 'int64_t sendmsg(int, int64_t, int)',
  recvmsg: 'int64_t recvmsg(int, int64_t, int)',
  recvmmsg: 'int recvmmsg(int, int64_t, uint32_t, int, int64_t)',
  splice: 'int64_t splice(int, int64_t, int, int64_t, uint64_t, uint32_t)',
  unshare: 'int unshare(int)',
  setns: 'int setns(int, int)',
  memmove: 'int64_t memmove(int64_t, int64_t, int64_t)',
  syscall: 'int64_t syscall(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t)',
} as const

type Call = (...args: number[]) => number

export type LibcName = keyof typeof SIGNATURES

export type Libc = { readonly [name in LibcName]: Call } & {
  /** errno of this thread: what the call just before it left there. */
  readonly errno: () => number
  /** Where the octets of a buffer lie. They stay there: they are off the heap. */
  readonly address: (octets: Uint8Array) => bigint
  /** Octets that lie somewhere, as a buffer. It does not free them; who touches them when they are gone gets SIGSEGV. */
  readonly view: (address: number, len: number) => ArrayBuffer
  readonly strerror: (errno: number) => string
}

interface Koffi {
  load(path: null): { func(definition: string): unknown }
  errno(): number
  address(octets: Uint8Array): bigint
  view(address: number, len: number): ArrayBuffer
}

let bound: Libc | undefined
let library: ReturnType<Koffi['load']> | undefined

/** The C library, bound at the first call. */
export function libc(): Libc {
  if (bound === undefined) bound = bind()
  return bound
}

function bind(): Libc {
  if (process.platform !== 'linux') throw new Error('slipway needs Linux')
  const koffi = loadKoffi()
  library = koffi.load(null)
  const calls: Record<string, unknown> = {
    errno: koffi.errno,
    address: koffi.address,
    view: koffi.view,
    strerror: library.func('const char *strerror(int)'),
  }
  for (const [name, signature] of Object.entries(SIGNATURES)) calls[name] = library.func(signature)
  return calls as Libc
}

/**
 * koffi looks for its binary in many places and through two packages, which takes three times as long as to load it. So
 * it is looked for where npm puts it; with another C library or another package manager koffi does the rest.
 */
function loadKoffi(): Koffi {
  const { arch } = process
  const require = createRequire(import.meta.url)
  try {
    if (!isOfMusl())
      return require(`@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`) as Koffi
  } catch {
    // It is elsewhere.
  }
  return require('koffi') as Koffi
}

/** Does this program of Node run with musl? Its head names the loader (PT_INTERP in elf(5)); a machine may have both. */
function isOfMusl(): boolean {
  const head = Buffer.alloc(4096)
  const fd = openSync(process.execPath, 'r')
  try {
    readSync(fd, head)
  } finally {
    closeSync(fd)
  }
  return head.includes('/ld-musl-')
}

const own = new Map<string, Call>()

/**
 * A function of the running program or its libraries, bound when it is asked for: what may be missing, and what few
 * runs need. Throws when it is not there.
 */
export function ownFunction(signature: string): Call {
  libc()
  let call = own.get(signature)
  if (call === undefined) {
    call = library!.func(signature) as Call
    own.set(signature, call)
  }
  return call
}
