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

training.py, scoring.py and generation.py each give a function to time, over the networks of model.py. The phase `ppo` is Hugging
Face TRL's, where that can be imported: see trl_ppo.py.

Both sides compute the same thing: tied head, biases everywhere, no dropout, GELU's tanh form, clipping by global
norm, AdamW that decays matrices only. Weights and tokens are the same numbers too (see same_numbers.py), so the losses agree.
"""
import json
import os
import statistics
import sys
import time

from options import REDUCED, Unavailable, args

# Both before PyTorch is imported: TRL has a process to itself, and OpenMP reads its number of threads once, as it is loaded.
if args.phase == "ppo":
    trl = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trl_ppo.py")
    os.execv(sys.executable, [sys.executable, trl, *sys.argv[1:]])
if args.threads:
    os.environ["OMP_NUM_THREADS"] = str(args.threads)

import torch  # noqa: E402
from generation import generation  # noqa: E402
from machine import Others, peak_mib, versions_of  # noqa: E402
from scoring import scoring  # noqa: E402
from training import training  # noqa: E402

if args.threads:
    torch.set_num_threads(args.threads)
torch.set_flush_denormal(True)
torch.manual_seed(args.seed)


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
