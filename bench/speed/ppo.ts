import { openStore, type Store } from '@pavlov/checkpoint-store';
import { transformerLayout, type Head } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { allocateParameters, type Parameters } from '@pavlov/tensor';
import { createTrainerContext, publishRows } from '@pavlov/testing';
import { publishCheckpoint } from '@pavlov/training';
import { loadTokenizer, trainByteLevelBpe, type TokenizerFiles } from '@pavlov/tokenizer';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train } from '../../apps/ppo/src/train';
import { ppoEpochs } from './limits';
import { fill } from './numbers';
import { median, watchOthers } from './stopwatch';
import type { Measurement, Task } from './task';

const fewestUpdates = 2;

/**
 * Seconds of a whole PPO update, by the stage itself: rollout, scores, log-probs of policy and reference, values,
 * advantages, and for each epoch one step of policy and value network over the whole batch. The first update is not
 * counted, nothing is published at the end.
 */
export async function measurePpo(task: Task): Promise<Omit<Measurement, 'versions'>> {
  const folder = await mkdtemp(join(tmpdir(), 'pavlov-bench-'));
  try {
    const context = await createTrainerContext({
      stage: 'ppo',
      jobId: 'bench',
      config: await prepare(openStore({ root: folder }), task),
      seed: task.seed,
      threads: task.threads,
      store: openStore({ root: folder }),
    });
    return await timeUpdates(context, task);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Ends the stage once enough was measured. */
class Enough extends Error {}

async function timeUpdates(
  context: Awaited<ReturnType<typeof createTrainerContext<'ppo'>>>,
  { shape, batch, seconds }: Task,
): Promise<Omit<Measurement, 'versions'>> {
  const ends: number[] = [];
  const rollouts: number[] = [];
  let others = watchOthers();
  const isEnough = (): boolean => ends.length > fewestUpdates && ends[ends.length - 1] - ends[0] > seconds * 1000;
  try {
    await train({
      ...context,
      checkpoint: () => (isEnough() ? Promise.reject(new Enough()) : Promise.resolve()),
      metrics: (iteration, values) => {
        ends.push(performance.now());
        if (iteration === 0) others = watchOthers();
        else rollouts.push((batch * shape.answer) / values['rollout/tokens_per_second']);
      },
    });
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
  }
  const updates = ends.slice(1).map((end, i) => (end - ends[i]) / 1000);
  return {
    value: median(updates),
    unit: 's',
    iterations: updates.length,
    others: others(),
    shares: { sampling: median(rollouts) / median(updates) },
  };
}

/** Puts policy, reward model and prompts into the store; gives the stage's config. */
async function prepare(
  store: Store,
  { shape: { model, prompt, answer }, batch, precision, seed }: Task,
): Promise<object> {
  const tokenizerFiles = tokenizerOf(model.vocabSize);
  for (const [id, head] of Object.entries({ policy: 'lm', reward: 'scalar' } satisfies Record<string, Head>)) {
    const parameters = allocateParameters(transformerLayout(model, head));
    fill(parameters);
    if (head === 'lm') avoidEos(parameters, loadTokenizer(tokenizerFiles).eosId);
    await publishCheckpoint(
      {
        job: { jobId: id },
        store,
        fence: await store.claim(id, 1),
        lineage: () =>
          Promise.resolve({ stage: 'sft', jobId: id, attempt: 1, parents: [], datasets: [], config: {}, seed }),
      },
      {
        kind: head === 'lm' ? 'policy' : 'reward-model',
        model: { ...model, padId: loadTokenizer(tokenizerFiles).padId },
        parameters,
        tokenizerFiles,
        metrics: {},
      },
    );
  }
  await publishRows(store, {
    id: 'prompts',
    kind: 'prompts',
    rows: promptsOf(tokenizerFiles, { prompt, batch, seed }),
  });
  return {
    policy: 'policy',
    reward: 'reward',
    prompts: 'prompts',
    batchSize: batch,
    minibatchSize: batch,
    epochs: ppoEpochs,
    maxNewTokens: answer,
    iterations: 1000,
    learningRate: 1e-6,
    precision,
    missingEosReward: null,
    limits: { kl: 1e9, entropy: 0, equalRewards: 1000 },
  };
}

/** How far hidden states are pushed away from EOS, in standard deviations of a hidden state. */
const push = 50;

/** Makes EOS so improbable that every answer has its full length, as PyTorch's side samples them. */
function avoidEos({ layout, views }: Parameters, eosId: number): void {
  const [, width] = layout.entries[0].shape;
  const eos = views['transformer.wte.weight'].subarray(eosId * width, (eosId + 1) * width);
  const norm = Math.hypot(...eos);
  views['transformer.ln_f.bias'].set(eos.map((x) => (-push * x) / norm));
}

/** A tokenizer of exactly this many tokens, of words that hold no digit. */
function tokenizerOf(vocabSize: number): TokenizerFiles {
  const random = randomStream(1, 'bench/words');
  const letter = (): string => String.fromCharCode(97 + Math.floor(random.uniform() * 26));
  const word = (): string => Array.from({ length: 8 }, letter).join('');
  const words = Array.from({ length: vocabSize }, word);
  const roles = Array.from({ length: 100 }, () => 'User: a\nAssistant: b\n').join('');
  const files = trainByteLevelBpe([roles, ...[words, words].map((all) => all.join(' '))], { vocabSize }); // pairs must recur
  const { vocabSize: learned } = loadTokenizer(files);
  if (learned !== vocabSize) throw new RangeError(`The tokenizer has ${learned} of ${vocabSize} tokens`);
  return files;
}

/** Prompts of exactly so many tokens: a digit is one token each. */
function promptsOf(
  files: TokenizerFiles,
  { prompt, batch, seed }: { prompt: number; batch: number; seed: number },
): { prompt: string }[] {
  const tokenizer = loadTokenizer(files);
  const around = tokenizer.encodePrompt('1').length - 1;
  if (around >= prompt) throw new RangeError(`The chat template alone takes ${around} of ${prompt} tokens`);
  const random = randomStream(seed, 'bench/prompts');
  const digit = (): string => String(Math.floor(random.uniform() * 10));
  return Array.from({ length: 4 * batch }, () => ({
    prompt: Array.from({ length: prompt - around }, digit).join(''),
  }));
}
