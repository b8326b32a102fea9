import { openStore, type Store } from '@pavlov/checkpoint-store';
import { type DemonstrationRow, type StageName } from '@pavlov/contracts';
import { encodeDemonstrations, layOutDemonstrations } from '@pavlov/datasets';
import { initParameters, type TransformerConfig } from '@pavlov/model';
import { createEngine, type Parameters } from '@pavlov/tensor';
import {
  createTrainerContext,
  installMatchers,
  publishRows,
  tolerances,
  type TestTrainerContext,
} from '@pavlov/testing';
import { loadTokenizer, trainByteLevelBpe } from '@pavlov/tokenizer';
import { compileLmStep, loadCheckpoint, publishCheckpoint } from '@pavlov/training';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train } from './train';

installMatchers();

const numbers = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven'];
const prompts = numbers.slice(0, 10).map((number) => ({ prompt: `After ${number}?` }));
const demonstrations = prompts.map(({ prompt }, index) => ({ prompt, completion: `${numbers[index + 1]}.` }));
const text = demonstrations.map(({ prompt, completion }) => ({ text: `${prompt} ${completion}` }));

const tokenizerFiles = trainByteLevelBpe(
  text.map((row) => row.text),
  { vocabSize: 290 },
);
const tokenizer = loadTokenizer(tokenizerFiles);
const model: TransformerConfig = {
  vocabSize: tokenizer.vocabSize,
  contextLength: 32,
  layers: 1,
  heads: 1,
  width: 16,
  padId: tokenizer.padId,
};

/** A reward model that sees the last token only: it gives `likes` to an answer with EOS, and −`likes` to one without. */
function rewardForEos(likes: 1 | -1): Parameters {
  const parameters = initParameters(model, 'scalar', 1);
  for (const [name, view] of Object.entries(parameters.views)) if (/wpe|c_proj/.test(name)) view.fill(0);
  const alternating = (scale: number) => (_: unknown, index: number) => (index % 2 === 0 ? scale : -scale);
  const embeddings = parameters.views['transformer.wte.weight'];
  for (let token = 0; token < model.vocabSize; token++) {
    const row = embeddings.subarray(token * model.width, (token + 1) * model.width);
    row.set(Array.from(row, alternating(token === tokenizer.eosId ? 1 : -1)));
  }
  const head = parameters.views['score.weight'];
  head.set(Array.from(head, alternating(likes / model.width)));
  return parameters;
}

let root: string;
let store: Store;
let jobs = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pavlov-sft-'));
  store = openStore({ root });
  await publishRows(store, { id: 'demonstrations', kind: 'demonstrations', rows: demonstrations });
  await publishRows(store, { id: 'prompts', kind: 'prompts', rows: prompts });
  await publishRows(store, { id: 'text', kind: 'text', rows: text });
  await publish('start', { stage: 'pretraining', parameters: initParameters(model, 'lm', 1) });
  await publish('likes-eos', { stage: 'reward-modeling', parameters: rewardForEos(1) });
  await publish('hates-eos', { stage: 'reward-modeling', parameters: rewardForEos(-1) });
});
afterAll(() => rm(root, { recursive: true }));

interface Made {
  readonly stage: StageName;
  readonly parameters: Parameters;
  readonly model?: TransformerConfig;
  readonly tokenizerFiles?: typeof tokenizerFiles;
}

async function publish(jobId: string, made: Made) {
  const { stage } = made;
  const kind = stage === 'reward-modeling' ? 'reward-model' : 'policy';
  const lineage = { stage, jobId, attempt: 1, parents: [], datasets: [], config: {}, seed: 1 };
  const context = {
    job: { jobId },
    store,
    fence: await store.claim(jobId, 1),
    lineage: () => Promise.resolve(lineage),
  };
  await publishCheckpoint(context, { model, tokenizerFiles, metrics: {}, ...made, kind });
}

interface Run {
  readonly context: TestTrainerContext<'sft'>;
  readonly metrics: Readonly<Record<string, number>>;
  /** SHA-256 of the weights. */
  readonly weights: string;
}

async function run(options: Record<string, unknown>, threads = 1): Promise<Run> {
  const config = {
    policy: 'start',
    dataset: 'demonstrations',
    epochs: 3,
    batchSize: 4,
    learningRate: 0.01,
    // The same rate throughout, so that n epochs are the first n of a longer run.
    finalLearningRateFraction: 1,
    ...options,
  };
  const context = await createTrainerContext({ stage: 'sft', jobId: `sft-${++jobs}`, config, seed: 1, threads, store });
  const { metrics } = await train(context);
  const manifest = await store.checkpoints.manifest(context.job.jobId);
  expect(manifest.metrics).toEqual(metrics);
  return { context, metrics, weights: manifest.files.find(({ path }) => path === 'model.safetensors')!.sha256 };
}

/** The points of a curve, by epoch. */
const perEpoch = ({ context }: Run, name: string): number[] =>
  context.curves.filter(({ values }) => 'epoch' in values).map(({ values }) => values[name]);
const selectionBy = (reward: string, more: object = {}) => ({
  selection: { reward, prompts: 'prompts', maxNewTokens: 8, ...more },
});
const errorOf = (options: Record<string, unknown>) =>
  run(options).then(
    () => ({ code: 'none' }),
    (error: { body: unknown }) => error.body,
  );

describe('the epoch that is published', () => {
  let last: Run;
  beforeAll(async () => (last = await run({})));

  it('is the last without a selection', () => {
    expect(perEpoch(last, 'epoch')).toEqual([1, 2, 3]);
    expect(last.metrics).toEqual({ heldOutLoss: perEpoch(last, 'loss/held_out')[2] });
  });

  it('is the one that the reward model prefers, be it the first', async () => {
    const chosen = await run(selectionBy('hates-eos'));
    const scores = perEpoch(chosen, 'selection/score');
    // The policy learns to stop, which is what this reward model hates.
    expect(scores[0]).toBeGreaterThan(scores[2]);
    expect(chosen.metrics).toEqual({
      selectedEpoch: 1,
      selectionScore: Math.max(...scores),
      heldOutLoss: perEpoch(chosen, 'loss/held_out')[0],
    });
    expect(chosen.weights).toBe((await run({ epochs: 1 })).weights);
    expect(chosen.weights).not.toBe(last.weights);
  });

  it('is a later one for a reward model that likes what is learned later', async () => {
    const chosen = await run(selectionBy('likes-eos'));
    const scores = perEpoch(chosen, 'selection/score');
    expect(chosen.metrics.selectedEpoch).toBe(1 + scores.indexOf(Math.max(...scores)));
    expect(chosen.metrics.selectedEpoch).toBeGreaterThan(1);
    // Score and share of EOS tell the same here, so that the curves can be held against each other.
    const expected = perEpoch(chosen, 'selection/eos_fraction').map((eos) => 2 * eos - 1);
    expect(scores).toBeAllClose(expected, tolerances.composed);
    for (const length of perEpoch(chosen, 'selection/response_length')) expect(length).toBeLessThanOrEqual(8);
  });

  it('is the first of several that are equal: all answer the same prompts with the same random numbers', async () => {
    const still = await run({ learningRate: 1e-12, dropout: 0, ...selectionBy('likes-eos', { maxPrompts: 5 }) });
    for (const name of ['score', 'response_length', 'eos_fraction'])
      expect(new Set(perEpoch(still, `selection/${name}`)).size).toBe(1);
    expect(still.metrics.selectedEpoch).toBe(1);
  });

  it('cannot be chosen by a reward model that the answers do not fit', async () => {
    expect(await errorOf(selectionBy('likes-eos', { maxNewTokens: 30 }))).toMatchObject({
      code: 'SEQUENCE_TOO_LONG',
      field: 'selection.maxNewTokens',
    });
    const short = { ...model, contextLength: 12 };
    await publish('short', { stage: 'reward-modeling', parameters: initParameters(short, 'scalar', 1), model: short });
    expect(await errorOf(selectionBy('short'))).toMatchObject({ code: 'SEQUENCE_TOO_LONG' });
    const foreign = trainByteLevelBpe(['another language'], { vocabSize: 290 });
    const parameters = initParameters(model, 'scalar', 1);
    await publish('foreign', { stage: 'reward-modeling', parameters, tokenizerFiles: foreign });
    expect(await errorOf(selectionBy('foreign'))).toMatchObject({
      code: 'TOKENIZER_MISMATCH',
      field: 'selection.reward',
    });
  });

  it('cannot be chosen by a reward model whose scores are no numbers', async () => {
    const broken = initParameters(model, 'scalar', 1);
    broken.views['score.weight'].fill(NaN);
    await publish('broken', { stage: 'reward-modeling', parameters: broken });
    expect(await errorOf(selectionBy('broken'))).toMatchObject({ code: 'NON_FINITE', field: 'selection.reward' });
  });
});

describe('dropout', () => {
  const options = { ...selectionBy('likes-eos'), pretrainingMix: { dataset: 'text', batchSize: 2 } };

  it('is on by default, and leaves the bytes the same on any number of threads', async () => {
    const [one, two] = [await run(options, 1), await run(options, 2)];
    expect(two.weights).toBe(one.weights);
    expect(two.context.curves).toEqual(one.context.curves);
    expect(one.context.config.dropout).toBe(0.2);
    expect(one.context.curves[0].values).toHaveProperty('loss/pretraining');
    expect(one.context.curves[0].values['pretraining/gradient_ratio']).toBeGreaterThan(0);

    const without = await run({ ...options, dropout: 0 });
    expect(without.weights).not.toBe(one.weights);
    // The first loss is of the same weights and rows: what differs is what was dropped.
    expect(without.context.curves[0].values['loss/completion']).not.toBe(
      one.context.curves[0].values['loss/completion'],
    );
  });

  it('draws its masks anew for every step', async () => {
    await publishRows(store, { id: 'one-row', kind: 'demonstrations', rows: demonstrations.slice(0, 1) });
    // One row and weights that stand still: steps differ in what they drop, or not at all.
    const still = { dataset: 'one-row', batchSize: 1, epochs: 4, learningRate: 1e-12 };
    const losses = ({ context }: Run): Set<number> =>
      new Set(context.curves.flatMap(({ values }) => values['loss/completion'] ?? []));
    expect(losses(await run(still)).size).toBe(4);
    expect(losses(await run({ ...still, dropout: 0 })).size).toBe(1);
  });
});

describe('what is held out', () => {
  it('is all that a user wrote, or nothing of it', async () => {
    const byUser = (row: DemonstrationRow, index: number): DemonstrationRow => ({
      ...row,
      user: index === 3 || index === 8 ? 'ben' : 'ann',
    });
    const rows = demonstrations.map(byUser);
    await publishRows(store, { id: 'by-user', kind: 'demonstrations', rows });
    // Two of ten: only Ben wrote so few.
    const { context, metrics } = await run({ dataset: 'by-user', heldOutFraction: 0.2, batchSize: 2 });
    expect(context.curves.filter(({ values }) => 'loss/completion' in values)).toHaveLength(3 * 4);

    const engine = await createEngine({ threads: 1 });
    const published = await loadCheckpoint(store, { id: context.job.jobId, head: 'lm' });
    const encoded = encodeDemonstrations(rows, { tokenizer, contextLength: model.contextLength });
    const columns = Math.max(...encoded.map(({ prompt, completion }) => prompt.length + completion.length)) - 1;
    const grid = { rows: 2, columns };
    const step = compileLmStep(engine, { model, ...grid });
    const bens = layOutDemonstrations(
      encoded.filter(({ user }) => user === 'ben'),
      { ...grid, padId: tokenizer.padId },
    );
    const loss = await step.meanLoss(published.parameters, [bens]);
    engine.dispose();
    expect([metrics.heldOutLoss]).toBeAllClose([loss], tolerances.reference);
  });

  it('is nothing where one user wrote everything', async () => {
    const rows = demonstrations.map((row) => ({ ...row, user: 'ann' }));
    await publishRows(store, { id: 'by-ann', kind: 'demonstrations', rows });
    expect((await run({ dataset: 'by-ann', epochs: 1 })).metrics).toEqual({});
  });
});
