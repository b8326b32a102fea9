"""
Weights and tokens that Pavlov's side has too (bench/speed/numbers.ts), so that both start from the same bytes. The name
`numbers.py` would hide Python's own module.
"""
import math

import numpy
import torch
import torch.nn as nn
from options import args

PAD = 1  # Pavlov gives PAD no probability; the comparison of losses masks it here, timed runs do not
TOKENS = 0xFFFF  # the stream of `numbers` that tokens come from


def numbers(stream, start, count):
    """uint32 of a stream, from `start` on: murmur3's finaliser over position + stream · golden ratio."""
    x = numpy.arange(start, start + count, dtype=numpy.uint64).astype(numpy.uint32)
    x += numpy.uint32(stream * 0x9E3779B9 & 0xFFFFFFFF)
    x ^= x >> numpy.uint32(16)
    x *= numpy.uint32(0x85EBCA6B)
    x ^= x >> numpy.uint32(13)
    x *= numpy.uint32(0xC2B2AE35)
    x ^= x >> numpy.uint32(16)
    return x


@torch.no_grad()
def fill(model):
    """Matrices uniform with standard deviation 0.02, each from the stream of its place; layer norms 1, biases 0."""
    transposed = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    transposed -= {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}  # the tied head
    for stream, (name, parameter) in enumerate(model.named_parameters()):
        if parameter.dim() == 1:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
            continue
        table = parameter.t() if id(parameter) in transposed else parameter  # Pavlov's are [in, out]
        rows, columns = table.shape
        at_once = max(1, 2**18 // columns)  # little memory, for its peak is measured
        for row in range(0, rows, at_once):
            part = numbers(stream, row * columns, min(at_once, rows - row) * columns)
            scaled = (part.astype(numpy.float64) / 2**31 - 1) * (0.02 * math.sqrt(3))
            table[row : row + at_once] = torch.from_numpy(scaled.astype(numpy.float32)).view(-1, columns)
    return model


def tokens(rows, columns):
    """Token ids above PAD, int64 [rows, columns]."""
    part = numbers(TOKENS, 0, rows * columns).astype(numpy.float64)
    return torch.from_numpy((PAD + 1 + numpy.floor(part / 2**32 * (args.vocab - PAD - 1))).astype(numpy.int64)).view(
        rows, columns
    )
