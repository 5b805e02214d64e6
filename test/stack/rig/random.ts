/** A seeded source of 32 random bits (mulberry32), so that a failure can be played again. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return t ^ (t >>> 14)
  }
}

/**
 * The text of a stream, octet by octet: a function of its place, so that whoever gets a part of it
 * knows what it has to be, and a part that is shifted, mixed up or of the other side is noticed.
 */
export function octetAt(salt: number, offset: number): number {
  return (Math.imul((offset + salt) ^ (offset >>> 7), 0x9e3779b1) >>> 23) & 0xff
}

export function fillText(salt: number, offset: number, into: Uint8Array): void {
  for (let i = 0; i < into.length; i++) into[i] = octetAt(salt, offset + i)
}

/** Where `text` is not what stands at `offset` of the stream: an index into it, or -1. */
export function firstWrong(salt: number, offset: number, text: Uint8Array): number {
  for (let i = 0; i < text.length; i++) if (text[i] !== octetAt(salt, offset + i)) return i
  return -1
}

/** The two directions of a connection. */
export const FROM_GUEST = 0x1234567
export const TO_GUEST = 0x7654321
