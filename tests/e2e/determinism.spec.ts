import { encodeDemonstration } from '@pavlov/datasets';
import { createRewardScorer } from '@pavlov/model';
import { createEngine } from '@pavlov/tensor';
import { loadCheckpoint } from '@pavlov/training';
import { tinyWorld } from './tiny-world';
import { removeStores, trainAll, type TrainedPipeline, weightsOf } from './train-all';

afterAll(removeStores);

describe('a pipeline', () => {
  let once: TrainedPipeline;
  beforeAll(async () => (once = await trainAll({ seed: 1, threads: 1 })), 120_000);

  it('ends in the same bytes again, on another number of threads', async () => {
    const again = await trainAll({ seed: 1, threads: 2 });
    const weights = await weightsOf(once);
    expect(Object.keys(weights).sort()).toEqual([
      'ppo-job',
      'ppo-job-ema',
      'pretraining-job',
      'reward-modeling-job',
      'sft-job',
    ]);
    expect(await weightsOf(again)).toEqual(weights);
    expect(again.ppo.curves.map(({ values }) => values['objective/scores'])).toEqual(
      once.ppo.curves.map(({ values }) => values['objective/scores']),
    );
  }, 120_000);

  it('ends in other bytes with another seed', async () => {
    const other = await weightsOf(await trainAll({ seed: 2, threads: 2 }));
    const weights = await weightsOf(once);
    for (const id of Object.keys(weights)) expect(other[id]).not.toBe(weights[id]);
  }, 120_000);

  it('begins PPO at the reference, and every iteration at ratio 1', () => {
    const [first] = once.ppo.curves;
    // Scoring and training run the same kernels on the same slices, so these are zeros and not small numbers.
    expect(first.values['objective/kl']).toBe(0);
    for (const { values } of once.ppo.curves) expect(values['policy/first_minibatch_approxkl']).toBe(0);
    expect(once.ppo.curves.at(-1)?.values['objective/kl']).not.toBe(0);
  });

  it('leaves a reward model under which demonstrations score 0 on average', async () => {
    const { model, parameters, tokenizer } = await loadCheckpoint(once.store, {
      id: 'reward-modeling-job',
      head: 'scalar',
    });
    const sequences = tinyWorld.demonstrations.map((row) => {
      const { prompt, completion } = encodeDemonstration(row, tokenizer);
      return [...prompt, ...completion];
    });
    const engine = await createEngine({ threads: 1 });
    const scorer = await createRewardScorer(engine, { config: model, batch: 4, length: model.contextLength });
    const scores = await scorer.score({ parameters, sequences });
    engine.dispose();
    expect(scores.reduce((sum, score) => sum + score, 0) / scores.length).toBeCloseTo(0, 4);
    expect(new Set(scores).size).toBeGreaterThan(1);
  });

  it('logs every metric of the recipe at every iteration', () => {
    const names = [
      'objective/kl',
      'objective/entropy',
      'objective/scores',
      'objective/rlhf_reward',
      'objective/kl_coefficient',
      'policy/approxkl',
      'policy/clipfrac',
      'policy/ratio_mean',
      'policy/ratio_variance',
      'loss/policy',
      'loss/value',
      'loss/ptx',
      'ptx/gradient_ratio',
      'reward/model',
      'monitor/root_kl',
      'monitor/duplicate_fraction',
      'monitor/alarms',
      'val/clipfrac',
      'episodes',
      'rollout/eos_fraction',
      'rollout/response_length',
      'rollout/tokens_per_second',
      'train/tokens_per_second',
      'train/padding',
    ];
    for (const { values } of once.ppo.curves) {
      for (const name of names) expect(values[name]).toEqual(expect.any(Number));
    }
  });
});
