/**
 * What the control plane asks of the system, and how it speaks to people.
 */

import { accessSync, fstatSync, readdirSync, readlinkSync, writeSync } from 'node:fs'
import { getSystemErrorMap } from 'node:util'
import { outboundAddress } from '../engine/outbound.ts'
import type { Host } from './arguments.ts'

/** In the environment of a second start (user-namespace.ts): what was said by the first is not said again. */
export const SECOND_START = 'SLIPWAY_SECOND_START'

/** The system that we run on. */
export const host: Host = {
  pathError(path) {
    try {
      accessSync(path)
      return undefined
    } catch (error) {
      return strerror(error)
    }
  },
  interfaceHasAddress: (name, family) => outboundAddress(name, family) !== undefined,
  isInherited,
  warn(line) {
    if (process.env[SECOND_START] === undefined) say(1, `${line}\n`)
  },
}

/**
 * Was the descriptor open when we were started? One that the caller never opened may be open all the same: Node
 * takes the lowest free numbers for its own epoll sets, eventfds and pipes. Waiting for one of those to hang up would
 * never end, and to write into one or to close it would break Node. To be asked before anything else of ours opens
 * descriptors.
 */
export function isInherited(fd: number): boolean {
  const link = linkOf(fd)
  if (link === undefined) return false
  // None of these ever hangs up or carries text, so nobody has a reason to hand one over.
  if (/^anon_inode:\[(eventpoll|eventfd|io_uring)\]$/.test(link)) return false
  return !(link.startsWith('pipe:') && hasBothEnds(link) && isYoungerThanWe(fd))
}

/** Of a pipe that was handed over, the other end is elsewhere. */
function hasBothEnds(link: string): boolean {
  return readdirSync('/proc/self/fd').filter((fd) => linkOf(Number(fd)) === link).length > 1
}

/** Writing sets the one time and reading the other, and nobody has done both by now to a pipe of the caller's. */
function isYoungerThanWe(fd: number): boolean {
  const { mtimeMs, atimeMs } = fstatSync(fd)
  return Math.min(mtimeMs, atimeMs) > performance.timeOrigin
}

/** What the descriptor is of; undefined when it is not open. */
function linkOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined
  }
}

/**
 * Writes a text for people at once (the banner must be readable while we run, and a log may be the only trace of a
 * failure). Whoever should read it may have gone or may not read: then it is lost, and nothing else is.
 */
export function say(fd: 1 | 2, text: string): void {
  try {
    let rest = Buffer.from(text)
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest))
  } catch {
    // EPIPE, EAGAIN: see above.
  }
}

/** What strerror(3) says to an error of Node's: upstream's words, which are Node's with a capital letter. */
export function strerror(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException
  const text = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1]
  return text ? text[0]?.toUpperCase() + text.slice(1) : message
}
