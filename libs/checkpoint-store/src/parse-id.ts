import { id as idSchema, PavlovError } from '@pavlov/contracts';
import { z } from 'zod';

/** An id, which is also a safe folder name. @throws PavlovError INVALID_REQUEST for anything else. */
export function parseId(id: string): string {
  const parsed = idSchema.safeParse(id);
  if (parsed.success) return parsed.data;
  throw new PavlovError({
    code: 'INVALID_REQUEST',
    message: `“${id}” is not an id.`,
    hint: z.prettifyError(parsed.error),
    field: 'id',
  });
}
