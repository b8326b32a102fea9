/**
 * ONNX Runtime through onnxruntime-node's own JavaScript API, for machines where koffi cannot be loaded. It gives the same
 * numbers as the C API without kernels of our own, but copies every output, blocks the event loop, and cannot run synchronously.
 */
import type * as onnxruntime from 'onnxruntime-node';
import type { Binding, NamedSpec, Session, SessionOptions } from './session';
import type { TypedArray } from './signature';

type OnnxRuntime = typeof onnxruntime;

async function createSession(
  ort: OnnxRuntime,
  { model, inputs, outputs, threads, profile }: SessionOptions,
): Promise<Session> {
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
    enableMemPattern: false,
    logSeverityLevel: 3,
    ...(profile !== undefined && { enableProfiling: true, profileFilePrefix: profile }),
  });
  const tensor = (spec: NamedSpec, array: TypedArray) => [spec.name, new ort.Tensor(spec.dtype, array, spec.shape)];
  return {
    async run(arrays) {
      const feeds = Object.fromEntries(inputs.map((spec, i) => tensor(spec, arrays.inputs[i])));
      const results = await session.run(
        feeds,
        outputs.map((spec) => spec.name),
      );
      outputs.forEach((spec, i) => arrays.outputs[i].set(results[spec.name].data as TypedArray));
    },
    runSync() {
      throw new Error("runSync needs ONNX Runtime's C API, which could not be loaded here; use run");
    },
    dispose: () => void session.release(),
  };
}

export function loadNodeBinding(): Binding {
  return {
    name: 'node',
    createSession: async (options) => createSession(await import('onnxruntime-node'), options),
  };
}
