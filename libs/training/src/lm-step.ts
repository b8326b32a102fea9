import { causalLmLoss } from '@pavlov/algorithms';
import { type TokenBatch } from '@pavlov/datasets';
import {
  hiddenStates,
  hiddenStatesWithDropout,
  lmLogits,
  transformerLayout,
  type ResidualDropout,
  type TransformerConfig,
} from '@pavlov/model';
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
  /**
   * Loss of a batch; its gradients land in the learner's buffer.
   *
   * @param dropoutMasks Of this very step; needed if, and only if, it is compiled with dropout.
   */
  gradients(learner: Learner, batch: TokenBatch, dropoutMasks?: Float32Array): Promise<{ loss: number }>;
  /** Loss over several batches, each token weighing the same. Nothing is dropped. */
  meanLoss(parameters: Parameters, batches: Iterable<TokenBatch>): Promise<number>;
}

export interface LmStepOptions {
  readonly model: TransformerConfig;
  readonly rows: number;
  readonly columns: number;
  /** Multiplies the gradients, not the reported loss: the weight of this loss beside another. */
  readonly coefficient?: number;
  /** Of the passes that gradients are taken of; none by default. */
  readonly dropout?: Pick<ResidualDropout, 'spec'>;
}

export async function compileLmStep(engine: Engine, options: LmStepOptions): Promise<LmStep> {
  const { model, rows, columns, coefficient = 1, dropout } = options;
  const count = rows * columns;
  const signature = {
    ...parameterSignature(transformerLayout(model, 'lm')),
    tokens: { shape: [rows, columns], dtype: 'int32' },
    targets: { shape: [count], dtype: 'int32' },
    mask: { shape: [count], dtype: 'float32' },
  } as const;
  const lossOf = (
    parameters: Record<string, tf.Tensor>,
    { hidden, targets, mask }: { hidden: tf.Tensor; targets: tf.Tensor; mask: tf.Tensor },
  ) => causalLmLoss({ logprobs: tokenLogprobs(lmLogits(parameters, hidden, model), targets), mask });

  const training = await engine.compile(
    ({ tokens, targets, mask, dropoutMasks, ...parameters }) => {
      const { metrics, gradients } = gradientsOf((weights) => {
        const hidden = dropout
          ? hiddenStatesWithDropout(weights, { tokens, masks: dropoutMasks }, model)
          : hiddenStates(weights, tokens, model); // [B·T, C]
        const { loss } = lossOf(weights, { hidden, targets, mask });
        return { loss: tf.mul(loss, coefficient), metrics: { loss } };
      }, parameters);
      return { ...metrics, ...gradientOutputs(gradients) };
    },
    { ...signature, ...(dropout && { dropoutMasks: dropout.spec }) },
    { name: 'lm-training' },
  );
  const scoring = await engine.compile(
    ({ tokens, targets, mask, ...parameters }) =>
      lossOf(parameters, { hidden: hiddenStates(parameters, tokens, model), targets, mask }),
    signature,
    { name: 'lm-scoring' },
  );
  return {
    gradients: async (learner, { tokens, targets, mask }, dropoutMasks) => {
      const outputs = await training.run(
        { ...learner.parameters.views, tokens, targets, mask, ...(dropoutMasks && { dropoutMasks }) },
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
