import { randomStream } from '@pavlov/random';
import fc from 'fast-check';
import { shuffledMinibatches } from './minibatches';

describe('shuffledMinibatches', () => {
  it('holds every episode once, in minibatches of the size asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }), fc.nat(), (size, many, seed) => {
        const batches = shuffledMinibatches({ count: size * many, size, random: randomStream(seed, 'minibatches') });
        expect(batches.map((batch) => batch.length)).toEqual(Array<number>(many).fill(size));
        expect(batches.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: size * many }, (_, i) => i));
      }),
    );
  });

  it('shuffles each epoch anew, and the same for the same stream', () => {
    const draw = (epoch: number): number[][] =>
      shuffledMinibatches({ count: 64, size: 16, random: randomStream(1, 'minibatches', [0, epoch]) });
    expect(draw(0)).toEqual(draw(0));
    expect(draw(1)).not.toEqual(draw(0));
  });

  it('refuses a size that does not divide the batch', () => {
    const random = randomStream(1, 'minibatches');
    expect(() => shuffledMinibatches({ count: 10, size: 4, random })).toThrow('10 episodes do not divide');
    expect(() => shuffledMinibatches({ count: 10, size: 0, random })).toThrow(RangeError);
  });
});
