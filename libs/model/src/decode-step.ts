import {
  cachedAttention,
  embedding,
  gelu,
  layerNorm,
  linearColumns,
  parameterSignature,
  tf,
  type Buffers,
  type Engine,
  type Parameters,
  type Signature,
} from '@pavlov/tensor';
import { layerNormEpsilon, type TransformerConfig } from './config';
import { padMask, type Weights } from './forward';
import { blockName, transformerLayout } from './layout';

/**
 * The weights as a step reads them: matrices [out, in], the biases after them [out, 1]. With few rows, a product that has the
 * weight first runs up to twice as fast (`linearColumns`); the copy that it takes is made once for many steps.
 */
export interface StepWeights {
  readonly signature: Signature;
  /** Copies what needs it; the rest are views of the parameters. Valid until the next call. */
  load(parameters: Parameters): Promise<Buffers>;
  dispose(): void;
}

export async function createStepWeights(engine: Engine, config: TransformerConfig): Promise<StepWeights> {
  const layout = transformerLayout(config, 'lm');
  const matrices = layout.entries.filter(({ name }) => isLinear.test(name) && name.endsWith('.weight'));
  const biases = layout.entries.filter(({ name }) => isLinear.test(name) && name.endsWith('.bias'));
  const specOf = (shape: readonly number[]) => ({ shape, dtype: 'float32' as const });
  const transpose = await engine.compile(
    (weights) => Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, tf.transpose(weight)])),
    Object.fromEntries(matrices.map(({ name, shape }) => [name, specOf(shape)])),
    { name: 'decoder-weights' },
  );
  return {
    signature: {
      ...parameterSignature(layout),
      ...transpose.outputs,
      ...Object.fromEntries(biases.map(({ name, size }) => [name, specOf([size, 1])])),
    },
    load: async ({ views }) => ({
      ...views,
      ...(await transpose.run(Object.fromEntries(matrices.map(({ name }) => [name, views[name]])))),
    }),
    dispose: () => transpose.dispose(),
  };
}

/** Linear maps of a block. */
const isLinear = /\.c_(attn|proj|fc)\./;

export interface StepInput {
  /** `StepWeights`, and the caches `pastK0`, `pastV0` …, [N, H, L, D]. */
  readonly inputs: Weights;
  /** Int32 [N]. */
  readonly tokens: tf.Tensor;
  readonly positions: tf.Tensor;
  /** [1] */
  readonly temperature: tf.Tensor;
}

/** One token for each of N rows: the probabilities [N, V] of the next one, and the caches `presentK0` …. */
export function decodeStep({ inputs, tokens, positions, temperature }: StepInput, config: TransformerConfig) {
  const { layers, width } = config;
  const rows = tokens.shape[0];
  const lengths = tf.add(positions, tf.scalar(1, 'int32'));
  const total = tf.max(lengths, 0, true); // [1]
  const caches: Record<string, tf.Tensor> = {};
  const norm = (name: string, x: tf.Tensor): tf.Tensor =>
    layerNorm(x, inputs[`${name}.weight`], inputs[`${name}.bias`], layerNormEpsilon);
  /** [N, in] → [out, N] */
  const columns = (name: string, x: tf.Tensor): tf.Tensor =>
    linearColumns({ w: inputs[`${name}.weight`], b: inputs[`${name}.bias`], x });

  let residual = tf.add(
    embedding(inputs['transformer.wte.weight'], tokens),
    embedding(inputs['transformer.wpe.weight'], positions),
  ); // [N, C]
  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string): string => blockName(layer, part);
    const qkv = tf.transpose(columns(name('attn.c_attn'), norm(name('ln_1'), residual))); // [N, 3C]
    const { y, presentK, presentV } = cachedAttention({
      qkv: tf.reshape(qkv, [rows, 1, 3 * width]),
      pastK: inputs[`pastK${layer}`],
      pastV: inputs[`pastV${layer}`],
      lengths,
      total,
    });
    caches[`presentK${layer}`] = presentK;
    caches[`presentV${layer}`] = presentV;
    residual = tf.add(residual, tf.transpose(columns(name('attn.c_proj'), tf.reshape(y, [rows, width]))));
    const wide = gelu(columns(name('mlp.c_fc'), norm(name('ln_2'), residual))); // [4C, N]
    const [w, b] = [inputs[name('mlp.c_proj.weight')], inputs[name('mlp.c_proj.bias')]];
    residual = tf.add(residual, tf.transpose(linearColumns({ w, b, x: wide, transposed: true })));
  }
  const logits = linearColumns({
    w: inputs['transformer.wte.weight'],
    b: tf.reshape(padMask(config), [config.vocabSize, 1]),
    x: tf.div(norm('transformer.ln_f', residual), temperature),
  }); // [V, N]
  return { probabilities: tf.softmax(tf.transpose(logits), -1), ...caches };
}
