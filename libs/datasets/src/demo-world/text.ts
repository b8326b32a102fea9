/** Words of a text: runs of letters and digits, in lower case. A minus belongs to its number; all else separates. */
export function words(text: string): string[] {
  return text.toLowerCase().match(/(?<![\p{L}\p{N}])-\p{N}+|[\p{L}\p{M}\p{N}]+/gu) ?? [];
}

/** The text with its words in lower case and single spaces, nothing else. Equal for texts that differ in looks only. */
export function normalised(text: string): string {
  return words(text).join(' ');
}

/** Sentences of a text, each with its closing mark where it has one. */
export function sentences(text: string): string[] {
  return (
    text
      .match(/[^.!?]+[.!?]*|[.!?]+/g)
      ?.map((part) => part.trim())
      .filter((part) => part !== '') ?? []
  );
}

/** Whether the normalised `text` contains the normalised `phrase` as whole words. */
export function containsPhrase(text: string, phrase: string): boolean {
  return ` ${text} `.includes(` ${phrase} `);
}

/** The normalised `text` without the first occurrence of the normalised `phrase`. */
export function withoutPhrase(text: string, phrase: string): string {
  return ` ${text} `.replace(` ${phrase} `, ' ').trim();
}
