import { tf } from './tf';
import type { Source } from './compile';
import type { Session } from './session';
import { allocate, outputSpec, type Signature, type TensorSpec, type TypedArray } from './signature';

export type EagerBackend = 'tensorflow' | 'wasm' | 'cpu';

/** Loads the tfjs backend that `name` stands for and makes it ready. */
export async function loadEagerBackend(name: EagerBackend): Promise<void> {
  switch (name) {
    case 'cpu':
      await import('@tensorflow/tfjs-backend-cpu');
      break;
    case 'wasm':
      await import('@tensorflow/tfjs-backend-wasm');
      break;
    case 'tensorflow':
      await loadTfjsNode();
      break;
    default:
      name satisfies never;
  }
  const previous = tf.engine().backendName;
  if (!(await tf.setBackend(name))) throw new Error(`The tfjs backend "${name}" could not be started`);
  if (previous) await tf.setBackend(previous);
}

/** Not a dependency: its native library is downloaded on installation, from a host that is not always within reach. */
async function loadTfjsNode(): Promise<void> {
  const name: string = '@tensorflow/tfjs-node';
  try {
    await import(name);
  } catch (cause) {
    throw new Error(
      `The backend "tensorflow" needs ${name}, which could not be loaded. Install it with ` +
        `"npm install --ignore-scripts=false ${name}@${tf.version_core}" (Node 22 or older), or use the backend "onnxruntime".`,
      { cause },
    );
  }
}

/** Runs `use` with the given tfjs backend, and puts back the one that was active. Backends must be ready. */
function withBackend<T>(name: EagerBackend, use: () => T): T {
  const previous = tf.engine().backendName;
  void tf.setBackend(name);
  try {
    return use();
  } finally {
    if (previous) void tf.setBackend(previous);
  }
}

type Eager = Source & { readonly backend: EagerBackend };

/** Computes `fn` op by op, handing each named result to `take` before its memory is freed. */
function evaluate(
  { backend, fn, inputs, constants }: Eager,
  arrays: readonly TypedArray[],
  take: (results: Record<string, tf.Tensor>) => void,
): void {
  // Copies, because a backend may keep the array itself, and in-place outputs overwrite what was fed.
  const tensor = ({ shape, dtype }: TensorSpec, values: TypedArray): tf.Tensor =>
    tf.tensor(values.slice(), [...shape], dtype);
  withBackend(backend, () =>
    tf.tidy(() => {
      const tensors: Record<string, tf.Tensor> = {};
      Object.entries(inputs).forEach(([name, spec], i) => (tensors[name] = tensor(spec, arrays[i])));
      for (const [name, { spec, values }] of Object.entries(constants)) tensors[name] = tensor(spec, values);
      take(fn(tensors));
    }),
  );
}

/** The outputs of `fn`, found by running it on zeros. */
export function eagerOutputs(eager: Eager): Signature {
  const outputs: Record<string, TensorSpec> = {};
  evaluate(eager, Object.values(eager.inputs).map(allocate), (results) => {
    for (const [name, tensor] of Object.entries(results)) outputs[name] = outputSpec(name, tensor);
  });
  return outputs;
}

/** `fn` run op by op on a tfjs backend, behind the interface of a compiled graph. */
export function eagerSession(eager: Eager, outputs: Signature): Session {
  const names = Object.keys(outputs);
  const runSync: Session['runSync'] = (arrays) =>
    evaluate(eager, arrays.inputs, (results) => {
      names.forEach((name, i) => arrays.outputs[i].set(results[name].dataSync() as TypedArray));
    });
  return { runSync, run: (arrays) => Promise.resolve(runSync(arrays)), dispose: () => undefined };
}
