import { clippedPolicyLoss, clippedValueLoss } from '@pavlov/algorithms';
import {
  hiddenStatesForTraining,
  nextToken,
  scalarScores,
  type NextToken,
  type TransformerConfig,
} from '@pavlov/model';
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
  graphsByColumns,
  lengthsOf,
  paddingOf,
  putSlice,
  sliceByLength,
  takeSlice,
  type Learner,
  type Slice,
} from '@pavlov/training';

/**
 * The compiled functions of PPO, over minibatches of b episodes on a grid of T columns. Column t predicts token t + 1, so a
 * policy's log-prob, the value of its state, its reward and its advantage all stand in the column of the state.
 *
 * A minibatch is computed in slices ("microbatches"), each on as many columns as it needs; a graph is compiled when its
 * shape first occurs. Scoring cuts as training does and compiles to the same kernels, which is what makes the ratio of the
 * first minibatch exactly 1, given that minibatch.
 */

export interface GridShape {
  readonly rows: number;
  readonly columns: number;
}

/** Flat [b, T] arrays of a minibatch, as all below. */
export interface States {
  readonly tokens: Int32Array;
  /** 1 at the states that an answer's tokens were sampled in. */
  readonly mask: Float32Array;
}

export interface Choices extends States {
  readonly targets: Int32Array;
}

export interface PolicyMinibatch extends Choices {
  readonly oldLogprobs: Float32Array;
  readonly advantages: Float32Array;
}

export interface ValueMinibatch extends States {
  readonly oldValues: Float32Array;
  readonly returns: Float32Array;
}

export interface PolicyNetwork {
  /** log π of each target up to the last of an answer, flat [b, T]; what stands after it is of no interest. */
  logprobs(parameters: Parameters, minibatch: Choices): Promise<Float32Array>;
  /** The clipped policy loss of a minibatch; the gradients land in the learner's buffer. */
  gradients(learner: Learner, minibatch: PolicyMinibatch): Promise<PolicyStep>;
}

export interface PolicyStep {
  readonly loss: number;
  /** Flat [b, T], both. */
  readonly logprobs: Float32Array;
  readonly entropies: Float32Array;
  /** Share of what was computed that is padding. */
  readonly padding: number;
}

export interface ValueNetwork {
  /** V of each state up to the last of an answer, flat [b, T]; what stands after it is of no interest. */
  values(parameters: Parameters, minibatch: States): Promise<Float32Array>;
  gradients(learner: Learner, minibatch: ValueMinibatch): Promise<{ loss: number; values: Float32Array }>;
}

interface NetworkOptions {
  readonly model: TransformerConfig;
  readonly layout: Parameters['layout'];
  /** Of a minibatch. */
  readonly grid: GridShape;
  /** Most episodes computed at once; all by default. */
  readonly microbatchSize?: number;
  /** Whether gradients compute each block again instead of keeping what is in it. */
  readonly activationCheckpointing?: boolean;
}

export function compilePolicy(
  engine: Engine,
  options: NetworkOptions & { temperature: number; clipRange: number },
): PolicyNetwork {
  const { model, layout, temperature, clipRange, activationCheckpointing } = options;
  const { slicesOf, take, put, specs, paddingOf } = cutter(options);
  const nextOf = (parameters: Record<string, tf.Tensor>, tokens: tf.Tensor): NextToken =>
    nextToken(
      parameters,
      { hidden: hiddenStatesForTraining(parameters, { tokens, activationCheckpointing }, model), temperature },
      model,
    );

  const scoring = graphsByColumns((columns) => {
    const { ids, flatIds } = specs(columns);
    return engine.compile(
      ({ tokens, targets, ...parameters }) => ({
        logprobs: nextOf(parameters, tokens).logprobs(targets),
      }),
      { ...parameterSignature(layout), tokens: ids, targets: flatIds },
      { name: 'ppo-policy-scoring' },
    );
  });
  const training = graphsByColumns((columns) => {
    const { ids, flatIds, floats, scalar } = specs(columns);
    return engine.compile(
      ({ tokens, targets, oldLogprobs, advantages, mask, denominator, ...parameters }) => {
        const { loss, metrics, gradients } = gradientsOf((weights) => {
          const next = nextOf(weights, tokens);
          const logprobs = next.logprobs(targets); // [b·t]
          const { loss } = clippedPolicyLoss({
            logprobs,
            oldLogprobs,
            advantages,
            mask,
            clipRange,
            denominator: denominator as tf.Scalar,
          });
          return { loss, metrics: { logprobs, entropies: next.entropies() } };
        }, parameters);
        return { loss, ...metrics, ...gradientOutputs(gradients) };
      },
      {
        ...parameterSignature(layout),
        tokens: ids,
        targets: flatIds,
        oldLogprobs: floats,
        advantages: floats,
        mask: floats,
        denominator: scalar,
      },
      { name: 'ppo-policy-training' },
    );
  });
  const sum = createGradientSum();
  return {
    logprobs: async (parameters, { tokens, targets, mask }) => {
      const measured = new Float32Array(mask.length);
      for (const slice of slicesOf(mask)) {
        const graph = await scoring(slice.columns);
        const feeds = { tokens: take(tokens, slice), targets: take(targets, slice) };
        put(measured, slice, (await graph.run({ ...parameters.views, ...feeds })).logprobs);
      }
      return measured;
    },
    gradients: async (learner, { mask, ...minibatch }) => {
      const slices = slicesOf(mask);
      const [logprobs, entropies] = [new Float32Array(mask.length), new Float32Array(mask.length)];
      let loss = 0;
      await sum.over(slices, learner.gradients, async (slice, gradients) => {
        const graph = await training(slice.columns);
        const feeds = {
          tokens: take(minibatch.tokens, slice),
          targets: take(minibatch.targets, slice),
          oldLogprobs: take(minibatch.oldLogprobs, slice),
          advantages: take(minibatch.advantages, slice),
          mask: take(mask, slice),
          denominator: denominatorOf(mask),
        };
        const outputs = await graph.run({ ...learner.parameters.views, ...feeds }, gradientBuffers(gradients));
        loss += outputs.loss[0];
        put(logprobs, slice, outputs.logprobs);
        put(entropies, slice, outputs.entropies);
      });
      return { loss, logprobs, entropies, padding: paddingOf(slices, mask) };
    },
  };
}

export function compileValue(
  engine: Engine,
  options: NetworkOptions & { clipRange: number; coefficient: number },
): ValueNetwork {
  const { model, layout, clipRange, coefficient, activationCheckpointing } = options;
  const { slicesOf, take, put, specs } = cutter(options);
  const valuesOf = (parameters: Record<string, tf.Tensor>, tokens: tf.Tensor): tf.Tensor =>
    scalarScores(parameters, hiddenStatesForTraining(parameters, { tokens, activationCheckpointing }, model)); // [b·t]

  const scoring = graphsByColumns((columns) =>
    engine.compile(
      ({ tokens, ...parameters }) => ({ values: valuesOf(parameters, tokens) }),
      { ...parameterSignature(layout), tokens: specs(columns).ids },
      { name: 'ppo-value-scoring' },
    ),
  );
  const training = graphsByColumns((columns) => {
    const { ids, floats, scalar } = specs(columns);
    return engine.compile(
      ({ tokens, oldValues, returns, mask, denominator, ...parameters }) => {
        const { loss, metrics, gradients } = gradientsOf((weights) => {
          const values = valuesOf(weights, tokens); // [b·t]
          const unweighted = clippedValueLoss({
            values,
            oldValues,
            returns,
            mask,
            clipRange,
            denominator: denominator as tf.Scalar,
          }).loss;
          return { loss: tf.mul(unweighted, coefficient), metrics: { values, unweighted } };
        }, parameters);
        return { loss, ...metrics, ...gradientOutputs(gradients) };
      },
      {
        ...parameterSignature(layout),
        tokens: ids,
        oldValues: floats,
        returns: floats,
        mask: floats,
        denominator: scalar,
      },
      { name: 'ppo-value-training' },
    );
  });
  const sum = createGradientSum();
  return {
    values: async (parameters, { tokens, mask }) => {
      const measured = new Float32Array(mask.length);
      for (const slice of slicesOf(mask)) {
        const graph = await scoring(slice.columns);
        put(measured, slice, (await graph.run({ ...parameters.views, tokens: take(tokens, slice) })).values);
      }
      return measured;
    },
    gradients: async (learner, { mask, ...minibatch }) => {
      const values = new Float32Array(mask.length);
      let loss = 0;
      await sum.over(slicesOf(mask), learner.gradients, async (slice, gradients) => {
        const graph = await training(slice.columns);
        const feeds = {
          tokens: take(minibatch.tokens, slice),
          oldValues: take(minibatch.oldValues, slice),
          returns: take(minibatch.returns, slice),
          mask: take(mask, slice),
          denominator: denominatorOf(mask),
        };
        const outputs = await graph.run({ ...learner.parameters.views, ...feeds }, gradientBuffers(gradients));
        loss += outputs.unweighted[0];
        put(values, slice, outputs.values);
      });
      return { loss, values };
    },
  };
}

/** Cuts minibatches, and puts what was computed together again. */
function cutter({ model, grid, microbatchSize }: NetworkOptions) {
  const { columns } = grid;
  const size = Math.min(microbatchSize ?? grid.rows, grid.rows);
  return {
    slicesOf: (mask: Float32Array): Slice[] => sliceByLength(lengthsOf(mask, columns), { size, columns }),
    paddingOf: (slices: readonly Slice[], mask: Float32Array): number => paddingOf(slices, lengthsOf(mask, columns)),
    take: <A extends Float32Array | Int32Array>(values: A, slice: Slice): A =>
      takeSlice(values, slice, { columns, fill: values instanceof Int32Array ? model.padId : 0 }),
    put: (target: Float32Array, slice: Slice, values: ArrayLike<number>): void =>
      putSlice(target, slice, { columns, values }),
    specs: (sliceColumns: number) =>
      ({
        ids: { shape: [size, sliceColumns], dtype: 'int32' },
        flatIds: { shape: [size * sliceColumns], dtype: 'int32' },
        floats: { shape: [size * sliceColumns], dtype: 'float32' },
        scalar: { shape: [], dtype: 'float32' },
      }) as const,
  };
}

/** What the losses of a minibatch's slices are divided by, so that they add up to its own. */
function denominatorOf(mask: Float32Array): Float32Array {
  return Float32Array.of(
    Math.max(
      1,
      mask.reduce((sum, one) => sum + one, 0),
    ),
  );
}
