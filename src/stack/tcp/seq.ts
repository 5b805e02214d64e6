/**
 * Sequence numbers (RFC 9293 §3.4): 32 bits that wrap, kept as signed int32 so that V8 holds them
 * in registers. A bare `<` on two of them is a bug; these functions are the only comparison.
 */
export type Seq = number

export const add = (a: Seq, n: number): Seq => (a + n) | 0
/** How many octets `a` is after `b`; negative when it is before. */
export const diff = (a: Seq, b: Seq): number => (a - b) | 0
export const lt = (a: Seq, b: Seq): boolean => ((a - b) | 0) < 0
export const le = (a: Seq, b: Seq): boolean => ((a - b) | 0) <= 0
export const gt = (a: Seq, b: Seq): boolean => ((a - b) | 0) > 0
export const ge = (a: Seq, b: Seq): boolean => ((a - b) | 0) >= 0
export const max = (a: Seq, b: Seq): Seq => (((a - b) | 0) >= 0 ? a : b)
export const min = (a: Seq, b: Seq): Seq => (((a - b) | 0) <= 0 ? a : b)
