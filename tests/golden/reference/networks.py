"""
Small GPT-2s of transformers, and what is computed with them.

Everything runs in float64 from weights that are float32 numbers. The fixtures are then the truth to some 15 digits,
whatever the version of PyTorch and the processor, and what the specs measure is the rounding of the project alone. It
runs without dropout, one sequence at a time wherever the project pads.
"""

import copy

import torch
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel

from reference.fixtures import weights

EOS = 0
PAD = 1
VOCABULARY = 48
CONTEXT = 20

config = GPT2Config(
    vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=16, n_layer=2, n_head=2,
    bos_token_id=EOS, eos_token_id=EOS, pad_token_id=PAD, num_labels=1,
    resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, initializer_range=0.2, attn_implementation="eager",
)


def shake(model: torch.nn.Module, scale: float) -> torch.nn.Module:
    """Moves every parameter, biases and normalisations too, so that leaving one out shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return model


def make_networks() -> dict:
    """A policy, a reference a little apart from it, and a reward model."""
    torch.manual_seed(1)
    policy = shake(GPT2LMHeadModel(config), 0.1)
    return {
        "policy": policy.double().eval(),
        "reference": shake(copy.deepcopy(policy).float(), 0.02).double().eval(),
        "reward": shake(GPT2ForSequenceClassification(config), 0.1).double().eval(),
    }


def networks_fixture(networks: dict) -> dict:
    model = {
        "vocabSize": VOCABULARY, "contextLength": CONTEXT, "layers": config.n_layer, "heads": config.n_head,
        "width": config.n_embd, "padId": PAD,
    }
    return {"model": model, **{name: weights(network) for name, network in networks.items()}}


def random_tokens(count: int) -> list:
    """Any tokens but EOS and PAD."""
    return torch.randint(2, VOCABULARY, (count,)).tolist()


def masked_logits(model: GPT2LMHeadModel, tokens: list) -> torch.Tensor:
    """Next-token logits of one sequence, [T, V]. PAD is no token that a model may say: its probability is 0."""
    logits = model(torch.tensor([tokens])).logits[0]
    return logits.index_fill(1, torch.tensor([PAD]), -torch.inf)


def response_logprobs(model: GPT2LMHeadModel, prompt: list, response: list, temperature: float = 1.0) -> torch.Tensor:
    """log π of each token of a response."""
    logits = masked_logits(model, (prompt + response)[:-1])[len(prompt) - 1 :] / temperature
    return logits.log_softmax(-1).gather(1, torch.tensor(response)[:, None])[:, 0]


def response_values(model: GPT2ForSequenceClassification, prompt: list, response: list) -> torch.Tensor:
    """V of the state that each token of a response was sampled in: the token before it is the last one seen."""
    hidden = model.transformer(torch.tensor([(prompt + response)[:-1]])).last_hidden_state
    return model.score(hidden)[0, len(prompt) - 1 :, 0]


def language_model_loss(model: GPT2LMHeadModel, rows: list) -> torch.Tensor:
    """Mean of −log p over the completions' tokens of all rows, each token weighing the same."""
    return -torch.cat([response_logprobs(model, row["prompt"], row["completion"]) for row in rows]).mean()
