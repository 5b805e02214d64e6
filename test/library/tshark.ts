/** A capture as tshark has it. */
import { expect } from 'vitest'
import { Program } from '../../src/lab/program.ts'

/** For TCP that carries random octets: they look like some protocol at times (SMPP), and then are a malformed packet of it. */
export const ANY_TEXT: readonly string[] = ['-d', 'tcp.port==1-65535,data']

/** What tshark says of each packet, all checksums checked; a failed expectation when it complains of anything. */
export async function tshark(file: string, ...args: string[]): Promise<string> {
  const checks = ['ip', 'tcp', 'udp'].flatMap((p) => ['-o', `${p}.check_checksum:TRUE`])
  const read = new Program(['tshark', '-r', file, ...checks, ...args], { limit: 30_000 })
  const { status, stdout, stderr } = await read.ended
  const complaints = stderr.split('\n').filter((line) => line && !line.startsWith('Running as'))
  expect({ status, complaints }).toEqual({ status: 0, complaints: [] })
  expect(stdout.replaceAll(BEYOND_ITS_SUMS, '')).not.toMatch(/incorrect|malformed|bad checksum/i)
  return stdout
}

/** tshark 4.0 adds 16-bit words in 32 bits, which hold the sum of 65,536 of them: of frames longer than 131,072 octets. */
const BEYOND_ITS_SUMS = /(?<= TCP (13[2-9]|1[4-9]\d|2\d\d)\d{3} .*)\[TCP CHECKSUM INCORRECT\]/g
