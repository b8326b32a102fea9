/**
 * The one length that all named lists share.
 *
 * @throws RangeError naming the lists that disagree. A shorter list would otherwise be read as NaN, silently.
 */
export function sharedLength(lists: Readonly<Record<string, ArrayLike<unknown>>>): number {
  const named = Object.entries(lists);
  const length = named[0][1].length;
  if (named.some(([, list]) => list.length !== length)) {
    throw new RangeError(
      `these lists must be equally long: ${named.map(([name, list]) => `${name} (${list.length})`).join(', ')}`,
    );
  }
  return length;
}
