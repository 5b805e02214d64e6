/**
 * A child with descriptors of ours, by posix_spawn(3). node:child_process would first load sockets and streams and then
 * copy the page tables of all of Node: 20 ms of the start of a container, where this takes one.
 */
import { Arena, addressOf } from './arena.ts'
import { O_RDWR } from './constants.ts'
import { must } from './errors.ts'
import { closeAll, dup, failure, open, pipe, read, setNonblocking } from './io.ts'
import { libc, ownFunction } from './libc.ts'
import { BLOCK, scratch } from './scratch.ts'
import { vector, withStrings } from './strings.ts'

/** More than sizeof(posix_spawn_file_actions_t) and of posix_spawnattr_t, in all C libraries. */
const ACTIONS_LEN = 512
const ATTRIBUTES_LEN = 1024
const SIGSET_LEN = 128
const POSIX_SPAWN_SETSIGDEF = 0x04
const SIGPIPE = 13
const SIGKILL = 9
/** <poll.h>; in the structure, `revents` stands behind it. */
const POLLIN = 1
/** Above those that the child is to have: where descriptors are kept until they are in their places. */
const ASIDE = 64
/** Ours, in ms: the longest time for which nothing else has its turn. */
const PATIENCE = 5

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** From the child's 3 on; -1 is /dev/null. */
  readonly descriptors?: readonly number[]
}

/** A running child. Its standard input is open until `end`, what it writes is read here. */
export class Child {
  readonly pid: number
  /** Our ends of its standard input, output and error. */
  readonly #ends: readonly number[]

  /** Throws the system's error when there is no such program on PATH. */
  constructor({ file, args, environment, descriptors = [] }: Command) {
    const ours: number[] = []
    const theirs: number[] = []
    try {
      for (const isInput of [true, false, false]) {
        const [from, to] = pipe()
        ours.push(isInput ? to : from)
        theirs.push(isInput ? from : to)
      }
      const nothing = open('/dev/null', O_RDWR)
      const given = descriptors.map((fd) => (fd < 0 ? nothing : fd))
      const all = [...theirs, ...given]
      theirs.push(nothing)
      for (const fd of ours) setNonblocking(fd)
      this.pid = spawn(file, [file, ...args], environment, all)
    } catch (error) {
      closeAll(ours)
      throw error
    } finally {
      closeAll(theirs)
    }
    this.#ends = ours
  }

  /** The first line that it writes; undefined when it ends or closes its output before. */
  async line(): Promise<string | undefined> {
    const text = await gather(this.#ends[1]!, '\n')
    const end = text.indexOf('\n')
    return end < 0 ? undefined : text.slice(0, end)
  }

  /** Waits until it has closed its standard error, mostly by its end; what it has written there. */
  complaint(): Promise<string> {
    return gather(this.#ends[2]!, undefined)
  }

  /** Ends it, unless it has ended. Its exit status; that of a signal is 128 and its number. */
  end(): number {
    closeAll(this.#ends)
    ownFunction('int kill(int, int)')(this.pid, SIGKILL)
    const { view, base } = scratch()
    const waitpid = ownFunction('int waitpid(int, int64_t, int)')
    while (waitpid(this.pid, base + BLOCK, 0) < 0) {
      if (failure() < 0) return 0 // who ignores SIGCHLD is told of no child
    }
    const status = view.getInt32(BLOCK, true)
    return status & 0x7f ? 128 + (status & 0x7f) : (status >>> 8) & 0xff
  }
}

/** Starts the program with `given` as its descriptors from 0 on; its process ID. */
function spawn(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  given: readonly number[],
): number {
  const actions = new Arena(ACTIONS_LEN)
  const attributes = new Arena(ATTRIBUTES_LEN)
  const defaults = new Arena(SIGSET_LEN)
  const call = (signature: string, ...rest: number[]) =>
    ownFunction(`int posix_${signature}`)(...rest)
  call('spawn_file_actions_init(int64_t)', start(actions))
  call('spawnattr_init(int64_t)', start(attributes))
  // Node ignores it, and a child would, too.
  defaults.view.setInt32(0, 1 << (SIGPIPE - 1), true)
  call('spawnattr_setsigdefault(int64_t, int64_t)', start(attributes), start(defaults))
  call('spawnattr_setflags(int64_t, int)', start(attributes), POSIX_SPAWN_SETSIGDEF)
  const aside: number[] = []
  try {
    // Aside first: what is put into one place may stand in another.
    for (const fd of given) aside.push(dup(fd, ASIDE))
    for (const [place, fd] of aside.entries()) {
      call('spawn_file_actions_adddup2(int64_t, int, int)', start(actions), fd, place)
    }
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
    return withStrings([file, ...args, ...variables], (path = 0, ...addresses) => {
      const argv = vector(addresses.slice(0, args.length))
      const envp = vector(addresses.slice(args.length))
      const { view, base } = scratch()
      const failed = call(
        'spawnp(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t)',
        ...[base + BLOCK, path, start(actions), start(attributes), start(argv), start(envp)],
      )
      must(-failed, file, `cannot run ${file}`)
      return view.getInt32(BLOCK, true)
    })
  } finally {
    closeAll(aside)
    call('spawn_file_actions_destroy(int64_t)', start(actions))
    call('spawnattr_destroy(int64_t)', start(attributes))
  }
}

/** Reads until `mark` has come, or the end. Everything else of this thread has its turn meanwhile. */
async function gather(fd: number, mark: string | undefined): Promise<string> {
  const arena = new Arena(4096)
  const decoder = new TextDecoder()
  let text = ''
  for (;;) {
    if (!isReadable(fd)) {
      await new Promise((resolve) => setImmediate(resolve))
      continue
    }
    const n = read(fd, arena, 0, arena.size)
    if (n <= 0) return text
    text += decoder.decode(arena.bytes.subarray(0, n), { stream: true })
    if (mark !== undefined && text.includes(mark)) return text
  }
}

/** Is there something to read, or the end? Waits a moment for it. */
function isReadable(fd: number): boolean {
  const { view, base } = scratch()
  view.setInt32(BLOCK, fd, true)
  view.setInt32(BLOCK + 4, POLLIN, true)
  return libc().poll(base + BLOCK, 1, PATIENCE) > 0
}

const start = (arena: Arena): number => addressOf(arena, 0, arena.size)
