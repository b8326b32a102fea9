import { addressOf } from './executable';
import { alignedSpace } from './memory';
import { describeExtensions } from './spec-support';

it('is zeroed, and has room', () => {
  for (const bytes of [0, 4, 100, 4096, 100_004]) {
    const { buffer, byteOffset } = alignedSpace(bytes);
    const array = new Uint8Array(buffer, byteOffset, bytes);
    expect(array.every((byte) => byte === 0)).toBe(true);
    expect(byteOffset % 4).toBe(0);
  }
});

describeExtensions('aligned space', () => {
  it('begins at a cache line, wherever garbage collections leave it', () => {
    for (const bytes of [0, 4, 60, 64, 1000, 4096, 1_000_000]) {
      const { buffer, byteOffset } = alignedSpace(bytes);
      expect(Number(addressOf(new Uint8Array(buffer, byteOffset, bytes)) % 64n)).toBe(0);
    }
  });
});
