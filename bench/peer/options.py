"""What is asked of PyTorch's side. It imports no PyTorch, which is imported only once this is known: see gpt2.py."""
import argparse

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

REDUCED = args.precision == "bfloat16"


class Unavailable(Exception):
    """This installation of PyTorch cannot run the mode."""
