import {
  type CheckpointView,
  type Completion,
  type DatasetManifest,
  type EvaluationReport,
  type JobView,
  PavlovError,
  type PipelineView,
} from '@pavlov/contracts';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type Client } from '../../apps/cli/src/http';
import { type RunningServices, startServices } from '../../apps/cli/src/services';
import { gradedPrompts, tinyConfigs, tinyWorld } from './tiny-world';

/** The whole system: the gateway and every stage service as processes, a real Redis, and HTTP. */
const root = join(__dirname, '..', '..');
let redis: TestRedis;
let services: RunningServices;
let client: Client;
const datasets = {} as Record<keyof typeof tinyWorld, string>;

beforeAll(async () => {
  execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs')]);
  redis = await startTestRedis();
  services = await startServices({
    bundles: join(root, 'dist', 'apps'),
    home: redis.home,
    redisUrl: redis.url,
    gatewayPort: 0,
  });
  client = createClient(services.addresses.gateway);
  for (const kind of ['text', 'demonstrations', 'prompts', 'rankings'] as const)
    datasets[kind] = await upload(kind, tinyWorld[kind]);
}, 120_000);

afterAll(async () => {
  await services?.stop();
  await redis?.stop();
}, 60_000);

async function upload(kind: keyof typeof tinyWorld, rows: readonly unknown[]): Promise<string> {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const path = `/v1/datasets?kind=${kind}&name=tiny-${kind}`;
  return (await client.upload<{ id: string }>(path, { text, type: 'application/x-ndjson' })).id;
}

const stagesOf = () => ({
  pretraining: { ...tinyConfigs.pretraining, dataset: datasets.text },
  sft: { ...tinyConfigs.sft, dataset: datasets.demonstrations },
  feedback: { labeller: { kind: 'import', dataset: datasets.rankings } },
  'reward-modeling': { ...tinyConfigs['reward-modeling'], demonstrations: datasets.demonstrations },
  ppo: { ...tinyConfigs.ppo, prompts: datasets.prompts },
  evaluation: {
    ...tinyConfigs.evaluation,
    prompts: datasets.prompts,
    text: datasets.text,
    winRate: { challenger: 'ppo', baseline: 'sft' },
  },
});

async function until<T>(probe: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 100_000;
  for (;;) {
    const value = await probe();
    if (good(value)) return value;
    if (Date.now() > deadline) throw new Error(`not within 100 s: ${JSON.stringify(value)}`);
    await sleep(200);
  }
}

const settled = (state: string): boolean => ['completed', 'failed', 'cancelled'].includes(state);
const jobUntil = (id: string, good: (job: JobView) => boolean): Promise<JobView> =>
  until(() => client.get<JobView>(`/v1/jobs/${id}`), good);
const pipelineUntil = (id: string, good: (pipeline: PipelineView) => boolean): Promise<PipelineView> =>
  until(() => client.get<PipelineView>(`/v1/pipelines/${id}`), good);
const codeOf = (failure: Promise<unknown>): Promise<unknown> =>
  failure.then(
    () => 'no error',
    (error: unknown) => (error instanceof PavlovError ? error.code : error),
  );

describe('a pipeline over HTTP', () => {
  let pipeline: PipelineView;
  const jobOf = (stage: string): JobView => pipeline.jobs.find((job) => job.stage === stage)!;

  beforeAll(async () => {
    const submitted = await client.post<PipelineView>('/v1/pipelines', { name: 'tiny', seed: 3, stages: stagesOf() });
    pipeline = await pipelineUntil(submitted.id, ({ state }) => settled(state));
  }, 120_000);

  it('runs every stage to its end, in order', () => {
    expect(pipeline.jobs.map(({ stage, state, error }) => ({ stage, state, error }))).toEqual(
      ['pretraining', 'sft', 'feedback', 'reward-modeling', 'ppo', 'evaluation'].map((stage) => ({
        stage,
        state: 'completed',
        error: undefined,
      })),
    );
    const finished = pipeline.jobs.map(({ finishedAt }) => finishedAt);
    expect([...finished].sort()).toEqual(finished);
  });

  it('leaves checkpoints that tell where they come from', async () => {
    const { manifest, ancestors } = await client.get<CheckpointView>(`/v1/checkpoints/${jobOf('ppo').id}`);
    expect(manifest.lineage.parents).toEqual([
      { field: 'policy', id: jobOf('sft').id },
      { field: 'reward', id: jobOf('reward-modeling').id },
    ]);
    expect(ancestors.map(({ id }) => id)).toEqual(
      expect.arrayContaining([jobOf('pretraining').id, jobOf('feedback').id, datasets.text]),
    );
    expect(manifest.files.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json']),
    );
  });

  it('keeps curves and progress of every trainer', async () => {
    const { points } = await client.get<{ points: { values: Record<string, number> }[] }>(
      `/v1/jobs/${jobOf('ppo').id}/metrics`,
    );
    expect(points).toHaveLength(tinyConfigs.ppo.iterations);
    expect(points[0].values['objective/kl']).toBe(0);
    expect(jobOf('pretraining').progress).toMatchObject({ fraction: 1, steps: tinyConfigs.pretraining.steps });
  });

  it('reports every policy, the KL to the reference and a win rate', async () => {
    const { report } = await client.get<{ report: EvaluationReport }>(`/v1/reports/${jobOf('evaluation').id}`);
    expect(report.policies.map(({ name }) => name)).toEqual(['pretrained', 'sft', 'ppo']);
    for (const policy of report.policies) {
      expect(policy.perplexity).toBeGreaterThan(1);
      expect(policy.reward).toEqual(expect.any(Number));
    }
    expect(report.policies[1].klToReference).toBe(0);
    expect(report.policies[2].klToReference).not.toBe(0);
    expect(report.winRate?.rate).toBeGreaterThanOrEqual(0);
  });

  it('answers from any of its checkpoints, the same for the same seed', async () => {
    const ask = (stage: string, seed: number): Promise<Completion> =>
      client.post<Completion>('/v1/completions', {
        checkpoint: jobOf(stage).id,
        prompt: 'What comes after one?',
        maxNewTokens: 8,
        n: 2,
        seed,
      });
    const first = await ask('sft', 1);
    expect(first.choices).toHaveLength(2);
    expect((await ask('sft', 1)).choices).toEqual(first.choices);
    expect((await ask('ppo', 1)).checkpoint).toBe(jobOf('ppo').id);
    expect(await codeOf(ask('reward-modeling', 1))).toBe('CHECKPOINT_WRONG_KIND');
  });

  it('runs one stage alone from what exists', async () => {
    const { id } = await client.post<JobView>('/v1/jobs', {
      stage: 'sft',
      seed: 9,
      config: { ...tinyConfigs.sft, dataset: datasets.demonstrations, policy: jobOf('pretraining').id },
    });
    expect(await jobUntil(id, ({ state }) => settled(state))).toMatchObject({
      state: 'completed',
      result: { checkpointId: id },
    });
  });

  describe('in two rounds', () => {
    let rounds: PipelineView;

    beforeAll(async () => {
      const prompts = await upload('prompts', gradedPrompts);
      const policy = jobOf('sft').id;
      const submitted = await client.post<PipelineView>('/v1/pipelines', {
        rounds: 2,
        seed: 5,
        stages: {
          feedback: { ...tinyConfigs.feedback, prompts, policy },
          'reward-modeling': { ...tinyConfigs['reward-modeling'], policy },
          ppo: { ...tinyConfigs.ppo, prompts, policy },
          evaluation: { ...tinyConfigs.evaluation, prompts, reference: policy },
        },
      });
      rounds = await pipelineUntil(submitted.id, ({ state }) => settled(state));
    }, 120_000);

    it('runs feedback, reward model and PPO twice, then compares both policies', async () => {
      expect(rounds.jobs.map(({ stage, round, seed, state, error }) => [stage, round, seed, state, error])).toEqual([
        ...[1, 2].flatMap((round) =>
          ['feedback', 'reward-modeling', 'ppo'].map((stage) => [stage, round, 4 + round, 'completed', undefined]),
        ),
        ['evaluation', undefined, 5, 'completed', undefined],
      ]);
      const { report } = await client.get<{ report: EvaluationReport }>(`/v1/reports/${rounds.jobs[6].id}`);
      expect(report.policies.map(({ name, checkpoint }) => [name, checkpoint])).toEqual([
        ['ppo-round-1', rounds.jobs[2].id],
        ['ppo', rounds.jobs[5].id],
      ]);
    });

    it('has the new policy ranked, learns all rankings, and starts from the SFT policy again', async () => {
      const [feedback, reward, ppo, feedback2, reward2, ppo2] = rounds.jobs.map(({ id }) => id);
      const lineageOf = async (id: string) =>
        (await client.get<CheckpointView>(`/v1/checkpoints/${id}`)).manifest.lineage;
      const rankings = await client.get<DatasetManifest>(`/v1/datasets/${feedback2}`);
      expect(rankings.lineage?.parents).toEqual([{ field: 'policy', id: ppo }]);
      expect(rankings.sha256).not.toBe((await client.get<DatasetManifest>(`/v1/datasets/${feedback}`)).sha256);
      expect((await lineageOf(reward)).datasets.map(({ id }) => id)).toEqual([feedback]);
      expect((await lineageOf(reward2)).datasets.map(({ id }) => id)).toEqual([feedback2, feedback]);
      expect((await lineageOf(ppo2)).parents).toEqual([
        { field: 'policy', id: jobOf('sft').id },
        { field: 'reward', id: reward2 },
      ]);
      expect(rounds.jobs[5].result).toMatchObject({ checkpointId: ppo2, averageCheckpointId: `${ppo2}-ema` });
    });
  });
});

describe('an operator', () => {
  const long = { ...tinyConfigs.pretraining, steps: 100_000 };
  const submit = (): Promise<JobView> =>
    client.post<JobView>('/v1/jobs', { stage: 'pretraining', config: { ...long, dataset: datasets.text } });

  it('pauses, resumes and cancels a running job', async () => {
    const { id } = await submit();
    await jobUntil(id, ({ state, progress }) => state === 'active' && (progress?.step ?? 0) > 0);
    await client.post(`/v1/jobs/${id}/pause`, {});
    await jobUntil(id, ({ state }) => state === 'paused');
    await sleep(1500); // the step that ran when the pause came has ended
    const held = (await client.get<JobView>(`/v1/jobs/${id}`)).progress?.step;
    await sleep(1500);
    expect((await client.get<JobView>(`/v1/jobs/${id}`)).progress?.step).toBe(held);

    await client.post(`/v1/jobs/${id}/resume`, {});
    await jobUntil(id, ({ progress }) => (progress?.step ?? 0) > (held ?? Infinity));

    await client.post(`/v1/jobs/${id}/cancel`, {});
    const cancelled = await jobUntil(id, ({ state }) => settled(state));
    expect(cancelled).toMatchObject({ state: 'cancelled', attempts: 1 });
    expect(await codeOf(client.get(`/v1/checkpoints/${id}`))).toBe('CHECKPOINT_NOT_FOUND');
  });

  it('trains on a folder of text files of their own', async () => {
    const folder = join(redis.home, 'imports', 'my-notes');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'a.md'), '# Tea\n\nTea is made with hot water.\n'.repeat(20));
    await writeFile(join(folder, 'b.txt'), 'Coffee is made with hot water, too.\n'.repeat(20));
    const dataset = await client.post<{ id: string; rows: number }>('/v1/datasets', {
      kind: 'text',
      name: 'my-notes',
      path: folder,
    });
    expect(dataset.rows).toBe(2);
    const { id } = await client.post<JobView>('/v1/jobs', {
      stage: 'pretraining',
      config: { ...tinyConfigs.pretraining, dataset: dataset.id },
    });
    expect(await jobUntil(id, ({ state }) => settled(state))).toMatchObject({ state: 'completed' });
    const manifest = JSON.parse(
      await readFile(join(redis.home, 'store', 'checkpoints', id, 'manifest.json'), 'utf8'),
    ) as { id: string };
    expect(manifest.id).toBe(id);
  });

  it('finds every service healthy, with metrics', async () => {
    for (const address of Object.values(services.addresses)) {
      expect((await fetch(`${address}/healthz`)).status).toBe(200);
      expect((await fetch(`${address}/readyz`)).status).toBe(200);
      expect(await (await fetch(`${address}/metrics`)).text()).toContain('# TYPE');
    }
  });
});
