/**
 * Evaluation: several policies on the same held-out prompts.
 *
 * For each policy:
 *  1. one answer per prompt at the configured temperature, from the same random numbers for every policy; if weights are
 *     to be in 8 bits or in bfloat16, they are so here and nowhere else,
 *  2. the oracle's grades, where one is configured, and the reward model's scores,
 *  3. KL to the reference, from a second set of answers sampled at temperature 1: an estimate of KL(π ‖ π_ref) needs
 *     samples of π itself,
 *  4. perplexity on held-out text, where some is given.
 * Then: the win rate between two policies, a table of samples, and the report as JSON and as Markdown.
 *
 * Leaves out: judges that are language models, and confidence intervals on everything but the win rate.
 */
import { reportFiles, type EvaluationReport, type PolicyEvaluation } from '@pavlov/contracts';
import { gradeResponse } from '@pavlov/datasets';
import { type Train } from '@pavlov/service-kit';
import { performance } from 'node:perf_hooks';
import {
  createThroughput,
  loadCheckpoint,
  loadRewardModel,
  openEngine,
  openSamplingEngine,
  readRows,
} from '@pavlov/training';
import { createBench } from './bench';
import { renderMarkdown } from './markdown';
import { byCategory, compare, figuresOf, gradeShares, mean, sampleTable, type Answers } from './summary';

export const train: Train<'evaluation'> = async (context) => {
  const { config, seed, store, job } = context;
  const { threads } = context;
  using engine = await openEngine({ threads });
  using answering =
    config.weights === 'float32' ? undefined : await openSamplingEngine({ threads, weights: config.weights });
  const all = await readRows(store, { id: config.prompts, kind: 'prompts' });
  const prompts = all.slice(0, config.maxPrompts ?? all.length);
  const reward = config.reward === undefined ? undefined : await loadRewardModel(store, config.reward);
  const reference =
    config.reference === undefined ? undefined : await loadCheckpoint(store, { id: config.reference, head: 'lm' });
  const bench = await createBench({ context, engine, answering: answering ?? engine, prompts, reward, reference });

  const throughput = createThroughput();
  const evaluations: PolicyEvaluation[] = [];
  const answers: Answers[] = [];
  for (const [index, { name, checkpoint }] of config.policies.entries()) {
    await context.checkpoint();
    const policy = await loadCheckpoint(store, { id: checkpoint, head: 'lm' });
    const answer = await bench.prepare(policy);
    const clock = createThroughput();
    const startedAt = performance.now();

    // 1.
    const generation = await answer();
    clock.add(generation.tokens);
    const tokensPerSecond = clock.lap();
    const texts = generation.responses.map((ids) => policy.tokenizer.decode(ids, { skipSpecialTokens: true }).trim());

    // 2.
    const { oracle } = config;
    const grades =
      oracle &&
      prompts.map((row, i) => gradeResponse(oracle, { ...row, response: texts[i], finished: generation.finished[i] }));
    const scored = await bench.score(generation);
    const rewards = scored?.scores;

    // 3. and 4.
    const klToReference = await bench.klToReference(policy);
    const perplexity = await bench.perplexity(policy);

    answers.push({ name, texts, grades, rewards });
    evaluations.push({
      name,
      checkpoint,
      prompts: prompts.length,
      ...(grades && gradeShares(grades)),
      ...(scored && { reward: mean(scored.scores) }),
      ...(scored && reward && reward.members.length > 1 && { rewardDeviation: mean(scored.deviations) }),
      ...(klToReference !== undefined && { klToReference }),
      ...(perplexity !== undefined && { perplexity }),
      responseTokens: mean(generation.responses.map((ids) => ids.length)),
      endedWithEos: mean(generation.finished.map(Number)),
      tokensPerSecond,
      seconds: (performance.now() - startedAt) / 1000,
      ...(grades && { categories: byCategory(prompts, grades) }),
    });
    throughput.add(generation.tokens);
    context.metrics(index, figuresOf(evaluations[index]));
    context.progress({
      fraction: (index + 1) / config.policies.length,
      phase: `evaluated ${name}`,
      step: index + 1,
      steps: config.policies.length,
      tokensPerSecond,
      ...(rewards && { headline: { name: 'reward', value: mean(rewards) } }),
    });
  }

  const report: EvaluationReport = {
    id: job.jobId,
    seed,
    temperature: config.temperature,
    weights: config.weights,
    policies: evaluations,
    ...(config.winRate && { winRate: compare(config.winRate, answers) }),
    samples: sampleTable({ prompts, answers, count: config.samples, seed }),
  };
  await store.reports.publish({
    manifest: { id: job.jobId, kind: 'report', lineage: await context.lineage() },
    files: {
      [reportFiles.json]: `${JSON.stringify(report, null, 2)}\n`,
      [reportFiles.markdown]: renderMarkdown(report),
    },
    fence: context.fence,
  });
  return {
    metrics: Object.assign({}, ...evaluations.map((each) => figuresOf(each, `${each.name}/`))),
    tokens: throughput.tokens,
  };
};
