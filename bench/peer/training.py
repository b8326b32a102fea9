"""A step of training: forward, backward, clipping by global norm, AdamW."""
import torch
import torch.nn.functional as F
from model import attention, build, logits_of
from options import REDUCED, args
from same_numbers import PAD, tokens


def training(mask_pad=False):
    model = build().train()
    text = tokens(args.batch, args.length + 1)
    ids, targets = text[:, :-1].contiguous(), text[:, 1:].reshape(-1)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimiser = torch.optim.AdamW(
        [dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)],
        lr=3e-4,
        betas=(0.9, 0.95),
        eps=1e-8,
        fused=True,
    )

    attend = attention(args.length, args.length, learn=True).attend

    def loss_of(ids, targets):
        with autocast():
            logits = logits_of(model, ids, attend).view(-1, args.vocab)
        logits = logits.float()
        if mask_pad:
            logits = logits.index_fill(1, torch.tensor([PAD]), -1e9)
        return F.cross_entropy(logits, targets)

    compiled = torch.compile(loss_of) if args.mode == "compile" else loss_of
    losses = []

    def step():
        loss = compiled(ids, targets)
        loss.backward()
        if not args.no_clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())

    return step, losses


def autocast():
    """What training in bfloat16 runs under; nothing in float32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=REDUCED)
