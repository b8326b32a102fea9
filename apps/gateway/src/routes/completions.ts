import { completion, completionRequest, PavlovError } from '@pavlov/contracts';
import { json, route, type Route } from '../http/route';

const complete = route({
  method: 'post',
  path: '/v1/completions',
  tag: 'completions',
  summary: 'Ask a checkpoint',
  description:
    'Answered by the inference service, or 503 when there is none or too many are waiting, or 504 when it takes too long.',
  body: { json: completionRequest },
  answers: { 200: { about: 'The answers.', schema: completion } },
  errors: ['CHECKPOINT_NOT_FOUND', 'CHECKPOINT_WRONG_KIND', 'SEQUENCE_TOO_LONG', 'PRECISION_UNAVAILABLE', 'TIMEOUT'],
  handler: async ({ body }, { store, inference }) => {
    const { kind } = await store.checkpoints.manifest(body.checkpoint);
    if (kind !== 'policy') {
      throw new PavlovError({
        code: 'CHECKPOINT_WRONG_KIND',
        message: `${body.checkpoint} is a ${kind}: it scores answers and cannot give any.`,
        hint: 'Name a policy: GET /v1/checkpoints?kind=policy lists them.',
        field: 'checkpoint',
      });
    }
    return json(200, await inference.complete(body));
  },
});

export const completionRoutes: readonly Route[] = [complete];
