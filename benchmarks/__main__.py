"""Run the benchmarks: `python -m benchmarks [NAME ...] [--json FILE]`; names are the modules of this folder."""

import argparse
import importlib
import json
import platform
from dataclasses import asdict
from pathlib import Path

import torch

NAMES = ("losses", "nn", "distributions", "choice")


def main() -> None:
    """Print one line a comparison, as it is measured."""
    parser = argparse.ArgumentParser(description="Ratios against peers, on one thread.")
    parser.add_argument("names", nargs="*", default=NAMES, help=f"any of {', '.join(NAMES)}")
    parser.add_argument("--json", type=Path, help="write the rows to this file as well")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.processor() or platform.machine()}, 1 thread"
    )
    print(f"{'what':44} {'size':>9} {'ours, ms':>10} {'peer, ms':>10} {'ratio':>6}  peer")
    measured = []
    for name in arguments.names:
        for row in importlib.import_module(f"benchmarks.{name}").rows():
            measured.append(row)
            print(
                f"{row.what:44} {row.size:9,} {row.ours * 1e3:10.3f} {row.theirs * 1e3:10.3f} {row.ratio:6.2f}  {row.peer}"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) | {"ratio": row.ratio} for row in measured], indent=1))


if __name__ == "__main__":
    main()
