/** A search for the highest rate that something bears, by bisection. Pure. */

export interface SearchOptions {
  /** It bears less than this, we assume, and not `high`. */
  low: number
  high: number
  /** How often one tries; each halves the interval on a scale of powers. */
  steps: number
  /**
   * Tries a rate. `borne`: it was. `refused`: it was not. `{ most }`: who offers cannot offer so much, but `most`,
   * and that was borne.
   */
  attempt(rate: number): Promise<Attempt>
}

export type Attempt = 'borne' | 'refused' | { most: number }

/**
 * The highest rate that was borne; 0 when none was. The true one is less than (high/low)^(1/2^steps) times as much.
 *
 * @example 8 steps from 10 Mbit/s to 16 Gbit/s leave 3 %.
 */
export async function highestBorne({ low, high, steps, attempt }: SearchOptions): Promise<number> {
  let borne = 0
  for (let step = 0; step < steps; step++) {
    const rate = Math.sqrt(low * high)
    const result = await attempt(rate)
    if (typeof result === 'object') return Math.max(borne, result.most)
    if (result === 'borne') borne = low = rate
    else high = rate
  }
  return borne
}
