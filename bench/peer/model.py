"""GPT-2, written out or Hugging Face's; in float32, or converted to bfloat16."""
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from attention import fastest, in_one_type
from options import REDUCED, Unavailable, args
from same_numbers import PAD, fill


def plain(linear, x, gelu=False):
    """How a linear layer is applied; `Packed` is the other way."""
    y = linear(x)
    return F.gelu(y, approximate="tanh") if gelu else y


class Packed:
    """Linear layers over weights in oneDNN's layout, with the GELU in the same call."""

    def __init__(self, model, rows):
        ops = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
        if ops is None or not torch.backends.mkldnn.is_available():
            raise Unavailable("this PyTorch has no oneDNN")
        self.apply = ops
        pack = torch.ops.mkldnn._reorder_linear_weight
        self.weights = {m: pack(m.weight.detach(), rows) for m in model.modules() if isinstance(m, nn.Linear)}

    def __call__(self, linear, x, gelu=False):
        after = ("gelu", [], "tanh") if gelu else ("none", [], "")
        return self.apply(x, self.weights[linear], linear.bias, *after)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        width = args.width
        self.ln_1 = nn.LayerNorm(width)
        self.c_attn = nn.Linear(width, 3 * width)
        self.attn_proj = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.c_fc = nn.Linear(width, 4 * width)
        self.mlp_proj = nn.Linear(4 * width, width)

    def forward(self, x, linear, attend):
        x = x + linear(self.attn_proj, attend(linear(self.c_attn, self.ln_1(x))))
        return x + linear(self.mlp_proj, linear(self.c_fc, self.ln_2(x), gelu=True))


class GPT2(nn.Module):
    """Parameters in the order of Pavlov's layout and of transformers' GPT2LMHeadModel."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(args.vocab, args.width)
        self.wpe = nn.Embedding(args.context, args.width)
        self.h = nn.ModuleList(Block() for _ in range(args.layers))
        self.ln_f = nn.LayerNorm(args.width)
        self.head = nn.Linear(args.width, args.vocab, bias=False)
        self.head.weight = self.wte.weight

    def hidden(self, ids, positions, linear, attentions):
        x = self.wte(ids) + self.wpe(positions)
        for block, attend in zip(self.h, attentions):
            x = block(x, linear, attend)
        return self.ln_f(x)

    def logits(self, ids, attend, linear=plain):
        """ids [B, T] → [B, T, V]"""

        def whole(qkv):
            return join_heads(attend(*split_heads(qkv)))

        hidden = self.hidden(ids, torch.arange(ids.size(1)), linear, [whole] * args.layers)
        return linear(self.head, hidden)


def split_heads(qkv):
    """[B, T, 3C] → 3 × [B, H, T, D]"""
    batch, length, _ = qkv.shape
    shape = (batch, length, args.heads, args.width // args.heads)
    return [part.view(shape).transpose(1, 2) for part in qkv.split(args.width, dim=2)]


def join_heads(y):
    batch, _, length, _ = y.shape
    return y.transpose(1, 2).reshape(batch, length, args.width)


def attention(queries, keys, learn=False):
    """How so many queries attend to so many keys."""
    if REDUCED:
        sizes = args.batch, args.heads, args.width // args.heads, queries, keys
        return fastest(*sizes, learn=learn, compiled=args.mode == "compile")
    return in_one_type(torch.float32, queries == keys)


def logprobs(logits, targets):
    """Log-probability of each target; cheaper than a whole log-softmax."""
    logits = logits.float()
    return logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - torch.logsumexp(logits, -1)


def converted(model):
    """A model to compute with, and how it gets `model`'s weights: in bfloat16, if that is wanted."""
    if not REDUCED:
        return model, lambda: None
    half = copy.deepcopy(model).to(torch.bfloat16)

    def refresh():
        for ours, theirs in zip(half.parameters(), model.parameters()):
            ours.copy_(theirs)

    return half, refresh


def hugging_face():
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except Exception as error:
        raise Unavailable(f"transformers cannot be imported: {error}")
    config = GPT2Config(
        vocab_size=args.vocab,
        n_positions=args.context,
        n_embd=args.width,
        n_layer=args.layers,
        n_head=args.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=PAD,
        attn_implementation="sdpa" if attention(args.prompt, args.prompt).name == "fused" else "eager",
    )
    return GPT2LMHeadModel(config)


def build():
    return fill(hugging_face() if args.mode == "transformers" else GPT2())


def logits_of(model, ids, attend):
    return model(input_ids=ids, use_cache=False).logits if args.mode == "transformers" else model.logits(ids, attend)
