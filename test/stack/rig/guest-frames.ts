/** Frames that a real guest has sent (fixtures/guest-frames.txt), for this bench's stack. */
import { readFileSync } from 'node:fs'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import { type Octets, viewOf } from './frames.ts'
import { STACK_MAC } from './rig.ts'

/** A group bit is set in the first octet: those stay as they are, the others are for us. */
export function guestFrames(): Octets[] {
  const file = new URL('../fixtures/guest-frames.txt', import.meta.url)
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => /^[0-9a-f]{28}/.test(line))
    .map((line) => {
      const frame = Uint8Array.from(Buffer.from(line.split(' ')[0]!, 'hex'))
      if (!ethernet.isGroup(viewOf(frame), 0)) frame.set(STACK_MAC)
      return frame
    })
}
