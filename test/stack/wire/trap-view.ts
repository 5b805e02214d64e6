/** DataView's own constructor is generic, and TypeScript cannot extend that. */
const View = DataView as unknown as new (buffer: ArrayBuffer) => DataView<ArrayBuffer>

/** A view that throws when octets outside a window are touched, though the memory goes on there. */
export class TrapView extends View {
  readonly bytes: Uint8Array
  from = 0
  to: number

  constructor(octets: ArrayLike<number>, before = 7, after = 70) {
    const bytes = new Uint8Array(before + octets.length + after).fill(0xee)
    bytes.set(octets, before)
    super(bytes.buffer)
    this.bytes = bytes
    this.from = before
    this.to = before + octets.length
  }

  #watch(at: number, len: number): void {
    if (at < this.from || at + len > this.to) {
      throw new Error(`octets ${at}..${at + len} are outside of ${this.from}..${this.to}`)
    }
  }

  override getUint8(at: number): number {
    this.#watch(at, 1)
    return super.getUint8(at)
  }
  override getUint16(at: number, little?: boolean): number {
    this.#watch(at, 2)
    return super.getUint16(at, little)
  }
  override getInt32(at: number, little?: boolean): number {
    this.#watch(at, 4)
    return super.getInt32(at, little)
  }
  override getUint32(at: number, little?: boolean): number {
    this.#watch(at, 4)
    return super.getUint32(at, little)
  }
  override setUint8(at: number, value: number): void {
    this.#watch(at, 1)
    super.setUint8(at, value)
  }
  override setUint16(at: number, value: number, little?: boolean): void {
    this.#watch(at, 2)
    super.setUint16(at, value, little)
  }
  override setInt32(at: number, value: number, little?: boolean): void {
    this.#watch(at, 4)
    super.setInt32(at, value, little)
  }
  override setUint32(at: number, value: number, little?: boolean): void {
    this.#watch(at, 4)
    super.setUint32(at, value, little)
  }
}

/** The octets of hexadecimal text; spaces count for nothing. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.replace(/\s/g, '').match(/../g) ?? [], (two) =>
    Number.parseInt(two, 16),
  )
}

/** The ones' complement sum by byte pairs: the slow obvious twin. */
export function pairSum(octets: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < octets.length; i += 2) total += (octets[i]! << 8) | (octets[i + 1] ?? 0)
  while (total > 0xffff) total = (total % 0x10000) + Math.floor(total / 0x10000)
  return total
}
