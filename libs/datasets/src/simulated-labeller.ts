import { type RandomStream } from '@pavlov/random';

/**
 * A simulated labeller: no person, but Bradley–Terry noise around known utilities.
 *
 * 1. It perceives s_i = u_i + T·g_i, with g_i standard Gumbel and T the noise. So P(s_i > s_j) = σ((u_i − u_j)/T), the
 *    model of Bradley and Terry (1952), and the order of all answers is that of Plackett and Luce.
 * 2. It rates on a scale of steps τ (the tie threshold), whose marks lie at a random offset: rating_i = ⌊(s_i − φ)/τ⌋,
 *    φ uniform in [0, τ) for each ranking. Equal ratings are ties. Perceived utilities at least τ apart are never tied;
 *    nearer ones are tied with probability 1 − |s_i − s_j|/τ. Unlike “closer than τ is a tie” this is transitive for any
 *    number of answers, and whether two are tied depends on these two alone.
 *
 * Leaves out: labellers that differ from each other, and noise that depends on the prompt.
 */
export interface RankingSimulation {
  /** One per answer. */
  readonly utilities: readonly number[];
  /** T > 0: a difference of T is seen the right way round with probability σ(1) = 73 %. */
  readonly noise: number;
  /** τ ≥ 0. */
  readonly tieThreshold: number;
  readonly random: RandomStream;
}

export interface SimulatedRanking {
  /** One per answer: 1 is best, equal ranks are ties, no rank is left out. */
  readonly ranks: number[];
  /** See `agreementCeiling`, mean over the pairs that came out untied; absent if none did. */
  readonly agreementCeiling?: number;
}

/** @throws RangeError for fewer than two utilities, or if noise or threshold are out of their range. */
export function simulateRanking({ utilities, noise, tieThreshold, random }: RankingSimulation): SimulatedRanking {
  if (utilities.length < 2) throw new RangeError(`simulateRanking: two utilities at least, got ${utilities.length}`);
  checkRange(noise, tieThreshold);

  // 1.
  const perceived = utilities.map((utility) => utility + noise * random.gumbel());
  // 2.
  const offset = tieThreshold * random.uniform();
  const ratings =
    tieThreshold === 0 ? perceived : perceived.map((value) => Math.floor((value - offset) / tieThreshold));

  const descending = [...new Set(ratings)].sort((a, b) => b - a);
  const ranks = ratings.map((rating) => descending.indexOf(rating) + 1);
  const ceilings = utilities.flatMap((better, i) =>
    utilities.flatMap((worse, j) =>
      i < j && ranks[i] !== ranks[j] ? [agreementCeiling({ difference: better - worse, noise, tieThreshold })] : [],
    ),
  );
  if (ceilings.length === 0) return { ranks };
  return { ranks, agreementCeiling: ceilings.reduce((a, b) => a + b, 0) / ceilings.length };
}

/**
 * How often a judge who knows the true utilities agrees with the simulated labeller on an untied pair: no reward model
 * can do better in expectation.
 *
 * With Δ = u_i − u_j, d = s_i − s_j is logistic with mean Δ and scale T, so P(d > t) = σ((Δ − t)/T). A mark of the scale
 * falls between the two with probability min(1, |d|/τ). Hence
 *
 *     P(i above j) = E[min(1, max(d, 0)/τ)] = 1/τ ∫₀^τ P(d > t) dt = T/τ · (softplus(Δ/T) − softplus((Δ − τ)/T)) = A(Δ)
 *
 * where softplus(x) = log(1 + eˣ); as τ → 0, A(Δ) → σ(Δ/T). Given that the pair is untied, the better answer stands above
 * with probability A(|Δ|) / (A(Δ) + A(−Δ)), which is ½ for Δ = 0: among equals nobody can know.
 */
export function agreementCeiling(pair: { difference: number; noise: number; tieThreshold: number }): number {
  const { difference, noise, tieThreshold } = pair;
  checkRange(noise, tieThreshold);
  const above = (delta: number): number =>
    tieThreshold === 0
      ? 1 / (1 + Math.exp(-delta / noise))
      : (noise / tieThreshold) * (softplus(delta / noise) - softplus((delta - tieThreshold) / noise));
  const right = above(Math.abs(difference));
  return right / (right + above(-Math.abs(difference)));
}

/** log(1 + eˣ) without overflow. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function checkRange(noise: number, tieThreshold: number): void {
  if (!(noise > 0)) throw new RangeError(`simulated labeller: the noise must be positive, got ${noise}`);
  if (!(tieThreshold >= 0))
    throw new RangeError(`simulated labeller: the tie threshold must not be negative, got ${tieThreshold}`);
}
