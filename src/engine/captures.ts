/**
 * The captures of a network, by id, and the link that they are made on: between the stack and the device, so that they
 * have the frames that the device has.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs'
import type { Arrival, Departure, Link, Memory } from '../stack/link.ts'
import * as io from '../sys/io.ts'
import { Capture } from '../tap/capture.ts'
import type { CapturedInterface } from '../tap/pcapng.ts'
import type { CaptureOptions, CaptureResult } from './types.ts'

/** Who may read the file: what a container sends is nobody else's business. */
const MODE = 0o600

interface Entry {
  readonly capture: Capture
  readonly fd: number
}

export class Captures implements Link {
  /** Called, with the reason, when a capture cannot be written any more. */
  onBroken: ((message: string) => void) | undefined
  readonly #device: Link
  readonly #memory: Memory
  readonly #interface: CapturedInterface
  readonly #entries = new Map<number, Entry>()
  #lastId = 0

  constructor(device: Link, memory: Memory, captured: CapturedInterface) {
    this.#device = device
    this.#memory = memory
    this.#interface = captured
  }

  /** Throws the system's error when the file cannot be had. */
  start({ path, fd: given, snapLength }: CaptureOptions): number {
    const fd = path === undefined ? io.dup(given!) : openFile(path)
    try {
      // A regular file is always ready; anything else must not hold us up.
      if (!fstatSync(fd).isFile()) io.setNonblocking(fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
    const write = (bytes: Uint8Array, len: number): number => this.#write(fd, bytes, len)
    const capture = new Capture(this.#memory, this.#interface, snapLength, write)
    this.#entries.set(++this.#lastId, { capture, fd })
    return this.#lastId
  }

  #write(fd: number, bytes: Uint8Array, len: number): number {
    try {
      return writeSync(fd, bytes, 0, len)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
      this.onBroken?.(`cannot write to the capture: ${(error as Error).message}`)
      return -1
    }
  }

  /** Undefined when there is no such capture (any more). */
  stop(id: number): CaptureResult | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    this.#entries.delete(id)
    const { capture, fd } = entry
    capture.finish()
    closeSync(fd)
    const { frames, dropped } = capture
    return { frames, dropped }
  }

  /** A frame came from the guest. */
  received(arrival: Arrival): void {
    for (const { capture } of this.#entries.values()) capture.fromGuest(arrival)
  }

  transmit(departure: Departure): void {
    // Before the device has it, which may complete its checksum in its place.
    if (this.#entries.size > 0) {
      for (const { capture } of this.#entries.values()) capture.toGuest(departure)
    }
    this.#device.transmit(departure)
  }

  /** At the end of a turn. */
  flush(): void {
    if (this.#entries.size === 0) return
    for (const { capture } of this.#entries.values()) capture.flush()
  }

  close(): void {
    for (const id of [...this.#entries.keys()]) this.stop(id)
  }
}

function openFile(path: string): number {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK } = constants
  return openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, MODE)
}
