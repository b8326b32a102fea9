import { type Completion, completionPayload, inferenceQueue } from '@pavlov/contracts';
import { type Service, toPavlovError, type Work } from '@pavlov/service-kit';
import { type Job, UnrecoverableError, Worker } from 'bullmq';
import { createModelProcess, timedOut } from './model-process';

/** Answers the questions that the gateway puts into the queue, one at a time. */
export async function startCompletionWorker(service: Service, completerPath: string): Promise<Work> {
  const { broker, env, logger, metrics } = service;
  const stage = inferenceQueue;
  const models = createModelProcess({
    path: completerPath,
    storeRoot: env.storeRoot,
    threads: env.threads,
    onOutput: (line) => logger.warn({ line }, 'output of the model process'),
  });

  async function answer(job: Job): Promise<Completion> {
    const { request, deadline } = completionPayload.parse(job.data);
    if (Date.now() >= deadline) throw timedOut(); // nobody waits any more
    const completion = await models.ask(request, deadline);
    metrics.tokens.inc(
      { stage },
      completion.choices.reduce((sum, { tokens }) => sum + tokens, 0),
    );
    return completion;
  }

  /** Counts, and fails as the gateway wants to hear it: with the error's body for a reason. */
  async function process(job: Job): Promise<Completion> {
    const stop = metrics.seconds.startTimer({ stage });
    metrics.active.inc({ stage });
    let outcome: 'completed' | 'failed' = 'failed';
    try {
      const completion = await answer(job);
      outcome = 'completed';
      return completion;
    } catch (thrown) {
      const error = toPavlovError(thrown);
      logger[error.status >= 500 ? 'error' : 'info'](
        { jobId: job.id, err: error, cause: error.cause },
        'no completion',
      );
      throw new UnrecoverableError(JSON.stringify(error.body));
    } finally {
      stop({ outcome });
      metrics.jobs.inc({ stage, outcome });
      metrics.active.dec({ stage });
    }
  }

  const worker = new Worker(inferenceQueue, process, { connection: broker.redis, prefix: broker.prefix });
  worker.on('error', (error) => logger.warn({ reason: error.message }, 'worker'));
  await worker.waitUntilReady();
  return {
    checks: {
      worker: async () => {
        if (!worker.isRunning()) throw new Error('the worker does not run');
      },
    },
    stop: async () => {
      const reachable = await broker.ping().then(
        () => true,
        () => false,
      );
      await worker.close(!reachable);
      await models.stop();
    },
  };
}
