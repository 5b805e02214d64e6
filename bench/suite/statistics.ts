/** What is made of the rounds' figures: medians, quartiles, and ratios of two contenders of one run. Pure. */

/** One round's figure of one contender. */
export interface Sample {
  round: number
  value: number
  /** What went on beside it on the machine, where that was too much. */
  disturbed?: string
}

export interface Summary {
  median: number
  /** The quartiles. */
  low: number
  high: number
  /** Half of the distance between the quartiles, over the median. */
  spread: number
}

export interface Ratio {
  /** Of the medians. */
  value: number
  /** The quartiles of the ratios within each round. */
  low: number
  high: number
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** With linear interpolation between the two nearest (Hyndman and Fan's type 7); NaN of nothing. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const place = part * (sorted.length - 1)
  const below = Math.floor(place)
  const [one = Number.NaN, other = one] = sorted.slice(below, below + 2)
  return one + (other - one) * (place - below)
}

export function summaryOf(values: readonly number[]): Summary {
  const middle = median(values)
  const low = quantile(values, 0.25)
  const high = quantile(values, 0.75)
  const spread = middle === 0 ? 0 : (high - low) / 2 / Math.abs(middle)
  return { median: middle, low, high, spread }
}

/**
 * Ours over theirs. What disturbs a round meets both, so how far the ratio can be trusted is told by the ratios
 * within the rounds. Undefined where one is missing, or theirs is 0.
 */
export function ratioOf(
  ours: readonly Sample[] | undefined,
  theirs: readonly Sample[] | undefined,
): Ratio | undefined {
  if (!ours?.length || !theirs?.length) return undefined
  const value = median(ours.map(figureIn)) / median(theirs.map(figureIn))
  if (!Number.isFinite(value)) return undefined
  const byRound = new Map(theirs.map((sample) => [sample.round, sample.value]))
  const ratios = ours
    .map((sample) => sample.value / (byRound.get(sample.round) ?? 0))
    .filter(Number.isFinite)
  if (ratios.length === 0) return { value, low: value, high: value }
  return { value, low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) }
}

const figureIn = ({ value }: Sample): number => value
