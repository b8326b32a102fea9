import { ensembleScores, pairAccuracy, preferenceMargins, scoreMoments, standardise } from '@pavlov/algorithms';
import { openStore, type Store } from '@pavlov/checkpoint-store';
import { type RankingRow } from '@pavlov/contracts';
import { createRewardScorer, initRewardParameters } from '@pavlov/model';
import { createEngine, type Engine } from '@pavlov/tensor';
import {
  createTrainerContext,
  installMatchers,
  publishRows,
  tolerances,
  type TestTrainerContext,
} from '@pavlov/testing';
import { createRewardModelScorer, loadCheckpoint, loadRewardModel } from '@pavlov/training';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demonstrations, learnable, prompts, publishPolicy, random } from './fixtures/world';
import { splitByPrompt } from './material';
import { encodeRankings } from './rankings';
import { sampleAnswers } from './scale';
import { train } from './train';

installMatchers();

let root: string;
let store: Store;
let engine: Engine;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pavlov-reward-modeling-'));
  store = openStore({ root });
  await publishPolicy(store);
  await publishRows(store, { id: 'learnable', kind: 'rankings', rows: learnable });
  await publishRows(store, { id: 'random', kind: 'rankings', rows: random });
  await publishRows(store, { id: 'demonstrations', kind: 'demonstrations', rows: demonstrations });
  engine = await createEngine({ threads: 1 });
});
afterAll(async () => {
  engine.dispose();
  await rm(root, { recursive: true });
});

function contextOf(jobId: string, changes: object, threads = 1): Promise<TestTrainerContext<'reward-modeling'>> {
  const defaults = {
    policy: 'policy',
    rankings: 'learnable',
    batchSize: 4,
    epochs: 4,
    learningRate: 1e-2,
    heldOutFraction: 0.25,
  };
  const config = { ...defaults, ...changes };
  return createTrainerContext({ stage: 'reward-modeling', jobId, config, seed: 1, threads, store });
}

async function run(jobId: string, changes: object = {}, threads = 1): Promise<TestTrainerContext<'reward-modeling'>> {
  const context = await contextOf(jobId, changes, threads);
  await train(context);
  return context;
}

/** SHA-256 of published weights. */
async function hashOf(id: string, path = 'model.safetensors'): Promise<string | undefined> {
  return (await store.checkpoints.manifest(id)).files.find((file) => file.path === path)?.sha256;
}

/** Scores of sequences by each member of a published reward model. */
async function scoresOf(id: string, sequences: readonly number[][]): Promise<Float32Array[]> {
  const { model, members } = await loadRewardModel(store, id);
  const scorer = await createRewardScorer(engine, { config: model, batch: 4, length: model.contextLength });
  const scores: Float32Array[] = [];
  for (const parameters of members) scores.push(await scorer.score({ parameters, sequences }));
  return scores;
}

async function encode(prompt: string, completion: string): Promise<number[]> {
  const { tokenizer } = await loadCheckpoint(store, { id: 'policy', head: 'lm' });
  return [...tokenizer.encodePrompt(prompt), ...tokenizer.encodeCompletion(completion)];
}

const metricsOf = async (id: string): Promise<Record<string, number>> => (await store.checkpoints.manifest(id)).metrics;

describe('a reward model', () => {
  it('scores what was chosen above what was rejected, whichever that was', async () => {
    const liked = ['Yes, gladly.', 'Yes.', 'Go.'];
    const reversed = learnable.map((row): RankingRow =>
      'ranks' in row ? { ...row, ranks: row.ranks.map((rank) => 4 - rank) } : row,
    );
    await publishRows(store, { id: 'reversed', kind: 'rankings', rows: reversed });
    await run('polite');
    await run('rude', { rankings: 'reversed' });
    for (const prompt of prompts) {
      const sequences = await Promise.all(liked.map((completion) => encode(prompt, completion)));
      const [[best, middle, worst]] = await scoresOf('polite', sequences);
      expect(best).toBeGreaterThan(middle);
      expect(middle).toBeGreaterThan(worst);
      const [[now, then, first]] = await scoresOf('rude', sequences);
      expect(now).toBeLessThan(then);
      expect(then).toBeLessThan(first);
    }
    expect(await metricsOf('polite')).toMatchObject({ pairAccuracy: 1, heldOutPairs: 9 });
  });

  it('learns a chosen and a rejected answer as two ranked ones', async () => {
    const pairs = learnable.map(({ prompt }) => ({ prompt, chosen: 'Yes.', rejected: 'Go.' }));
    const ranked = pairs.map(({ prompt, chosen, rejected }) => ({
      prompt,
      completions: [chosen, rejected],
      ranks: [1, 2],
    }));
    await publishRows(store, { id: 'pairs', kind: 'rankings', rows: pairs });
    await publishRows(store, { id: 'ranked', kind: 'rankings', rows: ranked });
    await run('of-pairs', { rankings: 'pairs', epochs: 1 });
    await run('of-ranked', { rankings: 'ranked', epochs: 1 });
    expect(await hashOf('of-pairs')).toBe(await hashOf('of-ranked'));
  });

  it('ends in the same bytes on another number of threads', async () => {
    const config = {
      seeds: 2,
      keep: 'ensemble',
      epochs: 1,
      standardise: { answers: 10, batchSize: 4, maxNewTokens: 6 },
    };
    await run('one-thread', config);
    await run('two-threads', config, 2);
    for (const path of ['model.safetensors', 'members/2/model.safetensors'])
      expect(await hashOf('two-threads', path)).toBe(await hashOf('one-thread', path));
  });
});

describe('rankings of several rounds', () => {
  it('are learned as if they were one dataset, each only once', async () => {
    const rows = [...learnable, ...random];
    await publishRows(store, { id: 'together', kind: 'rankings', rows });
    await run('of-one-dataset', { rankings: 'together', epochs: 1 });
    await run('of-two-rounds', { earlierRankings: ['random'], epochs: 1 });
    expect(await hashOf('of-two-rounds')).toBe(await hashOf('of-one-dataset'));
    await publishRows(store, { id: 'random-again', kind: 'rankings', rows: random });
    await run('given-twice', { earlierRankings: ['random', 'learnable', 'random-again'], epochs: 1 });
    expect(await hashOf('given-twice')).toBe(await hashOf('of-one-dataset'));
    // The labels of both rounds compare the same answers, and half of the time they differ.
    const { labelAgreement } = await metricsOf('of-two-rounds');
    expect(labelAgreement).toBeGreaterThan(0.2);
    expect(labelAgreement).toBeLessThan(0.8);
    await run('of-one-round', { epochs: 1 });
    expect(await metricsOf('of-one-round')).not.toHaveProperty('labelAgreement');
  });

  it('refuses those that are not there or do not fit, saying which', async () => {
    await expect(run('missing', { earlierRankings: ['nowhere'] })).rejects.toMatchObject({
      code: 'DATASET_NOT_FOUND',
      message: expect.stringContaining('nowhere'),
    });
    const long = { prompt: prompts[0], chosen: 'Yes, gladly. '.repeat(20), rejected: 'Go.' };
    await publishRows(store, { id: 'long', kind: 'rankings', rows: [learnable[0], long] });
    await expect(run('too-long', { earlierRankings: ['random', 'long'] })).rejects.toMatchObject({
      body: { code: 'SEQUENCE_TOO_LONG', field: 'earlierRankings.1', line: 2 },
    });
  });
});

describe('several models', () => {
  const config = { rankings: 'random', heldOutFraction: 0.5, seeds: 4 };
  let bestOfFour: TestTrainerContext<'reward-modeling'>;
  beforeAll(async () => {
    bestOfFour = await run('best-of-four', { ...config, keep: 'best' });
    await run('ensemble', { ...config, keep: 'ensemble' });
  });

  it('publishes the one that is right on most held-out pairs', async () => {
    const { curves, reported } = bestOfFour;
    const { bestMember, ...metrics } = await metricsOf('best-of-four');
    const accuracies = [1, 2, 3, 4].map((nth) => metrics[`member${nth}/pairAccuracy`]);
    expect(metrics.pairAccuracy).toBe(Math.max(...accuracies));
    expect(accuracies[bestMember - 1]).toBe(Math.max(...accuracies));
    expect(new Set(accuracies).size).toBeGreaterThan(1);
    expect(bestMember).not.toBe(1);
    expect((await store.checkpoints.manifest('best-of-four')).members).toBeUndefined();

    for (const nth of [1, 2, 3, 4]) {
      const losses = curves.filter(({ values }) => `member${nth}/loss/ranking` in values);
      expect(losses.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    }
    expect(reported.map(({ step, steps }) => [step, steps])).toEqual(Array.from({ length: 32 }, (_, i) => [i + 1, 32]));
    expect(reported.at(-1)).toMatchObject({ fraction: 1, phase: 'training model 4 of 4' });
  });

  it('breaks a tie by the loss', async () => {
    await run('tied', { seeds: 3, keep: 'best' });
    const { bestMember, pairAccuracy: accuracy, ...metrics } = await metricsOf('tied');
    const tied = [1, 2, 3].filter((nth) => metrics[`member${nth}/pairAccuracy`] === accuracy);
    const lossOf = (nth: number): number => metrics[`member${nth}/heldOutLoss`];
    expect(tied.length).toBeGreaterThan(1);
    expect(lossOf(bestMember)).toBe(Math.min(...tied.map(lossOf)));
    expect(bestMember).not.toBe(tied[0]);
  });

  it('starts with the model that it would be alone', async () => {
    await run('alone', { ...config, seeds: 1 });
    const { bestMember } = await metricsOf('ensemble');
    const others = ['members/2', 'members/3', 'members/4'].map((folder) => `${folder}/model.safetensors`);
    // The best lies at the root, the others follow in order: the first model is the first of them.
    expect(bestMember).not.toBe(1);
    expect(await hashOf('ensemble')).toBe(await hashOf('best-of-four'));
    expect(await hashOf('ensemble', others[0])).toBe(await hashOf('alone'));
    const hashes = await Promise.all(['model.safetensors', ...others].map((path) => hashOf('ensemble', path)));
    expect(new Set(hashes).size).toBe(4);
  });

  it('publishes an ensemble that does what was measured', async () => {
    const rewardModel = await loadRewardModel(store, 'ensemble');
    const root = await loadCheckpoint(store, { id: 'ensemble', head: 'scalar' });
    expect(root.parameters.data).toEqual(rewardModel.members[0].data);

    const { model, tokenizer } = rewardModel;
    const { heldOut } = splitByPrompt(
      encodeRankings(random, { tokenizer, contextLength: model.contextLength, field: 'rankings' }),
      { config: { heldOutFraction: 0.5, seeds: 4 }, seed: 1 },
    );
    const sequences = heldOut.flatMap((ranking) => ranking.sequences);
    const scorer = await createRewardModelScorer(engine, { rewardModel, batch: 5, length: model.contextLength });
    const { scores, deviations } = await scorer.score(sequences);
    expect(scores).toBeAllClose(
      ensembleScores({ members: await scoresOf('ensemble', sequences), pessimism: 0 }).scores,
      tolerances.reference,
    );
    const margins = preferenceMargins({
      scores: heldOut.map((_, index) => scores.subarray(3 * index, 3 * index + 3)),
      rankings: heldOut.map(({ ranks }) => ranks),
    });
    const metrics = await metricsOf('ensemble');
    expect(metrics).toMatchObject({ pairAccuracy: pairAccuracy(margins), heldOutPairs: 18 });
    expect(metrics.memberAgreement).toBeGreaterThan(0);
    expect([metrics.memberDeviation]).toBeAllClose([scoreMoments(deviations).mean], tolerances.reference);
  });

  it('refuses to choose without held-out pairs', async () => {
    await expect(run('blind', { seeds: 2, heldOutFraction: 0.01 })).rejects.toMatchObject({
      body: { code: 'CONFIG_CONFLICT', field: 'heldOutFraction' },
    });
  });
});

describe('the scale of the reward', () => {
  it('has its zero at the demonstrations, in every member', async () => {
    await run('centred', { demonstrations: 'demonstrations', seeds: 2, keep: 'ensemble', epochs: 1 });
    const sequences = await Promise.all(demonstrations.map(({ prompt, completion }) => encode(prompt, completion)));
    const metrics = await metricsOf('centred');
    for (const [index, scores] of (await scoresOf('centred', sequences)).entries()) {
      const nth = metrics.bestMember === 1 ? index + 1 : 2 - index;
      const { mean, variance } = scoreMoments(scores);
      expect([mean, Math.sqrt(variance)]).toBeAllClose(
        [0, metrics[`member${nth}/demonstrationDeviation`]],
        tolerances.reference,
      );
      expect(Math.abs(metrics[`member${nth}/bias`])).toBeGreaterThan(0.01);
      expect(metrics[`member${nth}/gain`]).toBe(1);
    }
  });

  const options = { standardise: { answers: 30, batchSize: 8, maxNewTokens: 6 } };
  /** The answers that a job with these options standardises on, and what reading them takes. */
  async function samplesOf(jobId: string) {
    const context = await contextOf(jobId, options);
    const policy = await loadCheckpoint(store, { id: 'policy', head: 'lm' });
    return { policy, samples: await sampleAnswers(context, { engine, policy, prompts }) };
  }

  it('gives the policy’s own answers mean 0 and variance 1, in every member', async () => {
    await run('standardised', { ...options, seeds: 2, keep: 'ensemble', epochs: 1 });
    const { samples } = await samplesOf('samples');
    expect(samples).toHaveLength(30);
    expect(new Set(samples.map(String)).size).toBeGreaterThan(20);
    const members = await scoresOf('standardised', samples);
    expect(members).toHaveLength(2);
    for (const scores of members) {
      const { mean, variance } = scoreMoments(scores);
      expect([mean, variance]).toBeAllClose([0, 1], tolerances.reference);
    }
  });

  it('standardises the fresh head before training, too', async () => {
    await run('standardised-alone', { ...options, epochs: 1 });
    const { policy, samples } = await samplesOf('samples-of-one');
    const fresh = initRewardParameters(policy.parameters, { config: policy.model, seed: 1, member: 0 });
    const scorer = await createRewardScorer(engine, { config: policy.model, batch: 4, length: 40 });
    const { gain, bias } = standardise({ scores: await scorer.score({ parameters: fresh, sequences: samples }) });
    const { gainBefore, biasBefore, gain: gainAfter } = await metricsOf('standardised-alone');
    expect([gainBefore, biasBefore]).toBeAllClose([gain, bias], tolerances.reference);
    expect(gainAfter).not.toBeCloseTo(1, 2);
  });

  it('refuses samples that cannot be drawn or that nothing tells apart', async () => {
    const standardised = (changes: object) =>
      run('impossible', { standardise: { ...options.standardise, ...changes } });
    await expect(standardised({ maxNewTokens: 40 })).rejects.toMatchObject({
      body: { code: 'CONFIG_CONFLICT', field: 'standardise.maxNewTokens' },
    });
    await expect(standardised({ answers: 1 })).rejects.toMatchObject({
      body: { code: 'CONFIG_CONFLICT', field: 'standardise' },
    });
  });
});
