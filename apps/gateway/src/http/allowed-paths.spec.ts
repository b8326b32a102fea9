import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveAllowed } from './allowed-paths';

describe('resolveAllowed', () => {
  let base: string;
  let root: string;

  beforeAll(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'pavlov-paths-')));
    root = join(base, 'texts');
    await mkdir(join(root, 'inner'), { recursive: true });
    await mkdir(join(base, 'texts-of-others'));
    await writeFile(join(root, 'inner', 'a.txt'), 'a');
    await writeFile(join(base, 'secret.txt'), 's');
    await symlink(join(base, 'secret.txt'), join(root, 'way-out.txt'));
    await symlink(root, join(base, 'alias'));
  });
  afterAll(() => rm(base, { recursive: true, force: true }));

  const code = (path: string, roots = [root]) =>
    resolveAllowed(path, roots).then(
      () => 'allowed',
      (error: { code: string }) => error.code,
    );

  it('allows files and folders inside, and the root itself', async () => {
    expect(await resolveAllowed(join(root, 'inner', 'a.txt'), [root])).toBe(join(root, 'inner', 'a.txt'));
    expect(await code(root)).toBe('allowed');
    expect(await code(join(root, 'inner', '..', 'inner'))).toBe('allowed');
  });

  it('allows a root that is itself a link', async () => {
    expect(await resolveAllowed(join(base, 'alias', 'inner', 'a.txt'), [join(base, 'alias')])).toBe(
      join(root, 'inner', 'a.txt'),
    );
  });

  it.each([
    '../secret.txt',
    '../texts-of-others',
    'way-out.txt',
    '../does-not-exist',
    'inner/../../secret.txt',
    'a\0.txt',
  ])('forbids %j', async (way) => {
    expect(await code(`${root}/${way}`)).toBe('FORBIDDEN_PATH');
  });

  it('forbids a relative path and everything where no root is set', async () => {
    expect(await code('inner/a.txt')).toBe('FORBIDDEN_PATH');
    expect(await code(join(root, 'inner'), [])).toBe('FORBIDDEN_PATH');
  });

  it('says so where an allowed path leads to nothing', async () => {
    expect(await code(join(root, 'nothing.txt'))).toBe('FILE_NOT_FOUND');
  });
});
