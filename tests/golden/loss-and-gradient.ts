import { gradientsOf, type tf, type Engine, type LossResult, type Signature } from '@pavlov/tensor';

interface Shaped {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** Compiles a loss, as the stages do, and computes it with its gradient with respect to `trained`. */
export async function lossAndGradient(
  engine: Engine,
  loss: (inputs: Record<string, tf.Tensor>) => LossResult,
  { trained, given }: { trained: Readonly<Record<string, Shaped>>; given: Readonly<Record<string, Shaped>> },
): Promise<{ loss: number; gradients: Record<string, Float32Array> }> {
  const inputs = Object.entries({ ...trained, ...given });
  const signature: Signature = Object.fromEntries(
    inputs.map(([name, { shape }]) => [name, { shape, dtype: 'float32' }]),
  );
  const compiled = await engine.compile((tensors) => {
    const pick = (names: string[]) => Object.fromEntries(names.map((name) => [name, tensors[name]]));
    const result = gradientsOf(
      (weights) => loss({ ...weights, ...pick(Object.keys(given)) }),
      pick(Object.keys(trained)),
    );
    return { loss: result.loss, ...result.gradients };
  }, signature);
  const feeds = Object.fromEntries(inputs.map(([name, { values }]) => [name, Float32Array.from(values)]));
  const { loss: value, ...gradients } = (await compiled.run(feeds)) as Record<string, Float32Array>;
  return { loss: value[0], gradients };
}
