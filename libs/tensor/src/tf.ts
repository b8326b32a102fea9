import * as tf from '@tensorflow/tfjs-core';
// The gradients of all ops. `@tensorflow/tfjs-core/dist/register_all_gradients` holds the same, but only as an ES module
// that Node cannot resolve; the bundle of tfjs-layers registers them on loading and needs nothing but tfjs-core.
import '@tensorflow/tfjs-layers';

// Silences the advice to install tfjs-node, which the backend table in the README gives with more care.
tf.enableProdMode();

export { tf };
