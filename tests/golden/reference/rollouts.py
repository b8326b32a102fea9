"""From log-probs and scores to advantages: what happens between a rollout and the first step on it."""

import torch

from reference.fixtures import numbers, rounded

ROWS, COLUMNS = 4, 12
# First and last column of each response; what stands outside of them is prompt or padding.
RESPONSES = [(2, 11), (0, 4), (5, 5), (3, 9)]
# Outside of the responses in inputs, where it must not be read; outputs are 0 there.
GARBAGE = 1234.5


def grid(rows: list, around: float = 0.0) -> list:
    """Numbers of each response on a flat grid."""
    flat = torch.full((ROWS, COLUMNS), around, dtype=torch.float64)
    for row, ((first, last), values) in enumerate(zip(RESPONSES, rows, strict=True)):
        flat[row, first : last + 1] = values
    return numbers(flat.flatten())


def random_rows(scale: float = 1.0) -> list:
    return [rounded(scale * torch.randn(last - first + 1)) for first, last in RESPONSES]


def advantages(rewards: torch.Tensor, values: torch.Tensor, gamma: float, decay: float) -> torch.Tensor:
    """Equation 16 of Schulman et al. 2016, the sum itself: A_t = Σ_l (γλ)^l · δ_{t+l}, with a value of 0 after the end."""
    following = torch.cat([values[1:], torch.zeros(1, dtype=values.dtype)])
    deltas = rewards + gamma * following - values
    count = len(rewards)
    return torch.stack([sum((gamma * decay) ** l * deltas[t + l] for l in range(count - t)) for t in range(count)])


def whiten(rows: list, keep_mean: bool) -> list:
    """lm-human-preferences' `whiten`: over all tokens, with the biased variance and ε = 1e-8 inside the root."""
    every = torch.cat(rows)
    mean, variance = every.mean(), every.var(correction=0)
    return [(row - mean) * torch.rsqrt(variance + 1e-8) + (mean if keep_mean else 0) for row in rows]


# J. Schulman, "Approximating KL divergence": x = log π − log π_ref, hence r = π_ref / π = e^−x.
KL_ESTIMATORS = {
    "k1": lambda x: x,
    "k2": lambda x: x**2 / 2,
    "k3": lambda x: torch.expm1(-x) + x,
}


def shaped_rewards(kl: torch.Tensor, score: float, coefficient: float) -> torch.Tensor:
    """−β · KL of each token; the score of the whole response on the last one."""
    rewards = -coefficient * kl
    rewards[-1] += score
    return rewards


def adaptive_controller(kls: list, target: float, gain: float) -> list:
    """Ziegler et al. 2019 §2.2, as lm-human-preferences has it: every coefficient from the first one on."""
    path = [0.1]
    for kl in kls:
        error = min(max(kl / target - 1, -0.2), 0.2)
        path.append(path[-1] * (1 + error * gain))
    return path


def gae_cases() -> list:
    cases = []
    for gamma, decay in [(1.0, 0.95), (0.97, 0.8), (0.9, 0.0), (1.0, 1.0)]:
        rewards, values = random_rows(), random_rows()
        found = [advantages(*row, gamma, decay) for row in zip(rewards, values)]
        cases.append({
            "gamma": gamma, "lambda": decay, "rewards": grid(rewards, GARBAGE), "values": grid(values, GARBAGE),
            "advantages": grid(found), "returns": grid([a + v for a, v in zip(found, values)]),
        })
    return cases


def whitening_cases() -> list:
    """Once with a spread so small that the ε inside the root counts."""
    cases = []
    for scale in (0.5, 1e-4):
        values = [rounded(2 + scale * row) for row in random_rows()]
        cases.append({
            "scale": scale, "values": grid(values, GARBAGE),
            "whitened": grid(whiten(values, keep_mean=False)), "keepingMean": grid(whiten(values, keep_mean=True)),
        })
    return cases


def rollouts_fixture() -> dict:
    torch.manual_seed(5)
    logprobs, reference = ([row.abs().neg() for row in random_rows()] for _ in range(2))
    # One token that hardly moved: (r − 1) + x would be rounding noise there.
    reference[0][0] = rounded(logprobs[0][0] + 1e-4)
    kls = {
        name: [estimate(a - b) for a, b in zip(logprobs, reference)] for name, estimate in KL_ESTIMATORS.items()
    }
    scores = [1.5, -0.25, 3.0, 0.5]
    finished = [True, False, True, True]
    mask = torch.zeros(ROWS, COLUMNS)
    for row, (first, last) in enumerate(RESPONSES):
        mask[row, first : last + 1] = 1
    measured = (6 * torch.rand(50).double()).exp2().tolist()
    return {
        "rows": ROWS,
        "mask": numbers(mask.flatten()),
        "gae": gae_cases(),
        "whitening": whitening_cases(),
        "kl": {
            "logprobs": grid(logprobs, GARBAGE), "referenceLogprobs": grid(reference, GARBAGE),
            **{name: grid(rows) for name, rows in kls.items()},
        },
        "rewards": {
            "scores": scores, "finished": finished, "penalty": -1, "coefficient": 0.3,
            "tokens": grid([
                shaped_rewards(kl, score if ended else -1, 0.3) for kl, score, ended in zip(kls["k1"], scores, finished)
            ]),
        },
        "controller": {
            "kls": measured, "target": 6.0, "horizon": 10_000, "episodes": 512,
            "paper": adaptive_controller(measured, 6.0, 0.1), "code": adaptive_controller(measured, 6.0, 512 / 10_000),
        },
    }
