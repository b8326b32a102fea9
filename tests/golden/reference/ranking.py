"""The ranking loss of InstructGPT (§3.5, equation 1), pair by pair."""

import copy
import itertools

import torch
from torch.nn.functional import logsigmoid

from reference.fixtures import gradients, numbers, rounded
from reference.networks import CONTEXT, EOS, PAD, random_tokens

# Rank of each answer, 1 the best; equal ranks are ties. Prompts with fewer answers than K, and one that is all ties.
RANKINGS = {
    2: [[1, 2], [2, 1], [1, 1]],
    4: [[3, 1, 2, 3], [1, 1, 1, 1], [2, 1, 4, 3], [2, 1, 2]],
    9: [[4, 9, 1, 7, 2, 8, 3, 6, 5], [1, 2, 2, 3, 3, 3, 4, 5, 5], [2, 1, 3, 3, 1]],
}


def ranking_loss(scores: list, rankings: list) -> torch.Tensor:
    """
    Mean over prompts of the mean of −log σ(r_winner − r_loser) over the prompt's pairs. Ties are dropped (appendix C), and
    with them a prompt that is nothing else.
    """
    prompts = []
    for row, ranks in zip(scores, rankings, strict=True):
        pairs = [
            -logsigmoid(row[winner] - row[loser])
            for winner, loser in itertools.permutations(range(len(ranks)), 2)
            if ranks[winner] < ranks[loser]
        ]
        if pairs:
            prompts.append(torch.stack(pairs).mean())
    return torch.stack(prompts).mean()


def of_scores(rankings: list) -> dict:
    scores = [rounded(3 * torch.randn(len(ranks))).requires_grad_() for ranks in rankings]
    loss = ranking_loss(scores, rankings)
    loss.backward()
    missing = lambda row: torch.zeros_like(row) if row.grad is None else row.grad
    return {
        "scores": [numbers(row) for row in scores], "loss": loss.item(),
        "gradients": [numbers(missing(row)) for row in scores],
    }


def through_model(reward: torch.nn.Module, rankings: list) -> dict:
    """The reward is what transformers reads off: the head's output at the last token that is not PAD."""
    model = copy.deepcopy(reward)
    rows, scores = [], []
    for ranks in rankings:
        prompt = random_tokens(int(torch.randint(1, 8, ())))
        lengths = torch.randint(0, CONTEXT - len(prompt), (len(ranks),)).tolist()
        sequences = [prompt + random_tokens(length) + [EOS] for length in lengths]
        padded = [sequence + [PAD] * (CONTEXT - len(sequence)) for sequence in sequences]
        rows.append(sequences)
        scores.append(model(torch.tensor(padded), attention_mask=(torch.tensor(padded) != PAD).long()).logits[:, 0])
    loss = ranking_loss(scores, rankings)
    loss.backward()
    return {"sequences": rows, "loss": loss.item(), "gradients": gradients(model)}


def ranking_fixture(reward: torch.nn.Module) -> dict:
    torch.manual_seed(4)
    return {
        f"K = {answers}": {
            "rankings": rankings, "ofScores": of_scores(rankings), "throughModel": through_model(reward, rankings)
        }
        for answers, rankings in RANKINGS.items()
    }
