/**
 * What the stacks allocate for so many frames, in octets a frame: `node --expose-gc --min-semi-space-size=256
 * --max-semi-space-size=256 scripts/run.mjs bench/stack/frames.ts [NAME]` prints a line of JSON for each case.
 *
 * With so much room for what is young, nothing is collected meanwhile, and what the heap has grown by is what was
 * allocated. test/stack/allocation.test.ts runs it.
 */
import { MemoryPair, Talker } from './pair.ts'

const WARM = 150_000
const PORT = 5000

/** A small buffer, or most of the time would go by with copies of 64 KiB. */
const OFFLOAD = { mtu: 1500, offload: true, tick: 0.013, sendBuffer: 8192 }
const PLAIN = { mtu: 1500, offload: false, tick: 0.013 }

interface Case {
  frames: number
  make: () => { pair: MemoryPair; go: () => void }
}

/** Each makes something that carries a few frames with each call. */
const CASES: Record<string, Case> = {
  'a stream of segments': {
    frames: 1_000_000,
    make: () => {
      const pair = new MemoryPair(PLAIN)
      pair.open(new Talker(256 * 1024), new Talker(0), PORT)
      return { pair, go: () => pair.turn(16) }
    },
  },
  'super-segments': {
    frames: 250_000,
    make: () => {
      const pair = new MemoryPair(OFFLOAD)
      pair.open(new Talker(4096), new Talker(0), PORT)
      return { pair, go: () => pair.turn(16) }
    },
  },
  'both ways at once': {
    frames: 250_000,
    make: () => {
      const pair = new MemoryPair(OFFLOAD)
      pair.open(new Talker(4096), new Talker(4096), PORT)
      return { pair, go: () => pair.turn(16) }
    },
  },
  'requests and responses': {
    frames: 500_000,
    make: () => {
      const pair = new MemoryPair(OFFLOAD)
      const left = new Talker(0)
      const right = new Talker(0)
      pair.open(left, right, PORT)
      const go = (): void => {
        const { heard } = left
        left.say(1)
        pair.turn(16)
        right.say(1)
        while (left.heard === heard) pair.turn(16)
      }
      return { pair, go }
    },
  },
  /** What is measured when something is made for each frame: shows that the measure sees it. */
  'an object a frame': {
    frames: 100_000,
    make: () => {
      const pair = new MemoryPair(OFFLOAD)
      pair.open(new Talker(4096), new Talker(4096), PORT)
      const go = (): void => {
        const { frames } = pair
        pair.turn(16)
        for (let i = frames; i < pair.frames; i++) kept = { frame: i, before: undefined, more: 0 }
      }
      return { pair, go }
    },
  },
}

let kept: object = {}

const gc = globalThis.gc ?? never('run it with --expose-gc')
const chosen = process.argv[2]
for (const [name, { frames: most, make }] of Object.entries(CASES)) {
  if (chosen !== undefined && name !== chosen) continue
  const { pair, go } = make()
  while (pair.frames < WARM) go()
  gc()
  const before = process.memoryUsage().heapUsed
  const from = pair.frames
  while (pair.frames < from + most) go()
  const octets = process.memoryUsage().heapUsed - before
  const frames = pair.frames - from
  console.log(JSON.stringify({ name, frames, octets, each: octets / frames }))
}

if (kept === undefined) never('it is gone')

function never(why: string): never {
  throw new Error(why)
}
