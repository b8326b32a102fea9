"""Logits and gradients of a batch with padding; ten steps of AdamW."""

import copy

import torch
from torch.nn.functional import cross_entropy

from reference.fixtures import array, gradients, weights
from reference.networks import CONTEXT, EOS, PAD, language_model_loss, random_tokens
from reference.optimisers import TensorFlowAdamW, clip_gradients, make_adamw, make_schedule

IGNORED = -100


def random_row(prompt: int, completion: int) -> dict:
    return {"prompt": random_tokens(prompt), "completion": random_tokens(completion - 1) + [EOS]}


def language_model_fixture(policy: torch.nn.Module) -> dict:
    """As users of transformers run it: one padded batch, an attention mask, and labels of −100 where nothing is learned."""
    torch.manual_seed(2)
    model = copy.deepcopy(policy)
    rows = [random_row(5, 9), random_row(1, 3), random_row(7, CONTEXT - 7), random_row(3, 1)]
    longest = max(len(row["prompt"] + row["completion"]) for row in rows)
    tokens = torch.full((len(rows), longest), PAD)
    labels = torch.full((len(rows), longest), IGNORED)
    for index, row in enumerate(rows):
        sequence = torch.tensor(row["prompt"] + row["completion"])
        tokens[index, : len(sequence)] = sequence
        labels[index, len(row["prompt"]) : len(sequence)] = sequence[len(row["prompt"]) :]
    logits = model(tokens, attention_mask=(tokens != PAD).long()).logits
    possible = logits.index_fill(2, torch.tensor([PAD]), -torch.inf)
    loss = cross_entropy(possible[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
    loss.backward()
    return {
        "rows": rows,
        "logits": [array(logits[index, : len(row["prompt"] + row["completion"])]) for index, row in enumerate(rows)],
        "loss": loss.item(),
        "gradients": gradients(model),
    }


OPTIMISER = {
    "learningRate": 0.01, "finalLearningRateFraction": 0.1, "warmupSteps": 3, "steps": 10,
    "weightDecay": 0.1, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-5, "clipNorm": 2.0,
}


def train(policy: torch.nn.Module, batches: list, kind: type) -> dict:
    model = copy.deepcopy(policy)
    optimiser = make_adamw(model, OPTIMISER, kind)
    schedule = make_schedule(optimiser, OPTIMISER)
    losses, norms, rates = [], [], []
    for batch in batches:
        optimiser.zero_grad()
        loss = language_model_loss(model, batch)
        loss.backward()
        losses.append(loss.item())
        norms.append(clip_gradients(model, OPTIMISER["clipNorm"]))
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert min(norms) < OPTIMISER["clipNorm"] < max(norms), "some gradients are to be clipped, and some not"
    return {"losses": losses, "gradientNorms": norms, "learningRates": rates, "weights": weights(model)}


def adamw_fixture(policy: torch.nn.Module) -> dict:
    torch.manual_seed(3)
    lengths = lambda: torch.randint(1, CONTEXT // 2, (2,)).tolist()
    batches = [[random_row(*lengths()) for _ in range(3)] for _ in range(OPTIMISER["steps"])]
    return {
        "options": OPTIMISER,
        "batches": batches,
        "pytorch": train(policy, batches, torch.optim.AdamW),
        "tensorflow": train(policy, batches, TensorFlowAdamW),
    }
