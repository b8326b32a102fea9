import { z } from 'zod';

export const paging = {
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('How many to list.'),
  cursor: z.string().max(100).optional().describe('The `next` of the page before.'),
};

/** A page of a list, newest first. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    items: z.array(item),
    next: z.string().optional().describe('Pass it as `cursor` to get the page that follows; absent on the last one.'),
  });

export interface Page<T> {
  readonly items: T[];
  readonly next?: string;
}

export const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });
