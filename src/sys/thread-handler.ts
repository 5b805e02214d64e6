/**
 * Machine code that makes the system calls of a table, for x86-64 and arm64: a signal handler (every-thread.ts), or what
 * a thread runs (own-thread.ts). It uses nothing but registers and a few words of the thread's stack, so that it may run
 * at any moment. Pure.
 *
 *   control   │ 0 answered │ 8 failure │ 16 left │ 24 count │ 32 call: number, 5 arguments, result │ 88 call …
 *
 * `answered` is counted up by each thread at its end. A call that fails ends that thread's work: its -errno is in
 * `failure`, and `left` is how many calls were still to be made, with that one.
 */
import type { Architecture } from './syscalls.ts'

/** Places in the control block, of eight octets each. */
export const ANSWERED = 0
export const FAILURE = 8
export const LEFT = 16
export const COUNT = 24
export const CALLS = 32
export const CALL_LEN = 56
/** Where the result is in a call: that of the thread which made it last. */
export const RESULT = 48
export const MAX_ARGS = 5

interface Handler {
  readonly code: string
  /** Where the control block's address is written into the code. */
  readonly control: number
  /** Where x86-64 returns to from a handler (SA_RESTORER); arm64 has that in its vDSO. */
  readonly restorer: number | undefined
}

/** Assembled with GNU as. A line is octets, `|`, and what they say. */
const HANDLERS: Record<Architecture, Handler> = {
  x64: {
    control: 7,
    restorer: 90,
    code: `
      53                  |           push rbx
      41 54               |           push r12
      41 55               |           push r13
      48 bb               |           movabs rbx, control
      00 00 00 00 00 00 00 00
      4c 8b 63 18         |           mov r12, [rbx + 24]
      4c 8d 6b 20         |           lea r13, [rbx + 32]
      4d 85 e4            | next:     test r12, r12
      74 34               |           jz done
      49 8b 45 00         |           mov rax, [r13]
      49 8b 7d 08         |           mov rdi, [r13 + 8]
      49 8b 75 10         |           mov rsi, [r13 + 16]
      49 8b 55 18         |           mov rdx, [r13 + 24]
      4d 8b 55 20         |           mov r10, [r13 + 32]
      4d 8b 45 28         |           mov r8, [r13 + 40]
      0f 05               |           syscall
      49 89 45 30         |           mov [r13 + 48], rax
      48 85 c0            |           test rax, rax
      78 09               |           js failed
      49 83 c5 38         |           add r13, 56
      49 ff cc            |           dec r12
      eb cf               |           jmp next
      48 89 43 08         | failed:   mov [rbx + 8], rax
      4c 89 63 10         |           mov [rbx + 16], r12
      f0 48 ff 03         | done:     lock inc qword ptr [rbx]
      41 5d               |           pop r13
      41 5c               |           pop r12
      5b                  |           pop rbx
      c3                  |           ret
      b8 0f 00 00 00      | restorer: mov eax, rt_sigreturn
      0f 05               |           syscall`,
  },
  arm64: {
    control: 88,
    restorer: undefined,
    code: `
      c9 02 00 58         |           ldr x9, control
      2a 0d 40 f9         |           ldr x10, [x9, #24]
      2b 81 00 91         |           add x11, x9, #32
      aa 01 00 b4         | next:     cbz x10, done
      68 01 40 f9         |           ldr x8, [x11]
      60 85 40 a9         |           ldp x0, x1, [x11, #8]
      62 8d 41 a9         |           ldp x2, x3, [x11, #24]
      64 15 40 f9         |           ldr x4, [x11, #40]
      01 00 00 d4         |           svc #0
      60 19 00 f9         |           str x0, [x11, #48]
      80 00 f8 b7         |           tbnz x0, #63, failed
      6b e1 00 91         |           add x11, x11, #56
      4a 05 00 d1         |           sub x10, x10, #1
      f6 ff ff 17         |           b next
      20 05 00 f9         | failed:   str x0, [x9, #8]
      2a 09 00 f9         |           str x10, [x9, #16]
      2c 7d 5f c8         | done:     ldxr x12, [x9]
      8c 05 00 91         |           add x12, x12, #1
      2c fd 0d c8         |           stlxr w13, x12, [x9]
      ad ff ff 35         |           cbnz w13, done
      c0 03 5f d6         |           ret
      1f 20 03 d5         |           nop
      00 00 00 00 00 00 00 00 | control: .quad 0`,
  },
}

export function handlerCode(
  architecture: Architecture,
  control: bigint,
): { readonly code: Uint8Array; readonly restorer: number | undefined } {
  const handler = HANDLERS[architecture]
  const octets = handler.code.split('\n').flatMap((line) => line.split('|')[0]!.match(/\S+/g) ?? [])
  const code = Uint8Array.from(octets, (octet) => Number.parseInt(octet, 16))
  new DataView(code.buffer).setBigUint64(handler.control, control, true)
  return { code, restorer: handler.restorer }
}
