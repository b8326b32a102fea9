/**
 * Feedback: K answers to each prompt, ranked (InstructGPT §3.2: K = 4–9, all pairs of a prompt are kept together).
 *
 *  1. draw the prompts,
 *  2. sample K answers to each from the policy; a labeller sees identical ones only once,
 *  3. have them ranked, ties allowed,
 *  4. publish the rankings as a dataset.
 *
 * The labeller is simulated here: Bradley–Terry noise around a known oracle. Rankings that people or other systems made
 * are imported from a dataset instead; then nothing is sampled.
 * Leaves out: people ranking in a browser (the same rows, with another `labeller`), and asking several labellers.
 */
import {
  datasetFile,
  PavlovError,
  type PromptRow,
  type RankedCompletions,
  type RankingRow,
  type SimulatedLabeller,
} from '@pavlov/contracts';
import { describeRows, gradeResponse, serialiseRows, simulateRanking } from '@pavlov/datasets';
import { createGenerator } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { type StageOutcome, type Train, type TrainerContext } from '@pavlov/service-kit';
import { createEngine, type Engine } from '@pavlov/tensor';
import { createThroughput, loadCheckpoint, readRows } from '@pavlov/training';

type Context = TrainerContext<'feedback'>;

/** Distinct answers to one prompt. `finished`: it ended with EOS. */
interface AnsweredPrompt {
  readonly row: PromptRow;
  readonly answers: readonly { readonly text: string; readonly finished: boolean }[];
}

export const train: Train<'feedback'> = async (context) => {
  const { labeller } = context.config;
  switch (labeller.kind) {
    case 'simulated':
      return sampleAndRank(context, labeller);
    case 'import':
      return importRankings(context, labeller.dataset);
    default:
      return labeller satisfies never;
  }
};

async function sampleAndRank(context: Context, labeller: SimulatedLabeller): Promise<StageOutcome> {
  const { config, seed, store } = context;
  const { policy: policyId, prompts: promptsId } = config;
  if (policyId === undefined || promptsId === undefined)
    throw new TypeError('the config was not checked: a simulated labeller needs a policy and prompts');
  using engine = await createEngine({ threads: context.threads });

  // 1.
  const all = await readRows(store, { id: promptsId, kind: 'prompts' });
  const rows = randomStream(seed, 'feedback/prompts')
    .shuffle(all)
    .slice(0, config.maxPrompts ?? all.length);

  // 2.
  const answered: AnsweredPrompt[] = [];
  const throughput = createThroughput();
  const answer = await openAnswerer(context, { engine, policyId, rows });
  const promptsPerBatch = Math.max(1, Math.floor(config.batchSize / config.answersPerPrompt));
  for (let start = 0; start < rows.length; start += promptsPerBatch) {
    await context.checkpoint();
    const { answers, tokens } = await answer(rows.slice(start, start + promptsPerBatch), start);
    answered.push(...answers);
    throughput.add(tokens);
    context.progress({
      fraction: answered.length / rows.length,
      phase: 'sampling answers',
      step: answered.length,
      steps: rows.length,
      tokensPerSecond: throughput.lap(),
    });
  }

  // 3.
  const comparable = answered.filter(({ answers }) => answers.length >= 2);
  if (comparable.length === 0) {
    throw new PavlovError({
      code: 'DATASET_EMPTY',
      field: 'temperature',
      message: 'The policy gave the same answer every time, to every prompt: there is nothing to rank.',
      hint: 'Raise the temperature, or ask for more answers per prompt.',
    });
  }
  const rankings = comparable.map((prompt, index) => rank(prompt, { labeller, seed, index }));

  // 4.
  const metrics = {
    prompts: rows.length,
    rankings: rankings.length,
    identicalAnswers: rows.length - comparable.length,
    answersPerRanking: rankings.reduce((sum, { completions }) => sum + completions.length, 0) / rankings.length,
  };
  context.metrics(0, metrics);
  await publishRankings(context, rankings);
  return { metrics, tokens: throughput.tokens };
}

/** Loads the policy once; each call samples K answers per prompt and drops those that repeat another. */
async function openAnswerer(
  context: Context,
  { engine, policyId, rows }: { engine: Engine; policyId: string; rows: readonly PromptRow[] },
) {
  const { config, seed, store } = context;
  const { model, parameters, tokenizer } = await loadCheckpoint(store, { id: policyId, head: 'lm' });
  const encoded = new Map(rows.map(({ prompt }) => [prompt, tokenizer.encodePrompt(prompt)]));
  const maxPromptTokens = Math.max(...[...encoded.values()].map((ids) => ids.length));
  const k = config.answersPerPrompt;
  const batch = Math.max(1, Math.floor(config.batchSize / k)) * k;
  const generator = await createGenerator(engine, {
    config: model,
    batch,
    maxPromptTokens,
    maxNewTokens: config.maxNewTokens,
  });

  return async (asked: readonly PromptRow[], step: number): Promise<{ answers: AnsweredPrompt[]; tokens: number }> => {
    const generation = await generator.generate({
      parameters,
      prompts: asked.flatMap(({ prompt }) => new Array<number[]>(k).fill(encoded.get(prompt) ?? [])),
      temperature: config.temperature,
      topK: config.topK,
      topP: config.topP,
      eosId: tokenizer.eosId,
      stopAtEos: true,
      seed,
      purpose: 'feedback/answers',
      step,
    });
    const answers = asked.map((row, index): AnsweredPrompt => {
      const byText = new Map<string, boolean>();
      for (let i = index * k; i < (index + 1) * k; i++) {
        const text = tokenizer.decode(generation.responses[i], { skipSpecialTokens: true }).trim();
        // A ranking holds texts; an empty answer has none.
        if (text !== '') byText.set(text, (byText.get(text) ?? false) || generation.finished[i]);
      }
      return { row, answers: [...byText].map(([text, finished]) => ({ text, finished })) };
    });
    return { answers, tokens: generation.tokens };
  };
}

function rank(
  { row, answers }: AnsweredPrompt,
  options: { labeller: SimulatedLabeller; seed: number; index: number },
): RankedCompletions {
  const { oracle, noise, tieThreshold } = options.labeller;
  const utilities = answers.map(
    ({ text, finished }) => gradeResponse(oracle, { ...row, response: text, finished }).utility,
  );
  const random = randomStream(options.seed, 'feedback/labeller', [options.index]);
  const { ranks, agreementCeiling } = simulateRanking({ utilities, noise, tieThreshold, random });
  return {
    prompt: row.prompt,
    completions: answers.map(({ text }) => text),
    ranks,
    labeller: { kind: 'simulated', name: oracle, agreementCeiling },
  };
}

async function importRankings(context: Context, id: string): Promise<StageOutcome> {
  const rows = await readRows(context.store, { id, kind: 'rankings' });
  await context.checkpoint();
  const imported = rows.map((row): RankingRow => ({ ...row, labeller: row.labeller ?? { kind: 'import', name: id } }));
  await publishRankings(context, imported);
  context.progress({ fraction: 1, phase: 'imported', step: rows.length, steps: rows.length });
  return { metrics: { rankings: rows.length }, tokens: 0 };
}

async function publishRankings(context: Context, rows: readonly RankingRow[]): Promise<void> {
  const { job, store, fence } = context;
  await store.datasets.publish({
    manifest: {
      id: job.jobId,
      kind: 'rankings',
      name: job.name ?? `feedback of ${job.jobId}`,
      ...describeRows('rankings', rows),
      lineage: await context.lineage(),
    },
    files: { [datasetFile]: serialiseRows(rows) },
    fence,
  });
}
