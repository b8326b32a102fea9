"""Sampling answers to prompts."""
import math

import torch
from model import Packed, attention, build, converted, join_heads, logprobs, plain, split_heads
from options import args
from same_numbers import PAD, tokens


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


def sample(logits):
    """One token per row from the whole distribution, and its log-probability. Faster on a CPU than torch.multinomial."""
    logits = logits.float()
    sums = torch.softmax(logits, -1).cumsum(-1)
    drawn = torch.searchsorted(sums, torch.rand(sums.size(0), 1) * sums[:, -1:]).clamp_max_(sums.size(1) - 1)
    return drawn, logprobs(logits, drawn.squeeze(1))
