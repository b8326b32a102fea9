import { rankingLoss, selectReal } from '@pavlov/algorithms';
import { hiddenStates, scalarScores, type TransformerConfig } from '@pavlov/model';
import {
  gradientBuffers,
  gradientOutputs,
  gradientsOf,
  parameterSignature,
  tf,
  type Engine,
  type Parameters,
} from '@pavlov/tensor';
import { type Learner } from '@pavlov/training';

/** P prompts with K answers each, laid out on P·K rows of T columns. */
export interface RankingBatch {
  /** Prompt ⊕ answer, right-padded, [P·K, T]. */
  readonly tokens: Int32Array;
  /** 1 at the last real token of a row, where the reward is read; a row without an answer is all 0. Flat [P·K·T]. */
  readonly last: Float32Array;
  /** Weight of "answer i beat answer j", flat [P, K, K]. */
  readonly pairWeights: Float32Array;
}

export interface RewardNetwork {
  /** Loss of a batch; its gradients land in the learner's buffer. */
  gradients(learner: Learner, batch: RankingBatch): Promise<{ loss: number }>;
}

export interface RankingShape {
  readonly prompts: number;
  readonly answers: number;
  readonly columns: number;
}

export async function compileReward(
  engine: Engine,
  options: { model: TransformerConfig; layout: Parameters['layout']; shape: RankingShape },
): Promise<RewardNetwork> {
  const { prompts, answers, columns } = options.shape;
  const rows = prompts * answers;
  const training = await engine.compile(
    ({ tokens, last, pairWeights, ...parameters }) => {
      const { loss, gradients } = gradientsOf((weights) => {
        const perToken = scalarScores(weights, hiddenStates(weights, tokens, options.model)); // [P·K·T]
        // A sum over one chosen column each.
        const chosen = tf.reshape(selectReal({ values: perToken, mask: last }), [rows, columns]); // [P·K, T]
        const scores = tf.reshape(tf.sum(chosen, 1), [prompts, answers]); // [P, K]
        return rankingLoss({ scores, pairWeights });
      }, parameters);
      return { loss, ...gradientOutputs(gradients) };
    },
    {
      ...parameterSignature(options.layout),
      tokens: { shape: [rows, columns], dtype: 'int32' },
      last: { shape: [rows * columns], dtype: 'float32' },
      pairWeights: { shape: [prompts, answers, answers], dtype: 'float32' },
    },
    { name: 'reward-training' },
  );
  return {
    gradients: async (learner, { tokens, last, pairWeights }) => {
      const outputs = await training.run(
        { ...learner.parameters.views, tokens, last, pairWeights },
        gradientBuffers(learner.gradients),
      );
      return { loss: outputs.loss[0] };
    },
  };
}
