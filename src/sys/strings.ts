/** Strings as the C library takes them, for calls that are made seldom. */
import { Arena, addressOf } from './arena.ts'
import { setPointer } from './scratch.ts'

const POINTER_LEN = 8

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

/** An array of pointers that ends with a null pointer, as argv and envp are. */
export function vector(addresses: readonly number[]): Arena {
  const arena = new Arena((addresses.length + 1) * POINTER_LEN)
  for (const [i, address] of addresses.entries()) setPointer(arena.view, i * POINTER_LEN, address)
  return arena
}
