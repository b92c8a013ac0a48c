"""The named losses against torch.nn, and what they say to bad input."""

import copy
import math
import pickle

import pytest
import torch
from torch import nn

import likelihoods as lk
from likelihoods import kernels

REDUCTIONS = ("mean", "sum", "none")
REAL, COUNT, BINARY, CLASS, POSITIVE = "real", "count", "binary", "class", "positive"

# name, options, torch's module, the target's kind, how torch is called
PEERS = [
    ("mse", {}, nn.MSELoss, REAL),
    ("mse", {"scale": 3.0}, nn.MSELoss, REAL),
    ("l1", {}, nn.L1Loss, REAL),
    ("huber", {"delta": 0.4}, lambda reduction: nn.HuberLoss(reduction=reduction, delta=0.4), REAL),
    ("smooth_l1", {"beta": 0.3}, lambda reduction: nn.SmoothL1Loss(reduction=reduction, beta=0.3), REAL),
    ("poisson_nll", {}, nn.PoissonNLLLoss, COUNT),
    ("poisson_nll", {"full": True}, lambda reduction: nn.PoissonNLLLoss(full=True, reduction=reduction), COUNT),
    (
        "poisson_nll",
        {"log_input": False, "eps": 1e-3},
        lambda reduction: nn.PoissonNLLLoss(log_input=False, eps=1e-3, reduction=reduction),
        "rate",
    ),
    (
        "poisson_nll",
        {"log_input": False, "full": True},
        lambda reduction: nn.PoissonNLLLoss(log_input=False, full=True, reduction=reduction),
        "rate",
    ),
    ("bce_with_logits", {}, nn.BCEWithLogitsLoss, BINARY),
    (
        "bce_with_logits",
        {"pos_weight": 2.5},
        lambda reduction: nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.5), reduction=reduction),
        BINARY,
    ),
    ("bce", {}, nn.BCELoss, "probability"),
    ("cross_entropy", {}, nn.CrossEntropyLoss, CLASS),
    ("cross_entropy", {"classes": 4}, nn.CrossEntropyLoss, CLASS),
    ("gaussian_nll", {}, nn.GaussianNLLLoss, "variance"),
    ("gaussian_nll", {"full": True}, lambda reduction: nn.GaussianNLLLoss(full=True, reduction=reduction), "variance"),
    ("gaussian_nll", {"eps": 0.5}, lambda reduction: nn.GaussianNLLLoss(eps=0.5, reduction=reduction), "variance"),
]


def make(kind: str, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    raw = torch.randn(*shape, generator=generator, dtype=dtype)
    noise = torch.randn(*shape, generator=generator, dtype=dtype)
    if kind == REAL:
        return raw, noise
    if kind == COUNT:
        return raw, (noise * 2).exp().round()
    if kind == "rate":
        return raw.exp(), (noise * 2).exp().round()
    if kind == BINARY:
        return raw, (noise > 0).to(dtype)
    if kind == "probability":
        return raw.sigmoid(), (noise > 0).to(dtype)
    if kind == "variance":
        return torch.stack([raw, torch.rand(*shape, generator=generator, dtype=dtype) + 0.01], -1), noise
    return torch.randn(*shape, 4, generator=generator, dtype=dtype), torch.randint(4, shape, generator=generator)


def call_torch(peer, kind, raw, target):
    if kind == "variance":
        return peer(raw[..., 0], target, raw[..., 1])
    if kind == CLASS and raw.dim() > 2:  # as one writes it for sequences: one row a token
        value = peer(raw.flatten(0, -2), target.flatten())
        return value.reshape(target.shape) if value.dim() else value
    return peer(raw, target)


def value_and_gradient(function, raw, target):
    raw = raw.clone().requires_grad_()
    value = function(raw, target)
    weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    (gradient,) = torch.autograd.grad((value * weights).sum(), raw)
    return value.detach(), gradient


@pytest.mark.parametrize("shape", [(6,), (3, 5)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options", "peer", "kind"), PEERS, ids=[f"{p[0]}-{p[1]}" for p in PEERS])
def test_value_and_gradient_are_torchs_to_the_last_bit(name, options, peer, kind, reduction, dtype, shape):
    raw, target = make(kind, shape, dtype)
    loss = lk.loss(name, reduction=reduction, **options)
    theirs = value_and_gradient(lambda r, t: call_torch(peer(reduction=reduction), kind, r, t), raw, target)
    ours = value_and_gradient(loss, raw, target)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options", "peer", "kind"), PEERS, ids=[f"{p[0]}-{p[1]}" for p in PEERS])
def test_without_kernels_the_derivation_gives_torchs_values(monkeypatch, name, options, peer, kind, reduction):
    monkeypatch.setattr(kernels, "KERNELS", {})
    monkeypatch.setattr("likelihoods.losses.KERNELS", {})
    raw, target = make(kind, (50,), torch.float64)
    loss = lk.loss(name, reduction=reduction, **options)
    theirs = value_and_gradient(lambda r, t: call_torch(peer(reduction=reduction), kind, r, t), raw, target)
    for ours in (value_and_gradient(loss, raw, target), value_and_gradient(loss.derived, raw, target)):
        torch.testing.assert_close(ours[0], theirs[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(ours[1], theirs[1], rtol=1e-11, atol=1e-11)


def test_losses_that_torch_lacks_equal_their_textbook_formulas():
    f, y = make(REAL, (40,), torch.float64)
    log_cosh = lk.loss("log_cosh", reduction="none")
    torch.testing.assert_close(log_cosh(f, y), torch.log(torch.cosh(f - y)), rtol=1e-12, atol=1e-13)
    assert lk.loss("log_cosh")(torch.tensor([1e4]), torch.tensor([0.0])).item() == pytest.approx(1e4 - math.log(2))
    df, s = 3.0, 0.5
    z = (y - f) / s
    student = (
        math.lgamma(df / 2) - math.lgamma((df + 1) / 2) + 0.5 * math.log(math.pi * df) + math.log(s)
        + (df + 1) / 2 * torch.log1p(z * z / df)
    )  # fmt: skip
    torch.testing.assert_close(
        lk.loss("student_t", reduction="none", df=df, scale=s)(f, y), student, rtol=1e-12, atol=1e-12
    )
    counts, a = y.exp().round(), 0.7
    r, mean = 1 / a, f.exp()
    negative_binomial = (
        torch.lgamma(counts + 1) + math.lgamma(r) - torch.lgamma(counts + r)
        - counts * torch.log(mean / (mean + r)) - r * torch.log(r / (mean + r))
    )  # fmt: skip
    loss = lk.loss("negative_binomial", reduction="none", dispersion=a)
    torch.testing.assert_close(loss(f, counts), negative_binomial, rtol=1e-11, atol=1e-11)
    k, amount = 2.5, y.exp()
    gamma = math.lgamma(k) - k * math.log(k) + k * f - (k - 1) * amount.log() + k * amount * torch.exp(-f)
    torch.testing.assert_close(
        lk.loss("gamma", reduction="none", concentration=k)(f, amount), gamma, rtol=1e-11, atol=1e-11
    )
    log_normal = 0.5 * ((y - f) / s) ** 2 + y + math.log(s) + 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(
        lk.loss("log_normal", reduction="none", scale=s)(f, amount), log_normal, rtol=1e-11, atol=1e-11
    )


def test_nats_of_every_loss_are_minus_the_log_density():
    f, y = make(REAL, (9,), torch.float64)
    normal = torch.distributions.Normal(f, math.sqrt(0.5))
    assert lk.loss("mse").nll(f, y).item() == pytest.approx(-normal.log_prob(y).mean().item(), rel=1e-13)
    assert lk.loss("mse", scale=2.0).nll(f, y).item() == pytest.approx(
        -torch.distributions.Normal(f, 2.0).log_prob(y).mean().item(), rel=1e-13
    )
    loss = lk.loss("poisson_nll", reduction="sum")
    counts = y.exp().round()
    assert loss.nll(f, counts).item() == pytest.approx(
        -torch.distributions.Poisson(f.exp()).log_prob(counts).sum().item()
    )
    assert loss(f, counts) != loss.nll(f, counts)


@pytest.mark.parametrize(
    ("alias", "name"),
    [("l2", "mse"), ("MSELoss", "mse"), ("mae", "l1"), ("L1Loss", "l1"), ("HuberLoss", "huber"), ("SmoothL1Loss", "smooth_l1"),
     ("logcosh", "log_cosh"), ("GaussianNLLLoss", "gaussian_nll"), ("PoissonNLLLoss", "poisson_nll"), ("poisson", "poisson_nll"),
     ("nb", "negative_binomial"), ("BCEWithLogitsLoss", "bce_with_logits"), ("BCELoss", "bce"),
     ("CrossEntropyLoss", "cross_entropy"),
     ("ce", "cross_entropy"), ("Mean-Squared-Error", "mse"), ("lognormal", "log_normal"), ("StudentT", "student_t")],
)  # fmt: skip
def test_aliases(alias, name):
    assert lk.loss(alias).name == name


def test_every_row_has_the_attributes_of_the_design():
    for entry in lk.entries():
        loss = lk.loss(entry.name, **entry.examples[0])
        assert loss.assumption == entry.assumption
        assert loss.assumption.endswith(".")
        assert isinstance(loss.relation, lk.Relation)
        if isinstance(loss.relation, lk.NoLikelihood):
            with pytest.raises(lk.NoLikelihoodError):
                loss.likelihood  # noqa: B018
            continue
        assert isinstance(loss.likelihood, lk.Likelihood)
        assert loss.likelihood(ordinary(loss, 3)[0].float()).batch_shape == (3,)


# Bad input


def test_a_column_against_a_row_is_an_error_that_shows_the_fix():
    for loss in (lk.loss("mse"), lk.NLL(lk.loss("mse").likelihood)):
        with pytest.raises(ValueError, match=r"\(4,\) and the target \(4, 1\).*target\.squeeze\(-1\).*N x N"):
            loss(torch.zeros(4), torch.zeros(4, 1))
        assert loss(torch.zeros(4, 1), torch.zeros(4)).shape == ()  # the last axis is the likelihood's
        assert loss(torch.zeros(4, 1), torch.zeros(4, 1)).shape == ()
        with pytest.raises(ValueError, match="must have shape"):
            loss(torch.zeros(4), torch.zeros(3))
        with pytest.raises(ValueError, match="must have shape"):
            loss(torch.zeros(1), torch.zeros(4))


def test_classes_not_last_and_one_hot_targets_are_errors_that_show_the_fix():
    loss = lk.loss("cross_entropy")
    with pytest.raises(ValueError, match=r"movedim\(1, -1\)"):
        loss(torch.zeros(2, 3, 5), torch.zeros(2, 5, dtype=torch.long))
    with pytest.raises(ValueError, match=r"argmax\(-1\)"):
        loss(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="3 raw scalars"):
        lk.loss("cross_entropy", classes=3).likelihood(torch.zeros(2, 4))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool])
@pytest.mark.parametrize("name", ["mse", "huber", "poisson_nll", "bce_with_logits", "gamma"])
def test_integer_and_boolean_targets(name, dtype):
    with pytest.raises(TypeError, match=r"write target\.to\(raw\.dtype\)"):
        lk.loss(name)(torch.ones(2), torch.ones(2, dtype=dtype))


def test_class_targets_must_be_integers():
    for target in (torch.zeros(2), torch.zeros(2, dtype=torch.bool)):
        with pytest.raises(TypeError, match=r"index of a class: write target\.long\(\)"):
            lk.loss("cross_entropy")(torch.zeros(2, 3), target)
    assert lk.loss("cross_entropy")(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int32)).item() == pytest.approx(
        math.log(3)
    )


def test_a_wider_target_is_not_narrowed():
    raw = torch.zeros(2, requires_grad=True)
    value = lk.loss("mse")(raw, torch.tensor([1.0, 1e-9], dtype=torch.float64))
    assert value.dtype == torch.float64
    value.backward()
    assert raw.grad.dtype == torch.float32


def test_impossible_targets_are_found_by_check():
    with pytest.raises(ValueError, match=r"1 of 3 targets are impossible.*row 1, is -1\.0.*counts 0, 1, 2"):
        lk.loss("poisson_nll").check(torch.tensor([0.0, -1.0, 2.0]))
    with pytest.raises(ValueError, match=r"2 of 4.*row 2, is 2\.0.*0 or 1"):
        lk.loss("bce_with_logits").check(torch.tensor([0.0, 1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match=r"row 0, is nan, and must be a number; it is missing"):
        lk.loss("mse").check(torch.tensor([math.nan, 1.0]))
    with pytest.raises(ValueError, match=r"row 1.*positive"):
        lk.loss("log_normal").check(torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"row 1 \(index \(1, 0\)\)"):
        lk.loss("gamma").check(torch.tensor([[1.0, 1.0], [-1.0, 1.0]]))
    with pytest.raises(TypeError):
        lk.loss("mse").check(torch.tensor([1, 2]))
    lk.loss("poisson_nll").check(torch.tensor([0.0, 1e9]))
    lk.loss("cross_entropy").check(torch.tensor([0, 7]))
    with pytest.raises(ValueError, match="0 to 3"):
        lk.loss("cross_entropy", classes=4).check(torch.tensor([0, 7]))
    with pytest.raises(ValueError, match=r"is -1"):
        lk.loss("cross_entropy").check(torch.tensor([0, -1]))


def test_a_class_index_out_of_range():
    with pytest.raises(ValueError, match=r"row 1, is 3, and must be in the integers 0 to 2"):
        lk.loss("cross_entropy")(torch.zeros(2, 3), torch.tensor([0, 3]))
    for path in (lk.loss("cross_entropy").derived, lk.loss("cross_entropy").nll):
        assert path(torch.zeros(2, 3), torch.tensor([0, 3])).item() == math.inf  # impossible, never a wrong number


@pytest.mark.parametrize("name", ["mse", "log_cosh", "student_t", "cross_entropy"])
def test_an_empty_batch(name):
    loss = lk.loss(name)
    raw = torch.zeros(0, 3) if name == "cross_entropy" else torch.zeros(0)
    target = torch.zeros(0, dtype=torch.long if name == "cross_entropy" else torch.float)
    for path in (loss, loss.derived, loss.nll):
        with pytest.raises(ValueError, match="batch is empty.*reduction='sum'"):
            path(raw, target)
    assert lk.loss(name, reduction="sum")(raw, target).item() == 0.0
    assert lk.loss(name, reduction="none")(raw, target).shape == (0,)
    with pytest.raises(ValueError, match="batch is empty"):
        lk.NLL(loss.likelihood)(raw, target)


def test_what_is_no_tensor():
    with pytest.raises(TypeError, match=r"raw is a list; mse wants a tensor: write torch.as_tensor\(raw\)"):
        lk.loss("mse")([1.0, 2.0], torch.zeros(2))
    with pytest.raises(TypeError, match="target is a float"):
        lk.loss("mse").nll(torch.zeros(()), 1.0)


def test_vectors_as_targets_say_which_axes_they_are():
    for name in ("kl_div", "soft_cross_entropy", "distillation", "list_net"):
        for path in (lk.loss(name), lk.loss(name).derived, lk.loss(name).nll):
            with pytest.raises(ValueError, match="their last axes must have one length"):
                path(torch.zeros(4, 3), torch.full((4, 2), 0.5))
    with pytest.raises(ValueError, match=r"a whole vector: it takes the last axis of the target"):
        lk.loss("weibull_aft")(torch.zeros(5), torch.ones(5))
    with pytest.raises(ValueError, match=r"a whole array: it takes the last 2 axes of the target"):
        lk.loss("cox")(torch.zeros(1, 5), torch.zeros(1, 5))


def test_nan_is_never_hidden():
    for entry in lk.entries():
        loss = lk.loss(entry.name, reduction="none", **entry.examples[0])
        if (
            loss._model.width is None
            or loss._classes
            or loss._model.rank
            or loss.relation.outcome(torch.zeros(2)).dim() != 1
        ):
            continue  # a class is no floating-point number; vectors have tests of their own
        raw = torch.full((2, loss._model.width), 0.5)
        target = torch.tensor([1.0, math.nan])
        lawful = not isinstance(loss.relation, lk.NoLikelihood)
        for path in (loss.derived, loss.nll) if lawful else (loss.derived,):
            assert torch.isnan(path(raw, target)).tolist() == [False, True], entry.name


def test_unknown_names_and_options():
    with pytest.raises(ValueError, match="no loss named 'hubr'. Did you mean 'huber'"):
        lk.loss("hubr")
    with pytest.raises(TypeError, match="'huber' has no option 'delt'. Did you mean 'delta'.*delta=1.0"):
        lk.loss("huber", delt=2.0)
    with pytest.raises(TypeError, match="It has no options"):
        lk.loss("log_cosh", scale=1.0)
    with pytest.raises(ValueError, match="must be 'mean', 'sum' or 'none'"):
        lk.loss("mse", reduction="average")
    with pytest.raises(ValueError, match="beta=0"):
        lk.loss("smooth_l1", beta=0.0)
    with pytest.raises(ValueError, match="too large: its constants overflow"):
        lk.loss("mse", scale=1e300)
    for classes in (2.5, 0):
        with pytest.raises(ValueError, match="a positive whole number"):
            lk.loss("cross_entropy", classes=classes)
    for name in ("focal", "binary_focal"):
        with pytest.raises(ValueError, match="gamma=-1"):
            lk.loss(name, gamma=-1)
    with pytest.raises(ValueError, match="delta=-1"):
        lk.loss("huber", delta=-1.0)


def test_a_learned_nuisance_parameter_points_to_nats():
    with pytest.raises(TypeError, match=r"lk\.NLL\(lk\.Family\(lk\.distributions\.Normal"):
        lk.loss("mse", scale=lk.learned())


def test_negative_variance_is_an_error():
    with pytest.raises(ValueError, match="negative"):
        lk.loss("gaussian_nll")(torch.tensor([[0.0, -1.0]]), torch.zeros(1))
    with pytest.raises(ValueError, match="scale"):
        lk.loss("gaussian_nll").nll(torch.tensor([[0.0, -1.0]]), torch.zeros(1))


# Whole


def ordinary(loss, rows):
    """Return raw output and a possible target of a loss, in float64."""
    model, relation = loss._model, loss.relation
    raw = torch.rand(rows, *[4] * model.shared, model.width or 4, dtype=torch.float64) * 0.8 + 0.1
    if isinstance(relation, lk.Expected) and relation.vector:
        return raw, torch.rand_like(raw).softmax(-1)
    if model.rank and not (isinstance(relation, lk.Partial) and relation.part is not None):
        return raw, model(raw).sample().to(raw.dtype)
    return raw, torch.ones(rows, dtype=torch.long if loss._classes else torch.float64)


@pytest.mark.parametrize("entry", list(lk.entries()), ids=lambda entry: entry.name)
def test_pickle_deepcopy_compile_and_vmap(entry):
    loss = lk.loss(entry.name, reduction="none", **entry.examples[-1])
    raw, target = ordinary(loss, 5)
    value = loss(raw, target)
    assert torch.equal(pickle.loads(pickle.dumps(loss))(raw, target), value)
    assert torch.equal(copy.deepcopy(loss)(raw, target), value)
    for path in (loss, loss.derived, *([] if isinstance(loss.relation, lk.NoLikelihood) else [loss.nll])):
        expected = path(raw, target)
        torch._dynamo.reset()
        compiled = torch.compile(path, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(raw, target), expected, rtol=1e-12, atol=1e-12)
        mapped = torch.func.vmap(path)(raw.expand(2, *raw.shape), target.expand(2, *target.shape))
        torch.testing.assert_close(mapped, expected.expand(2, 5), rtol=1e-12, atol=1e-12)
    assert not loss.state_dict()
    assert entry.name in repr(loss)


@pytest.mark.parametrize("given", ["logits", "probs"])
def test_classes_are_mapped_with_validation_on(given):
    values = torch.tensor([[0.2, 0.8], [0.5, 0.5]])
    mapped = torch.func.vmap(
        lambda v: lk.distributions.Categorical(**{given: v}, validate_args=True).log_prob(torch.tensor(1))
    )(values)
    expected = values[:, 1].log() if given == "probs" else values.log_softmax(-1)[:, 1]
    torch.testing.assert_close(mapped, expected)


def test_half_precision_under_autocast():
    network = nn.Linear(3, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        raw = network(torch.randn(4, 3))
        value = lk.loss("huber")(raw, torch.zeros(4))
    assert raw.dtype == torch.bfloat16
    assert value.dtype == torch.float32
    value.backward()
    assert torch.isfinite(network.weight.grad).all()
