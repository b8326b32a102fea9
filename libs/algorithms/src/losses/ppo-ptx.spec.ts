import { tf } from '@pavlov/tensor';
import { expectAllClose, expectLossToMatch, TOLERANCE, useCpuBackend } from '../spec-support';
import { causalLmLoss } from './language-model';
import { clippedPolicyLoss } from './policy';
import { ppoPtxLoss } from './ppo-ptx';

useCpuBackend();

describe('ppoPtxLoss', () => {
  it('gives the hand-worked value', () => {
    // −0.5 + 27.8 · 0.25 = 6.45
    const { loss } = ppoPtxLoss({ policyLoss: tf.scalar(-0.5), pretrainingLoss: tf.scalar(0.25), coefficient: 27.8 });
    expectAllClose(loss.dataSync(), [6.45], TOLERANCE.floatGraph);
  });

  it('has the gradient of finite differences through both losses', () => {
    const advantages = [1, -2];
    // Two sampled tokens, then two tokens of pretraining text.
    expectLossToMatch({
      graph: (logprobs) => {
        const [sampled, pretraining] = tf.split(logprobs, 2);
        const policy = clippedPolicyLoss({
          logprobs: sampled,
          oldLogprobs: tf.tensor1d([-1, -1]),
          advantages: tf.tensor1d(advantages),
          mask: tf.ones([2]),
          clipRange: 0.2,
        });
        const { loss } = causalLmLoss({ logprobs: pretraining, mask: tf.ones([2]) });
        return ppoPtxLoss({ policyLoss: policy.loss, pretrainingLoss: loss, coefficient: 3 });
      },
      reference: (x) => {
        const gain = (i: number): number => {
          const ratio = Math.exp(x[i] + 1);
          return Math.min(advantages[i] * ratio, advantages[i] * Math.min(Math.max(ratio, 0.8), 1.2));
        };
        return -(gain(0) + gain(1)) / 2 - (3 * (x[2] + x[3])) / 2;
      },
      at: [-1.0625, -0.9375, -2, -0.5],
    });
  });
});
