import { batchOrder, exampleOrder } from './order';

const order = { seed: 3, purpose: 'spec/order', count: 10 };

describe('exampleOrder', () => {
  it('is a permutation that depends on seed, purpose and epoch only', () => {
    const first = exampleOrder({ ...order, epoch: 0 });
    expect([...first].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(exampleOrder({ ...order, epoch: 0 })).toEqual(first);
    expect(exampleOrder({ ...order, epoch: 1 })).not.toEqual(first);
    expect(exampleOrder({ ...order, seed: 4, epoch: 0 })).not.toEqual(first);
    expect(exampleOrder({ ...order, purpose: 'spec/other', epoch: 0 })).not.toEqual(first);
  });
});

describe('batchOrder', () => {
  it('takes every example once per epoch, across batches that straddle epochs', () => {
    const batchAt = batchOrder(order);
    const taken = Array.from({ length: 10 }, (_, step) => batchAt(step, 3)).flat();
    for (let epoch = 0; epoch < 3; epoch++) {
      expect(taken.slice(epoch * 10, epoch * 10 + 10)).toEqual(exampleOrder({ ...order, epoch }));
    }
  });

  it('gives a resumed run the batch that it would have had', () => {
    const through = batchOrder(order);
    const batches = Array.from({ length: 20 }, (_, step) => through(step, 4));
    for (const step of [13, 2, 19, 7]) expect(batchOrder(order)(step, 4)).toEqual(batches[step]);
    expect(through(2, 4)).toEqual(batches[2]);
  });

  it('refuses to draw from nothing', () => {
    expect(() => batchOrder({ ...order, count: 0 })(0, 1)).toThrow('there are no examples');
  });
});
