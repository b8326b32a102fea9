import { merge } from './live-events';

async function* numbers(count: number, step: number) {
  for (let index = 0; index < count; index += 1) {
    await new Promise((resolve) => setTimeout(resolve, step));
    yield `${step}:${index}`;
  }
}

describe('merge', () => {
  it('yields all of every source, each in its order', async () => {
    const seen: string[] = [];
    for await (const item of merge([numbers(5, 3), numbers(3, 5), numbers(0, 1)])) seen.push(item);
    expect(seen).toHaveLength(8);
    for (const step of [3, 5]) {
      const own = seen.filter((item) => item.startsWith(`${step}:`));
      expect(own).toEqual([...own].sort());
    }
  });

  it('does not wait for a slow source to hand on what a fast one has', async () => {
    async function* never(): AsyncGenerator<string, void, undefined> {
      await new Promise(() => undefined);
      yield 'unreachable';
    }
    const { value } = await merge([never(), numbers(1, 1)]).next();
    expect(value).toBe('1:0');
  });

  it('ends the other sources when one fails', async () => {
    let ended = false;
    async function* endless() {
      try {
        for (let index = 0; ; index += 1) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          yield String(index);
        }
      } finally {
        ended = true;
      }
    }
    async function* failing(): AsyncGenerator<string, void, undefined> {
      await new Promise((resolve) => setTimeout(resolve, 10));
      yield Promise.reject(new Error('lost'));
    }
    const drain = async () => {
      for await (const item of merge([endless(), failing()])) void item;
    };
    await expect(drain()).rejects.toThrow('lost');
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(ended).toBe(true);
  });
});
