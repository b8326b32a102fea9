"""
Writes the fixtures beside this script: what PyTorch computes where the project computes the same.

python3 generate.py   (needs torch, transformers and numpy; see README.md)
"""

import sys
from pathlib import Path

sys.dont_write_bytecode = True

from reference.fixtures import write
from reference.language_model import adamw_fixture, language_model_fixture
from reference.networks import make_networks, networks_fixture
from reference.ppo import ppo_fixtures
from reference.ppo_losses import losses_fixture
from reference.ranking import ranking_fixture
from reference.rollouts import rollouts_fixture

folder = Path(__file__).parent / "fixtures"
folder.mkdir(exist_ok=True)
networks = make_networks()
fixtures = {
    "networks": networks_fixture(networks),
    "language-model": language_model_fixture(networks["policy"]),
    "adamw": adamw_fixture(networks["policy"]),
    "ranking": ranking_fixture(networks["reward"]),
    "rollouts": rollouts_fixture(),
    "ppo-losses": losses_fixture(),
    **ppo_fixtures(networks),
}
for name, fixture in fixtures.items():
    write(folder, name, fixture)
    print(f"{(folder / f'{name}.json').stat().st_size / 1024:7.1f} KiB  {name}.json")
