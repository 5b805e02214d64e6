/** Damage, as of a bad link or of somebody who wants to see what happens. */
import type { Octets } from '../rig/frames.ts'
import type { Dice } from './dice.ts'

const EDGES = [0, 1, 0x7f, 0x80, 0xff]

/** A copy of the frame with one to four things wrong with it. */
export function mutate(dice: Dice, frame: Octets, other: Octets): Octets {
  let damaged: Octets = frame.slice()
  for (let i = dice.between(1, 4); i > 0; i--) damaged = once(dice, damaged, other)
  return damaged
}

function once(dice: Dice, frame: Octets, other: Octets): Octets {
  if (frame.length === 0) return dice.octets(dice.below(60))
  // Headers more often than texts.
  const at = dice.below(dice.chance(0.8) ? Math.min(frame.length, 80) : frame.length)
  switch (dice.below(7)) {
    case 0:
      frame[at]! ^= 1 << dice.below(8)
      return frame
    case 1:
      frame[at] = dice.pick(EDGES)
      return frame
    case 2:
      frame.set(dice.octets(Math.min(4, frame.length - at)), at)
      return frame
    case 3:
      return frame.slice(0, at)
    case 4:
      return join(frame, dice.octets(dice.below(100)))
    case 5: // a part twice
      return join(frame.subarray(0, at), frame.subarray(dice.below(at + 1)))
    default: // the head of one, the tail of another
      return join(frame.subarray(0, at), other.subarray(Math.min(at, other.length)))
  }
}

function join(a: Uint8Array, b: Uint8Array): Octets {
  const whole = new Uint8Array(Math.min(9000, a.length + b.length))
  whole.set(a.subarray(0, whole.length))
  if (a.length < whole.length) whole.set(b.subarray(0, whole.length - a.length), a.length)
  return whole
}
