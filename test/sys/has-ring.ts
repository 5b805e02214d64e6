import { ReadRing } from '../../src/sys/read-ring.ts'

/** Whether the kernel has io_uring, and gives us a ring. */
export const hasRing: boolean = (() => {
  const ring = ReadRing.open()
  ring?.close()
  return ring !== undefined
})()
