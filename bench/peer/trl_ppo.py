#!/usr/bin/env python3
"""
Hugging Face TRL's PPOTrainer, doing the update that Pavlov's benchmark times as `ppo`.

    PYTHONPATH=trl:datasets/src python3 bench/peer/trl_ppo.py                                            the shape "tiny"
    … --layers 6 --heads 6 --width 384 --context 256 --vocab 4096 --batch 8 --prompt 64 --answer 192     the shape "small"

One measurement per process, and one line of JSON as the last line of standard output, as of gpt2.py: `value`, median seconds
of an update after two that do not count; `others` (cores that other processes used meanwhile); `parts`, medians in seconds;
`shares`, of the whole. gpt2.py comes here for its phase `ppo`, and both take the same flags. Without TRL it gives
{"unavailable": "<why>"}.

An update is what TRL does between two ends of a step: prompts, sampling, log-probabilities of the reference, values and
rewards of the whole batch, advantages, and four epochs of one AdamW step each, of policy and value model, over the whole
batch. In float32, without dropout or gradient checkpointing; scaled_dot_product_attention; fused AdamW.

TRL's code runs as it is. Three of its functions are wrapped, to read the clock, to look at what they return, and for bfloat16. It collects
garbage twice in every update, which looks at all that was imported; `gc.freeze()` before training spares it that, which TRL
does not do by itself: tiny takes 0.72 s with it and 1.13 s without, small 5.8 and 6.5 s (two cores with AVX-512).
`--no-freeze` is TRL as users run it.

`--precision bfloat16` is `bf16=True` and, since TRL does not hand that on to the Accelerator which it makes (transformers
5 no longer sets it in the environment), ACCELERATE_MIXED_PRECISION=bf16, as `accelerate launch --mixed_precision bf16` sets
it: without, its epochs are in float32. Only the trained module's forward pass is then under autocast. The networks that score
are put under it here; sampling stays float32, which was faster (tiny 0.13 s, and 0.16 s under autocast). Where fused
attention has no fast bfloat16 (see attention.py), whole texts have transformers' `eager` one.

It differs from Pavlov's update in these: it does not clip gradients, it logs and collects garbage in every update, and its
GPT-2 keeps the logits of prompts too. PAD is a token beyond the model's vocabulary, which TRL never feeds to a model, so no
answer holds it; no token stops an answer. Weights are random, and so are prompts.
"""
import argparse
import copy
import gc
import json
import os
import statistics
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description="Seconds of one PPO update of Hugging Face TRL.")
parser.add_argument("--phase", default="ppo", choices=["ppo"])
parser.add_argument("--mode", default="eager", choices=["eager"], help="its torch_compile does not reach its models")
for name, default in dict(
    layers=4, heads=4, width=128, context=128, vocab=512, length=128, batch=16, prompt=32, answer=96, threads=2
).items():
    parser.add_argument(f"--{name}", type=int, default=default)
parser.add_argument("--seconds", type=float, default=3.0, help="of timed updates, at least")
parser.add_argument("--updates", type=int, default=5, help="that are timed, at least")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"], help="of matrix products")
parser.add_argument("--no-freeze", action="store_true", help="let every collection of garbage look at what was imported")
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
REDUCED = args.precision == "bfloat16"
if REDUCED:
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16"

UNCOUNTED = 2
EPOCHS = 4
EOS, PAD = 0, args.vocab


def root_of(module):
    """The folder that a module was found in."""
    return os.path.dirname(os.path.dirname(os.path.abspath(module.__file__)))


def versions():
    version = trl.__version__
    if version == "unknown":  # not installed, but imported from its sources
        try:
            with open(os.path.join(root_of(trl), "VERSION")) as file:
                version = file.read().strip()
        except OSError:
            pass
    return dict(**versions_of(transformers, accelerate, datasets), trl=version)


class Enough(Exception):
    """Ends TRL's training once enough was measured: it has no other way out of its loop."""


class Clock:
    """When the parts of an update ended, and what was seen in it."""

    def __init__(self):
        self.at, self.updates, self.forwards = {}, [], 0

    def sampled(self, texts):
        assert texts.shape == (args.batch, args.prompt + args.answer), f"answers are cut short: {tuple(texts.shape)}"
        assert not (texts == PAD).any(), "an answer holds PAD"
        self.at["sampled"] = time.perf_counter()

    def forward_of_training(self):
        self.at.setdefault("scored", time.perf_counter())
        self.forwards += 1

    def start(self):
        self.at, self.forwards = dict(start=time.perf_counter()), 0

    def end(self):
        assert self.forwards == EPOCHS, f"{self.forwards} forward passes in {EPOCHS} epochs"
        now = time.perf_counter()
        at = self.at
        parts = dict(sampling=at["sampled"] - at["start"], scoring=at["scored"] - at["sampled"], epochs=now - at["scored"])
        self.updates.append(dict(all=now - at["start"], **parts))
        if len(self.updates) == UNCOUNTED:
            self.others = Others()
        counted = [update["all"] for update in self.updates[UNCOUNTED:]]
        if len(counted) >= args.updates and sum(counted) >= args.seconds:
            raise Enough
        self.start()

    def result(self):
        counted = self.updates[UNCOUNTED:]
        medians = {part: statistics.median(update[part] for update in counted) for part in counted[0]}
        value = medians.pop("all")
        shares = {part: seconds / value for part, seconds in medians.items()}
        range_ = [min(u["all"] for u in counted), max(u["all"] for u in counted)]
        answer = dict(value=value, unit="s", iterations=len(counted), others=self.others.cores())
        return dict(**answer, parts=medians, shares=shares, range=range_)


def tokenizer():
    """Words, one token each, of the model's vocabulary, and PAD, which the model does not have."""
    words = {"<eos>": EOS, **{f"w{i}": i for i in range(1, args.vocab)}, "<pad>": PAD}
    inner = Tokenizer(WordLevel(words, unk_token="<eos>"))
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<pad>")


def model_of(kind):
    config = dict(n_positions=args.context, n_embd=args.width, n_layer=args.layers, n_head=args.heads)
    config |= dict(vocab_size=args.vocab, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, num_labels=1)
    config |= dict(bos_token_id=EOS, eos_token_id=EOS, pad_token_id=None)
    return kind(GPT2Config(**config, attn_implementation="sdpa"))


def attention_of_learning():
    """transformers' name of what is faster for whole texts."""
    length = args.prompt + args.answer
    sizes = args.batch, args.heads, args.width // args.heads, length, length
    return "eager" if REDUCED and fastest(*sizes, learn=True).name == "products" else "sdpa"


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=REDUCED)


def train(clock, folder):
    config = PPOConfig(
        output_dir=folder,
        seed=args.seed,
        learning_rate=1e-6,
        total_episodes=100_000 * args.batch,
        per_device_train_batch_size=args.batch,
        gradient_accumulation_steps=1,
        num_mini_batches=1,
        num_ppo_epochs=EPOCHS,
        local_rollout_forward_batch_size=args.batch,
        response_length=args.answer,
        temperature=1.0,
        stop_token=None,
        missing_eos_penalty=None,
        num_sample_generations=0,
        gradient_checkpointing=False,
        optim="adamw_torch_fused",
        use_cpu=True,
        bf16=REDUCED,
        fp16=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    policy = model_of(GPT2LMHeadModel)
    random = torch.Generator().manual_seed(args.seed)
    prompts = torch.randint(1, args.vocab, (4 * args.batch, args.prompt), generator=random).tolist()

    class Watch(TrainerCallback):
        def on_train_begin(self, *_, **__):
            clock.start()

        def on_step_end(self, *_, **__):
            clock.end()

    trainer = ppo_trainer.PPOTrainer(
        args=config,
        processing_class=tokenizer(),
        model=policy,
        ref_model=copy.deepcopy(policy),
        reward_model=model_of(GPT2ForSequenceClassification),
        value_model=model_of(GPT2ForSequenceClassification),
        train_dataset=Dataset.from_dict(dict(input_ids=prompts)),
        eval_dataset=Dataset.from_dict(dict(input_ids=prompts[: args.batch])),
        callbacks=[Watch],
    )
    trainer.remove_callback(PrinterCallback)
    generate, forward, get_reward = ppo_trainer.batch_generation, ppo_trainer.forward, ppo_trainer.get_reward
    attention = attention_of_learning()
    networks = [trainer.model.policy, trainer.model.value_model, trainer.ref_model, trainer.reward_model]

    def attend_with(name):
        for network in networks:
            if network.config._attn_implementation != name:
                network.set_attn_implementation(name)

    def generate_and_look(*given):
        attend_with("sdpa")
        texts, logits = generate(*given)
        attend_with(attention)
        clock.sampled(texts)
        return texts, logits

    def forward_and_look(model, *given):
        if model is trainer.model:
            clock.forward_of_training()
            return forward(model, *given)
        with autocast():
            output = forward(model, *given)
        output.logits = output.logits.float()
        return output

    def get_reward_reduced(*given):
        with autocast():
            *rewards, lengths = get_reward(*given)
        return *[reward.float() for reward in rewards], lengths

    ppo_trainer.batch_generation, ppo_trainer.forward = generate_and_look, forward_and_look
    ppo_trainer.get_reward = get_reward_reduced
    if not args.no_freeze:
        gc.collect()
        gc.freeze()
    try:
        trainer.train()
    except Enough:
        pass


try:
    import accelerate
    import datasets
    import torch
    import transformers
    import trl
    from attention import fastest
    from datasets import Dataset
    from machine import Others, versions_of
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, PreTrainedTokenizerFast
    from transformers import PrinterCallback, TrainerCallback
    from trl.experimental.ppo import PPOConfig, ppo_trainer
except ImportError as error:
    print(json.dumps(dict(unavailable=str(error))))
    sys.exit()
torch.set_num_threads(args.threads)
torch.set_flush_denormal(True)
torch.manual_seed(args.seed)
clock = Clock()
with tempfile.TemporaryDirectory() as folder:
    train(clock, folder)
print(json.dumps(dict(**clock.result(), versions=versions())), flush=True)
