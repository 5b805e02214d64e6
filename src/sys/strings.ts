/** Strings as the C library takes them, for calls that are made seldom. */
import { Arena, addressOf } from './arena.ts'

/** Calls `use` with the addresses of the texts, which hold for that long; null is a null pointer. */
export function withStrings<T>(
  texts: readonly (string | null)[],
  use: (...addresses: number[]) => T,
): T {
  const encoder = new TextEncoder()
  const arenas: Arena[] = []
  const addresses = texts.map((text) => {
    if (text === null) return 0
    if (text.includes('\0')) throw new TypeError(`not a string of C: ${JSON.stringify(text)}`)
    const octets = encoder.encode(`${text}\0`)
    const arena = new Arena(octets.length)
    arena.bytes.set(octets)
    arenas.push(arena)
    return addressOf(arena, 0, octets.length)
  })
  try {
    return use(...addresses)
  } finally {
    arenas.length = 0 // not collected before here
  }
}
