/** The octets that the benches of `wire` and of cutting work on: frames at each of PLACES, and text behind them. */
import type { Memory } from '../../src/stack/link.ts'
import { Arena } from '../../src/sys/arena.ts'
import { PLACES, STEP } from './bench.ts'

export const TEXT: number = PLACES * STEP
export const HOST = 0x0a000202
export const GUEST = 0x0a000264
export const HOST_MAC: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 2)
export const GUEST_MAC: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 0x64)

export function makeMemory(): Memory {
  const memory = new Arena(TEXT + 140_000)
  memory.bytes.forEach((_, i, bytes) => {
    bytes[i] = i * 167 + (i >>> 8)
  })
  return memory
}

/** Calls `fn` with each place. */
export function atEach(fn: (at: number) => void): void {
  for (let i = 0; i < PLACES; i++) fn(i * STEP)
}
