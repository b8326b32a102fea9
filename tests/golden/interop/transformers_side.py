"""
The half of the check that runs under Python: says what transformers makes of the models beside this script, writes models
of its own there, and says what it makes of those. It compares nothing.

main.ts copies this script into a folder with request.json and starts it; answer.json is the answer. It touches no other
folder, so it may run where only that one can be seen.
"""

import base64
import json
from pathlib import Path

import numpy
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, GPT2Config, GPT2ForSequenceClassification,
    GPT2LMHeadModel, PreTrainedTokenizerFast,
)

transformers.utils.logging.disable_progress_bar()
here = Path(__file__).parent
request = json.loads((here / "request.json").read_text(encoding="utf8"))


def array(tensor: torch.Tensor) -> dict:
    values = numpy.ascontiguousarray(tensor.detach().numpy(), dtype="<f4")
    return {"shape": list(values.shape), "float32": base64.b64encode(values.tobytes()).decode()}


# What transformers makes of a directory.


def describe_tokenizer(folder: Path) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encode = lambda text, **options: tokenizer(text, add_special_tokens=False, **options).input_ids
    template = lambda messages, **options: tokenizer.apply_chat_template(messages, return_dict=False, **options)
    plain = [encode(text, split_special_tokens=True) for text in request["texts"]]
    framed = [[tokenizer.eos_token_id, *ids, tokenizer.pad_token_id] for ids in plain]
    conversations = [one["messages"] for one in request["conversations"]]
    answered = [[*one["messages"], {"role": "assistant", "content": one["answer"]}] for one in request["conversations"]]
    return {
        "size": len(tokenizer),
        "eosId": tokenizer.eos_token_id,
        "padId": tokenizer.pad_token_id,
        "plain": plain,
        "withSpecialTokens": [encode(text) for text in request["texts"]],
        "decoded": [tokenizer.decode(ids) for ids in framed],
        "decodedWithoutSpecialTokens": [tokenizer.decode(ids, skip_special_tokens=True) for ids in framed],
        "rendered": [template(one, tokenize=False, add_generation_prompt=True) for one in conversations],
        "prompts": [template(one, tokenize=True, add_generation_prompt=True) for one in conversations],
        "answered": [template(one, tokenize=True) for one in answered],
    }


def describe_loading(model: torch.nn.Module, info: dict) -> dict:
    return {
        "class": type(model).__name__,
        "problems": sorted(str(one) for keys in info.values() for one in keys),
        "activation": model.config.activation_function,
    }


def describe_language_model(folder: Path, sequences: list, prompts: list) -> dict:
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    model.eval()
    with torch.no_grad():
        logits = [array(model(torch.tensor([sequence])).logits[0]) for sequence in sequences]
        likeliest = [generate(model, prompt) for prompt in prompts]
    return {
        **describe_loading(model, info),
        "tied": model.lm_head.weight is model.transformer.wte.weight,
        "sequences": sequences,
        "logits": logits,
        "likeliest": likeliest,
    }


def generate(model: torch.nn.Module, prompt: list) -> list:
    tokens = torch.tensor([prompt])
    made = model.generate(
        tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=request["maxNewTokens"]
    )
    return made[0, len(prompt) :].tolist()


def describe_reward_model(folder: Path, sequences: list) -> dict:
    """In one padded batch: transformers finds each row's last token by the id of PAD."""
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    model.eval()
    longest = max(map(len, sequences))
    padded = torch.tensor([sequence + [model.config.pad_token_id] * (longest - len(sequence)) for sequence in sequences])
    with torch.no_grad():
        scores = model(padded, attention_mask=(padded != model.config.pad_token_id).long()).logits
    return {**describe_loading(model, info), "sequences": sequences, "scores": array(scores[:, 0])}


# Directories of transformers' own.

EOS, PAD, VOCABULARY = "<|endoftext|>", "<|pad|>", 500
# Over several lines, so that the white space which templates drop is put to the test.
TEMPLATE = """{% for message in messages %}
    {% if message.role == 'assistant' %}
{{- 'assistant:' + message.content | trim + eos_token -}}
    {% else %}
{{ message.role + ': ' + message.content | trim }}{{ '\\n' }}
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}
{{ 'assistant:' -}}
{% endif %}"""


def train_tokenizer(special_tokens: list) -> PreTrainedTokenizerFast:
    """A byte-level BPE as the first GPT-2 has it, trained by tokenizers."""
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    bpe.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special_tokens, show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    bpe.train_from_iterator([text for text in request["corpus"] for _ in range(3)], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=EOS, eos_token=EOS)


def make_config(**changes: object) -> GPT2Config:
    return GPT2Config(**{
        "vocab_size": VOCABULARY, "n_positions": 48, "n_embd": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.2,
        "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1, **changes,
    })


def shake(model: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def save(name: str, model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast) -> Path:
    folder = here / "theirs" / name
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rewrite(folder: Path, change: dict, drop: tuple = ()) -> None:
    """Changes config.json."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in {**config, **change}.items() if key not in drop}))


def rename_as_first_released(folder: Path) -> None:
    """Files of 2019: tensors without the prefix, causal masks among them, and another choice of words in config.json."""
    weights = load_file(folder / "model.safetensors")
    renamed = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
    masks = {f"h.{layer}.attn.bias": torch.ones(48, 48).tril()[None, None].clone() for layer in range(2)}
    save_file({**renamed, **masks}, folder / "model.safetensors")
    rewrite(
        folder,
        {"n_ctx": 48, "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}},
        drop=("dtype", "n_inner", "add_cross_attention", "tie_word_embeddings", "scale_attn_weights", "pad_token_id",
              "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "transformers_version", "use_cache"),
    )


def write_directories() -> dict:
    """Those that must open, and what is in them; and those that must not."""
    torch.manual_seed(1)
    padded = train_tokenizer([EOS, PAD])
    padded.pad_token = PAD
    padded.chat_template = TEMPLATE
    unpadded = train_tokenizer([EOS])

    language_model = save("language-model", shake(GPT2LMHeadModel(make_config())), padded)
    reward = save(
        "reward-model", shake(GPT2ForSequenceClassification(make_config(num_labels=1, n_inner=128))), padded
    )
    (reward / "chat_template.jinja").unlink()
    padded.save_pretrained(reward, save_jinja_files=False)  # inside tokenizer_config.json, as older versions do
    released = save("first-released", shake(GPT2LMHeadModel(make_config())), padded)
    rename_as_first_released(released)

    save("no-pad", shake(GPT2LMHeadModel(make_config(pad_token_id=None))), unpadded)
    unpadded.pad_token = EOS
    unpadded.chat_template = TEMPLATE
    save("pad-is-eos", shake(GPT2LMHeadModel(make_config(pad_token_id=0))), unpadded)
    save("half-precision", shake(GPT2LMHeadModel(make_config())).half(), padded)
    save("untied", shake(GPT2LMHeadModel(make_config(tie_word_embeddings=False))), padded)
    save("relu", shake(GPT2LMHeadModel(make_config(activation_function="relu"))), padded)
    save("two-labels", shake(GPT2ForSequenceClassification(make_config(num_labels=2))), padded)

    sharded = save("sharded", shake(GPT2LMHeadModel(make_config())), padded)
    (sharded / "model.safetensors").unlink()
    GPT2LMHeadModel(make_config()).save_pretrained(sharded, max_shard_size="50KB")

    tokens = lambda count: torch.randint(2, VOCABULARY, (count,)).tolist()
    sequences = [tokens(count) for count in (1, 7, 30, 48)]
    return {
        "language-model": {
            "tokenizer": describe_tokenizer(language_model),
            "model": describe_language_model(language_model, sequences, []),
        },
        "reward-model": {
            "tokenizer": describe_tokenizer(reward), "model": describe_reward_model(reward, sequences)
        },
        "first-released": {"model": describe_language_model(released, sequences, [])},
    }


ours = here / "ours"
answer = {
    "versions": {
        "torch": torch.__version__, "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
    },
    "ours": {
        "policy": {
            "tokenizer": describe_tokenizer(ours / "policy"),
            "model": describe_language_model(ours / "policy", request["sequences"], request["prompts"]),
        },
        "reward": {
            "tokenizer": describe_tokenizer(ours / "reward"),
            "model": describe_reward_model(ours / "reward", request["sequences"]),
        },
        "secondMember": {"model": describe_reward_model(ours / "reward" / "members" / "2", request["sequences"])},
    },
    "theirs": write_directories(),
}
(here / "answer.json").write_text(json.dumps(answer), encoding="utf8")
