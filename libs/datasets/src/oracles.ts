import { type oracles } from '@pavlov/contracts';
import { gradeDemoWorld, type Grade, type GradedResponse } from './demo-world/oracle';

export type OracleName = (typeof oracles)[number];

const graders = { 'demo-world': gradeDemoWorld } as const satisfies Record<
  OracleName,
  (graded: GradedResponse) => Grade
>;

/** Grades a response by the known truth of that name. */
export function gradeResponse(oracle: OracleName, graded: GradedResponse): Grade {
  return graders[oracle](graded);
}
