import { evaluationReport, id, reportFiles, reportView } from '@pavlov/contracts';
import { z } from 'zod';
import { download, filePath } from '../artifacts/download';
import { json, route, type Route } from '../http/route';

const params = z.object({ id: id.describe('Id of the report: that of the evaluation job.') });
const tag = 'reports';

const getOne = route({
  method: 'get',
  path: '/v1/reports/{id}',
  tag,
  summary: 'The report of an evaluation',
  params,
  answers: { 200: { about: 'Its manifest and the report itself.', schema: reportView } },
  errors: ['REPORT_NOT_FOUND'],
  handler: async ({ params }, { store }) => {
    const manifest = await store.reports.manifest(params.id);
    const text = (await store.reports.read(params.id, reportFiles.json)).toString('utf8');
    return json(200, { manifest, report: evaluationReport.parse(JSON.parse(text)) });
  },
});

const getFile = route({
  method: 'get',
  path: '/v1/reports/{id}/files/{path+}',
  tag,
  summary: 'Download a file of a report',
  description: `\`${reportFiles.markdown}\` is the one for people.`,
  params: params.extend({ path: filePath }),
  answers: { 200: { about: 'The bytes.', mediaType: 'application/octet-stream' } },
  errors: ['REPORT_NOT_FOUND', 'FILE_NOT_FOUND'],
  handler: async ({ params }, { store }) => download(store.reports, params),
});

export const reportRoutes: readonly Route[] = [getOne, getFile];
