"""What every law of a string, an order or a ranking must do, whatever it is a law of."""

import copy
import pickle

import pyro
import torch


def protocol(make, parameter, value):
    """``make(parameter)`` is a law; ``parameter`` has one batch axis of 3, ``value`` fits it."""
    law = make(parameter)
    wanted = law.log_prob(value)
    assert law.batch_shape == wanted.shape == (3,)
    assert law.event_shape == value.shape[1:]
    # shapes
    assert torch.equal(make(parameter[0]).log_prob(value), make(parameter[:1]).log_prob(value))
    assert torch.equal(law.expand((2, 3)).log_prob(value), wanted.expand(2, 3))
    assert law.expand((2, 3)).sample((4,)).shape == (4, 2, 3, *law.event_shape)
    assert law.sample().shape == (3, *law.event_shape)
    assert make(parameter[:0]).log_prob(value[:0]).shape == (0,)
    # samples of each row are possible there, and have the law's own mass
    drawn = law.sample((50,))
    assert bool(law.support.check(drawn).all()) and bool(torch.isfinite(law.log_prob(drawn)).all())
    # copies
    for other in (pickle.loads(pickle.dumps(law)), copy.deepcopy(law)):
        assert torch.equal(other.log_prob(value), wanted)
    # integers, floating point, single precision
    assert torch.equal(law.log_prob(value.double()), wanted)
    single = make(parameter.float()).log_prob(value)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), wanted, rtol=2e-5, atol=2e-5)
    # transforms

    def log_prob(parameter, value):
        return make(parameter).log_prob(value)

    torch.testing.assert_close(torch.vmap(log_prob)(parameter, value), wanted, rtol=1e-14, atol=1e-13)
    torch.testing.assert_close(
        torch.vmap(log_prob, (0, None))(parameter, value[0]), log_prob(parameter, value[0]), rtol=1e-14, atol=1e-13
    )
    compiled = torch.compile(log_prob, fullgraph=True, backend="aot_eager")(parameter, value)
    torch.testing.assert_close(compiled, wanted, rtol=1e-13, atol=1e-13)
    leaf = parameter.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: make(p).log_prob(value), (leaf,))
    assert torch.autograd.gradgradcheck(lambda p: make(p).log_prob(value), (leaf,))
    # Pyro
    with pyro.plate("rows", 3):
        assert torch.equal(pyro.sample("x", law, obs=value), value)


def mass(law):
    """The mass of all values, ``(...)``, and their log-masses."""
    log_prob = law.log_prob(law.enumerate_support())
    return log_prob.exp().sum(0), log_prob


def frequencies(law, count=20_000):
    """The largest deviation of the counts of all values among samples of a single law, in standard errors."""
    every = law.enumerate_support(expand=False)
    chance = law.log_prob(every).exp()
    drawn = law.sample((count,)).flatten(1)
    seen = (drawn[:, None] == every.flatten(1).to(drawn.dtype)).all(-1).sum(0)
    assert int(seen.sum()) == count
    return ((seen - count * chance) / (count * chance * (1 - chance)).sqrt().clamp_min(3.0)).abs().max()
