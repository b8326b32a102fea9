import { type JobPayload, PavlovError } from '@pavlov/contracts';
import { type Broker, keys } from '@pavlov/service-kit';
import { type FlowJob } from 'bullmq';
import { createHash } from 'node:crypto';
import { type Queues } from '../jobs/queues';
import { freshSuffix, pipelineIdOf, suffixOfKey } from './ids';

/** What was accepted: written before anything is enqueued, and kept. */
export interface Submission {
  readonly suffix: string;
  /** SHA-256 of the request, to tell a repetition from another request under the same key. */
  readonly fingerprint: string;
  readonly sort: 'job' | 'pipeline';
  readonly createdAt: string;
  readonly name?: string;
  readonly seed: number;
  readonly priority: number;
  /** In the order in which they run. */
  readonly jobs: readonly JobPayload[];
}

export interface Draft extends Pick<Submission, 'sort' | 'name' | 'seed' | 'priority'> {
  /** The request as it was understood, defaults included: what makes two requests the same. */
  readonly request: unknown;
  /** Checks everything and plans the jobs; throws if any of it is wrong. */
  readonly plan: (suffix: string) => Promise<readonly JobPayload[]>;
}

export async function findSubmission(broker: Broker, suffix: string): Promise<Submission | undefined> {
  const text = await broker.redis.get(keys.submission(broker, suffix));
  return text === null ? undefined : (JSON.parse(text) as Submission);
}

/** A chain: each job is the child of the one that runs after it, and that one waits until it has completed. */
export function flowOf({ jobs, priority }: Submission): FlowJob {
  const chain = jobs.reduce<FlowJob | undefined>(
    (child, payload) => ({
      name: payload.stage,
      queueName: payload.stage,
      data: payload,
      opts: { jobId: payload.jobId, ...(priority > 0 ? { priority } : {}) },
      children: child === undefined ? [] : [child],
    }),
    undefined,
  );
  if (chain === undefined) throw new Error('a submission has at least one job');
  return chain;
}

/** Every step may be done again without harm: BullMQ passes over a job whose id it knows. */
async function enqueue({ broker, queues }: Target, submission: Submission): Promise<void> {
  const at = Date.parse(submission.createdAt);
  const listing = broker.redis.multi();
  submission.jobs.forEach(({ jobId }, index) => listing.zadd(keys.index(broker, 'job'), 'NX', at + index / 10, jobId));
  if (submission.sort === 'pipeline')
    listing.zadd(keys.index(broker, 'pipeline'), 'NX', at, pipelineIdOf(submission.suffix));
  await listing.exec();
  await queues.flow.add(flowOf(submission), { queuesOptions: queues.options });
  await broker.redis.srem(keys.unfinishedSubmissions(broker), submission.suffix);
}

/** Of several submissions with one suffix, the first stays. */
async function write(broker: Broker, submission: Submission): Promise<void> {
  const { suffix } = submission;
  await broker.redis
    .multi()
    .sadd(keys.unfinishedSubmissions(broker), suffix)
    .set(keys.submission(broker, suffix), JSON.stringify(submission), 'NX')
    .exec();
}

/** Enqueues what was accepted by a gateway that died before it could. */
export async function finishSubmissions(target: Target): Promise<number> {
  const suffixes = await target.broker.redis.smembers(keys.unfinishedSubmissions(target.broker));
  for (const suffix of suffixes) {
    const submission = await findSubmission(target.broker, suffix);
    if (submission !== undefined) await enqueue(target, submission);
  }
  return suffixes.length;
}

export interface Target {
  readonly broker: Broker;
  readonly queues: Queues;
}

function assertSame(submission: Submission, fingerprint: string): void {
  if (submission.fingerprint === fingerprint) return;
  throw new PavlovError({
    code: 'IDEMPOTENCY_CONFLICT',
    message: 'This Idempotency-Key has been used for another request.',
    hint: 'Use a new key for each new request; repeat a key only with the very same request.',
    field: 'Idempotency-Key',
  });
}

/**
 * Accepts a request: 1. looks whether its key has been used; 2. checks and plans it; 3. writes the submission, which
 * exactly one of several concurrent requests with one key does; 4. enqueues its jobs in one atomic step. After a crash
 * between 3 and 4, the same request with the same key does step 4, and so does the next start of a gateway.
 *
 * @throws PavlovError IDEMPOTENCY_CONFLICT, and whatever planning throws
 */
export async function submit(target: Target, draft: Draft, idempotencyKey?: string): Promise<Submission> {
  const { broker } = target;
  const suffix = idempotencyKey === undefined ? freshSuffix() : suffixOfKey(idempotencyKey);
  const { plan, request, ...about } = draft;
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([draft.sort, request]))
    .digest('hex');
  let accepted = await findSubmission(broker, suffix);
  if (accepted === undefined) {
    const submission: Submission = {
      suffix,
      fingerprint,
      ...about,
      createdAt: new Date().toISOString(),
      jobs: await plan(suffix),
    };
    await write(broker, submission);
    accepted = await findSubmission(broker, suffix);
  }
  if (accepted === undefined) throw new Error(`the submission ${suffix} has vanished`);
  assertSame(accepted, fingerprint);
  await enqueue(target, accepted);
  return accepted;
}
