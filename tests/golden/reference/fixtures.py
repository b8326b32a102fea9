"""How numbers are written down."""

import base64
import json
from pathlib import Path

import numpy
import tokenizers
import torch
import transformers


def numbers(tensor: torch.Tensor) -> list:
    """A few numbers, to be read by people too, with every digit of their float64."""
    return tensor.detach().tolist()


def rounded(tensor: torch.Tensor) -> torch.Tensor:
    """To the nearest float32, so that an input is the same number on both sides."""
    return tensor.float().double()


def array(tensor: torch.Tensor) -> dict:
    """Many numbers: shape, and little-endian float32 in base64."""
    values = numpy.ascontiguousarray(tensor.detach().numpy(), dtype="<f4")
    return {"shape": list(values.shape), "float32": base64.b64encode(values.tobytes()).decode()}


def weights(model: torch.nn.Module) -> dict:
    """Every parameter by its name. The language model's output map is its embedding and is listed once."""
    return {name: array(parameter) for name, parameter in model.named_parameters()}


def gradients(model: torch.nn.Module) -> dict:
    return {name: array(parameter.grad) for name, parameter in model.named_parameters()}


def versions() -> dict:
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "numpy": numpy.__version__,
    }


def write(folder: Path, name: str, fixture: dict) -> None:
    """One line per entry, two levels deep: what changes between two versions shows where it is."""

    def entries(values: dict, depth: int) -> str:
        indent = "  " * depth
        lines = [
            f"{indent}{json.dumps(key)}: "
            + (entries(value, depth + 1) if isinstance(value, dict) and depth < 2 else json.dumps(value))
            for key, value in values.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{indent[2:]}}}"

    (folder / f"{name}.json").write_text(entries({"madeWith": versions(), **fixture}, 1) + "\n")
