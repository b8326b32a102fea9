import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { dirname } from 'node:path';
import { type Queue } from 'bullmq';

/** Scripts and styles come from here and nowhere else, so the pages work without the internet. */
const contentPolicy = (styles: string): string =>
  `default-src 'none'; script-src 'self'; style-src ${styles}; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'`;

const withPolicy =
  (styles: string) =>
  (_request: Request, response: Response, next: NextFunction): void => {
    response.set('Content-Security-Policy', contentPolicy(styles));
    next();
  };

const docsPage = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Pavlov API</title>
    <link rel="icon" href="/docs/favicon-32x32.png" />
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const docsScript = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null });\n`;

const swaggerFolder = dirname(require.resolve('swagger-ui-dist/package.json'));

/** /docs: the API, to read and to try out. */
function serveDocs(app: Express): void {
  const policy = withPolicy("'self' 'unsafe-inline'"); // Swagger UI sets styles on its elements
  app.get('/docs', policy, (_request, response) => void response.type('html').send(docsPage));
  app.get('/docs/start.js', policy, (_request, response) => void response.type('js').send(docsScript));
  app.use('/docs', policy, express.static(swaggerFolder, { index: false }));
}

/** /queues: what BullMQ has. To look at only; acts go through the API, which checks them. */
function serveQueues(app: Express, queues: readonly Queue[]): void {
  const serverAdapter = new ExpressAdapter();
  serverAdapter.setBasePath('/queues');
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter,
    options: { uiConfig: { boardTitle: 'Pavlov', hideRedisDetails: true } },
  });
  app.use('/queues', withPolicy("'self' 'unsafe-inline'"), serverAdapter.getRouter() as express.Router);
}

/** Pages for people. */
export function servePages(app: Express, queues: readonly Queue[]): void {
  app.get('/', (_request, response) => response.redirect('/docs'));
  serveDocs(app);
  serveQueues(app, queues);
}
