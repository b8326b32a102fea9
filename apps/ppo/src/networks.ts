import { clippedPolicyLoss, clippedValueLoss } from '@pavlov/algorithms';
import { hiddenStates, lmLogits, scalarScores, type TransformerConfig } from '@pavlov/model';
import {
  entropy,
  gradientBuffers,
  gradientOutputs,
  gradientsOf,
  parameterSignature,
  tf,
  tokenLogprobs,
  type CompiledFunction,
  type Engine,
  type Parameters,
} from '@pavlov/tensor';
import { type Learner } from '@pavlov/training';

/**
 * The compiled functions of PPO, over b episodes on a grid of T columns. Column t predicts token t + 1, so a policy's
 * log-prob, the value of its state, its reward and its advantage all stand in the column of the state.
 *
 * Scoring and training compile to the same kernels at the same shape, which is what makes the ratio of the first
 * minibatch exactly 1.
 */

export interface GridShape {
  readonly rows: number;
  readonly columns: number;
}

/** Flat [b, T] arrays of one slice of a rollout. */
export interface PolicySlice {
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
  readonly oldLogprobs: Float32Array;
  readonly advantages: Float32Array;
  readonly mask: Float32Array;
}

export interface ValueSlice {
  readonly tokens: Int32Array;
  readonly oldValues: Float32Array;
  readonly returns: Float32Array;
  readonly mask: Float32Array;
}

export interface PolicyNetwork {
  /** log π of each target, flat [b, T]. */
  logprobs(input: { parameters: Parameters; tokens: Int32Array; targets: Int32Array }): Promise<Float32Array>;
  /** The clipped policy loss of a slice; the gradients land in the learner's buffer. */
  gradients(learner: Learner, slice: PolicySlice): Promise<PolicyStep>;
}

export interface PolicyStep {
  readonly loss: number;
  /** Flat [b, T], both. */
  readonly logprobs: Float32Array;
  readonly entropies: Float32Array;
}

export interface ValueNetwork {
  /** V of each state, flat [b, T]. */
  values(input: { parameters: Parameters; tokens: Int32Array }): Promise<Float32Array>;
  gradients(learner: Learner, slice: ValueSlice): Promise<{ loss: number; values: Float32Array }>;
}

interface NetworkOptions {
  readonly model: TransformerConfig;
  readonly layout: Parameters['layout'];
  readonly grid: GridShape;
}

export async function compilePolicy(
  engine: Engine,
  options: NetworkOptions & { temperature: number; clipRange: number },
): Promise<PolicyNetwork> {
  const { model, layout, temperature, clipRange } = options;
  const { ids, flatIds, floats } = gridSignature(options.grid);
  const logitsOf = (parameters: Record<string, tf.Tensor>, tokens: tf.Tensor): tf.Tensor =>
    lmLogits(parameters, hiddenStates(parameters, tokens, model), model); // [b·T, V]

  const scoring = await engine.compile(
    ({ tokens, targets, ...parameters }) => ({
      logprobs: tokenLogprobs(tf.div(logitsOf(parameters, tokens), temperature), targets),
    }),
    { ...parameterSignature(layout), tokens: ids, targets: flatIds },
    { name: 'ppo-policy-scoring' },
  );

  const training = await engine.compile(
    ({ tokens, targets, oldLogprobs, advantages, mask, ...parameters }) => {
      const { loss, metrics, gradients } = gradientsOf((weights) => {
        const logits = tf.div(logitsOf(weights, tokens), temperature); // [b·T, V]
        const logprobs = tokenLogprobs(logits, targets); // [b·T]
        const { loss } = clippedPolicyLoss({ logprobs, oldLogprobs, advantages, mask, clipRange });
        return { loss, metrics: { logprobs, entropies: entropy(logits) } };
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
    },
    { name: 'ppo-policy-training' },
  );
  return {
    logprobs: async ({ parameters, tokens, targets }) =>
      copyOf(await scoring.run({ ...parameters.views, tokens, targets }), 'logprobs'),
    gradients: async (learner, { tokens, targets, oldLogprobs, advantages, mask }) => {
      const feeds = { ...learner.parameters.views, tokens, targets, oldLogprobs, advantages, mask };
      const outputs = await training.run(feeds, gradientBuffers(learner.gradients));
      return {
        loss: outputs.loss[0],
        logprobs: copyOf(outputs, 'logprobs'),
        entropies: copyOf(outputs, 'entropies'),
      };
    },
  };
}

export async function compileValue(
  engine: Engine,
  options: NetworkOptions & { clipRange: number; coefficient: number },
): Promise<ValueNetwork> {
  const { model, layout, clipRange, coefficient } = options;
  const { ids, floats } = gridSignature(options.grid);
  const valuesOf = (parameters: Record<string, tf.Tensor>, tokens: tf.Tensor): tf.Tensor =>
    scalarScores(parameters, hiddenStates(parameters, tokens, model)); // [b·T]

  const scoring = await engine.compile(
    ({ tokens, ...parameters }) => ({ values: valuesOf(parameters, tokens) }),
    { ...parameterSignature(layout), tokens: ids },
    { name: 'ppo-value-scoring' },
  );
  const training = await engine.compile(
    ({ tokens, oldValues, returns, mask, ...parameters }) => {
      const { loss, metrics, gradients } = gradientsOf((weights) => {
        const values = valuesOf(weights, tokens); // [b·T]
        const unweighted = clippedValueLoss({ values, oldValues, returns, mask, clipRange }).loss;
        return { loss: tf.mul(unweighted, coefficient), metrics: { values, unweighted } };
      }, parameters);
      return { loss, ...metrics, ...gradientOutputs(gradients) };
    },
    { ...parameterSignature(layout), tokens: ids, oldValues: floats, returns: floats, mask: floats },
    { name: 'ppo-value-training' },
  );
  return {
    values: async ({ parameters, tokens }) => copyOf(await scoring.run({ ...parameters.views, tokens }), 'values'),
    gradients: async (learner, { tokens, oldValues, returns, mask }) => {
      const feeds = { ...learner.parameters.views, tokens, oldValues, returns, mask };
      const outputs = await training.run(feeds, gradientBuffers(learner.gradients));
      return { loss: outputs.unweighted[0], values: copyOf(outputs, 'values') };
    },
  };
}

function gridSignature({ rows, columns }: GridShape) {
  const count = rows * columns;
  return {
    ids: { shape: [rows, columns], dtype: 'int32' },
    flatIds: { shape: [count], dtype: 'int32' },
    floats: { shape: [count], dtype: 'float32' },
  } as const;
}

/** Outputs live in buffers that the next run writes again. */
function copyOf(outputs: Awaited<ReturnType<CompiledFunction['run']>>, name: string): Float32Array {
  return Float32Array.from(outputs[name]);
}
