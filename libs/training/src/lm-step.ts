import { causalLmLoss } from '@pavlov/algorithms';
import { type TokenBatch } from '@pavlov/datasets';
import { hiddenStates, lmLogits, transformerLayout, type TransformerConfig } from '@pavlov/model';
import {
  gradientBuffers,
  gradientOutputs,
  gradientsOf,
  parameterSignature,
  tf,
  tokenLogprobs,
  type Engine,
  type Parameters,
} from '@pavlov/tensor';
import { type Learner } from './learner';

/** The compiled language-model loss: mean −log p per learned token, in nats. */
export interface LmStep {
  /** Loss of a batch; its gradients land in the learner's buffer. */
  gradients(learner: Learner, batch: TokenBatch): Promise<{ loss: number }>;
  /** Loss over several batches, each token weighing the same. */
  meanLoss(parameters: Parameters, batches: Iterable<TokenBatch>): Promise<number>;
}

export interface LmStepOptions {
  readonly model: TransformerConfig;
  readonly rows: number;
  readonly columns: number;
  /** Multiplies the gradients, not the reported loss: the weight of this loss beside another. */
  readonly coefficient?: number;
}

export async function compileLmStep(engine: Engine, options: LmStepOptions): Promise<LmStep> {
  const { model, rows, columns, coefficient = 1 } = options;
  const count = rows * columns;
  const signature = {
    ...parameterSignature(transformerLayout(model, 'lm')),
    tokens: { shape: [rows, columns], dtype: 'int32' },
    targets: { shape: [count], dtype: 'int32' },
    mask: { shape: [count], dtype: 'float32' },
  } as const;
  const lossOf = (
    parameters: Record<string, tf.Tensor>,
    batch: { tokens: tf.Tensor; targets: tf.Tensor; mask: tf.Tensor },
  ) => {
    const logits = lmLogits(parameters, hiddenStates(parameters, batch.tokens, model), model); // [B·T, V]
    return causalLmLoss({ logprobs: tokenLogprobs(logits, batch.targets), mask: batch.mask });
  };

  const training = await engine.compile(
    ({ tokens, targets, mask, ...parameters }) => {
      const { metrics, gradients } = gradientsOf((weights) => {
        const { loss } = lossOf(weights, { tokens, targets, mask });
        return { loss: tf.mul(loss, coefficient), metrics: { loss } };
      }, parameters);
      return { ...metrics, ...gradientOutputs(gradients) };
    },
    signature,
    { name: 'lm-training' },
  );
  const scoring = await engine.compile(
    ({ tokens, targets, mask, ...parameters }) => lossOf(parameters, { tokens, targets, mask }),
    signature,
    {
      name: 'lm-scoring',
    },
  );
  return {
    gradients: async (learner, { tokens, targets, mask }) => {
      const outputs = await training.run(
        { ...learner.parameters.views, tokens, targets, mask },
        gradientBuffers(learner.gradients),
      );
      return { loss: outputs.loss[0] };
    },
    meanLoss: async (parameters, batches) => {
      let total = 0;
      let learned = 0;
      for (const { tokens, targets, mask } of batches) {
        const { loss } = await scoring.run({ ...parameters.views, tokens, targets, mask });
        const weight = mask.reduce((sum, one) => sum + one, 0);
        total += loss[0] * weight;
        learned += weight;
      }
      return total / learned;
    },
  };
}
