"""torch.compile and vmap, as far as torch's own classes have them; scripting; errors."""

import math

import pyro
import pytest
import torch

from likelihoods import nn
from tests.nn.cases import CASES
from tests.nn.test_sweep import scalars, value_and_gradient

pytestmark = pytest.mark.filterwarnings("ignore")
UNCOMPILED = {
    "AdaptiveLogSoftmaxWithLoss": "torch's own looks at which targets belong to which cluster",
    "GaussianNLLLoss": "torch's own looks at the sign of the variance",
    "CTCLoss": "torch's own is not compiled",
}


def batched(name, reduction=None):
    """A case of a class with a batch."""
    cases = [c for c in CASES[name]() if reduction is None or c.options.get("reduction") == reduction]
    return next(
        c for c in cases if isinstance(c.make(torch.float64)[0], torch.Tensor) and c.make(torch.float64)[0].dim() > 1
    )


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_compiled_whole(name, strict):
    if not strict and name in UNCOMPILED:
        pytest.skip(UNCOMPILED[name])
    case = batched(name)
    module = case.build(nn, name, torch.float64, strict=strict)
    inputs = case.make(torch.float64)
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, backend="eager")  # whether it is traced whole
    for a, b in zip(scalars(compiled(*inputs)), scalars(module(*inputs)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["SoftMarginLoss", "CrossEntropyLoss", "MultiLabelMarginLoss"])
def test_compiled_value_and_gradient(name):
    case = batched(name)
    module = case.build(nn, name, torch.float64, strict=True)
    inputs = case.make(torch.float64)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for given, wanted in zip(value_and_gradient(compiled, inputs), value_and_gradient(module, inputs), strict=True):
        for a, b in zip(given, wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_the_margin_of_label_sets_compiled():
    """Torch 2.13 compiles another value than its own: https://github.com/pytorch/pytorch/issues/141017."""
    scores, lists = torch.tensor([[0.1, 0.2, 0.4, 0.8]]), torch.tensor([[3, 0, -1, 1]])
    right = torch.tensor(0.25 * ((1 - (0.1 - 0.2)) + (1 - (0.1 - 0.4)) + (1 - (0.8 - 0.2)) + (1 - (0.8 - 0.4))))
    plain, strict = nn.MultiLabelMarginLoss(), nn.MultiLabelMarginLoss(strict=True)
    torch.testing.assert_close(plain(scores, lists), right)
    torch.testing.assert_close(torch.compile(strict, backend="aot_eager")(scores, lists), right)
    if torch.__version__.startswith("2.13"):
        assert not torch.isclose(torch.compile(plain, backend="aot_eager")(scores, lists), right)


UNMAPPED = {
    "AdaptiveLogSoftmaxWithLoss": "torch's own looks at which targets belong to which cluster",
    "GaussianNLLLoss": "torch's own looks at the sign of the variance",
    "CTCLoss": "lengths that are tuples are no tensors",
    "MultiLabelMarginLoss": "torch's own has no batching rule for its backward",
}


@pytest.mark.parametrize("name", [name for name in CASES if name not in UNMAPPED])
def test_mapped(name):
    case = batched(name, "mean")
    inputs = case.make(torch.float64)
    twice = [torch.stack([i, i.flip(0)]).detach() for i in inputs]
    for strict in (False, True):
        module = case.build(nn, name, torch.float64, strict=strict)
        mapped = torch.vmap(module)(*twice)
        wanted = torch.stack([module(*[t[i] for t in twice]) for i in (0, 1)])
        torch.testing.assert_close(mapped, wanted, rtol=1e-12, atol=1e-12)


def test_the_derivation_of_gaussian_nll_is_mapped_though_torchs_own_is_not():
    mean, target = torch.randn(2, 3, 4, dtype=torch.float64).unbind()
    variance = torch.rand(3, 4, dtype=torch.float64) + 0.1
    mapped = torch.vmap(nn.GaussianNLLLoss(strict=True, reduction="none"))(mean, target, variance)
    wanted = torch.nn.functional.gaussian_nll_loss(mean, target, variance, reduction="none")
    torch.testing.assert_close(mapped, wanted, rtol=1e-12, atol=1e-12)


@pytest.fixture
def unvalidated():
    """Without the checks of parameters, each of which reads a value."""
    before = torch.distributions.Distribution._validate_args
    with pyro.validation_enabled(False):
        torch.distributions.Distribution.set_default_validate_args(False)
        yield
    torch.distributions.Distribution.set_default_validate_args(before)


@pytest.mark.usefixtures("unvalidated")
@pytest.mark.parametrize("name", [name for name in CASES if name != "GaussianNLLLoss"])
def test_the_derivation_stays_on_its_device_and_reads_no_value(name):
    """On the meta device there are no values to read, and other devices' tensors do not mix with its own."""
    for case in list(CASES[name]())[::3]:
        if case.make(torch.float32)[0].dim() < 2:
            continue  # a single target is an index, which torch reads
        module = case.build(nn, name, torch.float32, strict=True).to("meta")
        inputs = [i.detach().to("meta") if isinstance(i, torch.Tensor) else i for i in case.make(torch.float32)]
        for value in scalars(module(*inputs)):
            assert value.device.type == "meta"


BAD = {
    "L1Loss": (torch.zeros(2, 3), torch.zeros(4)),
    "MSELoss": (torch.zeros(2, 3), torch.zeros(4)),
    "SmoothL1Loss": (torch.zeros(2, 3), torch.zeros(4)),
    "HuberLoss": (torch.zeros(2, 3), torch.zeros(4)),
    "PoissonNLLLoss": (torch.zeros(2, 3), torch.zeros(4)),
    "GaussianNLLLoss": (torch.zeros(3), torch.zeros(3), -torch.ones(3)),
    "BCELoss": (torch.zeros(3), torch.zeros(3, 1)),
    "BCEWithLogitsLoss": (torch.zeros(3), torch.zeros(3, 1)),
    "SoftMarginLoss": (torch.zeros(2, 3), torch.zeros(4)),
    "HingeEmbeddingLoss": (torch.zeros(2, 3), torch.zeros(4)),
    "NLLLoss": (torch.zeros(2, 3), torch.zeros(4, dtype=torch.long)),
    "CrossEntropyLoss": (torch.zeros(2, 3), torch.zeros(4, dtype=torch.long)),
    "KLDivLoss": (torch.zeros(2, 3), torch.zeros(4)),
    "MultiMarginLoss": (torch.zeros(2, 3), torch.zeros(4, dtype=torch.long)),
    "MultiLabelMarginLoss": (torch.zeros(2, 3), torch.zeros(2, 4, dtype=torch.long)),
    "MultiLabelSoftMarginLoss": (torch.zeros(2, 3), torch.zeros(2, 4)),
    "CosineEmbeddingLoss": (torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(3)),
    "MarginRankingLoss": (torch.zeros(2), torch.zeros(2), torch.ones(3)),
    "TripletMarginLoss": (torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2, 3)),
    "TripletMarginWithDistanceLoss": (torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2, 3)),
    "CTCLoss": (torch.zeros(4, 2, 3), torch.ones(2, 2, dtype=torch.long), (4, 4, 4), (1, 1)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_are_torchs_errors_and_errors_of_the_derivation(name):
    with pytest.raises(Exception) as theirs:  # noqa: PT011  (whatever torch raises)
        getattr(torch.nn, name)()(*BAD[name])
    with pytest.raises(type(theirs.value)) as ours:
        getattr(nn, name)()(*BAD[name])
    assert str(ours.value) == str(theirs.value)
    with pytest.raises((ValueError, RuntimeError)):
        getattr(nn, name)(strict=True)(*BAD[name])


@pytest.mark.parametrize(
    ("options", "target"), [({"ignore_index": 1}, torch.full((2, 3), 1 / 3)), ({}, torch.ones(2, 3, dtype=torch.long))]
)
def test_probabilities_as_targets_that_are_none(options, target):
    for strict in (False, True):
        with pytest.raises((RuntimeError, ValueError), match="floating point"):
            nn.CrossEntropyLoss(strict=strict, **options)(torch.zeros(2, 3), target)


@pytest.mark.parametrize("name", ["NLLLoss", "CrossEntropyLoss", "MultiMarginLoss"])
def test_classes_that_are_no_integers(name):
    with pytest.raises(RuntimeError):
        getattr(nn, name)()(torch.zeros(2, 3), torch.ones(2))
    with pytest.raises(ValueError, match="target.long"):
        getattr(nn, name)(strict=True)(torch.zeros(2, 3), torch.ones(2))


CONSTRUCTIONS = [
    ("MultiMarginLoss", {"p": 3}),
    ("MultiMarginLoss", {"weight": torch.ones(2, 2)}),
    ("TripletMarginLoss", {"margin": 0.0}),
    ("TripletMarginWithDistanceLoss", {"margin": -1.0}),
    ("HuberLoss", {"delta": "1"}),
]


@pytest.mark.parametrize(("name", "options"), CONSTRUCTIONS)
def test_bad_options_are_torchs_errors(name, options):
    with pytest.raises((ValueError, TypeError)) as theirs:
        getattr(torch.nn, name)(**options)
    with pytest.raises(type(theirs.value)) as ours:
        getattr(nn, name)(**options)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("name", CASES)
def test_half_precision_stays_half(name):
    case = batched(name)
    module = case.build(nn, name, torch.bfloat16, strict=True)
    inputs = case.make(torch.bfloat16)
    exact = case.build(nn, name, torch.float64, strict=True)(*case.make(torch.float64))
    for value, wanted in zip(scalars(module(*inputs)), scalars(exact), strict=True):
        assert value.dtype == torch.bfloat16
        torch.testing.assert_close(value.double(), wanted, rtol=0.05, atol=0.05)  # eight bits


def test_bad_reduction():
    for strict in (False, True):
        with pytest.raises(ValueError, match="median"):
            nn.MSELoss(reduction="median", strict=strict)(torch.zeros(2), torch.zeros(2))


def test_the_old_name():
    with pytest.warns(FutureWarning, match="NLLLoss2d"):
        old = nn.NLLLoss2d(ignore_index=1, strict=True)
    assert isinstance(old, torch.nn.NLLLoss2d)
    assert (old.ignore_index, old.strict) == (1, True)


def test_scripted():
    scripted = torch.jit.script(nn.HuberLoss(delta=0.5))
    prediction, target = torch.randn(5), torch.randn(5)
    assert torch.equal(scripted(prediction, target), torch.nn.HuberLoss(delta=0.5)(prediction, target))
    with pytest.raises(TypeError, match="cannot compile the derivation"):
        torch.jit.script(nn.HuberLoss(strict=True))


def test_weights_move_and_change_with_the_module():
    loss = nn.CrossEntropyLoss(weight=torch.ones(3), strict=True)
    scores, target = torch.zeros(2, 3), torch.tensor([0, 1])
    before = loss(scores, target)
    loss.weight[1] = 0.0
    assert loss(scores, target) == before  # log 3 for the one that is left
    loss.reduction = "sum"
    assert torch.isclose(loss(scores, target), before)
    loss.double()
    assert loss(scores.double(), target).dtype == torch.float64
    state = nn.CrossEntropyLoss(weight=torch.tensor([2.0, 0.0, 0.0])).state_dict()
    loss.load_state_dict(state)
    assert torch.isclose(loss(scores.double(), target), 2 * before.double())


def test_options_may_change_after_the_module_was_made():
    loss = nn.HuberLoss(delta=0.5, strict=True)
    prediction, target = torch.tensor([3.0]), torch.tensor([0.0])
    assert math.isclose(loss(prediction, target), 0.5 * (3 - 0.25), rel_tol=1e-6)
    loss.delta = 1.0
    assert math.isclose(loss(prediction, target), 3 - 0.5, rel_tol=1e-6)


def test_keywords_of_forward():
    assert nn.L1Loss()(input=torch.zeros(2), target=torch.ones(2)) == 1
    assert nn.GaussianNLLLoss()(input=torch.zeros(2), target=torch.ones(2), var=1.0) == 0.5


def test_a_training_script_with_one_line_changed():
    code = """
import torch
{}
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
nn.init.zeros_(model[0].bias)
criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(32, 4), torch.randint(3, (32,))
losses = []
for _ in range(5):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
"""
    results = []
    for line in ("import torch.nn as nn", "import likelihoods.nn as nn", "from likelihoods import nn"):
        namespace = {}
        exec(code.format(line), namespace)
        results.append(namespace["losses"])
    assert results[0] == results[1] == results[2]
