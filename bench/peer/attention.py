"""
Attention in bfloat16, in the way that is fastest here.

PyTorch's fused attention needs, for bfloat16, a BLAS that multiplies it and sums in float32. Where it was built with none, as
in Debian, it falls back to plain loops, and takes 98 ms for what takes 3.4 ms in float32. So each way is tried before anything
is measured, on the shape of the work:

- `fused`: scaled_dot_product_attention;
- `float32`: the same in float32, with a cache of keys and values in float32;
- `products`: softmax, in float32, between two batched products, which oneDNN does.
"""
import math
import time

import torch
import torch.nn.functional as F


class Way:
    """
    One of them: `attend(q, k, v, mask=None)`, with the type of a cache of keys and values, and that of a mask. It is causal
    or everything is attended to that the mask does not hide.
    """

    def __init__(self, name, attend, cache, mask):
        self.name, self.attend, self.cache, self.mask = name, attend, cache, mask


def in_one_type(kind, causal):
    """scaled_dot_product_attention as it is."""
    return Way("fused", lambda *qkv: F.scaled_dot_product_attention(*qkv, is_causal=causal), kind, kind)


def in_float32(causal):
    def attend(q, k, v, mask=None):
        with torch.autocast("cpu", enabled=False):
            y = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), mask, is_causal=causal)
            return y.to(q.dtype)

    return Way("float32", attend, torch.float32, torch.float32)


def products(causal, length):
    later = torch.full((length, length), -math.inf).triu(1) if causal else None

    def attend(q, k, v, mask=None):
        hidden, scale = later if causal else mask, q.size(-1) ** -0.5
        with torch.autocast("cpu", enabled=False):
            scores = (q @ k.transpose(-1, -2)).float()
            scores = scores * scale if hidden is None else torch.add(hidden, scores, alpha=scale)
            return scores.softmax(-1).to(v.dtype) @ v

    return Way("products", attend, torch.bfloat16, torch.float32)


ROUNDS = 6


def fastest(batch, heads, depth, queries, keys, learn=False, compiled=False):
    """
    For so many queries over so many keys each, causal if they are as many; with its gradient, if that is wanted. What
    torch.compile will see is tried as it is; then only `fused` is weighed against `products` for whole texts, since a compiler
    merges what is between the products: tiny trained at 63,700 tokens/s with them, and at 57,700 with `float32`.
    """
    causal = queries == keys
    ways = [in_one_type(torch.bfloat16, causal), products(causal, queries)]
    if not (compiled and causal):
        ways.append(in_float32(causal))
    tries = [trial(way, [(batch, heads, length, depth) for length in (queries, keys, keys)], learn) for way in ways]
    times = [[attempt() for attempt in tries] for _ in range(ROUNDS)]  # in turn: all meet the same machine
    best = [min(column) for column in zip(*times)]
    return ways[best.index(min(best))]


def trial(way, sizes, learn):
    """A function that attends once, and tells in how many seconds."""
    # A cache has the way's own type; whole texts come in bfloat16.
    kinds = [torch.bfloat16, *[torch.bfloat16 if sizes[0] == sizes[1] else way.cache] * 2]
    inputs = [torch.randn(*size).to(kind).requires_grad_(learn) for size, kind in zip(sizes, kinds)]

    def attempt():
        before = time.perf_counter()
        with torch.set_grad_enabled(learn):
            y = way.attend(*inputs)
            if learn:
                y.backward(torch.ones_like(y))
        return time.perf_counter() - before

    return attempt
