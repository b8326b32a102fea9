import { clippedPolicyLoss, clippedValueLoss } from '@pavlov/algorithms';
import { createEngine, type Engine } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { readFixture } from './fixture';
import { lossAndGradient } from './loss-and-gradient';

installMatchers();

interface Expected {
  readonly loss: number;
  readonly gradients: number[];
}
const fixture = readFixture<{
  clipRange: number;
  mask: number[];
  policy: Expected & { logprobs: number[]; oldLogprobs: number[]; advantages: number[] };
  value: Expected & { values: number[]; oldValues: number[]; returns: number[] };
}>('ppo-losses');
const { clipRange, policy, value } = fixture;
const flat = (values: number[]) => ({ shape: [values.length], values });
const mask = flat(fixture.mask);

let engine: Engine;
beforeAll(async () => (engine = await createEngine({ threads: 1 })));
afterAll(() => engine.dispose());

describe('the clipped losses', () => {
  it('of the policy has the value and the gradient of PyTorch', async () => {
    const { loss, gradients } = await lossAndGradient(
      engine,
      ({ logprobs, oldLogprobs, advantages, mask }) =>
        clippedPolicyLoss({ logprobs, oldLogprobs, advantages, mask, clipRange }),
      {
        trained: { logprobs: flat(policy.logprobs) },
        given: { oldLogprobs: flat(policy.oldLogprobs), advantages: flat(policy.advantages), mask },
      },
    );
    expect([loss]).toBeAllClose([policy.loss], tolerances.rounded);
    expect(gradients.logprobs).toBeAllClose(policy.gradients, tolerances.rounded);
  });

  it('of the value network has the value and the gradient of PyTorch', async () => {
    const { loss, gradients } = await lossAndGradient(
      engine,
      ({ values, oldValues, returns, mask }) => clippedValueLoss({ values, oldValues, returns, mask, clipRange }),
      {
        trained: { values: flat(value.values) },
        given: { oldValues: flat(value.oldValues), returns: flat(value.returns), mask },
      },
    );
    expect([loss]).toBeAllClose([value.loss], tolerances.rounded);
    expect(gradients.values).toBeAllClose(value.gradients, tolerances.rounded);
  });
});
