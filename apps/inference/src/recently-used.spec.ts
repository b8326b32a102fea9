import { keepRecentlyUsed } from './recently-used';

describe('keepRecentlyUsed', () => {
  it('keeps what was used last, and disposes of the rest', async () => {
    const made: string[] = [];
    const disposed: string[] = [];
    const kept = keepRecentlyUsed<string>({ limit: 2, dispose: (item) => disposed.push(item) });
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) {
      await kept.get(key, async () => {
        made.push(key);
        return key;
      });
    }
    expect(made).toEqual(['a', 'b', 'c', 'b']);
    expect(disposed).toEqual(['b', 'c']);
  });

  it('keeps nothing of what could not be made', async () => {
    const kept = keepRecentlyUsed<string>({ limit: 2 });
    await expect(kept.get('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await kept.get('a', async () => 'yes')).toBe('yes');
  });
});
