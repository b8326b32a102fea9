/**
 * Stops a PPO run that is broken beyond doubt, while its last good policy can still be kept.
 *
 * Method: limits on what one iteration measured. Rewards that are all equal for several iterations leave PPO nothing to
 * prefer.
 * Leaves out: runs that get worse slowly (`createMonitor`), and a KL far below 0, which is a fault of the log-probs.
 */
import { NonFiniteError } from '../health';
import { type Numbers } from '../rollouts/grid';
import { round } from './words';

export interface GuardLimits {
  /** Nats per answer. */
  readonly kl: number;
  /** Nats per token; 0 never stops, and neither does a policy that has less to begin with. */
  readonly entropy: number;
  /** Successive iterations in which every answer got the same score. */
  readonly equalRewards: number;
}

/** What one PPO iteration measured. */
export interface GuardObservation {
  readonly iteration: number;
  /** Mean over answers of Σ_t log π − log π_ref, nats. */
  readonly kl: number;
  /** Mean −log π of the sampled tokens, nats per token. */
  readonly entropy: number;
  /** What PPO is paid for each answer, B: after the rule for answers without EOS. */
  readonly scores: Numbers;
}

/** Why a run must stop. */
export interface Breakdown {
  readonly code: 'NON_FINITE' | 'KL_EXPLODED' | 'ENTROPY_COLLAPSED' | 'REWARDS_EQUAL';
  /** What broke, e.g. `kl`. */
  readonly quantity: string;
  readonly value: number;
  /** What the value must stay within; iterations for REWARDS_EQUAL, and ∞ for NON_FINITE. */
  readonly limit: number;
  /** What happened, in a sentence. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
}

export interface Guards {
  /** Once per iteration, in order. Undefined while the run is sound. */
  check(observation: GuardObservation): Breakdown | undefined;
}

export function createGuards(limits: GuardLimits): Guards {
  let equalIterations = 0;
  let firstEntropy: number | undefined;
  return {
    check: (observation) => {
      const broken = findNonFinite(observation);
      if (broken) return broken;
      const { kl, entropy, scores } = observation;
      equalIterations = allEqual(scores) ? equalIterations + 1 : 0;
      if (kl > limits.kl) return klExploded(observation, limits);
      firstEntropy ??= entropy;
      if (entropy < limits.entropy && firstEntropy >= limits.entropy) return entropyCollapsed(observation, limits);
      if (equalIterations >= limits.equalRewards) return rewardsEqual(scores[0], equalIterations);
      return undefined;
    },
  };
}

/** A batch of one has nothing to be equal to. */
function allEqual(scores: Numbers): boolean {
  for (let i = 1; i < scores.length; i++) if (scores[i] !== scores[0]) return false;
  return scores.length > 1;
}

function findNonFinite({ iteration, kl, entropy, scores }: GuardObservation): Breakdown | undefined {
  const row = Array.from(scores).findIndex((score) => !Number.isFinite(score));
  const quantities = { kl, entropy, ...(row >= 0 && { [`score of answer ${row}`]: scores[row] }) };
  const found = Object.entries(quantities).find(([, value]) => !Number.isFinite(value));
  if (!found) return undefined;
  const [quantity, value] = found;
  return {
    code: 'NON_FINITE',
    quantity,
    value,
    limit: Infinity,
    message: `Training broke down: ${new NonFiniteError({ quantity, value, step: iteration }).message}.`,
    hint: 'Lower the learning rate or clipNorm, and check that the reward gives a finite number for every answer.',
  };
}

function klExploded({ iteration, kl }: GuardObservation, limits: GuardLimits): Breakdown {
  return {
    code: 'KL_EXPLODED',
    quantity: 'kl',
    value: kl,
    limit: limits.kl,
    message: `In iteration ${iteration} the policy is ${round(kl)} nats per answer away from the reference; the limit is ${round(limits.kl)}.`,
    hint: 'Raise klCoefficient or use the adaptive controller, lower the learning rate, or raise limits.kl if the answers are long.',
  };
}

function entropyCollapsed({ iteration, entropy }: GuardObservation, limits: GuardLimits): Breakdown {
  return {
    code: 'ENTROPY_COLLAPSED',
    quantity: 'entropy',
    value: entropy,
    limit: limits.entropy,
    message: `In iteration ${iteration} the policy's entropy is ${round(entropy)} nats per token, below ${round(limits.entropy)}: it says one thing, and has nothing left to try.`,
    hint: 'Raise klCoefficient or lower the learning rate; if each prompt has one short right answer, lower limits.entropy.',
  };
}

function rewardsEqual(score: number, iterations: number): Breakdown {
  return {
    code: 'REWARDS_EQUAL',
    quantity: 'scores',
    value: score,
    limit: iterations,
    message: `In ${iterations === 1 ? 'one iteration' : `${iterations} successive iterations`} every answer scored ${round(score)}, so there is nothing to learn from.`,
    hint: 'If that is missingEosReward, no answer ended: raise maxNewTokens, or teach the policy EOS in SFT. Else check the reward.',
  };
}
