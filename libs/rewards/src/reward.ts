import { type MonitorConfig, PavlovError } from '@pavlov/contracts';
import { openEndpoint } from './endpoint';
import { type Answer, type RewardFunction, type RewardFunctions } from './reward-function';
import { rewardsOf } from './rewards-of';

/** Where rewards come from that no reward model gives: a reward function's name, or an endpoint's address. */
export type RewardSource = Exclude<NonNullable<MonitorConfig['heldOut']>, { kind: 'model' }>;

export interface ScoreOptions {
  /** Ends the waiting for an endpoint: `score` then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told, in a sentence, of each try of an endpoint that failed and is to be made again. */
  readonly onRetry?: (reason: string) => void;
}

export interface Reward {
  /**
   * One finite reward per answer, in their order, without the config's weight: [answers].
   *
   * @throws PavlovError REWARD_INVALID, REWARD_UNAVAILABLE, or what a built-in function says of the prompts
   */
  score(answers: readonly Answer[], options?: ScoreOptions): Promise<Float32Array>;
}

/** @throws PavlovError UNKNOWN_REWARD_FUNCTION */
export function openReward(source: RewardSource, functions: RewardFunctions): Reward {
  switch (source.kind) {
    case 'function':
      return fromFunction(source.name, functions);
    case 'http':
      return fromEndpoint(source);
    default:
      return source satisfies never;
  }
}

/** What metrics call a reward: the function's name, or the host of the endpoint. */
export const nameOf = (source: RewardSource): string =>
  source.kind === 'function' ? source.name : new URL(source.url).host;

/** The names of several rewards, each unlike the others: the second of one host is `host-2`. */
export function namesOf(sources: readonly RewardSource[]): string[] {
  const names = sources.map(nameOf);
  return names.map((name, index) => {
    const earlier = names.slice(0, index).filter((other) => other === name).length;
    return earlier === 0 ? name : `${name}-${earlier + 1}`;
  });
}

function fromFunction(name: string, functions: RewardFunctions): Reward {
  const reward = functions.get(name);
  if (reward === undefined) {
    throw new PavlovError({
      code: 'UNKNOWN_REWARD_FUNCTION',
      message: `There is no reward function “${name}”.`,
      hint: `There are: ${[...functions.keys()].join(', ')}. PAVLOV_REWARDS names the module that has others.`,
    });
  }
  const giver = `The reward function “${name}”`;
  return {
    score: async (answers) => rewardsOf({ rewards: await call(reward, { answers, giver }), answers, giver }),
  };
}

async function call(
  reward: RewardFunction,
  { answers, giver }: { answers: readonly Answer[]; giver: string },
): Promise<unknown> {
  // A function that sorts its answers in place is to fail, not to give the rewards of one answer to another.
  const sealed = Object.freeze(answers.map((answer) => Object.freeze({ ...answer })));
  try {
    return await reward(sealed);
  } catch (error) {
    if (error instanceof PavlovError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new PavlovError(
      {
        code: 'REWARD_INVALID',
        message: `${giver} failed: ${reason}`,
        hint: 'Correct it, restart the ppo service, and retry the job. A call that may fail for a while is its own to repeat.',
      },
      { cause: error },
    );
  }
}

function fromEndpoint(source: Extract<RewardSource, { kind: 'http' }>): Reward {
  const giver = `The reward endpoint ${nameOf(source)}`;
  const ask = openEndpoint(source, { giver });
  return {
    score: async (answers, options = {}) => rewardsOf({ rewards: await ask(answers, options), answers, giver }),
  };
}
