import { PavlovError, type StageName, stages } from '@pavlov/contracts';
import { type Broker, jobDefaults, openQueue, type StageJob, type StageQueue } from '@pavlov/service-kit';
import { FlowProducer, type FlowOpts } from 'bullmq';
import { parseJobId } from '../submission/ids';

/** The queues of all stages. */
export interface Queues {
  readonly of: Readonly<Record<StageName, StageQueue>>;
  readonly flow: FlowProducer;
  /** The same defaults for jobs that come through the flow. */
  readonly options: FlowOpts['queuesOptions'];
  close(): Promise<void>;
}

export function openQueues(broker: Broker): Queues {
  const of = Object.fromEntries(stages.map((stage) => [stage, openQueue(broker, stage)])) as Record<
    StageName,
    StageQueue
  >;
  const flow = new FlowProducer({ connection: broker.redis, prefix: broker.prefix });
  flow.on('error', () => undefined); // the broker's connection reports its errors itself
  return {
    of,
    flow,
    options: Object.fromEntries(stages.map((stage) => [stage, { defaultJobOptions: jobDefaults }])),
    close: async () => {
      await Promise.all([flow.close(), ...Object.values(of).map((queue) => queue.close())]);
    },
  };
}

export async function findJob(queues: Queues, id: string): Promise<StageJob | undefined> {
  const parsed = parseJobId(id);
  return parsed === undefined ? undefined : queues.of[parsed.stage].getJob(id);
}

/** @throws PavlovError JOB_NOT_FOUND */
export async function getJob(queues: Queues, id: string): Promise<StageJob> {
  const job = await findJob(queues, id);
  if (job !== undefined) return job;
  throw new PavlovError({
    code: 'JOB_NOT_FOUND',
    message: `There is no job “${id}”.`,
    hint: 'List the jobs at GET /v1/jobs.',
  });
}
