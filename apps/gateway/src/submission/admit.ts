import { type Store } from '@pavlov/checkpoint-store';
import { type JobPayload, type RewardFunctionInfo } from '@pavlov/contracts';
import { errorOf, type Problem } from '../http/bad-request';
import { checkOracle } from './check-oracle';
import { checkInputs } from './check-inputs';
import { checkLengths } from './check-lengths';
import { checkModels } from './check-models';
import { checkPromptCap } from './check-prompt-cap';
import { checkRewardFunctions } from './check-reward-functions';
import { checkRuns } from './check-runs';
import { checkTokenizers } from './check-tokenizers';
import { createDatasetRowsReader } from './dataset-rows';
import { createTokenizerCache, gatherFacts } from './facts';
import { type PlannedJob } from './plan';

export interface Admission {
  /** Checks planned jobs against what there is. @throws PavlovError for the first problem, listing all */
  admit(planned: readonly PlannedJob[]): Promise<JobPayload[]>;
}

/** @param rewardFunctions Those that a ppo job may name, at the time of asking. */
export function createAdmission(
  store: Store,
  rewardFunctions: () => Promise<readonly RewardFunctionInfo[]>,
): Admission {
  const tokenizerOf = createTokenizerCache(store);
  const rows = createDatasetRowsReader(store);
  return {
    admit: async (planned) => {
      const jobs = planned.map(({ payload }) => payload);
      const facts = gatherFacts({ store, jobs, tokenizerOf });
      /** Later checks look into what earlier ones have found to be there. */
      const checks: readonly ((job: PlannedJob) => Promise<Problem[]>)[] = [
        (job) => checkInputs(job, facts),
        (job) => checkTokenizers(job, facts),
        (job) => checkModels(job, facts),
        (job) => checkRewardFunctions(job, rewardFunctions),
        (job) => checkOracle(job, rows),
        (job) => checkLengths(job, { facts, rows }),
        (job) => checkPromptCap(job, { facts, rows }),
        (job) => checkRuns(job, facts),
      ];
      for (const check of checks) {
        const problems: Problem[] = [];
        for (const job of planned) {
          const { round = 1 } = job.payload;
          // Rounds repeat each other: what is wrong would be said again, and the third differs from the second in ids alone.
          if (round > 2 || (round > 1 && problems.length > 0)) continue;
          problems.push(...(await check(job)));
        }
        if (problems.length > 0) throw errorOf(problems);
      }
      return jobs;
    },
  };
}
