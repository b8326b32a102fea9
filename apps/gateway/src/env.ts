import { toPavlovError } from '@pavlov/service-kit';
import { delimiter, join, resolve } from 'node:path';
import { z } from 'zod';
import { type UploadLimits } from './http/uploads';
import { type InferenceOptions } from './jobs/inference';

/** What the gateway takes from its environment beside what every service does. */
const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(7280),
  PAVLOV_DATA_ROOTS: z
    .string()
    .optional()
    .describe('Folders, separated like those of PATH, whose files may be named by path in POST /v1/datasets.'),
  PAVLOV_MAX_UPLOAD_BYTES: z.coerce.number().int().positive().default(268_435_456).describe('Of one upload.'),
  PAVLOV_COMPLETION_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .positive()
    .default(30_000)
    .describe('Longest wait for a completion.'),
});

export interface GatewayEnv {
  readonly port: number;
  readonly uploads: UploadLimits;
  readonly inference: InferenceOptions;
}

/** @throws PavlovError INVALID_REQUEST naming each variable that makes no sense. */
export function readGatewayEnv(home: string, variables: NodeJS.ProcessEnv = process.env): GatewayEnv {
  const given = Object.entries(variables).filter(([, value]) => value !== '');
  const parsed = environment.safeParse(Object.fromEntries(given));
  if (!parsed.success) throw toPavlovError(parsed.error, 'Correct that environment variable, or leave it out.');
  const { PORT, PAVLOV_DATA_ROOTS, PAVLOV_MAX_UPLOAD_BYTES, PAVLOV_COMPLETION_TIMEOUT_MS } = parsed.data;
  return {
    port: PORT,
    uploads: {
      maxBytes: PAVLOV_MAX_UPLOAD_BYTES,
      maxFiles: 1000,
      allowedRoots: PAVLOV_DATA_ROOTS?.split(delimiter).map((root) => resolve(root)) ?? [join(home, 'imports')],
    },
    inference: { timeoutMs: PAVLOV_COMPLETION_TIMEOUT_MS, maxWaiting: 64 },
  };
}
