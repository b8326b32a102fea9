import { clippedPolicyLoss, clippedValueLoss } from '@pavlov/algorithms';
import {
  hiddenStatesForTraining,
  nextToken,
  scalarScores,
  type NextToken,
  type NextTokenInput,
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
  graphsByShape,
  lengthsOf,
  paddingOf,
  putStates,
  sliceByLength,
  statesOf,
  takeSlice,
  takeStates,
  windowOf,
  type Learner,
  type Slice,
  type Window,
} from '@pavlov/training';

/**
 * The compiled functions of PPO, over minibatches of b episodes on a grid of T columns. Column t predicts token t + 1, so a
 * policy's log-prob, the value of its state, its reward and its advantage all stand in the column of the state.
 *
 * A minibatch is computed in slices ("microbatches"), each on as many columns as it needs, and what comes after the last
 * attention for s states of each episode, its answer's; a graph is compiled when its shape first occurs. Scoring cuts as training does and compiles to the same kernels, which is what makes the ratio of the
 * first minibatch exactly 1, given that minibatch.
 */

export interface GridShape {
  readonly rows: number;
  readonly columns: number;
  /** s, most states of an answer. */
  readonly states: number;
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
  /** log π of each target of an answer, flat [b, T]; what stands beside them is of no interest. */
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
  /** V of each state of an answer, flat [b, T]; what stands beside them is of no interest. */
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
  const { slicesOf, inputsOf, take, put, specs, paddingOf } = cutter(options);
  const nextOf = (
    parameters: Record<string, tf.Tensor>,
    { tokens, states }: Record<'tokens' | 'states', tf.Tensor>,
    { keepsLogits }: Pick<NextTokenInput, 'keepsLogits'> = {},
  ): NextToken => {
    const hidden = hiddenStatesForTraining(parameters, { tokens, states, activationCheckpointing }, model);
    return nextToken(parameters, { hidden, temperature, keepsLogits }, model);
  };

  const scoring = graphsByShape((columns) => {
    const { inputs, ids } = specs(columns);
    return engine.compile(
      ({ tokens, states, targets, ...parameters }) => ({
        logprobs: nextOf(parameters, { tokens, states }).logprobs(targets),
      }),
      { ...parameterSignature(layout), ...inputs, targets: ids },
      { name: 'ppo-policy-scoring' },
    );
  });
  const training = graphsByShape((columns) => {
    const { inputs, ids, floats, scalar } = specs(columns);
    return engine.compile(
      ({ tokens, states, targets, oldLogprobs, advantages, mask, denominator, ...parameters }) => {
        const { loss, metrics, gradients } = gradientsOf((weights) => {
          const next = nextOf(weights, { tokens, states }, { keepsLogits: !activationCheckpointing });
          const logprobs = next.logprobs(targets); // [b·s]
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
        ...inputs,
        targets: ids,
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
        const feeds = { ...inputsOf(tokens, slice), targets: take(targets, slice) };
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
          ...inputsOf(minibatch.tokens, slice),
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
  const { slicesOf, inputsOf, take, put, specs } = cutter(options);
  const valuesOf = (
    parameters: Record<string, tf.Tensor>,
    { tokens, states }: Record<'tokens' | 'states', tf.Tensor>,
  ): tf.Tensor =>
    scalarScores(parameters, hiddenStatesForTraining(parameters, { tokens, states, activationCheckpointing }, model)); // [b·s]

  const scoring = graphsByShape((columns) =>
    engine.compile(
      ({ tokens, states, ...parameters }) => ({ values: valuesOf(parameters, { tokens, states }) }),
      { ...parameterSignature(layout), ...specs(columns).inputs },
      { name: 'ppo-value-scoring' },
    ),
  );
  const training = graphsByShape((columns) => {
    const { inputs, floats, scalar } = specs(columns);
    return engine.compile(
      ({ tokens, states, oldValues, returns, mask, denominator, ...parameters }) => {
        const { loss, metrics, gradients } = gradientsOf((weights) => {
          const values = valuesOf(weights, { tokens, states }); // [b·s]
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
        ...inputs,
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
        put(measured, slice, (await graph.run({ ...parameters.views, ...inputsOf(tokens, slice) })).values);
      }
      return measured;
    },
    gradients: async (learner, { mask, ...minibatch }) => {
      const values = new Float32Array(mask.length);
      let loss = 0;
      await sum.over(slicesOf(mask), learner.gradients, async (slice, gradients) => {
        const graph = await training(slice.columns);
        const feeds = {
          ...inputsOf(minibatch.tokens, slice),
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

/** A slice, and which states of it are an answer's. */
interface Cut extends Slice {
  readonly window: Window;
}

/** Cuts minibatches, and puts what was computed together again. */
function cutter({ model, grid, microbatchSize }: NetworkOptions) {
  const { columns } = grid;
  const size = Math.min(microbatchSize ?? grid.rows, grid.rows);
  return {
    slicesOf: (mask: Float32Array): Cut[] =>
      sliceByLength(lengthsOf(mask, columns), { size, columns }).map((slice) => ({
        ...slice,
        window: windowOf(mask, slice, { columns, most: grid.states }),
      })),
    paddingOf: (slices: readonly Slice[], mask: Float32Array): number => paddingOf(slices, lengthsOf(mask, columns)),
    inputsOf: (tokens: Int32Array, cut: Cut) => ({
      tokens: takeSlice(tokens, cut, { columns, fill: model.padId }),
      states: statesOf(cut, cut.window),
    }),
    take: <A extends Float32Array | Int32Array>(values: A, cut: Cut): A =>
      takeStates(values, cut, { ...cut.window, columns, fill: values instanceof Int32Array ? model.padId : 0 }),
    put: (target: Float32Array, cut: Cut, values: ArrayLike<number>): void =>
      putStates(target, cut, { ...cut.window, columns, values }),
    specs: (sliceColumns: number) => {
      const states = size * Math.min(sliceColumns, grid.states);
      const ids = { shape: [states], dtype: 'int32' } as const;
      return {
        inputs: { tokens: { shape: [size, sliceColumns], dtype: 'int32' }, states: ids },
        ids,
        floats: { shape: [states], dtype: 'float32' },
        scalar: { shape: [], dtype: 'float32' },
      } as const;
    },
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
