/**
 * A machine for classic BPF, as far as seccomp(2) has it, written from <linux/bpf_common.h> and not from bpf.ts: reads
 * the octets, refuses what the kernel's verifier refuses, and runs.
 */

export interface SeccompData {
  nr: number
  arch: number
  args?: readonly (number | bigint)[]
}

export interface Outcome {
  value: number
  /** How many instructions were run. */
  steps: number
}

export function evaluate(octets: Uint8Array, { nr, arch, args = [] }: SeccompData): Outcome {
  if (octets.length % 8 !== 0) throw new Error('half an instruction')
  const program = new DataView(octets.buffer, octets.byteOffset, octets.length)
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, nr, true)
  data.setUint32(4, arch, true)
  for (const [i, argument] of args.entries()) {
    data.setBigUint64(16 + 8 * i, BigInt.asUintN(64, BigInt(argument)), true)
  }
  let a = 0
  let steps = 0
  for (let pc = 0; ; pc++) {
    if (pc * 8 >= octets.length) throw new Error('past the end')
    steps++
    const code = program.getUint16(pc * 8, true)
    const [jt, jf] = [program.getUint8(pc * 8 + 2), program.getUint8(pc * 8 + 3)]
    const k = program.getUint32(pc * 8 + 4, true)
    switch (code) {
      case 0x00 | 0x00 | 0x20: // LD | W | ABS
        if (k % 4 !== 0 || k >= 64) throw new Error(`load at ${k}`)
        a = data.getUint32(k, true)
        break
      case 0x05 | 0x10: // JMP | JEQ
        pc += a === k ? jt : jf
        break
      case 0x05 | 0x30: // JMP | JGE
        pc += a >= k ? jt : jf
        break
      case 0x05 | 0x40: // JMP | JSET
        pc += (a & k) !== 0 ? jt : jf
        break
      case 0x06: // RET
        return { value: k, steps }
      default:
        throw new Error(`code ${code.toString(16)}`)
    }
  }
}
