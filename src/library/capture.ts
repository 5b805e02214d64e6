/** A capture of a network's frames: its options, and the handle that ends it. */
import type { CaptureResult, CaptureOptions as EngineOptions } from '../engine/types.ts'
import type { WorkerNetwork } from '../engine/worker-network.ts'
import { mistyped, readInteger, readObject, readPath } from './values.ts'

/** Where a capture goes. One of `path` and `fd`. */
export interface CaptureOptions {
  /** A file that is made or emptied, readable by its owner only; or a pipe that somebody reads. */
  readonly path?: string | undefined
  /** An open descriptor, which stays yours. slipway uses a duplicate, and sets O_NONBLOCK on what is no file. */
  readonly fd?: number | undefined
  /** The most octets of a frame that are kept. Default: all. */
  readonly snapLength?: number | undefined
}

/** A capture that is under way. It ends with `stop`, or with the network. */
export interface Capture {
  /** Writes what is left, and tells what there was. The same again when called again. */
  stop(): Promise<CaptureResult>
  /** The same, and no error when the network is closed. */
  [Symbol.asyncDispose](): Promise<void>
}

/** More than any frame has. */
const MAX_SNAP_LENGTH = 262_144
const MAX_INT = 0x7fffffff

export function readCaptureOptions(given: unknown): EngineOptions {
  const {
    path,
    fd,
    snapLength = MAX_SNAP_LENGTH,
  } = readObject(given, 'options', ['path', 'fd', 'snapLength'])
  if ((path === undefined) === (fd === undefined)) {
    throw mistyped('options must have one of path and fd')
  }
  return {
    ...(path === undefined
      ? { fd: readInteger(fd, 'options.fd', 0, MAX_INT) }
      : { path: readPath(path, 'options.path') }),
    snapLength: readInteger(snapLength, 'options.snapLength', 14, MAX_SNAP_LENGTH),
  }
}

export class LibraryCapture implements Capture {
  readonly #engine: WorkerNetwork
  readonly #id: number
  #stopped: Promise<CaptureResult> | undefined

  constructor(engine: WorkerNetwork, id: number) {
    this.#engine = engine
    this.#id = id
  }

  stop(): Promise<CaptureResult> {
    this.#stopped ??= this.#engine.stopCapture(this.#id).then((result) => result!)
    return this.#stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {}) // the only reason: the network is closed, and the capture with it
  }
}
