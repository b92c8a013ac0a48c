"""Families, sources, links, and training in nats."""

import copy
import inspect
import math
import pickle

import mpmath
import pyro.distributions
import pytest
import torch
from torch import nn

import likelihoods as lk
from likelihoods import distributions as D
from likelihoods.links import LINKS, default_link, find_link, shifted, variance
from likelihoods.sources import Learned, Predicted, fixed, learned, predicted


def test_width_and_order_of_the_raw_output():
    likelihood = lk.Family(D.StudentT, df=learned(4.0), loc=predicted(), scale=predicted("softplus"))
    assert likelihood.width == 2
    raw = torch.tensor([[1.0, 0.5], [2.0, -3.0]], dtype=torch.float64)
    law = likelihood(raw)
    torch.testing.assert_close(law.loc, raw[:, 0])
    torch.testing.assert_close(law.scale, torch.log1p(raw[:, 1].exp()))
    torch.testing.assert_close(law.df, torch.full_like(law.df, 4.0), rtol=1e-6, atol=0)


def test_scale_first_takes_the_first_column():
    law = lk.Family(D.Normal, scale=predicted("log"), loc=predicted())(torch.tensor([[0.0, 5.0]]))
    assert (law.scale.item(), law.loc.item()) == (1.0, 5.0)


def test_left_out_parameters_keep_the_class_default():
    assert lk.Family(D.Normal, loc=predicted())(torch.zeros(3)).scale.item() == 1.0


def test_a_fixed_number_keeps_its_digits_in_double():
    scale = math.sqrt(0.5)
    likelihood = lk.Family(D.Normal, loc=predicted(), scale=scale).double()
    assert likelihood(torch.zeros(1, dtype=torch.float64)).scale.item() == scale


def test_a_fixed_tensor_moves_with_the_module():
    likelihood = lk.Family(D.Normal, loc=predicted(), scale=torch.tensor([1.0, 2.0])).double()
    assert likelihood(torch.zeros(2, 1, dtype=torch.float64)).scale.dtype == torch.float64


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"locc": predicted()}, "no parameter 'locc'. Did you mean 'loc'"),
        ({"loc": predicted(), "scale": -1.0}, r"scale=-1\.0 is not allowed"),
        ({"loc": predicted(), "scale": "log"}, "predicted\\(\\), learned\\(\\), a number or a tensor; str 'log'"),
        ({"loc": predicted("lgo")}, "no link 'lgo'. Did you mean 'log'"),
        ({"loc": predicted(), "scale": learned(-2.0)}, "must be inside the parameter's space"),
    ],
)
def test_bad_sources(bad, message):
    with pytest.raises((TypeError, ValueError), match=message):
        lk.Family(D.Normal, **bad)


def test_raw_of_the_wrong_width_or_dtype():
    likelihood = lk.Family(D.Normal, loc=predicted(), scale=predicted())
    with pytest.raises(ValueError, match=r"shape \(4, 3\); its last axis must hold 2 raw scalars.*movedim"):
        likelihood(torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"raw\.float\(\)"):
        likelihood(torch.zeros(4, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="last axis"):
        likelihood(torch.zeros(()))


def test_two_open_vectors_need_their_sizes():
    class Pair(torch.distributions.Distribution):
        arg_constraints = {
            "a": torch.distributions.constraints.real_vector,
            "b": torch.distributions.constraints.real_vector,
        }
        support = torch.distributions.constraints.real

        def __init__(self, a, b, validate_args=None):
            self.a, self.b = a, b
            super().__init__(a.shape[:-1], validate_args=validate_args)

    with pytest.raises(TypeError, match=r"predicted\(size=K\)"):
        lk.Family(Pair, a=predicted(), b=predicted())
    likelihood = lk.Family(Pair, a=predicted(size=2), b=predicted(size=3))
    law = likelihood(torch.arange(5.0)[None])
    assert law.a.tolist() == [[0.0, 1.0]]
    assert law.b.tolist() == [[2.0, 3.0, 4.0]]


@pytest.mark.parametrize("link", [*LINKS.values(), shifted(0.25), variance(1e-6)], ids=lambda link: link.name)
def test_links_invert(link):
    raw = torch.tensor([0.3, 2.0, 4.0], dtype=torch.float64)
    if link.name in ("softmax", "unit"):  # which many raw values share
        parameter = link.forward(raw)
        torch.testing.assert_close(link.forward(link.inverse(parameter)), parameter)
    else:
        raw = raw[:2] if link.name == "cloglog" else raw  # 1 - 2e-24 is 1
        torch.testing.assert_close(link.inverse(link.forward(raw)), raw, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["logit", "probit", "cloglog", "tanh", "ordered", "unit", "softmax", "softplus"])
def test_links_and_their_slopes_are_finite_far_out(name, dtype):
    raw = torch.tensor([[0.0, 0.0, 0.0], [-1e30, 0.0, 1e30], [-100.0, 100.0, 1e3]], dtype=dtype, requires_grad=True)
    parameter = find_link(name).forward(raw)
    first, *others = (torch.autograd.grad(parameter[..., k].sum(), raw, retain_graph=True)[0] for k in range(3))
    for value in (parameter, first, *others):
        assert value.isfinite().all()
    if name in ("logit", "probit", "cloglog", "tanh"):
        low = -1.0 if name == "tanh" else 0.0
        assert parameter[1].tolist()[0] == low
        assert parameter[1].tolist()[2] == 1.0


def test_links_of_an_interval_give_the_functions_of_that_name():
    raw = [-3.0, -0.5, 0.0, 2.0]
    exact = {
        "probit": lambda x: mpmath.ncdf(x),
        "cloglog": lambda x: 1 - mpmath.exp(-mpmath.exp(x)),
        "tanh": lambda x: mpmath.tanh(x),
    }
    for name, function in exact.items():
        found = find_link(name).forward(torch.tensor(raw, dtype=torch.float64))
        torch.testing.assert_close(
            found, torch.tensor([float(function(x)) for x in raw], dtype=torch.float64), rtol=1e-14, atol=0
        )
        slope = torch.func.vmap(torch.func.grad(find_link(name).forward))(torch.tensor(raw, dtype=torch.float64))
        torch.testing.assert_close(
            slope,
            torch.tensor([float(mpmath.diff(function, x)) for x in raw], dtype=torch.float64),
            rtol=1e-12,
            atol=0,
        )


def test_an_ordered_vector_increases_and_a_unit_vector_has_length_1():
    raw = torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ordered, unit = find_link("ordered").forward(raw), find_link("unit").forward(raw)
    assert (ordered.diff(dim=-1) > 0).all()
    torch.testing.assert_close(ordered[:, 0], raw[:, 0])
    torch.testing.assert_close(unit.square().sum(-1), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(unit * raw.norm(dim=-1, keepdim=True), raw)  # the raw vector's own direction
    origin = torch.zeros(3, requires_grad=True)
    unit = find_link("unit").forward(origin)
    (slope,) = torch.autograd.grad(unit[0], origin)
    assert unit.tolist() == pytest.approx([3**-0.5] * 3)
    assert slope[0] > 0  # training can leave a start at 0
    for name in ("ordered", "unit"):
        assert find_link(name).forward(torch.zeros(0, 3)).shape == (0, 3)
        with pytest.raises(ValueError, match=rf"'{name}' is one of vectors and got the number 1; give torch\.tensor"):
            learned(1.0, name, size=3)("cutpoints", None)


@pytest.mark.parametrize("law", [D.OrderedLogistic, D.OrderedProbit, D.OrderedCloglog])
def test_cutpoints_are_learned_or_predicted_without_naming_a_link(law):
    likelihood = lk.Family(law, predictor=predicted(), cutpoints=learned(size=3))
    assert (likelihood.width, likelihood.rank) == (1, 0)
    raw, y = torch.randn(5), torch.tensor([0, 1, 2, 3, 3])
    lk.NLL(likelihood)(raw, y).backward()
    assert (likelihood.sources["cutpoints"].raw.grad != 0).all()
    likelihood.check(y)
    with pytest.raises(ValueError, match="the integers 0 to 3"):
        likelihood.check(y + 1)
    assert eval(likelihood.code()).code() == likelihood.code()
    start = torch.tensor([-1.0, 0.5])
    torch.testing.assert_close(
        lk.Family(law, predictor=predicted(), cutpoints=learned(start))(raw).log_prob(y[:1]),
        law(raw, start).log_prob(y[:1]),
    )
    with pytest.raises(ValueError, match="inside the parameter's space"):
        lk.Family(law, predictor=predicted(), cutpoints=learned(-start))
    assert lk.Family(law, predictor=predicted(), cutpoints=predicted(size=3)).width == 4


def test_a_mean_direction_is_predicted_or_learned_without_naming_a_link():
    likelihood = lk.Family(D.VonMisesFisher, loc=predicted(size=3), concentration=learned())
    assert (likelihood.width, likelihood.rank) == (3, 1)
    raw = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    y = torch.nn.functional.normalize(raw, dim=-1)
    torch.testing.assert_close(lk.NLL(likelihood)(raw, y), -D.VonMisesFisher(y, 1.0).log_prob(y).mean())
    for one in (likelihood, lk.Family(D.VonMisesFisher, loc=predicted(), concentration=1.0)):
        one.check(y)
        with pytest.raises(ValueError, match="must be in the unit vectors"):
            one.check(2.0 * y)
    lone = lk.Family(D.VonMisesFisher, loc=learned(size=2), concentration=predicted())
    assert lone(torch.zeros(4)).log_prob(torch.tensor([0.6, 0.8])).shape == (4,)


def test_softplus_keeps_its_digits_where_torchs_default_loses_nine():
    x = torch.tensor([21.0, 35.0], dtype=torch.float64)
    exact = torch.tensor([21.000000000758256, 35.00000000000000063], dtype=torch.float64)
    assert (find_link("softplus").forward(x) - exact).abs().max() < 1e-14
    assert (torch.nn.functional.softplus(x) - exact).abs().max() > 1e-10


def test_default_links_follow_the_constraint():
    c = torch.distributions.constraints
    names = {c.real: "identity", c.positive: "log", c.nonnegative: "log", c.unit_interval: "logit", c.simplex: "softmax",
             c.real_vector: "identity", pyro.distributions.constraints.ordered_vector: "ordered",
             pyro.distributions.constraints.sphere: "unit"}  # fmt: skip
    for constraint, name in names.items():
        assert default_link(constraint).name == name
    above = default_link(c.greater_than(2.0))
    assert above.forward(torch.tensor(0.0)).item() == 3.0
    between = default_link(c.interval(-1.0, 3.0))
    assert between.forward(torch.tensor(0.0)).item() == 1.0
    assert default_link(c.positive_integer) is None
    with pytest.raises(TypeError, match="no usual link"):
        predicted()("total_count", c.positive_integer)


def test_any_torch_class_works_in_a_family():
    likelihood = lk.Family(torch.distributions.Kumaraswamy, concentration1=predicted(), concentration0=learned(2.0))
    raw, y = torch.zeros(4), torch.full((4,), 0.3)
    expected = -torch.distributions.Kumaraswamy(1.0, 2.0).log_prob(y).mean()
    torch.testing.assert_close(lk.NLL(likelihood)(raw, y), expected)
    assert "torch.distributions.kumaraswamy.Kumaraswamy" in likelihood.code()


def test_event_axes_are_summed_and_the_batch_is_averaged():
    likelihood = lk.Family(torch.distributions.MultivariateNormal, loc=predicted(size=3), scale_tril=torch.eye(3))
    assert (likelihood.width, likelihood.rank) == (3, 1)
    raw, y = torch.randn(5, 3), torch.randn(5, 3)
    torch.testing.assert_close(
        lk.NLL(likelihood)(raw, y), -torch.distributions.Normal(raw, 1.0).log_prob(y).sum(-1).mean()
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_reductions(reduction):
    likelihood = lk.Family(D.Normal, loc=predicted(), scale=2.0)
    raw, y = torch.randn(2, 3), torch.randn(2, 3)
    each = -torch.distributions.Normal(raw, 2.0).log_prob(y)
    torch.testing.assert_close(
        lk.NLL(likelihood, reduction)(raw, y), {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction]
    )


def test_nuisance_parameters_train_to_the_maximum_likelihood():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2000, 2, generator=generator)
    y = x @ torch.tensor([1.0, -2.0]) + 0.5 + 0.7 * torch.randn(2000, generator=generator)
    network = nn.Linear(2, 1)
    loss = lk.NLL(lk.Family(D.Normal, loc=predicted(), scale=learned(3.0)))
    assert len(list(loss.parameters())) == 1
    optimizer = torch.optim.LBFGS(
        [*network.parameters(), *loss.parameters()], max_iter=100, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = loss(network(x), y)
        value.backward()
        return value

    optimizer.step(closure)
    design = torch.cat([x, torch.ones(2000, 1)], 1)
    solution = torch.linalg.lstsq(design, y).solution
    torch.testing.assert_close(network.weight[0], solution[:2], atol=1e-3, rtol=1e-3)
    scale = (y - design @ solution).square().mean().sqrt()
    assert loss.likelihood(torch.zeros(1)).scale.item() == pytest.approx(scale.item(), rel=1e-3)


def test_the_code_of_a_likelihood_makes_it_again():
    likelihood = lk.Family(D.StudentT, df=learned(3.5), loc=predicted(), scale=predicted("softplus"))
    again = eval(likelihood.code(), {"lk": lk, "torch": torch})
    raw, y = torch.randn(4, 2), torch.randn(4)
    torch.testing.assert_close(again.log_prob(raw, y), likelihood.log_prob(raw, y))
    rounded = lk.Discretized(lk.Family(D.Normal, loc=predicted(), scale=2.0), step=0.5)
    again = eval(rounded.code(), {"lk": lk})
    torch.testing.assert_close(again.log_prob(raw[:, 0], y.round()), rounded.log_prob(raw[:, 0], y.round()))


def test_the_code_of_every_row_makes_its_likelihood_again():
    found = 0
    for entry in lk.entries():
        for options in entry.examples:
            model = entry.model(**options)
            links = [part.link for part in model.modules() if isinstance(part, Predicted | Learned)]
            if all(LINKS.get(link.name) == link for link in links):
                assert eval(model.code(), {"lk": lk, "torch": torch}).code() == model.code()
                found += 1
    assert found > 100


def test_the_code_of_infinite_constants():
    normal = lk.Family(D.Normal, loc=predicted(), scale=1.0)
    window = lk.Truncated(normal, low=torch.tensor([0.0, -math.inf]))
    again = eval(window.code(), {"lk": lk, "torch": torch})
    assert again.low.tolist() == [0.0, -math.inf]
    tails = lk.Family(D.StudentT, df=math.inf, loc=predicted(), scale=(1.0, 2.0))
    again = eval(tails.code(), {"lk": lk, "torch": torch})
    assert again.sources["df"].value == math.inf
    assert again.sources["scale"].value == (1.0, 2.0)


def test_learn_replaces_only_the_named_constants():
    likelihood = lk.Family(D.Huber, loc=predicted(), scale=2.0, delta=1.5)
    freed = likelihood.learn("scale")
    assert [name for name, _ in freed.named_parameters()] == ["sources.scale.raw"]
    assert freed(torch.zeros(1)).scale.item() == pytest.approx(2.0)
    assert not list(likelihood.parameters())


def test_pickle_deepcopy_and_state_dict():
    likelihood = lk.Family(D.Normal, loc=predicted(), scale=learned(2.0))
    raw, y = torch.randn(4), torch.randn(4)
    for other in (pickle.loads(pickle.dumps(likelihood)), copy.deepcopy(likelihood)):
        assert torch.equal(other.log_prob(raw, y), likelihood.log_prob(raw, y))
    fresh = lk.Family(D.Normal, loc=predicted(), scale=learned())
    fresh.load_state_dict(likelihood.state_dict())
    assert torch.equal(fresh.log_prob(raw, y), likelihood.log_prob(raw, y))


def test_inside_a_pyro_model():
    import pyro
    from pyro import poutine

    likelihood = lk.Family(D.Normal, loc=predicted(), scale=0.5)
    raw, y = torch.randn(6), torch.randn(6)

    def model():
        with pyro.plate("rows", 6):
            pyro.sample("y", likelihood(raw), obs=y)

    trace = poutine.trace(model).get_trace()
    torch.testing.assert_close(trace.log_prob_sum(), torch.distributions.Normal(raw, 0.5).log_prob(y).sum())


def test_a_link_without_room_at_zero():
    likelihood = lk.Family(D.Normal, loc=predicted(), scale=predicted("identity"))
    likelihood.check(torch.zeros(3))
    assert lk.NLL(likelihood)(torch.ones(3, 2), torch.zeros(3)).isfinite()


def test_fixed_in_words():
    assert lk.Family(D.Normal, loc=predicted(), scale=fixed(2.0))(torch.zeros(1)).scale.item() == 2.0


def test_a_lattice_has_mass_one_and_the_mass_of_a_cell():
    from scipy import stats

    likelihood = lk.Discretized(lk.Family(D.Normal, loc=predicted(), scale=1.3), step=0.5)
    raw = torch.tensor(0.2, dtype=torch.float64)
    grid = torch.arange(-40, 41, dtype=torch.float64) * 0.5
    law = likelihood(raw)
    assert law.log_prob(grid).exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    expected = stats.norm.cdf(0.75, 0.2, 1.3) - stats.norm.cdf(0.25, 0.2, 1.3)
    assert law.log_prob(torch.tensor(0.5, dtype=torch.float64)).exp().item() == pytest.approx(expected, rel=1e-13)
    assert law.log_prob(torch.tensor(0.6)).item() == -math.inf
    assert torch.equal(law.icdf(law.cdf(grid[30:50]) - 1e-12), grid[30:50])
    with pytest.raises(TypeError, match="no cdf"):
        lk.Discretized(lk.Family(torch.distributions.StudentT, df=3.0, loc=predicted()), 1.0)(raw)


def test_register_a_loss_of_ones_own_in_under_ten_lines():
    @lk.register(elicits="mean", reference="Erlang (1909)", aliases=("erlang",))
    def waiting_time_of_a_test() -> lk.Likelihood:
        """The target is the waiting time for an event that may come at any moment."""
        return lk.Family(torch.distributions.Exponential, rate=lk.predicted("log"))

    try:
        loss = lk.loss("Erlang")
        f, y = torch.randn(5), torch.rand(5) + 0.1
        torch.testing.assert_close(loss(f, y), (y * f.exp() - f).mean())
        assert loss.relation.sentence() == "loss = NLL, exactly"
        assert lk.verify("erlang").passed
        with pytest.raises(ValueError, match="belongs to 'waiting_time_of_a_test'"):
            lk.register(elicits="mean", reference="x", aliases=("erlang",))(_another)
    finally:
        lk.unregister("erlang")
    with pytest.raises(ValueError, match="no loss named"):
        lk.loss("erlang")


def _another() -> lk.Likelihood:
    """The target is anything."""
    raise AssertionError


@pytest.mark.parametrize(
    ("docstring", "keywords", "message"),
    [
        ("Two sentences. Here.", {}, "in one sentence"),
        ("No full stop", {}, "in one sentence"),
        (None, {}, "in one sentence"),
        ("A row without a reference.", {"reference": ""}, "needs a reference"),
        ("A row without examples.", {"examples": ()}, "at least one example"),
        ("A row that elicits what is not known.", {"elicits": "meen"}, "must be a Functional or one of"),
    ],
)
def test_a_row_that_claims_too_little_is_refused(docstring, keywords, message):
    def row() -> lk.Likelihood:
        raise AssertionError

    row.__doc__ = docstring
    with pytest.raises(ValueError, match=message):
        lk.register(**{"elicits": "mean", "reference": "x"} | keywords)(row)


def test_nothing_concrete_is_overridden():
    """Every likelihood is final and gives only what the base class leaves open: its abstract methods and one hook."""
    import likelihoods.combinators
    import likelihoods.targets  # noqa: F401

    def leaves(c):
        below = [leaf for each in c.__subclasses__() for leaf in leaves(each)]
        assert not below or inspect.isabstract(c), c
        return below or [c]

    classes = [c for c in leaves(lk.Likelihood) if c.__module__.startswith("likelihoods.")]
    assert {"Family", "Mixture", "Joint", "Weighted", "Independent"} <= {c.__name__ for c in classes}
    for c in classes:
        assert getattr(c, "__final__", False), c
        inherited = {name for name, value in vars(lk.Likelihood).items() if callable(value) and name != "__init__"}
        assert inherited & set(vars(c)) <= {*lk.Likelihood.__abstractmethods__, "_pieces"}, c


def test_a_double_likelihood_is_asked_for_its_support_in_double():
    family = lk.Family(D.InverseGaussian, mean=lk.predicted("log"), concentration=lk.learned())
    likelihood = lk.Discretized(family, step=1.0).double()
    with pytest.raises(ValueError, match="row 1, is 0.5"):
        likelihood.check(torch.tensor([1.0, 0.5], dtype=torch.float64))
    assert likelihood._probe().mean.dtype == torch.float64
