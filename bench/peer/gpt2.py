#!/usr/bin/env python3
"""
The other side of `npm run bench -- --peer`: GPT-2 in plain PyTorch, doing the work that Pavlov's benchmark does.

    python3 bench/peer/gpt2.py --phase train --mode eager            the shape "tiny" of the benchmark
    python3 bench/peer/gpt2.py --help

One measurement per process, and one line of JSON as the last line of standard output: `value` in `unit`, the median of
`iterations` runs, `others` (cores that other processes used meanwhile), `losses` of the first training steps and the
`versions` of what ran. A mode that this installation lacks gives {"unavailable": "<why>"} instead.

Modes: `eager`; `compile`, by torch.compile; `packed`, for scoring and generation, with weights in oneDNN's layout, packed
anew in every call, as a changed policy would have to be; `transformers`, Hugging Face's GPT2LMHeadModel.

With `--precision bfloat16` matrix products read bfloat16: training runs under torch.autocast, over weights in float32; scoring
and generation convert the weights, anew in every call too. Softmax and log-probabilities of the vocabulary stay float32, and
attention is done in the way that is fastest here: see attention.py. Two more ways were tried and left out. Autocast was slower
than conversion for scoring; and oneDNN computes in float32 all the same, on processors without AMX, where
`torch.backends.mkldnn.matmul.fp32_precision` is "bf16" or `torch.set_float32_matmul_precision` is "medium".

The phase `ppo` is Hugging Face TRL's, where that can be imported: see trl_ppo.py.

Both sides compute the same thing: tied head, biases everywhere, no dropout, GELU's tanh form, clipping by global
norm, AdamW that decays matrices only. Weights and tokens are the same numbers too (see `numbers`), so the losses agree.
"""
import argparse
import copy
import json
import math
import os
import platform
import statistics
import sys
import time

parser = argparse.ArgumentParser(description="One measurement of GPT-2 in PyTorch.")
parser.add_argument(
    "--phase", default="train", choices=["train", "score", "generate", "ppo", "memory", "losses", "sgemm", "read"]
)
parser.add_argument("--mode", default="eager", choices=["eager", "compile", "packed", "transformers"])
parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"], help="of matrix products")
for name, default in dict(
    layers=4, heads=4, width=128, context=128, vocab=512, length=128, batch=16, prompt=32, answer=96, threads=0
).items():
    parser.add_argument(f"--{name}", type=int, default=default)
parser.add_argument("--seconds", type=float, default=3.0, help="of timed runs")
parser.add_argument("--seed", type=int, default=1, help="of what is sampled")
parser.add_argument("--no-clip", action="store_true", help="train without clipping by global norm")
args = parser.parse_args()
if args.phase == "ppo":
    trl = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trl_ppo.py")
    os.execv(sys.executable, [sys.executable, trl, *sys.argv[1:]])
if args.threads:
    os.environ["OMP_NUM_THREADS"] = str(args.threads)

import numpy  # noqa: E402
import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from attention import fastest, in_one_type  # noqa: E402
from machine import Others, versions_of  # noqa: E402

if args.threads:
    torch.set_num_threads(args.threads)
torch.set_flush_denormal(True)
torch.manual_seed(args.seed)

REDUCED = args.precision == "bfloat16"
PAD = 1  # Pavlov gives PAD no probability; the comparison of losses masks it here, timed runs do not
TOKENS = 0xFFFF  # the stream of `numbers` that tokens come from


class Unavailable(Exception):
    """This installation of PyTorch cannot run the mode."""


# ── numbers that both sides have ──────────────────────────────────────────────────────────────────────────────────────


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


# ── the model ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── phases: each gives a function to time, and what one call of it is worth ───────────────────────────────────────────


def autocast():
    """What training in bfloat16 runs under; nothing in float32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=REDUCED)


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


def scoring():
    model, refresh = converted(build().eval())
    attend = attention(args.length, args.length).attend
    text = tokens(args.batch, args.length + 1)
    ids, targets = text[:, :-1].contiguous(), text[:, 1:].contiguous()

    def score(ids, targets):
        if args.mode == "packed":
            return logprobs(model.logits(ids, attend, Packed(model, ids.numel())), targets)
        return logprobs(logits_of(model, ids, attend), targets)

    # inference_mode would make torch.compile specialise once more
    without_gradients = torch.no_grad if args.mode == "compile" else torch.inference_mode
    compiled = torch.compile(score) if args.mode == "compile" else score

    def run():
        with without_gradients():
            refresh()
            return compiled(ids, targets)

    return run


def sample(logits):
    """One token per row from the whole distribution, and its log-probability. Faster on a CPU than torch.multinomial."""
    logits = logits.float()
    sums = torch.softmax(logits, -1).cumsum(-1)
    drawn = torch.searchsorted(sums, torch.rand(sums.size(0), 1) * sums[:, -1:]).clamp_max_(sums.size(1) - 1)
    return drawn, logprobs(logits, drawn.squeeze(1))


def generation():
    """Sampling with a key-value cache: a prompt in one pass, then a token per row and step."""
    if args.mode == "transformers":
        return hugging_face_generation()
    model, refresh = converted(build().eval())
    batch, prompt_length, steps = args.batch, args.prompt, args.answer
    prompts = tokens(batch, prompt_length)
    room = prompt_length + steps
    first, then = attention(prompt_length, prompt_length), attention(1, room)
    shape = (batch, args.heads, room, args.width // args.heads)
    # A tensor of its own for each: torch.compile copies whole what it changes a view of.
    caches = [(torch.zeros(shape, dtype=then.cache), torch.zeros(shape, dtype=then.cache)) for _ in range(args.layers)]
    places = torch.arange(room)

    def growing(layer, start, end):
        def attend(qkv):
            q, k, v = split_heads(qkv)
            keys, values = caches[layer]
            keys[:, :, start:end] = k
            values[:, :, start:end] = v
            if start == 0:
                return join_heads(first.attend(q, k, v))
            return join_heads(then.attend(q, keys[:, :, :end], values[:, :, :end]))

        return attend

    def next_logits(ids, start, linear):
        end = start + ids.size(1)
        attentions = [growing(layer, start, end) for layer in range(args.layers)]
        hidden = model.hidden(ids, places[start:end], linear, attentions)
        return linear(model.head, hidden[:, -1])

    def static_step(token, keys_and_values, place, visible):
        """The same step at shapes that never change, which is what torch.compile wants."""

        def fixed(layer):
            def attend(qkv):
                q, k, v = split_heads(qkv)
                keys, values = keys_and_values[layer]
                keys.index_copy_(2, place, k.to(keys.dtype))
                values.index_copy_(2, place, v.to(values.dtype))
                return join_heads(then.attend(q, keys, values, visible))

            return attend

        hidden = model.hidden(token, place, plain, [fixed(layer) for layer in range(args.layers)])
        return sample(model.head(hidden[:, -1]))

    compiled_step = torch.compile(static_step, dynamic=False) if args.mode == "compile" else None

    def run():
        answers = torch.empty(batch, steps, dtype=torch.long)
        scores = torch.empty(batch, steps)
        refresh()
        linear = Packed(model, batch) if args.mode == "packed" else plain
        drawn, scores[:, 0] = sample(next_logits(prompts, 0, linear))
        answers[:, :1] = drawn
        visible = torch.full((1, 1, 1, room), -math.inf, dtype=then.mask)
        visible[..., :prompt_length] = 0
        for n in range(1, steps):
            place = prompt_length + n - 1
            if compiled_step:
                visible[..., place] = 0
                drawn, scores[:, n] = compiled_step(drawn, caches, places[place : place + 1], visible)
            else:
                drawn, scores[:, n] = sample(next_logits(drawn, place, linear))
            answers[:, n : n + 1] = drawn
        return answers, scores

    without_gradients = torch.no_grad if args.mode == "compile" else torch.inference_mode
    return without_gradients()(run)


def hugging_face_generation():
    model, refresh = converted(build().eval())
    prompts = tokens(args.batch, args.prompt)
    attention_mask = torch.ones_like(prompts)

    @torch.inference_mode()
    def run():
        refresh()
        text = model.generate(
            prompts,
            attention_mask=attention_mask,
            max_new_tokens=args.answer,
            min_new_tokens=args.answer,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            pad_token_id=PAD,
        )
        assert text.shape == (args.batch, args.prompt + args.answer)

    return run


# ── measuring ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def measure(run, least=3):
    """Median seconds of a run, after two that are not counted."""
    run()
    run()
    others = Others()
    times = []
    while len(times) < least or sum(times) < args.seconds:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return statistics.median(times), dict(iterations=len(times), others=others.cores())


def peak_mib():
    """Largest resident size of this process."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except OSError:
        import resource

        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size / 2**20 if platform.system() == "Darwin" else size / 1024


def result():
    if args.phase == "sgemm":
        rows, inner, columns = 2048, 1024, 2048
        kind = torch.bfloat16 if REDUCED else torch.float32
        a, b, out = (torch.randn(*size).to(kind) for size in ((rows, inner), (inner, columns), (rows, columns)))
        with torch.inference_mode():
            seconds, how = measure(lambda: torch.mm(a, b, out=out))
        return dict(value=2 * rows * inner * columns / seconds / 1e9, unit="GFLOP/s", **how)
    if args.phase == "read":
        data = torch.ones(2**27)
        seconds, how = measure(lambda: data.sum())
        return dict(value=data.numel() * 4 / seconds / 1e9, unit="GB/s", **how)
    if args.phase == "train":
        step, losses = training()
        seconds, how = measure(step)
        return dict(value=args.batch * args.length / seconds, unit="tokens/s", losses=losses[:3], **how)
    if args.phase == "losses":
        step, losses = training(mask_pad=True)
        for _ in range(10):
            step()
        return dict(value=losses[-1], unit="nats", losses=losses)
    if args.phase == "memory":
        idle = peak_mib()
        step, losses = training()
        for _ in range(3):
            step()
        peak = peak_mib()
        return dict(value=peak, unit="MiB", shares=dict(idle=idle / peak), losses=losses)
    if args.phase == "score":
        seconds, how = measure(scoring())
        return dict(value=args.batch * args.length / seconds, unit="tokens/s", **how)
    seconds, how = measure(generation())
    return dict(value=args.batch * args.answer / seconds, unit="tokens/s", **how)


def versions():
    if args.mode != "transformers":
        return versions_of()
    import transformers

    return versions_of(transformers)


def main():
    if args.mode == "packed" and args.phase not in ("score", "generate"):
        raise Unavailable("packed weights are for scoring and generation")
    return dict(**result(), versions=versions())


try:
    answer = main()
except Unavailable as why:
    answer = dict(unavailable=str(why))
except Exception as error:  # e.g. torch.compile without a C++ compiler
    if args.mode == "eager":
        raise
    answer = dict(unavailable=f"{type(error).__name__}: {str(error).strip()[:300]}")
print(json.dumps(answer), flush=True)
