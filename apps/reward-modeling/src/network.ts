import { rankingLoss } from '@pavlov/algorithms';
import { hiddenStatesForTraining, scalarScores, type TransformerConfig } from '@pavlov/model';
import {
  gradientBuffers,
  gradientOutputs,
  gradientsOf,
  parameterSignature,
  tf,
  type Engine,
  type Parameters,
} from '@pavlov/tensor';
import {
  createGradientSum,
  graphsByShape,
  lengthsOf,
  paddingOf,
  sliceByLength,
  statesOf,
  takeSlice,
  windowOf,
  type Learner,
  type Slice,
} from '@pavlov/training';

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
  /** Loss of a batch, and the share of what was computed that is padding; the gradients land in the learner's buffer. */
  gradients(learner: Learner, batch: RankingBatch): Promise<{ loss: number; padding: number }>;
}

export interface RankingShape {
  readonly prompts: number;
  readonly answers: number;
  readonly columns: number;
}

/**
 * Batches are computed in slices of prompts, each on as many columns as it needs: a graph is compiled when its shape first
 * occurs. All answers to a prompt are in one slice.
 */
export function compileReward(
  engine: Engine,
  options: {
    model: TransformerConfig;
    layout: Parameters['layout'];
    shape: RankingShape;
    /** Most prompts computed at once; all by default. */
    microbatchSize?: number;
    /** Whether gradients compute each block again instead of keeping what is in it. */
    activationCheckpointing?: boolean;
  },
): RewardNetwork {
  const { model, shape, activationCheckpointing } = options;
  const { answers, columns } = shape;
  const size = Math.min(options.microbatchSize ?? shape.prompts, shape.prompts);
  const rows = size * answers;
  const training = graphsByShape((sliceColumns) =>
    engine.compile(
      ({ tokens, states, pairWeights, ...parameters }) => {
        const { loss, gradients } = gradientsOf((weights) => {
          const hidden = hiddenStatesForTraining(weights, { tokens, states, activationCheckpointing }, model); // [p·K, C]
          const scores = tf.reshape(scalarScores(weights, hidden), [size, answers]); // [p, K]
          return rankingLoss({ scores, pairWeights });
        }, parameters);
        return { loss, ...gradientOutputs(gradients) };
      },
      {
        ...parameterSignature(options.layout),
        tokens: { shape: [rows, sliceColumns], dtype: 'int32' },
        states: { shape: [rows], dtype: 'int32' },
        pairWeights: { shape: [size, answers, answers], dtype: 'float32' },
      },
      { name: 'reward-training' },
    ),
  );
  const sum = createGradientSum();
  return {
    gradients: async (learner, { tokens, last, pairWeights }) => {
      const lengths = lengthsOf(last, columns);
      const longest = Array.from({ length: shape.prompts }, (_, prompt) =>
        Math.max(...lengths.slice(prompt * answers, (prompt + 1) * answers)),
      );
      const slices = sliceByLength(longest, { size, columns });
      let loss = 0;
      await sum.over(slices, learner.gradients, async (prompts, gradients) => {
        const slice = answersTo(prompts, answers);
        const graph = await training(slice.columns);
        const outputs = await graph.run(
          {
            ...learner.parameters.views,
            tokens: takeSlice(tokens, slice, { columns, fill: model.padId }),
            states: statesOf(slice, windowOf(last, slice, { columns, most: 1 })),
            // One row of K² weights per prompt; a batch's weights sum to 1, so the slices' losses add up to its own.
            pairWeights: takeSlice(
              pairWeights,
              { ...prompts, columns: answers ** 2 },
              { columns: answers ** 2, fill: 0 },
            ),
          },
          gradientBuffers(gradients),
        );
        loss += outputs.loss[0];
      });
      return {
        loss,
        padding: paddingOf(
          slices.map((slice) => answersTo(slice, answers)),
          lengths,
        ),
      };
    },
  };
}

/** The rows of K answers to each prompt of a slice. */
function answersTo(prompts: Slice, answers: number): Slice {
  const rows = prompts.rows.flatMap((prompt) => Array.from({ length: answers }, (_, nth) => prompt * answers + nth));
  return { ...prompts, rows, size: prompts.size * answers };
}
