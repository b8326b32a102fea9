/**
 * One score out of those of several reward models.
 *
 * Method: mean − pessimism · standard deviation over the members, so that an answer about which they disagree, as they do
 * far from the data they learned from, is worth less.
 * Reference: Coste et al. 2023 (arXiv 2310.02743), who subtract the variance; Eisenstein et al. 2023 (arXiv 2312.09244),
 * who subtract the standard deviation, which has the unit of a reward.
 * Leaves out: the minimum over the members (worst case) and their median.
 */
import { sharedLength } from '../check';
import { type Numbers } from '../rollouts/grid';

/**
 * @param members Scores of the same N answers by each reward model, at least one.
 * @returns Both of length N; the deviation is the biased one and exactly 0 for one member.
 */
export function ensembleScores(input: { members: readonly Numbers[]; pessimism: number }): {
  scores: Float32Array;
  deviations: Float32Array;
} {
  const { members, pessimism } = input;
  const count = sharedLength(Object.fromEntries(members.map((scores, index) => [`member ${index + 1}`, scores])));
  const scores = new Float32Array(count);
  const deviations = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const mean = members.reduce((sum, member) => sum + member[i], 0) / members.length;
    const variance = members.reduce((sum, member) => sum + (member[i] - mean) ** 2, 0) / members.length;
    deviations[i] = Math.sqrt(variance);
    scores[i] = mean - pessimism * Math.sqrt(variance);
  }
  return { scores, deviations };
}
