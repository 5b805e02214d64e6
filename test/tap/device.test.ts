import { afterEach, describe, expect, test } from 'vitest'
import { isLinux } from '../linux.ts'
import { AS_USER, endAll, program, whyNoTap } from './world.ts'

afterEach(endAll)

const check = (name: string) =>
  program<Record<string, unknown>>([...AS_USER, 'unshare', '-Urn'], './device.ts', name)

/** USO is of Linux 6.2; a TAP has BIG TCP since 6.6. */
const HAS_USO = isLinux(6, 2)
const HAS_BIG_TCP = isLinux(6, 6)
const FULL = { csum: true, tso: true, uso: HAS_USO, bigTcp: HAS_BIG_TCP }
const NONE = { csum: false, tso: false, uso: false, bigTcp: false }

describe.skipIf(whyNoTap() !== undefined)('a TAP', () => {
  test('is attached with a vnet header of 10 octets, or says clearly why not', async () => {
    const found = await check('attaching')
    expect(found).toEqual({
      shape: { name: 'tap0', headerLen: 10, packetInformation: false, offload: FULL },
      nonblocking: true,
      mac: 6,
      plain: { name: 'plain0', headerLen: 0, packetInformation: false, offload: NONE },
      busy: {
        message: 'cannot open TAP tap0: EBUSY (ioctl(TUNSETIFF): Device or resource busy)',
        code: 'EBUSY',
      },
      notATap: {
        message: 'cannot open TAP lo: EINVAL (ioctl(TUNSETIFF): Invalid argument)',
        code: 'EINVAL',
      },
      badName: { message: 'not a name of an interface: a/b' },
      longName: { message: 'not a name of an interface: xxxxxxxxxxxxxxxx' },
    })
  })

  test('that was made with several queues is taken with one', async () => {
    expect(await check('several queues')).toMatchObject({ name: 'tap0', offload: FULL })
  })

  test('given as a descriptor is taken as it is, when it can be', async () => {
    const descriptor = 'cannot use descriptor'
    expect(await check('adopting')).toEqual({
      ten: { name: 'ten', headerLen: 10, packetInformation: false, offload: FULL },
      twelve: { name: 'twelve', headerLen: 12, packetInformation: false, offload: FULL },
      plain: { name: 'plain', headerLen: 0, packetInformation: false, offload: NONE },
      information: { name: 'pi', headerLen: 10, packetInformation: true, offload: FULL },
      nonblocking: true,
      twenty: { message: expect.stringContaining('its vnet header has 20 octets, not 10 or 12') },
      tun: { message: expect.stringContaining('it is a TUN, without Ethernet') },
      pipe: { message: expect.stringContaining(`${descriptor} 1 as a TAP`), code: 'ENOTTY' },
      closed: { message: expect.stringContaining(`${descriptor} 999 as a TAP`), code: 'EBADF' },
      unattached: { message: expect.stringContaining(descriptor), code: 'EBADFD' },
      configured: { message: 'a TAP given as a descriptor cannot be configured' },
    })
  })

  test('takes super-frames whatever header it has, or none', async () => {
    expect(await check('frames through what was adopted')).toEqual({
      ten: [true, 40_000],
      twelve: [true, 40_000],
      information: [true, 40_000],
      nothing: [true, 40_000],
      informationOnly: [true, 40_000],
    })
  })

  test('that a killed predecessor left dirty is set right, and left right', async () => {
    expect(await check('left dirty')).toEqual({
      careless: false, // what would happen: a frame without its checksum
      plain: true,
      headerLen: 10,
      probe: true,
      successor: true,
      heir: [10, true],
    })
  })

  test('that is down loses frames, counted, and works when it is up (EIO)', async () => {
    expect(await check('down, up, down')).toEqual({
      down: [0, 0, 1],
      up: 40_000,
      again: [0, 0, 2],
      after: 40_000,
    })
  })

  test('that was deleted is the end (EBADFD)', async () => {
    expect(await check('deleted')).toEqual([-77, -77])
  })

  test('that stayed and was configured before can be configured again', async () => {
    expect(await check('configured twice')).toBe(true)
  })

  test('counts a frame that the kernel refuses', async () => {
    expect(await check('a frame that the kernel refuses')).toEqual([0, 1])
  })

  test.runIf(HAS_BIG_TCP)(
    'takes super-frames that are longer than an IP packet can be',
    async () => {
      const text = 256 * 1024 - 14 - 40
      // An ARP request and the frame.
      expect(await check('more than an IP packet can tell of')).toEqual([text, text, 2])
    },
  )

  test('cuts a super-frame itself when the kernel has no room for so much at once', async () => {
    const total = 54 + 32 * 160_000
    const segments = Math.ceil((32 * 160_000) / 1460)
    expect(await check('more than the kernel has room for')).toEqual([total, segments, 0])
  })

  test('hands over super-frames with half a checksum, and vouches for them', async () => {
    const found = await check('super-frames from the guest')
    expect(found).toMatchObject({ came: true, checksummed: true, partial: true })
    expect(found.largest).toBeGreaterThan(10_000)
  })

  test('hands over datagrams in a row as one, where the kernel has USO', async () => {
    const [sent, len, segment] = (await check(
      'datagrams in a row from the guest',
    )) as unknown as number[]
    expect([sent, len, segment]).toEqual(HAS_USO ? [2500, 2542, 1000] : [2500, 1042, 0])
  })

  test('takes datagrams in a row as one, and cuts them itself where the kernel does not', async () => {
    const came = [
      [1000, 1000, 500],
      [1, 2, 3],
    ]
    const found = await check('datagrams in a row to the guest')
    expect(found).toEqual({ true: [...came, HAS_USO ? 1 : 3], false: [...came, 3] })
  })

  test('keeps frames as long as they are needed, and says when there is no more room', async () => {
    const fine = { many: true, areWhole: true, reused: true }
    // One read after the other, and several at once.
    expect(await check('frames that are kept')).toEqual([fine, fine])
  })

  test('hands over a frame as large as MTU 65520 allows', async () => {
    expect(await check('the largest datagram')).toBe(65520 + 14)
  })
})
