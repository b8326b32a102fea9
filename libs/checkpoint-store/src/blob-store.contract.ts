import { type BlobStore } from './blob-store';

/** What any blob store must do; each implementation's spec runs it on a fresh, empty store. */
export function blobStoreContract(openEmpty: () => Promise<BlobStore>): void {
  let blobs: BlobStore;
  beforeEach(async () => {
    blobs = await openEmpty();
  });
  const text = async (key: string): Promise<string | undefined> => (await blobs.get(key))?.toString('utf8');

  it('gives back what was put, byte for byte', async () => {
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 31) % 256);
    await blobs.put('a/b/bytes', bytes);
    expect(Buffer.compare((await blobs.get('a/b/bytes'))!, bytes)).toBe(0);
    expect(await blobs.head('a/b/bytes')).toEqual({ bytes: 70_000 });
    const chunks: Buffer[] = [];
    for await (const chunk of (await blobs.getStream('a/b/bytes'))!) chunks.push(chunk as Buffer);
    expect(Buffer.compare(Buffer.concat(chunks), bytes)).toBe(0);
  });

  it('puts over what is there', async () => {
    await blobs.put('key', 'first, and longer');
    await blobs.put('key', 'second');
    expect(await text('key')).toBe('second');
  });

  it('says undefined for what is not there, even below a file or at a folder', async () => {
    await blobs.put('folder/file', 'x');
    for (const key of ['nothing', 'folder', 'folder/file/below']) {
      expect(await blobs.head(key)).toBeUndefined();
      expect(await blobs.getStream(key)).toBeUndefined();
    }
    expect(await blobs.get('nothing')).toBeUndefined();
    expect(await blobs.get('folder/file/below')).toBeUndefined();
  });

  it('lists the names directly under a prefix, sorted', async () => {
    await blobs.put('set/b/file', 'x');
    await blobs.put('set/a/file', 'x');
    await blobs.put('set/c', 'x');
    expect(await blobs.list('set')).toEqual(['a', 'b', 'c']);
    expect(await blobs.list('none')).toEqual([]);
  });

  it('creates a key once, whoever else tries', async () => {
    const wins = await Promise.all(
      Array.from({ length: 8 }, (_, writer) => blobs.create('runs/once', `writer ${writer}`)),
    );
    expect(wins.filter(Boolean)).toHaveLength(1);
    expect(await text('runs/once')).toBe(`writer ${wins.indexOf(true)}`);
    expect(await blobs.create('runs/once', 'late')).toBe(false);
  });

  it('creates a tree once, all of it from one writer', async () => {
    const paths = ['one', 'folder/two', 'folder/deep/three'];
    const tree = (writer: number) => ({
      files: Object.fromEntries(paths.map((path) => [path, `${path} of ${writer}`])),
    });
    const wins = await Promise.all(Array.from({ length: 6 }, (_, writer) => blobs.createTree('trees/t', tree(writer))));
    expect(wins.filter(Boolean)).toHaveLength(1);
    for (const path of paths) expect(await text(`trees/t/${path}`)).toBe(`${path} of ${wins.indexOf(true)}`);
    expect(await blobs.createTree('trees/t', tree(99))).toBe(false);
  });

  it('shows nothing of a tree before its commit, nor after a refused one', async () => {
    let seen: string[] | undefined;
    const refused = blobs.createTree('trees/t', {
      files: { file: 'x' },
      beforeCommit: async () => {
        seen = await blobs.list('trees');
        throw new Error('refused');
      },
    });
    await expect(refused).rejects.toThrow('refused');
    expect(seen).toEqual([]);
    expect(await blobs.list('trees')).toEqual([]);
  });

  it('takes keys beside the files of a tree', async () => {
    await blobs.createTree('trees/t', { files: { file: 'x' } });
    await blobs.put('trees/t/note', 'y');
    expect(await blobs.list('trees/t')).toEqual(['file', 'note']);
  });
}
