"""likelihoods.nn against torch.nn, which is the oracle: every class over the product of its options and shapes."""

import copy
import inspect
import io
import pickle
import subprocess
import sys

import pytest
import torch

from likelihoods import nn
from tests.nn.cases import CASES, LOSSES

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's advice on reductions, shapes and legacy options


def scalars(value):
    """The tensors of a loss's value (AdaptiveLogSoftmaxWithLoss has two)."""
    return list(value) if isinstance(value, tuple) else [value]


def leaves(module, inputs):
    """What a gradient is asked of: the inputs (or what an input was made of) and the module's parameters."""
    given = [getattr(i, "root", i) for i in inputs if isinstance(i, torch.Tensor)]
    return [*[x for x in given if x.requires_grad], *module.parameters()]


def value_and_gradient(module, inputs, call=None):
    values = scalars((call or module)(*inputs))
    gradients = torch.autograd.grad(
        sum(v.sum() for v in values), leaves(module, inputs), allow_unused=True, retain_graph=True
    )
    return values, [
        torch.zeros_like(x) if g is None else g for g, x in zip(gradients, leaves(module, inputs), strict=True)
    ]


def test_every_loss_of_torch_is_there():
    assert set(LOSSES) - {"NLLLoss2d"} <= set(nn.__all__)
    assert set(CASES) == set(LOSSES) - {"NLLLoss2d"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", CASES)
def test_torchs_value_and_gradient_bit_for_bit(name, dtype):
    for case in CASES[name]():
        inputs = case.make(dtype)
        ours, theirs = case.build(nn, name, dtype), case.build(torch.nn, name, dtype)
        for given, wanted in zip(value_and_gradient(ours, inputs), value_and_gradient(theirs, inputs), strict=True):
            for a, b in zip(given, wanted, strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True, msg=lambda m: f"{case}: {m}")  # noqa: B023
                assert a.dtype == b.dtype


@pytest.mark.parametrize("name", CASES)
def test_the_derivation_gives_torchs_value_and_gradient(name):
    compared = 0
    for case in CASES[name]():
        if not case.right:
            continue
        inputs = case.make(torch.float64)
        strict, theirs = case.build(nn, name, torch.float64, strict=True), case.build(torch.nn, name, torch.float64)
        wanted = value_and_gradient(theirs, inputs)
        given = value_and_gradient(strict, inputs)
        for ours, oracle in zip(given, wanted, strict=True):
            for a, b in zip(ours, oracle, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, msg=lambda m: f"{case}: {m}")  # noqa: B023
                assert a.shape == b.shape
        assert torch.equal(strict.derived(*inputs), given[0][-1])
        compared += 1
    assert compared


@pytest.mark.parametrize("name", CASES)
def test_the_derivation_in_float32(name):
    for case in CASES[name]():
        if not case.right:
            continue
        strict = case.build(nn, name, torch.float32, strict=True)
        theirs = case.build(torch.nn, name, torch.float32)
        inputs = case.make(torch.float32)
        for a, b in zip(scalars(strict(*inputs)), scalars(theirs(*inputs)), strict=True):
            torch.testing.assert_close(a, b, msg=lambda m: f"{case}: {m}")  # noqa: B023
            assert a.dtype == torch.float32


@pytest.mark.parametrize("name", CASES)
def test_signature_class_and_state(name):
    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    signature = inspect.signature(ours)
    assert signature.return_annotation == inspect.signature(theirs).return_annotation
    *rest, strict = signature.parameters.values()
    assert rest == list(inspect.signature(theirs).parameters.values())
    assert (strict.name, strict.default, strict.kind) == ("strict", False, inspect.Parameter.KEYWORD_ONLY)
    assert [p.name for p in inspect.signature(ours.forward).parameters.values()] == [
        p.name for p in inspect.signature(theirs.forward).parameters.values()
    ]
    assert issubclass(ours, theirs)
    case = next(iter(CASES[name]()))
    mine, other = case.build(nn, name, torch.float64), case.build(torch.nn, name, torch.float64)
    assert list(mine.state_dict()) == list(other.state_dict())
    assert [n for n, _ in mine.named_modules()] == [n for n, _ in other.named_modules()]
    assert repr(mine) == repr(other)


@pytest.mark.parametrize("name", CASES)
def test_arguments_are_torchs_and_no_others(name):
    for module in (nn, torch.nn):
        with pytest.raises(TypeError):
            getattr(module, name)(no_such_option=1)
    with pytest.raises(TypeError):
        getattr(nn, name)(*[None] * 20)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_copies(name, strict):
    for case in list(CASES[name]())[:2]:
        module, inputs = case.build(nn, name, torch.float64, strict=strict), case.make(torch.float64)
        module(*inputs)  # what a call remembers must not stand in the way
        saved = io.BytesIO()
        torch.save(module, saved)
        saved.seek(0)
        for other in (
            copy.deepcopy(module),
            pickle.loads(pickle.dumps(module)),
            torch.load(saved, weights_only=False),
        ):
            for a, b in zip(scalars(other(*inputs)), scalars(module(*inputs)), strict=True):
                assert torch.equal(a, b)
            assert other.strict == strict
            assert other.assumption == module.assumption


@pytest.mark.parametrize("name", CASES)
def test_what_it_assumes(name):
    for case in CASES[name]():
        module = case.build(nn, name, torch.float64)
        assert module.assumption.endswith(".")
        assert module.relation.sentence()


def test_other_names_are_torchs():
    assert nn.Linear is torch.nn.Linear
    assert nn.functional is torch.nn.functional
    assert nn.init is torch.nn.init
    assert set(dir(torch.nn)) <= set(dir(nn))
    with pytest.raises(AttributeError, match="neither has torch.nn"):
        nn.Linea  # noqa: B018


def test_no_class_was_forgotten_by_name():
    for name in nn.__all__:
        assert getattr(nn, name) is not getattr(torch.nn, name)


def test_import_warns_of_nothing():
    code = "import warnings; warnings.simplefilter('error'); import likelihoods.nn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
