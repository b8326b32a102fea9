import { createRewardScorer, initParameters } from '@pavlov/model';
import { createEngine } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { rescaleReward } from './scale';

installMatchers();

const model = { vocabSize: 40, contextLength: 8, layers: 1, heads: 1, width: 8, padId: 1 };
const sequences = [[2], [3, 4], [5, 6, 7], [8, 9, 10, 11]];

it('makes every reward gain · r + bias, the bias not multiplied by the gain, and twice over', async () => {
  const engine = await createEngine({ threads: 1 });
  const scorer = await createRewardScorer(engine, { config: model, batch: 4, length: 8 });
  const parameters = initParameters(model, 'scalar', 1);
  const before = await scorer.score({ parameters, sequences });
  rescaleReward(parameters, { gain: 3, bias: -2 });
  const after = await scorer.score({ parameters, sequences });
  expect(after).toBeAllClose(
    before.map((score) => 3 * score - 2),
    tolerances.reference,
  );
  rescaleReward(parameters, { gain: 0.5, bias: 10 });
  expect(await scorer.score({ parameters, sequences })).toBeAllClose(
    after.map((score) => 0.5 * score + 10),
    tolerances.reference,
  );
  engine.dispose();
});
