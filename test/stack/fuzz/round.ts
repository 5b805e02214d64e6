/** One round of the fuzz: a new stack, so many steps, and the end of it. Everything by its seed. */
import type { Counters } from '../../../src/stack/counters.ts'
import { KEY_WORDS, key4 } from '../../../src/stack/flow-table.ts'
import { close } from '../../../src/stack/tcp/connection.ts'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import * as tcp from '../../../src/stack/wire/tcp.ts'
import { type Octets, TRANSPORT, viewOf } from '../rig/frames.ts'
import { guestFrames } from '../rig/guest-frames.ts'
import { GUEST, HOST } from '../rig/rig.ts'
import { GUEST6, HOST6, TRANSPORT6, words } from '../rig/rig6.ts'
import { Dice } from './dice.ts'
import { Grammar } from './grammar.ts'
import { mutate } from './mutate.ts'
import { Target } from './target.ts'
import { sum } from './wire.ts'

export const STEPS = 1500
/** What a real guest has sent, to be damaged as well. */
const CAPTURED = guestFrames()
/** The ports that it had, of TCP (of others they are no ports, which does no harm). */
const CAPTURED_PORTS = new Set(CAPTURED.map(srcPort))

export interface Round {
  frames: number
  counters: Counters
}

/** Throws, with the seed and the step, when something is not as it must be. */
export function round(seed: number, steps = STEPS): Round {
  const dice = new Dice(seed)
  const target = new Target(dice, CAPTURED_PORTS)
  // Every other round has damaged frames whose checksums are right.
  target.isSpoilt = (seed & 1) === 1
  const grammar = new Grammar(dice, () => target.connections())
  let frames = 0
  let last: Octets = new Uint8Array(0)
  for (let step = 0; step < steps; step++) {
    try {
      const roll = dice.below(100)
      if (roll < 80) {
        const next = dice.chance(0.1) ? dice.pick(CAPTURED) : grammar.frame()
        const frame = roll < 60 ? next : damage(dice, next, last, target.isSpoilt)
        last = next
        frames++
        target.receive(frame)
      } else act(dice, target, roll)
    } catch (error) {
      const { message } = error as Error
      throw new Error(`seed ${seed}, step ${step}: ${message}`, { cause: error })
    }
  }
  try {
    target.end()
  } catch (error) {
    throw new Error(`seed ${seed}, at the end: ${(error as Error).message}`, { cause: error })
  }
  return { frames, counters: target.stack.counters }
}

function srcPort(frame: Octets): number {
  const v = viewOf(frame)
  return tcp.srcPort(v, ethernet.type(v, 0) === ethernet.IPV6 ? TRANSPORT6 : TRANSPORT)
}

function damage(dice: Dice, frame: Octets, other: Octets, isSpoilt: boolean): Octets {
  const damaged = mutate(dice, frame, other)
  // With its checksums made right, what is wrong gets further.
  if (isSpoilt) {
    if (dice.chance(0.7)) sum(damaged)
    return damaged
  }
  // One damage in 65,536 has the right checksum, and nobody can tell.
  const summed = damaged.slice()
  sum(summed)
  return summed.every((octet, i) => octet === damaged[i]) ? frame : damaged
}

/** The host does something, or time goes by. */
function act(dice: Dice, target: Target, roll: number): void {
  const { clock, users } = target
  const connections = [...users.keys()].filter((c) => c.state !== 'CLOSED')
  if (roll < 86) {
    target.flush() // a batch ends before time goes by
    clock.advance(dice.pick([0.5, 1, 20, 20, 300, 3000, dice.below(100_000)]))
    return target.check()
  }
  if (roll < 89) {
    target.answers()
    return target.flush()
  }
  if (roll < 90) return target.connects(anyKey(dice))
  if (roll < 91) {
    if (dice.chance(0.3)) target.starves()
    return target.calls(anyKey(dice, dice.below(4)))
  }
  if (connections.length === 0) return
  const user = users.get(dice.pick(connections))!
  if (user.isOver) return
  if (roll < 95) user.says(dice.len() * dice.between(1, 8))
  else if (roll < 98) user.reads(dice.len() * 4)
  else if (roll < 99) close(user.c)
  else target.stack.tcp.abort(user.c, 'aborted')
  target.flush()
}

/** A flow of the guest, or of another that is `off` addresses away. */
function anyKey(dice: Dice, off = 0): Int32Array {
  const key = new Int32Array(KEY_WORDS)
  const port = 8000 + dice.below(3)
  if (dice.chance(0.5)) key4(key, GUEST + off, port, HOST, 443)
  else {
    key.set(words(GUEST6))
    key.set(words(HOST6), 4)
    key[3]! += off
    key[8] = (port << 16) | 443
  }
  return key
}
