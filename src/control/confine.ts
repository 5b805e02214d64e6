/**
 * What --enable-sandbox and --enable-seccomp take from this process. All of it is loaded before a network is started:
 * inside there are no files to load anything from.
 */

import type { Folder } from '../sys/folder.ts'
import { enterSandbox } from './sandbox.ts'
import { confineCalls } from './seccomp.ts'

export { enterUserns } from './user-namespace.ts'

export interface Confinement {
  readonly sandbox: boolean
  readonly seccomp: boolean
}

/** Cannot be undone. Throws when it could not be done, or not all of it: then this process must end. */
export function confine({ sandbox, seccomp }: Confinement, folders: readonly Folder[]): void {
  if (sandbox) within('make the sandbox', () => enterSandbox(folders))
  // Last of all: what makes a sandbox is what the filter forbids.
  if (seccomp) within('filter system calls', confineCalls)
}

function within(what: string, step: () => void): void {
  try {
    step()
  } catch (error) {
    throw new Error(`cannot ${what}: ${(error as Error).message}`, { cause: error })
  }
}
