/** Errors of our own making that a program may want to tell apart. Each code is a heading in docs/api.md. */

export type ErrorCode =
  | 'ERR_INVALID_OPTION'
  | 'ERR_NETWORK_CLOSED'
  | 'ERR_NO_GUEST'
  | 'ERR_NO_EGRESS'
  | 'ERR_NOT_SUPPORTED'
  | 'ERR_WORKER_FAILED'

/** An error with a code that stays the same from version to version. */
export class SlipwayError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SlipwayError'
    this.code = code
  }
}
