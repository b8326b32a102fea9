import {
  gelu,
  int8Panels,
  linear,
  linearColumns,
  linearInt8,
  linearPanels,
  packPanels,
  parameterSignature,
  quantizeMatrix,
  tf,
  type Buffers,
  type Engine,
  type LinearInt8Input,
  type LinearPanelsInput,
  type Parameters,
  type Signature,
} from '@pavlov/tensor';
import type { TransformerConfig } from './config';
import { lmLogits, padMask, type Weights } from './forward';
import { blockName, transformerLayout } from './layout';

/** The linear maps of a step over N rows. */
export interface StepMaps {
  /** [N, in] → [N, out], by a parameter's name without `.weight`; `residual` [N, out] is added. */
  project(name: string, x: tf.Tensor, residual?: tf.Tensor): tf.Tensor;
  /** [N, C] → [N, C], `residual` [N, C] added. */
  mlp(layer: number, x: tf.Tensor, residual: tf.Tensor): tf.Tensor;
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

/** Weights that may change from one generation to the next, in the form that the engine reads fastest. */
export const changingWeights = (engine: Engine, config: TransformerConfig): Promise<StepWeights> =>
  engine.kernels ? panelWeights(engine, config) : columnWeights(engine, config);

/** Matrices in panels (`packPanels`), which are laid out once for many steps. */
async function panelWeights(engine: Engine, config: TransformerConfig): Promise<StepWeights> {
  const layout = transformerLayout(config, 'lm');
  const matrices = layout.entries.filter(({ name }) => isMatrix(name) || name === table);
  const panelsOf = (name: string): string => `panels:${name}`;
  const pack = await engine.compile(
    (weights) =>
      Object.fromEntries(
        Object.entries(weights).map(([name, weight]) => [
          panelsOf(name),
          packPanels(weight, name === table ? 'outputs first' : 'inputs first'),
        ]),
      ),
    Object.fromEntries(matrices.map(({ name, shape }) => [name, specOf(shape)])),
    { name: 'decoder-weights' },
  );
  // The table is read as it is, too: tokens are looked up in it.
  const fed = layout.entries.filter(({ name }) => !isMatrix(name));
  const pick = <V>(from: Readonly<Record<string, V>>, names: readonly { readonly name: string }[]): Record<string, V> =>
    Object.fromEntries(names.map(({ name }) => [name, from[name]]));
  return {
    signature: { ...pick(parameterSignature(layout), fed), ...pack.outputs },
    load: async ({ views }) => ({ ...pick(views, fed), ...(await pack.run(pick(views, matrices))) }),
    maps: (inputs) => {
      const linear = (name: string, rest: Pick<LinearPanelsInput, 'x' | 'residual' | 'activation'>): tf.Tensor =>
        linearPanels({ panels: inputs[panelsOf(`${name}.weight`)], b: inputs[`${name}.bias`], ...rest });
      return {
        project: (name, x, residual) => linear(name, { x, residual }),
        mlp: (layer, x, residual) => {
          const wide = linear(blockName(layer, 'mlp.c_fc'), { x, activation: 'gelu' }); // [N, 4C]
          return linear(blockName(layer, 'mlp.c_proj'), { x: wide, residual });
        },
        logits: (x) => linearPanels({ panels: inputs[panelsOf(table)], b: padMask(config), x }),
      };
    },
    dispose: () => pack.dispose(),
  };
}

/**
 * For ONNX Runtime's products: matrices [out, in], the biases after them [out, 1]. With few rows, a product that has the weight
 * first runs up to twice as fast (`linearColumns`); the copy that it takes is made once for many steps.
 */
async function columnWeights(engine: Engine, config: TransformerConfig): Promise<StepWeights> {
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
        project: (name, x, residual) => withResidual(tf.transpose(columns(name, x)), residual),
        mlp: (layer, x, residual) => {
          const wide = gelu(columns(blockName(layer, 'mlp.c_fc'), x)); // [4C, N]
          return withResidual(tf.transpose(columns(blockName(layer, 'mlp.c_proj'), wide, true)), residual);
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

/** For prompts, which have many rows: the parameters as they are. */
export const parameterWeights = (config: TransformerConfig): Pick<StepWeights, 'maps' | 'signature'> => ({
  signature: parameterSignature(transformerLayout(config, 'lm')),
  maps: (inputs) => {
    const map = (name: string, x: tf.Tensor): tf.Tensor =>
      linear({ x, w: inputs[`${name}.weight`], b: inputs[`${name}.bias`] });
    return {
      project: (name, x, residual) => withResidual(map(name, x), residual),
      mlp: (layer, x, residual) => {
        const wide = gelu(map(blockName(layer, 'mlp.c_fc'), x)); // [N, 4C]
        return withResidual(map(blockName(layer, 'mlp.c_proj'), wide), residual);
      },
      logits: (x) => lmLogits(inputs, x, config),
    };
  },
});

const withResidual = (x: tf.Tensor, residual: tf.Tensor | undefined): tf.Tensor => (residual ? tf.add(residual, x) : x);

/**
 * These weights as they are now, their matrices in 8 bits; a step then reads a quarter of the bytes. Kernels of our own are fed them
 * in panels, else they are part of what is compiled.
 */
export function int8Weights(engine: Engine, config: TransformerConfig, frozen: Parameters): StepWeights {
  const { entries } = frozen.layout;
  const panels: Record<string, Int32Array> = {};
  const matrices = new Map<string, (inputs: Weights) => LinearInt8Input['w']>();
  for (const { name, shape } of entries.filter(({ name }) => isMatrix(name) || name === table)) {
    const w = quantizeMatrix(frozen.views[name], matrixSpec(name, shape));
    if (engine.kernels) {
      const { outputs, inputs, block } = w; // and not the numbers
      panels[int8Name(name)] = int8Panels(w, engine.kernels);
      matrices.set(name, (fed) => ({ outputs, inputs, block, panels: fed[int8Name(name)] }));
    } else {
      matrices.set(name, () => w);
    }
  }
  const floats = entries.filter(({ name }) => !isMatrix(name));
  return {
    signature: {
      ...Object.fromEntries(floats.map(({ name, shape }) => [name, specOf(shape)])),
      ...Object.fromEntries(
        Object.entries(panels).map(([name, { length }]) => [name, { shape: [length], dtype: 'int32' as const }]),
      ),
    },
    load: ({ views }) =>
      Promise.resolve({ ...Object.fromEntries(floats.map(({ name }) => [name, views[name]])), ...panels }),
    maps: (inputs) => {
      const linear = (name: string, rest: Pick<LinearInt8Input, 'x' | 'residual' | 'activation'>): tf.Tensor =>
        linearInt8({ w: matrices.get(`${name}.weight`)!(inputs), b: inputs[`${name}.bias`], ...rest });
      return {
        project: (name, x, residual) => linear(name, { x, residual }),
        mlp: (layer, x, residual) => {
          const wide = linear(blockName(layer, 'mlp.c_fc'), { x, activation: 'gelu' }); // [N, 4C]
          return linear(blockName(layer, 'mlp.c_proj'), { x: wide, residual });
        },
        logits: (x) => linearInt8({ w: matrices.get(table)!(inputs), b: padMask(config), x }),
      };
    },
    dispose: () => matrices.clear(),
  };
}

const int8Name = (name: string): string => `int8:${name}`;

const matrixSpec = (name: string, [first, second]: readonly number[]) =>
  name === table
    ? ({ outputs: first, inputs: second, order: 'outputs first' } as const)
    : ({ inputs: first, outputs: second, order: 'inputs first' } as const);
