/**
 * The two conventions of GPT-2's byte-level BPE (Radford et al. 2019, `encoder.py`): how text is cut into words before
 * any merge, and which printable character stands for each byte, so that every token can be written in a JSON file.
 */

/**
 * Cuts text into words. Merges never cross a word's border. Matches every character of any text. White space is Unicode's,
 * as in Hugging Face's library; JavaScript's \s has U+FEFF and lacks U+0085.
 */
export const wordPattern = (): RegExp =>
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Character that stands for each byte: printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards. */
export const byteAlphabet: readonly string[] = (() => {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
})();
