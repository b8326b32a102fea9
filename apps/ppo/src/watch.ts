import { createGuards, createMonitor, type Alarm, type Breakdown, type RolloutStatistics } from '@pavlov/algorithms';
import { lastGoodIdOf, PavlovError, type ErrorCode } from '@pavlov/contracts';
import { type Generation } from '@pavlov/model';
import { type TrainerContext } from '@pavlov/service-kit';
import { copyParameters } from '@pavlov/tensor';
import { publishCheckpoint, type LoadedCheckpoint } from '@pavlov/training';
import { type Answered, type Judge } from './judges';

/** What an iteration shows before anything is learned from it. */
export interface Sight {
  readonly iteration: number;
  readonly answered: Answered;
  /** Row of each answer's prompt, B. */
  readonly prompts: readonly number[];
  readonly generation: Generation;
  /** Scores as the judges gave them, and after the rule for answers without EOS, both B. */
  readonly rawScores: Float32Array;
  readonly scores: Float32Array;
  readonly rollout: RolloutStatistics;
  /** What is logged of it; also kept with a last good policy. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Looks after a run: stops one that is broken, warns of one that goes wrong, and keeps the last policy that was good. */
export interface Watch {
  /**
   * Once per iteration, before its updates.
   *
   * @returns Figures to log.
   * @throws PavlovError NON_FINITE, KL_EXPLODED, ENTROPY_COLLAPSED, REWARDS_EQUAL; OVEROPTIMISED if alarms are to stop the job
   */
  look(sight: Sight): Promise<Record<string, number>>;
  /** The error that ends the job; where a run broke down, the last good policy is published first, and named in it. */
  keepLastGood(error: unknown): Promise<unknown>;
  /** Alarms raised so far. */
  alarms(): number;
}

/** Errors that say that training went wrong, or what it learns from, and not its surroundings. */
const breakdowns: readonly ErrorCode[] = [
  'REWARD_INVALID',
  'NON_FINITE',
  'KL_EXPLODED',
  'ENTROPY_COLLAPSED',
  'REWARDS_EQUAL',
  'OVEROPTIMISED',
];

export function openWatch(
  context: TrainerContext<'ppo'>,
  { policy, heldOut }: { policy: LoadedCheckpoint; heldOut?: Judge },
): Watch {
  const { config, job } = context;
  const guards = createGuards(config.limits);
  const monitor = createMonitor(config.monitor);
  const good = { parameters: copyParameters(policy.parameters), metrics: {} as Record<string, number>, iteration: 0 };
  let raised = 0;

  const log = (alarms: readonly Alarm[]): void => {
    for (const { signal, message, hint, value, limit } of alarms)
      context.log('warn', `${signal}: ${message}`, { signal, value, limit, hint });
    raised += alarms.length;
  };

  const act = (alarms: readonly Alarm[], seen: { iteration: number; figures: Record<string, number> }): void => {
    switch (config.monitor.onAlarm) {
      case 'log':
        return;
      case 'pause':
        return context.pause(alarms.map(({ signal, message }) => `${signal}: ${message}`).join(' '));
      case 'stop':
        context.metrics(seen.iteration, seen.figures); // the curve shows what stopped it
        throw overoptimised(alarms);
      default:
        return config.monitor.onAlarm satisfies never;
    }
  };

  return {
    alarms: () => raised,

    look: async ({ iteration, answered, prompts, generation, rawScores, scores, rollout, figures }) => {
      const { kl } = rollout;
      const entropy = rollout.entropy / rollout.responseLength;
      const broken = guards.check({ iteration, kl, entropy, scores });
      if (broken) {
        context.metrics(iteration, figures); // the curve shows what broke
        throw asError(broken);
      }
      const looks = heldOut !== undefined && iteration % config.monitor.every === 0;
      const heldOutScores = looks ? (await heldOut(answered)).scores : undefined;
      const { responses, finished } = generation;
      const observed = { iteration, kl, entropy, scores: rawScores, prompts, responses, finished, heldOutScores };
      const { figures: watched, alarms, cleared } = monitor.observe(observed);
      for (const { signal } of cleared) context.log('info', `${signal} is over`, { signal });
      if (watched['monitor/alarms'] === 0) {
        good.parameters.data.set(policy.parameters.data);
        good.metrics = { ...figures, ...watched };
        good.iteration = iteration;
      }
      log(alarms);
      if (alarms.length > 0) act(alarms, { iteration, figures: { ...figures, ...watched } });
      return { ...watched };
    },

    keepLastGood: async (error) => {
      if (!(error instanceof PavlovError) || !breakdowns.includes(error.code) || good.iteration === 0) return error;
      const id = lastGoodIdOf(job.jobId);
      const which = `The policy of iteration ${good.iteration}, the last that was sound,`;
      // Whatever hinders the keeping, such as what an earlier attempt has kept, what broke the run is to be told.
      const kept = await publishCheckpoint(context, { ...policy, ...good, id, kind: 'policy' }).then(
        () => `${which} is kept as ${id}.`,
        (reason: unknown) => `${which} could not be kept: ${PavlovError.from(reason).message}`,
      );
      const hint = `${error.body.hint} ${kept}`;
      return new PavlovError({ ...error.body, hint }, { cause: error });
    },
  };
}

function asError({ code, quantity, message, hint }: Breakdown): PavlovError {
  return new PavlovError({ code, field: quantity, message, hint });
}

function overoptimised(alarms: readonly Alarm[]): PavlovError {
  const [{ signal, hint }] = alarms;
  return new PavlovError({
    code: 'OVEROPTIMISED',
    field: signal,
    message: `The monitor stopped the job. ${alarms.map(({ message }) => message).join(' ')}`,
    hint,
  });
}
