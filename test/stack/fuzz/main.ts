/**
 * `npm run fuzz [-- SECONDS] [SEED]`: rounds of the fuzz, one after the other, for so many seconds (60 without it).
 * The first has the seed given, or one of the clock; a round that fails says its own, and `npm run fuzz 0 SEED` is
 * that round alone.
 */
import { round } from './round.ts'

const seconds = Number(process.argv[2] ?? 60)
const first = Number(process.argv[3] ?? Date.now() % 1_000_000_000)
if (!Number.isFinite(seconds) || !Number.isInteger(first)) {
  console.error('usage: npm run fuzz [-- SECONDS] [SEED]')
  process.exit(1)
}
console.log(`fuzz: seed ${first}, ${seconds} s`)
const end = performance.now() + 1000 * seconds
const drops: Record<string, number> = {}
let seed = first
let frames = 0
do {
  try {
    const found = round(seed)
    frames += found.frames
    for (const [reason, n] of Object.entries(found.counters.drop)) {
      drops[reason] = (drops[reason] ?? 0) + n
    }
  } catch (error) {
    console.error(error)
    console.error(`fuzz: failed; again with: npm run fuzz 0 ${seed}`)
    process.exit(1)
  }
  seed++
} while (performance.now() < end)
console.log(`fuzz: ${seed - first} rounds, ${frames} frames, nothing failed; dropped, by reason:`)
for (const [reason, n] of Object.entries(drops))
  if (n > 0) console.log(`${String(n).padStart(9)}  ${reason}`)
