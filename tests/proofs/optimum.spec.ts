/**
 * PPO as it is run, on a problem whose answer is known. The policy that maximises J = E[r] − β · KL is
 * π*(y | x) ∝ π_ref(y | x) · exp(r(x, y) / β), and J(π*) − J(π) = β · KL(π ‖ π*), so nothing beats it.
 */
import { averageIdOf } from '@pavlov/contracts';
import { type TestTrainerContext } from '@pavlov/testing';
import {
  divergence,
  objective,
  optimum,
  shareOfGain,
  standingOf,
  totalVariation,
  type Distribution,
  type Problem,
  type Standing,
} from './exact';
import { openWorld, prompts, type World } from './world';

interface Run {
  readonly jobId: string;
  readonly context: TestTrainerContext<'ppo'>;
  /** What PPO ends with, and π*. */
  readonly policy: Placed;
  readonly best: Placed;
}

interface Placed extends Standing {
  readonly distribution: Distribution;
}

let world: World;
let problem: Problem;
let reference: Placed;
const runs = new Map<number, Run>();
const placed = (distribution: Distribution): Placed => ({ distribution, ...standingOf(distribution, problem) });
const runOf = (coefficient: number): Run => runs.get(coefficient)!;

beforeAll(async () => {
  world = await openWorld({ seed: 1 });
  problem = await world.problem('truth');
  reference = placed(world.reference);
  // Where KL is dear there is nothing to learn, and few iterations are enough.
  for (const config of [
    { klCoefficient: 0.1 },
    { klCoefficient: 0.3 },
    { klCoefficient: 1 },
    { klCoefficient: 100, iterations: 20 },
  ]) {
    const { klCoefficient } = config;
    const jobId = `beta-${klCoefficient}`.replace('.', '-');
    const context = await world.train({ jobId, reward: 'truth', config });
    const policy = placed(await world.space.distributionOf(jobId));
    runs.set(klCoefficient, { jobId, context, policy, best: placed(optimum(problem, klCoefficient)) });
  }
}, 120_000);
afterAll(() => world.close());

/** Of all answers that end and read like this. */
function probabilityOf(word: string, logprobs: Float64Array): number {
  const { texts, finished } = world.space;
  return logprobs.reduce((sum, logprob, y) => (texts[y] === word && finished[y] ? sum + Math.exp(logprob) : sum), 0);
}

describe('the world', () => {
  it('knows every answer there is', () => {
    for (const logprobs of [...world.reference, ...runOf(0.3).policy.distribution])
      expect(logprobs.reduce((sum, logprob) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 12);
  });

  it('has a reference that answers as its demonstrations do', () => {
    const shares = { fruit: { apple: 8 / 21, pear: 5 / 21, plum: 3 / 21 }, drink: { water: 10 / 21, beer: 1 / 21 } };
    for (const [prompt, words] of Object.entries(shares)) {
      const logprobs = world.reference[prompts.indexOf(prompt)];
      for (const [word, share] of Object.entries(words))
        expect(Math.abs(probabilityOf(word, logprobs) - share)).toBeLessThan(0.03);
    }
  });

  it('is as far from its optimum as theory says', () => {
    for (const coefficient of [0.1, 0.3, 1]) {
      const { policy, best } = runOf(coefficient);
      const gap = objective(best, coefficient) - objective(policy, coefficient);
      expect(gap).toBeCloseTo(coefficient * divergence(policy.distribution, best.distribution), 9);
    }
  });
});

describe('PPO', () => {
  it.each([0.1, 0.3, 1])('lands at the exact optimum for β = %p', (coefficient) => {
    const { policy, best } = runOf(coefficient);
    const share = shareOfGain({ policy, best, reference }, coefficient);
    expect(share).toBeGreaterThan(0.98);
    expect(share).toBeLessThan(1 + 1e-6);
    expect(totalVariation(policy.distribution, best.distribution)).toBeLessThan(0.03);
  });

  it('goes the farther along the frontier the smaller β is', () => {
    const [nearest, ...others] = [100, 1, 0.3, 0.1].map((coefficient) => runOf(coefficient).policy);
    others.reduce((nearer, farther) => {
      expect(farther.kl).toBeGreaterThan(nearer.kl);
      expect(farther.reward).toBeGreaterThan(nearer.reward);
      return farther;
    }, nearest);
  });

  it('stays at the reference when KL is dear', () => {
    const { policy } = runOf(100);
    expect(policy.kl).toBeLessThan(2e-3);
    expect(totalVariation(policy.distribution, reference.distribution)).toBeLessThan(0.02);
  });

  it('measures by its samples what is exactly so', () => {
    const { context, policy } = runOf(0.3);
    // 512 answers, whose rewards have a standard deviation of about 0.6: four standard errors.
    expect(Math.abs(context.curves[0].values['objective/scores'] - reference.reward)).toBeLessThan(0.11);
    // The learning rate has decayed to almost 0: the last five batches come from nearly the same policy.
    const lastOf = (name: string): number =>
      context.curves.slice(-5).reduce((sum, { values }) => sum + values[name] / 5, 0);
    expect(Math.abs(lastOf('objective/scores') - policy.reward)).toBeLessThan(0.05);
    expect(Math.abs(lastOf('objective/kl') - policy.kl)).toBeLessThan(0.05);
  });

  it('publishes averaged weights, near the policy and as good', async () => {
    const { jobId, policy, best } = runOf(0.3);
    const average = placed(await world.space.distributionOf(averageIdOf(jobId)));
    expect(totalVariation(average.distribution, policy.distribution)).toBeLessThan(0.03);
    expect(await world.hashOf(averageIdOf(jobId))).not.toBe(await world.hashOf(jobId));
    expect(shareOfGain({ policy: average, best, reference }, 0.3)).toBeGreaterThan(0.97);
  });

  it('ends in the same bytes again, on another number of threads', async () => {
    const hashesOf = async (jobId: string, threads: number): Promise<string[]> => {
      await world.train({ jobId, reward: 'truth', config: { klCoefficient: 0.3, iterations: 8 }, threads });
      return Promise.all([jobId, averageIdOf(jobId)].map((id) => world.hashOf(id)));
    };
    const once = await hashesOf('once', 1);
    expect(await hashesOf('again', 2)).toEqual(once);
  });
});
