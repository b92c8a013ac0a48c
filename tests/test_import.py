"""What importing costs, and what it must not change."""

import json
import subprocess
import sys

import pytest

STATE = """
import torch, json, sys
import pyro, pyro.distributions
from torch.distributions import Distribution
def state():
    return {
        "validate": Distribution._validate_args, "dtype": str(torch.get_default_dtype()), "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(), "rng": torch.get_rng_state().tolist()[:40],
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(), "print": str(torch._tensor_str.PRINT_OPTS),
        "pyro": [pyro.settings.get(name) for name in sorted(pyro.settings.get())],
        "params": sorted(pyro.get_param_store().keys()), "stack": len(pyro.poutine.runtime._PYRO_STACK),
    }
before = state()
import likelihoods
for name in likelihoods.__all__:
    getattr(likelihoods, name)
list(likelihoods.entries())
after = state()
print(json.dumps([{k: repr(v) for k, v in s.items()} for s in (before, after)]))
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_leaves_torch_and_pyro_as_they_were():
    before, after = json.loads(run(STATE))
    assert before == after


def test_import_is_lazy_and_loads_no_table():
    loaded = run(
        "import likelihoods, sys; print([m for m in ('torch', 'pyro', 'pandas', 'scipy') if m in sys.modules])"
    )
    assert loaded.strip() == "[]"
    code = (
        "import sys, likelihoods as lk; lk.loss('mse'); lk.NLL; lk.Family;"
        "print([m for m in ('torch._dynamo', 'scipy', 'sklearn', 'pandas', 'matplotlib', 'statsmodels') if m in sys.modules])"
    )
    assert run(code).strip() == "[]"
    opened = run(
        "import sys; seen = []; sys.addaudithook(lambda e, a: seen.append(str(a[0])) if e == 'open' else None);"
        "import likelihoods as lk; [getattr(lk, n) for n in lk.__all__];"
        "print([s for s in seen if 'randhie' in s])"
    )
    assert opened.strip() == "[]"


@pytest.mark.parametrize("name", ["Family", "loss", "choose", "verify", "distributions"])
def test_public_names(name):
    import likelihoods

    assert name in dir(likelihoods)
    assert getattr(likelihoods, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    import likelihoods

    with pytest.raises(AttributeError, match="no attribute 'losss'"):
        likelihoods.losss  # noqa: B018


def test_every_public_name_is_found_where_it_is_said_to_be():
    import likelihoods

    for name in likelihoods.__all__:
        assert getattr(likelihoods, name) is not None, name
    assert set(likelihoods.__all__) == set(likelihoods._HOME) | set(likelihoods._MODULES)
