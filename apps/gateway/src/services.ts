import { type Store } from '@pavlov/checkpoint-store';
import { type Broker, type Logger, type ReadinessChecks } from '@pavlov/service-kit';
import { type OpenApiDocument } from './http/openapi';
import { type UploadLimits } from './http/uploads';
import { type Inference } from './jobs/inference';
import { type Queues } from './jobs/queues';
import { type Admission } from './submission/admit';
import { type Telemetry } from './telemetry';

/** Everything that handlers work with. */
export interface Services {
  readonly store: Store;
  readonly broker: Broker;
  readonly queues: Queues;
  readonly inference: Inference;
  readonly admission: Admission;
  readonly uploads: UploadLimits;
  readonly readiness: ReadinessChecks;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
  /** The document is made from the routes, and a route serves it. */
  readonly document: () => OpenApiDocument;
}
