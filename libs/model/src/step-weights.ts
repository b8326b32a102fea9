import {
  gelu,
  linearColumns,
  linearInt8,
  parameterSignature,
  quantizeMatrix,
  tf,
  type Buffers,
  type Engine,
  type Parameters,
  type Signature,
} from '@pavlov/tensor';
import type { TransformerConfig } from './config';
import { padMask, type Weights } from './forward';
import { blockName, transformerLayout } from './layout';

/** The linear maps of a step over N rows. */
export interface StepMaps {
  /** [N, in] → [N, out], by a parameter's name without `.weight`. */
  project(name: string, x: tf.Tensor): tf.Tensor;
  /** [N, C] → [N, C] */
  mlp(layer: number, x: tf.Tensor): tf.Tensor;
  /** [N, C] → [N, V], PAD all but impossible. */
  logits(hidden: tf.Tensor): tf.Tensor;
}

/** The weights as a step reads them. */
export interface StepWeights {
  readonly signature: Signature;
  /** Copies what needs it; the rest are views of the parameters. Valid until the next call. */
  load(parameters: Parameters): Promise<Buffers>;
  maps(inputs: Weights): StepMaps;
  dispose(): void;
}

/** Linear maps of a block. */
const isLinear = /\.c_(attn|proj|fc)\./;
const isMatrix = (name: string): boolean => isLinear.test(name) && name.endsWith('.weight');
const isBias = (name: string): boolean => isLinear.test(name) && name.endsWith('.bias');
const specOf = (shape: readonly number[]) => ({ shape, dtype: 'float32' as const });
const table = 'transformer.wte.weight';

/**
 * Weights that may change from one generation to the next: matrices [out, in], the biases after them [out, 1]. With few rows, a
 * product that has the weight first runs up to twice as fast (`linearColumns`); the copy that it takes is made once for many
 * steps.
 */
export async function streamedWeights(engine: Engine, config: TransformerConfig): Promise<StepWeights> {
  const layout = transformerLayout(config, 'lm');
  const matrices = layout.entries.filter(({ name }) => isMatrix(name));
  const biases = layout.entries.filter(({ name }) => isBias(name));
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
    maps: (inputs) => {
      const columns = (name: string, x: tf.Tensor, transposed = false): tf.Tensor =>
        linearColumns({ w: inputs[`${name}.weight`], b: inputs[`${name}.bias`], x, transposed }); // [out, N]
      return {
        project: (name, x) => tf.transpose(columns(name, x)),
        mlp: (layer, x) => {
          const wide = gelu(columns(blockName(layer, 'mlp.c_fc'), x)); // [4C, N]
          return tf.transpose(columns(blockName(layer, 'mlp.c_proj'), wide, true));
        },
        logits: (x) => {
          const b = tf.reshape(padMask(config), [config.vocabSize, 1]);
          return tf.transpose(linearColumns({ w: inputs[table], b, x }));
        },
      };
    },
    dispose: () => transpose.dispose(),
  };
}

/** These weights, their matrices in 8 bits; a step then reads a quarter of the bytes. They are part of what is compiled. */
export function int8Weights(config: TransformerConfig, frozen: Parameters): StepWeights {
  const { entries } = frozen.layout;
  const matrices = new Map(
    entries
      .filter(({ name }) => isMatrix(name) || name === table)
      .map(({ name, shape: [first, second] }) => [
        name,
        name === table
          ? quantizeMatrix(frozen.views[name], { outputs: first, inputs: second, order: 'outputs first' })
          : quantizeMatrix(frozen.views[name], { inputs: first, outputs: second, order: 'inputs first' }),
      ]),
  );
  const fed = entries.filter(({ name }) => !isMatrix(name));
  return {
    signature: Object.fromEntries(fed.map(({ name, shape }) => [name, specOf(shape)])),
    load: ({ views }) => Promise.resolve(Object.fromEntries(fed.map(({ name }) => [name, views[name]]))),
    maps: (inputs) => {
      const project: StepMaps['project'] = (name, x) =>
        linearInt8({ x, w: matrices.get(`${name}.weight`)!, b: inputs[`${name}.bias`] });
      return {
        project,
        mlp: (layer, x) => project(blockName(layer, 'mlp.c_proj'), gelu(project(blockName(layer, 'mlp.c_fc'), x))),
        logits: (x) => linearInt8({ x, w: matrices.get(table)!, b: padMask(config) }),
      };
    },
    dispose: () => matrices.clear(),
  };
}
