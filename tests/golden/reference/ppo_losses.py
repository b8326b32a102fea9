"""Both clipped losses of PPO."""

import torch

from reference.fixtures import numbers, rounded


def policy_loss(logprobs: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, clip: float) -> torch.Tensor:
    """Minus equation 7 of Schulman et al. 2017, averaged over tokens."""
    ratio = (logprobs - old).exp()
    return -torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()


def value_loss(values: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, clip: float) -> torch.Tensor:
    """lm-human-preferences: half the mean of the worse of two squared errors."""
    clipped = old + (values - old).clamp(-clip, clip)
    return torch.max((values - returns) ** 2, (clipped - returns) ** 2).mean() / 2


def masked(loss, trained: torch.Tensor, mask: torch.Tensor, *others: torch.Tensor) -> dict:
    """The loss over the chosen positions, and its gradient for all."""
    trained.requires_grad_()
    value = loss(trained[mask], *(other[mask] for other in others))
    value.backward()
    return {"loss": value.item(), "gradients": numbers(trained.grad)}


def losses_fixture() -> dict:
    torch.manual_seed(6)
    count, clip = 48, 0.2
    mask = torch.rand(count) < 0.75
    old = rounded(-2 * torch.rand(count))
    logprobs = rounded(old + 0.25 * torch.randn(count))
    advantages = rounded(torch.randn(count))
    values, returns = rounded(torch.randn(count)), rounded(torch.randn(count))
    oldValues = rounded(values + 0.25 * torch.randn(count))
    ratio = (logprobs - old).exp()[mask]
    for side in (ratio > 1 + clip, ratio < 1 - clip, (ratio - 1).abs() < clip):
        for sign in (-1, 1):
            assert (side & (advantages[mask].sign() == sign)).any(), "every case of the clip is to occur"
    far = (values - oldValues).abs()[mask] > clip
    assert far.any() and not far.all()
    return {
        "clipRange": clip,
        "mask": numbers(mask.double()),
        "policy": {
            "logprobs": numbers(logprobs), "oldLogprobs": numbers(old), "advantages": numbers(advantages),
            **masked(lambda *rows: policy_loss(*rows, clip), logprobs, mask, old, advantages),
        },
        "value": {
            "values": numbers(values), "oldValues": numbers(oldValues), "returns": numbers(returns),
            **masked(lambda *rows: value_loss(*rows, clip), values, mask, oldValues, returns),
        },
    }
