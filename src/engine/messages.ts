/**
 * What the main thread and the data plane's worker say to each other.
 *
 *   main thread                                          worker
 *   workerData: Start                               →
 *                                                   ←    'ready', or 'ended' when it cannot start
 *   Request, then one to the eventfd (it sleeps)    →
 *                                                   ←    'answer' or 'refusal', with the same id
 *                                                   ←    'happened', what was asked for by 'observe'
 *   one to the eventfd: look at the rings         ⇄    'rung'
 *                                                   ←    'decided', then no more until 'takeDecisions'
 *                                                   ←    'asked'; 'answerHook' follows, or 'withdrawn'
 *   flags[STOP] = 1, then one to the eventfd        →
 *                                                   ←    'ended', then the thread ends
 *
 * The flags are in shared memory, because a thread in a system call serves no message port, and the main thread in its
 * 'exit' event none either.
 */
import type { HookQuestion, HookVerdict } from '../egress/hooks.ts'
import type { Decision } from '../policy/decisions.ts'
import type { Policy } from '../policy/policy.ts'
import type {
  CaptureOptions,
  CaptureResult,
  Ending,
  EndpointOptions,
  Forward,
  ForwardRequest,
  Happening,
  Interest,
  NetworkOptions,
  Stats,
} from './types.ts'

export interface Start {
  readonly options: NetworkOptions
  /** The eventfd. It is the main thread's, which closes it when the worker has ended. */
  readonly wakeFd: number
  /** Two flags of 32 bits. */
  readonly flags: Int32Array
}

/** 1: the worker is to end. Written by the main thread. */
export const STOP = 0
/** Whether it has to be waited for. Written by the worker. */
export const PHASE = 1
/** It may be terminated. */
export const IDLE = 0
/**
 * There is a TAP that is to be left as it should be found, or will be; and koffi, which ends the whole process when its
 * thread is terminated while it is loaded.
 */
export const RUNNING = 1

/** What the data plane does when it is asked. */
export interface Commands {
  add(forward: ForwardRequest): Forward
  list(): Forward[]
  remove(id: number): boolean
  stats(): Stats
  observe(interest: Interest): void
  /** Answers the capture's id. */
  capture(options: CaptureOptions): number
  stopCapture(id: number): CaptureResult | undefined
  /** The memory of ring.ts, before anything is asked of endpoints. */
  useRings(rings: SharedArrayBuffer): void
  listen(options: EndpointOptions): { id: number; port: number }
  unlisten(id: number): boolean
  setPolicy(policy: Policy): void
  recordDecisions(isOn: boolean): void
  /** The decisions that were reported were read: there may be more. */
  takeDecisions(): void
  answerHook(id: number, verdict: HookVerdict): void
}

export interface Request {
  readonly id: number
  readonly name: keyof Commands
  readonly args: readonly unknown[]
}

export type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly failure: Failure }
  | { readonly kind: 'happened'; readonly happenings: readonly Happening[] }
  | { readonly kind: 'rung' }
  | { readonly kind: 'decided'; readonly decisions: readonly Decision[] }
  | { readonly kind: 'asked'; readonly question: HookQuestion }
  | { readonly kind: 'withdrawn'; readonly id: number }
  | { readonly kind: 'ended'; readonly reason: Ending['reason']; readonly failure?: Failure }

/** An error on its way. Cloning keeps its class, message, stack and cause, and loses Node's fields. */
export interface Failure {
  readonly error: unknown
  readonly fields: { readonly code?: unknown; readonly errno?: unknown; readonly syscall?: unknown }
}

export function failureOf(error: unknown): Failure {
  const { code, errno, syscall } = error as NodeJS.ErrnoException
  return {
    error,
    fields: {
      ...(code !== undefined && { code }),
      ...(errno !== undefined && { errno }),
      ...(syscall !== undefined && { syscall }),
    },
  }
}

export function errorOf({ error, fields }: Failure): Error {
  return Object.assign(error as Error, fields)
}
