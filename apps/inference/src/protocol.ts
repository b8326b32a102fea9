import { type Completion, type CompletionRequest, type ErrorBody } from '@pavlov/contracts';

/** What the service tells the process that runs its models. One question at a time. */
export interface Question {
  readonly request: CompletionRequest;
}

/** What that process answers. */
export type Answer = { readonly completion: Completion } | { readonly error: ErrorBody; readonly stack?: string };

/** How the process is told, on its command line, where the store is and how many threads it has. */
export interface ProcessOptions {
  readonly storeRoot: string;
  readonly threads: number;
}
