"""AdamW in two forms, its schedule, and clipping."""

import torch


def parameter_groups(model: torch.nn.Module, decay: float) -> list:
    """Decay falls on matrices and embeddings, not on biases and normalisations."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def make_adamw(model: torch.nn.Module, options: dict, kind: type = torch.optim.AdamW) -> torch.optim.Optimizer:
    return kind(
        parameter_groups(model, options["weightDecay"]),
        lr=options["learningRate"], betas=(options["beta1"], options["beta2"]), eps=options["epsilon"],
    )


class TensorFlowAdamW(torch.optim.Optimizer):
    """
    Adam as TensorFlow 1 wrote it, and Kingma & Ba at the end of their section 2: the bias correction is in the step size, and
    ε stands beside the root of the uncorrected second moment. The decay is decoupled, as in AdamW.
    """

    def __init__(self, groups: list, **defaults: float) -> None:
        super().__init__(groups, defaults)
        self.updates = 0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        self.updates += 1
        for group in self.param_groups:
            (beta1, beta2), rate = group["betas"], group["lr"]
            step_size = rate * (1 - beta2**self.updates) ** 0.5 / (1 - beta1**self.updates)
            for parameter in group["params"]:
                state = self.state[parameter]
                state.setdefault("m", torch.zeros_like(parameter)).lerp_(parameter.grad, 1 - beta1)
                state.setdefault("v", torch.zeros_like(parameter)).lerp_(parameter.grad**2, 1 - beta2)
                parameter.mul_(1 - rate * group["weight_decay"])
                parameter.sub_(step_size * state["m"] / (state["v"].sqrt() + group["eps"]))


def make_schedule(optimiser: torch.optim.Optimizer, options: dict) -> torch.optim.lr_scheduler.LRScheduler:
    """PyTorch's own: a linear rise, then half a cosine."""
    warmup, steps = options["warmupSteps"], options["steps"]
    rise = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=1 / (warmup + 1), total_iters=warmup)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, T_max=steps - warmup, eta_min=options["learningRate"] * options["finalLearningRateFraction"]
    )
    return torch.optim.lr_scheduler.SequentialLR(optimiser, [rise, fall], milestones=[warmup])


def clip_gradients(model: torch.nn.Module, longest: float) -> float:
    """
    Clips by the global norm, which it returns. PyTorch's own function divides by the norm plus 1e-6; this one does not, as
    TensorFlow's.
    """
    norm = torch.linalg.vector_norm(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    for parameter in model.parameters():
        parameter.grad.mul_((longest / norm).clamp(max=1))
    return norm.item()
