/** The kernel that the tests run on. */
import { release } from 'node:os'

const [major = 0, minor = 0] = release().split('.').map(Number.parseFloat)

/** Is it this version of Linux, or a later one? */
export const isLinux = (least: number, leastMinor: number): boolean =>
  major > least || (major === least && minor >= leastMinor)
