import { rewardFunctionList } from '@pavlov/contracts';
import { json, route, type Route } from '../http/route';
import { knownRewardFunctions } from '../submission/check-reward-functions';

const list = route({
  method: 'get',
  path: '/v1/reward-functions',
  tag: 'stages',
  summary: 'The reward functions that a ppo job may name',
  description:
    'Those built in, and those of the module that `PAVLOV_REWARDS` named when the ppo service was started last.',
  answers: { 200: { about: 'Their names, and what each rewards.', schema: rewardFunctionList } },
  handler: async (_request, { broker }) => json(200, { items: await knownRewardFunctions(broker) }),
});

export const rewardFunctionRoutes: readonly Route[] = [list];
