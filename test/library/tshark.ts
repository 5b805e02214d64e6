/** A capture as tshark has it. */
import { expect } from 'vitest'
import { Program } from '../../src/lab/program.ts'

/** What tshark says of each packet, all checksums checked; a failed expectation when it complains of anything. */
export async function tshark(file: string, ...args: string[]): Promise<string> {
  const checks = ['ip', 'tcp', 'udp'].flatMap((p) => ['-o', `${p}.check_checksum:TRUE`])
  const read = new Program(['tshark', '-r', file, ...checks, ...args], { limit: 30_000 })
  const { status, stdout, stderr } = await read.ended
  const complaints = stderr.split('\n').filter((line) => line && !line.startsWith('Running as'))
  expect({ status, complaints }).toEqual({ status: 0, complaints: [] })
  const wrong = stdout.split('\n').filter((line) => WRONG.test(line) && !isBeyondItsSums(line))
  expect(wrong).toEqual([])
  return stdout
}

const WRONG = /incorrect|malformed|bad checksum/i
/** tshark 4.0 adds 16-bit words in 32 bits, which hold the sum of 65,536 of them. */
const isBeyondItsSums = (line: string): boolean =>
  Number(/ TCP (\d+) /.exec(line)?.[1]) > 2 * 65_536
