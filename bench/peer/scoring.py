"""Log-probabilities of given text."""
import torch
from model import Packed, attention, build, converted, logits_of, logprobs
from options import args
from same_numbers import tokens


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
