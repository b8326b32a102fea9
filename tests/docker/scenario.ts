import {
  type Completion,
  type ErrorBody,
  type EvaluationReport,
  type JobView,
  type PipelineView,
  type SamplingWeights,
  stages,
} from '@pavlov/contracts';
import { computesBfloat16 } from '@pavlov/kernels';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '../../apps/cli/src/http';
import { services } from '../../apps/cli/src/services';
import { tinyConfigs, tinyWorld } from '../e2e/tiny-world';
import { type Container, lines, type Stack } from './stack';

/** Longest wait for a job or a pipeline. */
const PATIENCE_MS = 5 * 60_000;
/** Some ten seconds each: long enough for something to happen meanwhile. */
const LONG_SFT = { ...tinyConfigs.sft, epochs: 1000 };
/** Few answers of so small a model end, and unfinished ones score the same: no reason to stop here. */
const LONG_PPO = { ...tinyConfigs.ppo, iterations: 400, limits: { equalRewards: 400 } };

/** Says that something is as it should be. @throws Error if it is not. */
export type Check = (what: string, actual: unknown, expected: unknown) => void;

interface Scene extends Stack {
  readonly check: Check;
  readonly client: Client;
}
type Datasets = Record<keyof typeof tinyWorld, string>;

/**
 * What an operator may do to single services while a pipeline runs:
 * 1. build the images, and bring everything up;
 * 2. stop one service, submit a pipeline that will need it;
 * 3. update one that waits, while another one trains;
 * 4. restart one in the middle of its job;
 * 5. scale one up and down again;
 * 6. start the stopped one, which ends the pipeline, and ask what came of it;
 * 7. take it all down and up again.
 */
export async function runScenario(stack: Stack, check: Check): Promise<void> {
  say('building the images; the first time takes minutes');
  await stack.compose('build');
  await checkImages(stack, check);
  say('starting');
  await stack.compose('up', '--detach', '--wait');
  const scene = { ...stack, check, client: await connect(stack) };
  await checkServices(scene);

  say('a pipeline, while one stage is stopped');
  const datasets = await upload(scene);
  await others(scene, 'evaluation', () => scene.compose('stop', 'evaluation'));
  const [evaluation] = await scene.containers('evaluation');
  scene.check('the stopped service ended in order', [evaluation.running, evaluation.exitCode], [false, 0]);
  const pipeline = await scene.client.post<PipelineView>('/v1/pipelines', {
    name: 'tiny',
    seed: 1,
    stages: stagesOf(datasets),
  });
  const idOf = (stage: string): string => pipeline.jobs.find((job) => job.stage === stage)?.id ?? '';

  await updateBeside(scene, { update: 'reward-modeling', jobId: idOf('sft') });
  await restartDuring(scene, { service: 'ppo', jobId: idOf('ppo') });
  await scale(scene, { policy: idOf('pretraining'), dataset: datasets.demonstrations });

  say('the stopped stage comes back');
  scene.check('its job has waited for it', (await jobOf(scene, idOf('evaluation'))).state, 'waiting');
  await others(scene, 'evaluation', () => bringUp(scene, 'evaluation'));
  await checkResults(scene, await until(scene, () => pipelineOf(scene, pipeline.id), isComplete));
  await checkProcesses(scene);

  say('down and up again');
  await scene.compose('stop');
  scene.check('every service ends in order', await each(scene, ({ exitCode }) => exitCode), onAll(0));
  await scene.compose('down');
  await scene.compose('up', '--detach', '--wait');
  const client = await connect(scene);
  scene.check('jobs are kept', isComplete(await pipelineOf({ client }, pipeline.id)), true);
  scene.check('checkpoints are kept', (await ask(client, idOf('ppo'))).checkpoint, idOf('ppo'));
}

/** Small, without tools, without root, and alike but for the bundle. */
async function checkImages({ compose, docker }: Stack, check: Check): Promise<void> {
  const ids = [...new Set(lines(await compose('config', '--images')))].filter((image) => !image.startsWith('redis'));
  interface Image {
    readonly Size: number;
    readonly Config: { readonly User: string };
    readonly RootFS: { readonly Layers: readonly string[] };
  }
  const images = JSON.parse(await docker('image', 'inspect', ...ids)) as Image[];
  check('there is an image for every service', images.length, services.length);
  check(
    'all images share all layers but the last',
    new Set(images.map(({ RootFS }) => RootFS.Layers.slice(0, -1).join())).size,
    1,
  );
  check(
    'no image runs as root',
    images.filter(({ Config }) => ['', 'root', '0'].includes(Config.User)),
    [],
  );
  say(`the largest image has ${(Math.max(...images.map(({ Size }) => Size)) / 1e6).toFixed(0)} MB, its base included`);
  const folders = (await docker('run', '--rm', '--network', 'none', ids[0], 'ls', 'node_modules')).split('\n');
  const tools = ['@types', 'typescript', 'esbuild', 'jest', 'eslint', 'nx', 'prettier', '@swc'];
  check(
    'no image has the tools of development',
    folders.filter((folder) => tools.includes(folder)),
    [],
  );
}

async function checkServices(scene: Scene): Promise<void> {
  const { client, compose, docker, check } = scene;
  check('every service is up and healthy', await each(scene, ({ health }) => health), onAll('healthy'));
  const users = await each(
    scene,
    async ({ id, service }) => service === 'redis' || (await docker('exec', id, 'id', '-u')) !== '0',
  );
  check('no service runs as root', users, onAll(true));
  check('only this machine reaches the port', (await compose('port', 'gateway', '8080')).split(':')[0], '127.0.0.1');
  for (const page of ['/readyz', '/docs', '/docs/swagger-ui-bundle.js', '/queues/', '/openapi.json'])
    check(`the gateway shows ${page}`, (await fetch(`${client.address}${page}`)).status, 200);
}

async function upload({ client }: Scene): Promise<Datasets> {
  const ids = Object.entries(tinyWorld).map(async ([kind, rows]) => {
    const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    const path = `/v1/datasets?kind=${kind}&name=tiny-${kind}`;
    return [kind, (await client.upload<{ id: string }>(path, { text, type: 'application/x-ndjson' })).id] as const;
  });
  return Object.fromEntries(await Promise.all(ids)) as Datasets;
}

const stagesOf = (datasets: Datasets) => ({
  pretraining: { ...tinyConfigs.pretraining, dataset: datasets.text },
  sft: { ...LONG_SFT, dataset: datasets.demonstrations },
  feedback: { labeller: { kind: 'import', dataset: datasets.rankings } },
  'reward-modeling': { ...tinyConfigs['reward-modeling'], demonstrations: datasets.demonstrations },
  ppo: { ...LONG_PPO, prompts: datasets.prompts },
  evaluation: { ...tinyConfigs.evaluation, prompts: datasets.prompts, winRate: { challenger: 'ppo', baseline: 'sft' } },
});

/** A new container for one service, as after a build, while the job of another one runs. */
async function updateBeside(scene: Scene, { update, jobId }: { update: string; jobId: string }): Promise<void> {
  say(`${update} is updated meanwhile`);
  await jobUntil(scene, jobId, isTraining);
  const [before] = await scene.containers(update);
  await others(scene, update, () => bringUp(scene, '--build', '--force-recreate', update));
  const after = await scene.containers(update);
  scene.check(`${update} has one new container`, [after.length, after[0].id !== before.id], [1, true]);
  const job = await jobUntil(scene, jobId, isComplete);
  scene.check(`${job.stage} did not notice`, job.attempts, 1);
}

/** The service gives its job back before it ends, and does it after its restart. */
async function restartDuring(scene: Scene, { service, jobId }: { service: string; jobId: string }): Promise<void> {
  say(`${service} is restarted in the middle of its job`);
  await jobUntil(scene, jobId, isTraining);
  await others(scene, service, () => scene.compose('restart', service));
  const [container] = await scene.containers(service);
  const log = await scene.docker('logs', container.id);
  scene.check(`${service} shut down in order`, log.includes('"msg":"shut down"'), true);
  const job = await jobUntil(scene, jobId, isComplete);
  scene.check('its job was started twice', job.attempts, 2);
  const isAfterwards = Date.parse(job.startedAt ?? '') > Date.parse(container.startedAt);
  scene.check('and was done by the restarted service', isAfterwards, true);
}

/** Two containers work on two jobs at once; the one that goes leaves its job to the one that stays. */
async function scale(scene: Scene, inputs: { policy: string; dataset: string }): Promise<void> {
  say('sft is scaled to two and back');
  await others(scene, 'sft', () => bringUp(scene, '--no-recreate', '--scale', 'sft=2', 'sft'));
  const two = await scene.containers('sft');
  scene.check(
    'sft has two healthy containers',
    two.map(({ health }) => health),
    ['healthy', 'healthy'],
  );
  const submit = (seed: number): Promise<JobView> =>
    scene.client.post<JobView>('/v1/jobs', { stage: 'sft', seed, config: { ...LONG_SFT, ...inputs } });
  const jobs = await Promise.all([submit(1), submit(2)]);
  for (const { id } of jobs) await jobUntil(scene, id, isTraining);
  const trainers = await Promise.all(
    two.map(async ({ id }) => (await processesOf(scene, id)).filter(isTrainer).length),
  );
  scene.check('each of them trains one of two jobs', trainers, [1, 1]);
  await others(scene, 'sft', () => bringUp(scene, '--no-recreate', '--scale', 'sft=1', 'sft'));
  scene.check('sft has one container again', (await scene.containers('sft')).length, 1);
  for (const { id } of jobs) await jobUntil(scene, id, isComplete);
  const attempts = await Promise.all(jobs.map(async ({ id }) => (await jobOf(scene, id)).attempts));
  scene.check('which did both jobs, one of them anew', attempts.sort(), [1, 2]);
}

async function checkResults(scene: Scene, pipeline: PipelineView): Promise<void> {
  const { client, check } = scene;
  check(
    'every stage has completed',
    pipeline.jobs.map(({ stage, state }) => [stage, state]),
    stages.map((stage) => [stage, 'completed']),
  );
  const [ppo, evaluation] = pipeline.jobs.slice(-2);
  const { report } = await client.get<{ report: EvaluationReport }>(`/v1/reports/${evaluation.id}`);
  check(
    'the report compares the policies',
    report.policies.map(({ name }) => name),
    ['pretrained', 'sft', 'ppo'],
  );
  check('the new policy answers', (await ask(client, ppo.id)).choices.length, 1);
  await checkWeights(scene, pipeline.jobs[0].id); // the later ones are so sure of an answer that nothing shows in it
}

/** With the weights as they are, and rounded; in bfloat16 where the processor can, which is the engine's too. */
async function checkWeights({ client, check }: Scene, checkpoint: string): Promise<void> {
  const answered = [200, 1];
  const expected: Record<SamplingWeights, unknown> = {
    float32: answered,
    bfloat16: computesBfloat16() ? answered : [422, 'PRECISION_UNAVAILABLE'],
    int8: answered,
  };
  const logprobs: number[] = [];
  for (const weights of Object.keys(expected) as SamplingWeights[]) {
    const response = await fetch(`${client.address}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...question, checkpoint, weights }),
    });
    const { choices = [], code } = (await response.json()) as Partial<Completion & ErrorBody>;
    check(`completions with weights in ${weights}`, [response.status, code ?? choices.length], expected[weights]);
    logprobs.push(...choices.map(({ logprob }) => logprob));
  }
  check('each have log-probabilities of their own', new Set(logprobs).size, logprobs.length);
}

/** A trainer ends with its job, and leaves nothing behind. */
async function checkProcesses(scene: Scene): Promise<void> {
  const isLeftOver = (command: string): boolean => isTrainer(command) || command.includes('<defunct>');
  const left = await each(scene, async ({ id }) => (await processesOf(scene, id)).filter(isLeftOver));
  scene.check('no service has a process left over', left, onAll([]));
}

/** Commands that run in a container. */
async function processesOf({ docker }: Stack, id: string): Promise<string[]> {
  return lines(await docker('top', id, '-eo', 'pid,args')).slice(1);
}

const isTrainer = (command: string): boolean => command.includes('trainer.js');
const isComplete = ({ state }: JobView | PipelineView): boolean => state === 'completed';
const isTraining = ({ state, progress }: JobView): boolean => state === 'active' && (progress?.step ?? 0) > 0;

/** Checks that `act`, done to one service, leaves all others as they are: the same containers, neither restarted nor stopped. */
async function others(scene: Scene, service: string, act: () => Promise<unknown>): Promise<void> {
  const rest = async (): Promise<unknown> => {
    const runs = await each(scene, ({ id, running, startedAt }) => ({ id, running, startedAt }));
    return runs.filter(([name]) => name !== service);
  };
  const before = await rest();
  await act();
  scene.check('nothing happened to the others', await rest(), before);
}

/** One service, without those that it depends on. */
const bringUp = ({ compose }: Stack, ...what: string[]): Promise<string> =>
  compose('up', '--detach', '--wait', '--no-deps', ...what);

const onAll = <T>(value: T): [string, T][] => ['redis', ...services].sort().map((service) => [service, value]);

/** Something about every container, by service. */
async function each<T>({ containers }: Stack, about: (container: Container) => T | Promise<T>): Promise<[string, T][]> {
  const all = (await containers()).sort((a, b) => a.service.localeCompare(b.service));
  return Promise.all(all.map(async (container): Promise<[string, T]> => [container.service, await about(container)]));
}

async function connect({ compose }: Stack): Promise<Client> {
  return createClient(`http://${await compose('port', 'gateway', '8080')}`);
}

const question = { prompt: 'What comes after one?', maxNewTokens: 4 };
const ask = (client: Client, checkpoint: string): Promise<Completion> =>
  client.post<Completion>('/v1/completions', { ...question, checkpoint });

const pipelineOf = ({ client }: Pick<Scene, 'client'>, id: string): Promise<PipelineView> =>
  client.get<PipelineView>(`/v1/pipelines/${id}`);

const jobOf = ({ client }: Scene, id: string): Promise<JobView> => client.get<JobView>(`/v1/jobs/${id}`);

const jobUntil = (scene: Scene, id: string, good: (job: JobView) => boolean): Promise<JobView> =>
  until(scene, () => jobOf(scene, id), good);

/** Asks until the answer is good. @throws Error if it takes too long, or can never become good. */
async function until<T extends { readonly state: string }>(
  { signal }: Stack,
  probe: () => Promise<T>,
  good: (value: T) => boolean,
): Promise<T> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(200, undefined, { signal })) {
    const value = await probe();
    if (good(value)) return value;
    if (['completed', 'failed', 'cancelled'].includes(value.state))
      throw new Error(`over too soon: ${JSON.stringify(value)}`);
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${JSON.stringify(value)}`);
  }
}

const say = (what: string): void => void process.stdout.write(`── ${what}\n`);
