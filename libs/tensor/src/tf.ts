import * as tf from '@tensorflow/tfjs-core';
// The gradients of all ops. `@tensorflow/tfjs-core/dist/register_all_gradients` holds the same, but only as an ES module
// that Node cannot resolve; the bundle of tfjs-layers registers them on loading and needs nothing but tfjs-core.
import '@tensorflow/tfjs-layers';

/** Kernels whose result is bool: flat wherever they have a slope. tfjs refuses them in the condition of a `tf.where`. */
const predicates = {
  Equal: ['a', 'b'],
  Greater: ['a', 'b'],
  GreaterEqual: ['a', 'b'],
  Less: ['a', 'b'],
  LessEqual: ['a', 'b'],
  NotEqual: ['a', 'b'],
  LogicalAnd: ['a', 'b'],
  LogicalOr: ['a', 'b'],
  LogicalNot: ['x'],
};

for (const [kernelName, inputs] of Object.entries(predicates)) {
  // GreaterEqual alone comes with such a gradient.
  if (tf.getGradient(kernelName)) continue;
  tf.registerGradient({
    kernelName,
    inputsToSave: inputs,
    gradFunc: (_, saved) => Object.fromEntries(inputs.map((input, i) => [input, () => tf.zeros(saved[i].shape)])),
  });
}

// Silences the advice to install tfjs-node, which the backend table in the README gives with more care.
tf.enableProdMode();

export { tf };
