/**
 * Single values that a caller gives, checked by their kind and range: each reader answers the value or throws an error that
 * names the option.
 */
import type { ErrorCode } from '../engine/errors.ts'

/** PATH_MAX of <linux/limits.h>, without the NUL that ends it. */
const MAX_PATH = 4095

/** In ms: setTimeout of Node's knows no longer one. */
export const MAX_TIMEOUT = 0x7fffffff

export function readSignal(given: unknown): AbortSignal | undefined {
  if (given === undefined || given instanceof AbortSignal) return given
  throw wrong(given, 'options.signal', 'an AbortSignal', false)
}

export function readPath(given: unknown, name: string, most: number = MAX_PATH): string {
  const isPath = typeof given === 'string' && given !== '' && !given.includes('\0')
  if (isPath && Buffer.byteLength(given) <= most) return given
  throw wrong(given, name, `a path of at most ${most} octets`, typeof given === 'string')
}

export function readBoolean<Name extends string>(
  options: Partial<Record<Name, unknown>>,
  name: Name,
  otherwise: boolean,
): boolean {
  const { [name]: given = otherwise } = options
  if (typeof given === 'boolean') return given
  throw wrong(given, `options.${name}`, 'a boolean', false)
}

export function readInteger(given: unknown, name: string, least: number, most: number): number {
  const isThere = Number.isInteger(given) && (given as number) >= least && (given as number) <= most
  if (isThere) return given as number
  throw wrong(given, name, `an integer from ${least} to ${most}`, typeof given === 'number')
}

/** An object without any other property: a name that is misspelt would be an option that is not heeded. */
export function readObject<Name extends string>(
  given: unknown,
  what: string,
  names: readonly Name[],
): Partial<Record<Name, unknown>> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrong(given, what, 'an object', false)
  }
  for (const name of Object.keys(given)) {
    if (!names.includes(name as Name)) throw mistyped(`${what}.${name} is not known`)
  }
  return given
}

export function wrong(given: unknown, name: string, wanted: string, isRightKind: boolean): Error {
  const message = `${name} must be ${wanted}, not ${show(given)}`
  return isRightKind ? coded(new RangeError(message)) : mistyped(message)
}

export function mistyped(message: string): Error {
  return coded(new TypeError(message))
}

export function coded(error: Error): Error {
  const code: ErrorCode = 'ERR_INVALID_OPTION'
  return Object.assign(error, { code })
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
