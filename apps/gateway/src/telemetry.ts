import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Queue } from 'bullmq';

export interface Telemetry {
  readonly registry: Registry;
  readonly requests: Histogram<'method' | 'route' | 'status'>;
}

export function createTelemetry(queues: readonly Queue[]): Telemetry {
  const registry = new Registry();
  registry.setDefaultLabels({ service: 'gateway' });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  new Gauge({
    name: 'pavlov_queue_jobs',
    help: 'Jobs in each queue, by the state that BullMQ has them in.',
    labelNames: ['queue', 'state'],
    registers,
    async collect() {
      this.reset();
      const counts = queues.map(async (queue) => ({
        queue: queue.name,
        states: await queue.getJobCounts(),
      }));
      for (const { queue, states } of await Promise.all(counts).catch(() => [])) {
        for (const [state, count] of Object.entries(states)) this.set({ queue, state }, count); // none while Redis is away
      }
    },
  });
  const requests = new Histogram({
    name: 'pavlov_http_request_seconds',
    help: 'Seconds from a request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers,
  });
  return { registry, requests };
}
