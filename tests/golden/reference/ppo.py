"""
One whole PPO update: a rollout is given, and what comes out are the new weights of policy and value network.

Episodes are computed one at a time, without padding or masks, so that none of the project's layout is repeated here.
"""

import copy

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from reference.fixtures import numbers, rounded, weights
from reference.networks import CONTEXT, EOS, language_model_loss, random_tokens, response_logprobs, response_values
from reference.optimisers import clip_gradients, make_adamw
from reference.ppo_losses import policy_loss, value_loss
from reference.rollouts import KL_ESTIMATORS, advantages, shaped_rewards, whiten

MINIBATCH = 4

OPTIMISER = {"weightDecay": 0.01, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-5, "clipNorm": 1.0}

# Under the names that the options of a job have.
PLAIN = {
    **OPTIMISER, "epsilonPlacement": "pytorch", "learningRate": 5e-3, "valueLearningRate": 1e-2,
    "temperature": 0.8, "klEstimator": "k1", "klCoefficient": 0.2, "missingEosReward": -1,
    "gamma": 1.0, "lambda": 0.95, "whitenRewards": False, "whitenAdvantages": True,
    "clipRange": 0.2, "valueClipRange": 0.2, "valueCoefficient": 0.1,
    "averageDecay": 0.992, "minibatchSize": MINIBATCH,
}
WITH_PRETRAINING = {
    **PLAIN, "temperature": 1.0, "klEstimator": "k3", "missingEosReward": None,
    "gamma": 0.97, "lambda": 0.9, "whitenRewards": True,
    "ptx": {"coefficient": 0.5},
}


def make_rollout() -> dict:
    """Eight episodes of all lengths; two never end. The minibatches of two epochs, in the order in which they are taken."""
    shapes = [(3, 5), (6, 8), (1, 1), (4, 8), (2, 3), (6, 6), (5, 2), (3, 7)]
    prompts = [random_tokens(prompt) for prompt, _ in shapes]
    finished = [index not in (1, 3) for index in range(len(shapes))]
    responses = [
        random_tokens(length - 1) + ([EOS] if ended else random_tokens(1))
        for (_, length), ended in zip(shapes, finished)
    ]
    epochs = [torch.randperm(len(shapes)).tolist() for _ in range(2)]
    return {
        "prompts": prompts, "responses": responses, "finished": finished, "maxNewTokens": 8,
        "scores": numbers(rounded(torch.randn(len(shapes)))),
        "minibatches": [[order[:MINIBATCH], order[MINIBATCH:]] for order in epochs],
    }


def make_pretraining() -> list:
    """A batch of two full rows for each of the four steps. Every token after the first is learned."""
    rows = lambda: [{"prompt": random_tokens(1), "completion": random_tokens(CONTEXT)} for _ in range(2)]
    return [rows() for _ in range(4)]


def estimate(networks: dict, rollout: dict, config: dict) -> dict:
    """What is known of each episode before the first step, one tensor per episode."""
    episodes = list(zip(rollout["prompts"], rollout["responses"]))
    with torch.no_grad():
        old = [response_logprobs(networks["policy"], *one, config["temperature"]) for one in episodes]
        reference = [response_logprobs(networks["reference"], *one, config["temperature"]) for one in episodes]
        values = [response_values(networks["reward"], *one) for one in episodes]
    kls = [KL_ESTIMATORS[config["klEstimator"]](a - b) for a, b in zip(old, reference)]
    missing = config["missingEosReward"]
    scores = [
        score if ended or missing is None else missing for score, ended in zip(rollout["scores"], rollout["finished"])
    ]
    rewards = [shaped_rewards(kl, score, config["klCoefficient"]) for kl, score in zip(kls, scores)]
    if config["whitenRewards"]:
        rewards = whiten(rewards, keep_mean=True)
    raw = [advantages(*row, config["gamma"], config["lambda"]) for row in zip(rewards, values)]
    return {
        "old": old, "kls": kls, "values": values, "returns": [a + v for a, v in zip(raw, values)],
        "advantages": whiten(raw, keep_mean=False) if config["whitenAdvantages"] else raw,
    }


def update(networks: dict, rollout: dict, config: dict, pretraining: list) -> dict:
    known = estimate(networks, rollout, config)
    policy, value = copy.deepcopy(networks["policy"]), copy.deepcopy(networks["reward"])
    policy_optimiser = make_adamw(policy, config)
    value_optimiser = make_adamw(value, {**config, "learningRate": config["valueLearningRate"]})
    average = AveragedModel(policy, multi_avg_fn=get_ema_multi_avg_fn(config["averageDecay"]))
    average.update_parameters(policy)  # the first call copies
    steps, ratios = [], []
    for minibatch in (minibatch for epoch in rollout["minibatches"] for minibatch in epoch):
        chosen = lambda name: torch.cat([known[name][index] for index in minibatch])
        episodes = [(rollout["prompts"][index], rollout["responses"][index]) for index in minibatch]

        logprobs = torch.cat([response_logprobs(policy, *one, config["temperature"]) for one in episodes])
        loss = policy_loss(logprobs, chosen("old"), chosen("advantages"), config["clipRange"])
        ratios.append((logprobs - chosen("old")).exp().detach())
        policy_optimiser.zero_grad()
        loss.backward()
        step = {"policyLoss": loss.item()}
        if "ptx" in config:
            pretraining_loss = language_model_loss(policy, pretraining[len(steps)])
            (config["ptx"]["coefficient"] * pretraining_loss).backward()  # adds to the gradient that is there
            step["pretrainingLoss"] = pretraining_loss.item()
        step["policyGradientNorm"] = clip_gradients(policy, config["clipNorm"])
        policy_optimiser.step()
        average.update_parameters(policy)

        values = torch.cat([response_values(value, *one) for one in episodes])
        loss = value_loss(values, chosen("values"), chosen("returns"), config["valueClipRange"])
        value_optimiser.zero_grad()
        (config["valueCoefficient"] * loss).backward()
        step |= {"valueLoss": loss.item(), "valueGradientNorm": clip_gradients(value, config["clipNorm"])}
        value_optimiser.step()
        steps.append(step)

    check_ratios(torch.cat(ratios), config["clipRange"])
    return {
        "estimates": {
            name: [numbers(row) for row in known[name]] for name in ("old", "kls", "values", "advantages", "returns")
        },
        "steps": steps, "policy": weights(policy), "average": weights(average.module), "value": weights(value),
    }


def check_ratios(ratios: torch.Tensor, clip: float) -> None:
    """The clip is to bite, and no ratio to lie so near to its edge that rounding could carry it across."""
    distance = (ratios - 1).abs() - clip
    assert (distance > 0).float().mean() > 0.02, "hardly any ratio is clipped"
    assert distance.abs().min() > 1e-4, "a ratio lies on the edge of the clip"


def ppo_fixtures(networks: dict) -> dict:
    torch.manual_seed(7)
    rollout, pretraining = make_rollout(), make_pretraining()
    return {
        "ppo": {"config": PLAIN, "rollout": rollout, **update(networks, rollout, PLAIN, [])},
        "ppo-ptx": {
            "config": WITH_PRETRAINING, "rollout": rollout, "pretraining": pretraining,
            **update(networks, rollout, WITH_PRETRAINING, pretraining),
        },
    }
