import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** How an attempt at a job ended. `requeued`: the service was shutting down and another one goes on. */
export type Outcome = 'completed' | 'failed' | 'retried' | 'cancelled' | 'requeued';

export interface ServiceMetrics {
  readonly registry: Registry;
  readonly jobs: Counter<'stage' | 'outcome'>;
  readonly seconds: Histogram<'stage' | 'outcome'>;
  readonly active: Gauge<'stage'>;
  readonly tokens: Counter<'stage'>;
}

export function createMetrics(service: string): ServiceMetrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    jobs: new Counter({
      name: 'pavlov_jobs_total',
      help: 'Attempts at jobs that ended.',
      labelNames: ['stage', 'outcome'],
      registers,
    }),
    seconds: new Histogram({
      name: 'pavlov_job_seconds',
      help: 'Seconds of an attempt at a job.',
      labelNames: ['stage', 'outcome'],
      buckets: [1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400],
      registers,
    }),
    active: new Gauge({ name: 'pavlov_active_jobs', help: 'Jobs being run now.', labelNames: ['stage'], registers }),
    tokens: new Counter({
      name: 'pavlov_tokens_total',
      help: 'Tokens trained on, sampled and scored by completed jobs.',
      labelNames: ['stage'],
      registers,
    }),
  };
}
