/**
 * Programs of classic BPF, as seccomp(2) takes them: written as expressions, where every branch ends in a return. Pure.
 *
 *   struct sock_filter:  code (16) │ jt (8) │ jf (8) │ k (32)      <linux/filter.h>, in the machine's order
 *
 *   struct seccomp_data: 0 nr │ 4 arch │ 8 instruction_pointer │ 16 args[6], 8 octets each
 */

export interface Instruction {
  readonly code: number
  /** How many instructions are passed over when the comparison holds, and when it does not. */
  readonly jt: number
  readonly jf: number
  readonly k: number
}

export type Program = readonly Instruction[]

// BPF_LD | BPF_W | BPF_ABS; BPF_JMP | BPF_K with JEQ, JGE, JSET; BPF_RET | BPF_K
export const LOAD = 0x20
export const JEQ = 0x15
export const JGE = 0x35
export const JSET = 0x45
export const RETURN = 0x06

export const INSTRUCTION_LEN = 8
const MAX_JUMP = 255
/** BPF_MAXINSNS */
const MAX_INSTRUCTIONS = 4096

/** The word at `offset` of seccomp_data into the accumulator, then `rest`. */
export function load(offset: number, rest: Program): Program {
  return [{ code: LOAD, jt: 0, jf: 0, k: offset }, ...rest]
}

export function give(value: number): Program {
  return [{ code: RETURN, jt: 0, jf: 0, k: value >>> 0 }]
}

export function ifEqual(k: number, yes: Program, no: Program): Program {
  return branch(JEQ, k, yes, no)
}

/** Unsigned. */
export function ifAtLeast(k: number, yes: Program, no: Program): Program {
  return branch(JGE, k, yes, no)
}

/** Is any bit of `k` set in the accumulator? */
export function ifAnyBit(k: number, yes: Program, no: Program): Program {
  return branch(JSET, k, yes, no)
}

/** The shorter way comes first, because only 255 instructions can be passed over. */
function branch(code: number, k: number, yes: Program, no: Program): Program {
  const isYesFirst = yes.length <= no.length
  const over = Math.min(yes.length, no.length)
  if (over > MAX_JUMP) throw new RangeError(`a jump over ${over} instructions`)
  const jump = { code, jt: isYesFirst ? 0 : over, jf: isYesFirst ? over : 0, k: k >>> 0 }
  return isYesFirst ? [jump, ...yes, ...no] : [jump, ...no, ...yes]
}

/**
 * Goes by the accumulator: to the program of the key that it equals, else to `otherwise`. About log2(n) comparisons, as
 * this is gone through with every system call.
 */
export function choose(
  cases: readonly (readonly [key: number, Program])[],
  otherwise: Program,
): Program {
  const sorted = cases.toSorted(([a], [b]) => a - b)
  const within = (from: number, to: number): Program => {
    if (from === to) return otherwise
    const middle = (from + to) >> 1
    const [key, program] = sorted[middle]!
    if (to - from === 1) return ifEqual(key, program, otherwise)
    return ifAtLeast(key, within(middle, to), within(from, middle))
  }
  return within(0, sorted.length)
}

/** The octets of an array of struct sock_filter. Both architectures are little-endian. */
export function encode(program: Program): Uint8Array {
  if (program.length === 0 || program.length > MAX_INSTRUCTIONS) {
    throw new RangeError(`a program of ${program.length} instructions`)
  }
  const bytes = new Uint8Array(program.length * INSTRUCTION_LEN)
  const view = new DataView(bytes.buffer)
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    const at = i * INSTRUCTION_LEN
    view.setUint16(at, code, true)
    view.setUint8(at + 2, jt)
    view.setUint8(at + 3, jf)
    view.setUint32(at + 4, k, true)
  }
  return bytes
}
