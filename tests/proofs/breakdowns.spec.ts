/**
 * Runs that break down, each really driven to it. What is named must be so, and what is kept must be, byte for byte, the
 * policy that a sound run has after as many iterations: the learning rate is constant, so a run of k iterations ends with
 * the policy that iteration k of a longer one begins with.
 */
import { lastGoodIdOf, type PavlovError } from '@pavlov/contracts';
import { type TestTrainerContext } from '@pavlov/testing';
import { loadCheckpoint } from '@pavlov/training';
import { openWorld, type PpoJob, type World } from './world';

/** KL is free and no alarm goes off, so that a run goes on until it breaks. */
const reckless = {
  klCoefficient: 1e-6,
  batchSize: 256,
  minibatchSize: 32,
  warmupIterations: 0,
  learningRateDecay: 'constant',
  averageDecay: null,
  monitor: { lengthDrift: 1e9, entropyFraction: 0, duplicateFraction: 1, eosFraction: 0 },
};
const job = (jobId: string, reward: string, config: object = {}): PpoJob => ({
  jobId,
  reward,
  config: { ...reckless, ...config },
});

let world: World;
beforeAll(async () => (world = await openWorld({ seed: 1 })), 120_000);
afterAll(() => world.close());

const idsOf = async (jobId: string): Promise<string[]> =>
  (await world.store.checkpoints.list()).map(({ id }) => id).filter((id) => id.startsWith(jobId));

/** The policy of `iteration` is kept, and nothing else; the error says so. */
async function expectKept(
  { jobId, reward }: PpoJob,
  { context, error, iteration }: { context: TestTrainerContext<'ppo'>; error: PavlovError; iteration: number },
): Promise<void> {
  const kept = lastGoodIdOf(jobId);
  expect(await idsOf(jobId)).toEqual([kept]);
  expect(error.body.hint).toContain(
    `The policy of iteration ${iteration}, the last that was sound, is kept as ${kept}.`,
  );

  const { parameters } = await loadCheckpoint(world.store, { id: kept, head: 'lm' });
  expect(parameters.data.every(Number.isFinite)).toBe(true);
  const sound = `sound-${jobId}`;
  await world.train(job(sound, reward, { iterations: iteration }));
  expect(await world.hashOf(kept)).toBe(await world.hashOf(sound));

  const { metrics } = await world.store.checkpoints.manifest(kept);
  expect(metrics['monitor/alarms']).toBe(0);
  const logged = context.curves.find(({ step }) => step === iteration);
  if (logged) expect(metrics['objective/kl']).toBe(logged.values['objective/kl']);
}

async function expectNothingKept({ jobId }: PpoJob, error: PavlovError): Promise<void> {
  expect(await idsOf(jobId)).toEqual([]);
  expect(error.body.hint).not.toContain('kept');
}

describe('a run whose KL explodes', () => {
  it('stops, and keeps the policy of the iteration before', async () => {
    const exploding = job('exploding', 'proxy', { limits: { kl: 1 } });
    const { context, error } = await world.breakDown(exploding);
    expect(error).toMatchObject({ code: 'KL_EXPLODED', body: { field: 'kl' } });
    const { step, values } = context.curves.at(-1)!;
    expect(values['objective/kl']).toBeGreaterThan(1);
    expect(context.curves.at(-2)?.values['objective/kl']).toBeLessThan(1);
    await expectKept(exploding, { context, error, iteration: step - 1 });
  });

  it('keeps nothing if the first step was too far', async () => {
    const exploding = job('exploding-at-once', 'proxy', { learningRate: 0.03, limits: { kl: 5 } });
    const { context, error } = await world.breakDown(exploding);
    expect(error).toMatchObject({ code: 'KL_EXPLODED', body: { field: 'kl' } });
    expect(context.curves.map(({ step }) => step)).toEqual([0, 1]);
    await expectNothingKept(exploding, error);
  });
});

describe('a run whose numbers overflow', () => {
  it('stops amid an iteration, and keeps the policy that it began with', async () => {
    const overflowing = job('overflowing', 'overflowing');
    const { context, error } = await world.breakDown(overflowing);
    expect(error).toMatchObject({ code: 'NON_FINITE', body: { field: 'value loss' } });
    const iteration = context.curves.length;
    expect(iteration).toBeGreaterThan(1);
    await expectKept(overflowing, { context, error, iteration });
  });

  it('stops at the loss that the first step has spoilt', async () => {
    const overflowing = job('overflowing-at-once', 'proxy', { learningRate: 1e38 });
    const { context, error } = await world.breakDown(overflowing);
    expect(error).toMatchObject({ code: 'NON_FINITE', body: { field: 'policy loss' } });
    expect(context.curves).toEqual([]);
    await expectNothingKept(overflowing, error);
  });

  it('stops before it samples from spoilt weights', async () => {
    const overflowing = job('overflowing-rollout', 'proxy', { learningRate: 1e38, minibatchSize: 256 });
    const { context, error } = await world.breakDown(overflowing);
    expect(error).toMatchObject({ code: 'NON_FINITE', body: { field: 'probabilities' } });
    expect(context.curves.map(({ step }) => step)).toEqual([0]);
    await expectNothingKept(overflowing, error);
  });
});

describe('a run whose reward is no number', () => {
  it('stops, and names the prompt of the answer', async () => {
    const undefinedReward = job('undefined-reward', 'undefinedForNothing');
    const { context, error } = await world.breakDown(undefinedReward);
    expect(error.code).toBe('REWARD_INVALID');
    expect(error.message).toMatch(/gave NaN for answer \d+ of 256, to the prompt “(fruit|pet|tool|drink|colour)”/);
    expect(context.curves).toEqual([]);
    await expectNothingKept(undefinedReward, error);
  });

  it('keeps what was sound before', async () => {
    const later = job('undefined-later', 'undefinedOnceCommon');
    const { context, error } = await world.breakDown(later);
    expect(error.code).toBe('REWARD_INVALID');
    await expectKept(later, { context, error, iteration: context.curves.length - 1 });
  });
});

describe('a run whose entropy collapses', () => {
  it('stops, and keeps the policy of the iteration before', async () => {
    const collapsing = job('collapsing', 'proxy', { limits: { entropy: 0.3 } });
    const { context, error } = await world.breakDown(collapsing);
    expect(error).toMatchObject({ code: 'ENTROPY_COLLAPSED', body: { field: 'entropy' } });
    const perToken = ({ values }: (typeof context.curves)[number]): number =>
      values['objective/entropy'] / values['rollout/response_length'];
    const [before, last] = context.curves.slice(-2);
    expect(perToken(last)).toBeLessThan(0.3);
    expect(perToken(before)).toBeGreaterThan(0.3);
    await expectKept(collapsing, { context, error, iteration: before.step });
  });
});

describe('a run whose rewards are all equal', () => {
  it('stops after three iterations', async () => {
    const equal = job('equal', 'constant', { missingEosReward: null });
    const { context, error } = await world.breakDown(equal);
    expect(error).toMatchObject({ code: 'REWARDS_EQUAL', body: { field: 'scores' } });
    expect(context.curves.map(({ step }) => step)).toEqual([0, 1, 2]);
    expect(await idsOf('equal')).toEqual([lastGoodIdOf('equal')]);
    expect(error.body.hint).toContain('The policy of iteration 1, the last that was sound');
  });

  it('keeps nothing if that is one too many', async () => {
    const equal = job('equal-at-once', 'constant', { missingEosReward: null, limits: { equalRewards: 1 } });
    const { error } = await world.breakDown(equal);
    expect(error.code).toBe('REWARDS_EQUAL');
    await expectNothingKept(equal, error);
  });
});

describe('a run that breaks down again', () => {
  it('tells what broke it, even where another policy was kept before', async () => {
    await world.breakDown(job('again', 'proxy', { limits: { kl: 0.1 } }));
    const kept = await world.hashOf(lastGoodIdOf('again'));
    const { error } = await world.breakDown(job('again', 'proxy', { limits: { kl: 2 } }));
    expect(error).toMatchObject({ code: 'KL_EXPLODED', body: { field: 'kl' } });
    expect(error.body.hint).toMatch(
      /The policy of iteration \d+, the last that was sound, could not be kept: .*published/,
    );
    expect(await world.hashOf(lastGoodIdOf('again'))).toBe(kept);
  });
});
