/** GPT-2's pattern (Radford et al. 2019, `encoder.py`): byte-level BPE merges bytes within a match, never across two. */
const preToken = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/**
 * The fewest tokens that any GPT-2-style byte-level BPE can make of the text: its pre-tokens. So a row can be refused as
 * too long before there is a tokenizer; one that passes may still turn out too long. Space at the ends is not counted,
 * as a chat template may drop it.
 */
export function minimumTokens(text: string): number {
  return text.trim().match(preToken)?.length ?? 0;
}
