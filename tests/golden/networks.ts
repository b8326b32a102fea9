import { transformerLayout, type Head, type TransformerConfig } from '@pavlov/model';
import { type Parameters } from '@pavlov/tensor';
import { parametersOf, readFixture, type EncodedWeights } from './fixture';

interface NetworksFixture {
  readonly model: TransformerConfig;
  readonly policy: EncodedWeights;
  readonly reference: EncodedWeights;
  readonly reward: EncodedWeights;
}

const heads = { policy: 'lm', reference: 'lm', reward: 'scalar' } as const satisfies Record<string, Head>;

const fixture = readFixture<NetworksFixture>('networks');

/** The size of every network of the fixtures. */
export const { model } = fixture;

/** A copy of its own of a network that the fixtures start from. */
export function network(name: keyof typeof heads): Parameters {
  return parametersOf(transformerLayout(model, heads[name]), fixture[name]);
}
