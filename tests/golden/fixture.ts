import { allocateParameters, type ParameterLayout, type Parameters } from '@pavlov/tensor';
import { toBeAllClose, tolerances, type Tolerance } from '@pavlov/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** An array as reference/fixtures.py writes it: little-endian float32 in base64. */
export interface EncodedArray {
  readonly shape: readonly number[];
  readonly float32: string;
}

/** Weights or gradients of a network, by the names that transformers gives them. */
export type EncodedWeights = Readonly<Record<string, EncodedArray>>;

/** What PyTorch has computed, as generate.py wrote it. */
export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(join(__dirname, 'fixtures', `${name}.json`), 'utf8')) as T;
}

export function floatsOf({ float32 }: EncodedArray): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(float32, 'base64')).buffer);
}

/** Parameters of the given layout. Throws unless the fixture has exactly these, each of its shape. */
export function parametersOf(layout: ParameterLayout, encoded: EncodedWeights): Parameters {
  const parameters = allocateParameters(layout);
  const shapes = (entries: readonly { name: string; shape: readonly number[] }[]): string =>
    entries.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join('\n');
  const stored = Object.entries(encoded).map(([name, { shape }]) => ({ name, shape }));
  if (shapes(layout.entries) !== shapes(stored))
    throw new Error(`The fixture holds\n${shapes(stored)}\ninstead of\n${shapes(layout.entries)}`);
  for (const [name, view] of Object.entries(parameters.views)) view.set(floatsOf(encoded[name]));
  return parameters;
}

/** What is wrong with each gradient that is not as in the fixture; nothing if all are. */
export function gradientDifferences(actual: Parameters, expected: EncodedWeights): string[] {
  return differences(actual, expected, () => tolerances.goldenGradient);
}

/** What is wrong with each weight that is not as in the fixture after some steps of Adam; nothing if all are. */
export function weightDifferences(actual: Parameters, expected: EncodedWeights): string[] {
  return differences(actual, expected, (part) =>
    part.endsWith(keyBias) ? tolerances.goldenKeyBias : tolerances.goldenWeights,
  );
}

function differences(actual: Parameters, encoded: EncodedWeights, toleranceOf: (part: string) => Tolerance): string[] {
  const expected = new Map(partsOf(parametersOf(actual.layout, encoded)));
  return partsOf(actual).flatMap(([part, values]) => {
    const { pass, message } = toBeAllClose(values, expected.get(part)!, toleranceOf(part));
    return pass ? [] : [`${part}: ${message()}`];
  });
}

const keyBias = 'attn.c_attn.bias of keys';

/** Every parameter by name; the biases of queries, keys and values, which lie in one, each for itself. */
function partsOf({ views }: Parameters): [string, Float32Array][] {
  return Object.entries(views).flatMap(([name, view]): [string, Float32Array][] => {
    if (!name.endsWith('attn.c_attn.bias')) return [[name, view]];
    const width = view.length / 3;
    return ['queries', 'keys', 'values'].map((of, index) => [
      `${name} of ${of}`,
      view.subarray(index * width, (index + 1) * width),
    ]);
  });
}
