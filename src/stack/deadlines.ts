/**
 * Who wants to be called when: a binary heap over things that have a `deadline`.
 *
 * An entry that moves later stays where it is and is looked at again when its old time comes; only
 * one that moves earlier is sifted. So the retransmission timer, which moves with each ACK, costs
 * a comparison (bench: deadlines).
 */
export interface Timed {
  /** Time, in ms, at which to be called; Infinity: not at all. */
  deadline: number
  /** The heap's own: the place in it, or -1. */
  heapIndex: number
  /** The heap's own: the time by which it is sorted. */
  heapKey: number
}

export class Deadlines<T extends Timed> {
  readonly #heap: T[] = []

  /** `item.deadline` has changed. */
  update(item: T): void {
    if (item.heapIndex < 0) {
      if (item.deadline === Infinity) return
      item.heapKey = item.deadline
      item.heapIndex = this.#heap.length
      this.#heap.push(item)
      this.#up(item.heapIndex)
    } else if (item.deadline < item.heapKey) {
      item.heapKey = item.deadline
      this.#up(item.heapIndex)
    }
  }

  remove(item: T): void {
    const i = item.heapIndex
    if (i < 0) return
    item.heapIndex = -1
    const last = this.#heap.pop()!
    if (last === item) return
    this.#put(last, i)
    this.#down(i)
    this.#up(last.heapIndex)
  }

  /** No item is due before this. It may be too early, never too late. */
  next(): number {
    const top = this.#heap[0]
    return top === undefined ? Infinity : top.heapKey
  }

  /** An item that is due, taken from the heap; undefined when none is (any more). */
  pop(now: number): T | undefined {
    for (;;) {
      const top = this.#heap[0]
      if (top === undefined || top.heapKey > now) return undefined
      if (top.deadline <= now) {
        this.remove(top)
        return top
      }
      this.#sortAnew(top)
    }
  }

  /** The item that is due before all others, taken from the heap; undefined when there is none. */
  takeFirst(): T | undefined {
    for (;;) {
      const top = this.#heap[0]
      if (top === undefined) return undefined
      if (top.deadline <= top.heapKey) {
        this.remove(top)
        return top
      }
      this.#sortAnew(top)
    }
  }

  /** The top one has moved later. */
  #sortAnew(top: T): void {
    if (top.deadline === Infinity) return this.remove(top)
    top.heapKey = top.deadline
    this.#down(0)
  }

  #put(item: T, i: number): void {
    this.#heap[i] = item
    item.heapIndex = i
  }

  #up(i: number): void {
    const item = this.#heap[i]!
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = this.#heap[parent]!
      if (above.heapKey <= item.heapKey) break
      this.#put(above, i)
      i = parent
    }
    this.#put(item, i)
  }

  #down(i: number): void {
    const heap = this.#heap
    const item = heap[i]!
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.heapKey < heap[child]!.heapKey) child++
      if (heap[child]!.heapKey >= item.heapKey) break
      this.#put(heap[child]!, i)
      i = child
    }
    this.#put(item, i)
  }
}
