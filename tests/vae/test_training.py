"""The training loop: what is stopped and resumed has the bits of what was not, and nothing wrong goes on in silence."""

import json
import math
import os
import signal
from unittest import mock

import pytest
import torch
from torch import nn

import likelihoods as lk
from likelihoods.vae import checkpoint, training
from tests.vae.models import binary

F, D, P = lk.Family, lk.distributions, lk.predicted


def data(n=50, pixels=6):
    generator = torch.Generator().manual_seed(3)
    return (torch.rand(n, 1, generator=generator) < torch.rand(n, pixels, generator=generator)).double()


TRAIN, VALID = data(), data(90)[50:]
STEPS = 4  # an epoch, the last of 2 data


def dropout_and_vamp():
    """All that has a state: noise in the network, running means, and a prior that shares the encoder."""
    vae = binary(hidden=5)
    vae.encoder.append(nn.Dropout(0.1))
    vae.decoder.insert(1, nn.BatchNorm1d(5, dtype=torch.float64))
    vae.prior = lk.vae.VampPrior(vae.encoder, vae.posterior, TRAIN[:7])
    return vae


def run(vae, out, epochs=3, objective=None, **options):
    objective = lk.vae.ELBO(beta=lk.vae.WarmUp(6, total=12)) if objective is None else objective
    options = {"batch_size": 16, "lr": 0.02, "progress": False} | options
    return lk.vae.fit(vae, TRAIN, VALID, objective, epochs, out, **options)


class Terminated(lk.vae.Objective):
    """An objective in whose n-th step the process gets SIGTERM."""

    def __init__(self, base, step):
        super().__init__()
        self.base, self.step = base, step

    def forward(self, vae, x, step=None):
        if step == self.step and vae.training:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.base(vae, x, step)

    def __repr__(self):
        return repr(self.base)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


# Resumption


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
@pytest.mark.parametrize("stops", [[5], [0, 3, 4, 11]])
def test_a_run_that_was_stopped_ends_with_the_bits_of_one_that_was_not(tmp_path, optimizer, stops):
    def start():
        vae = dropout_and_vamp()
        options = {"momentum": 0.9} if optimizer is torch.optim.SGD else {"betas": (0.8, 0.99)}
        return vae, optimizer(vae.parameters(), lr=0.02, **options)

    objective = lk.vae.ELBO(kl="sampled", beta=lk.vae.WarmUp(6, total=12))
    whole, method = start()
    torch.manual_seed(1)
    history = run(whole, tmp_path / "whole", objective=objective, optimizer=method)
    noise = torch.rand(3)

    for i, stop in enumerate(stops):
        vae, method = start()
        torch.manual_seed(1 if i == 0 else 99)  # a later process has other noise
        with pytest.raises(SystemExit) as exit_:
            run(vae, tmp_path / "parts", objective=Terminated(objective, stop), optimizer=method)
        assert exit_.value.code == 143
        assert checkpoint.load(tmp_path / "parts")["step"] == stop + 1
    vae, method = start()
    assert run(vae, tmp_path / "parts", objective=objective, optimizer=method) == history
    assert torch.equal(torch.rand(3), noise)
    assert same(vae.state_dict(), whole.state_dict())
    assert same(checkpoint.load(tmp_path / "parts"), checkpoint.load(tmp_path / "whole"))


def test_a_longer_run_goes_on_where_a_shorter_one_ended(tmp_path):
    objective = lk.vae.IWAE(3, gradient="dreg")
    history = run(binary(), tmp_path / "whole", 4, objective)  # binary() seeds torch
    assert run(binary(), tmp_path / "parts", 2, objective) != history  # as long as the other only below
    assert run(binary(), tmp_path / "parts", 4, objective) == history
    assert [row.epoch for row in history] == [1, 2, 3, 4]
    done = binary()
    assert run(done, tmp_path / "parts", 4, objective) == history  # nothing is left to do: the model is loaded
    assert same(done.state_dict(), checkpoint.load(tmp_path / "parts")["best"])
    assert len(run(binary(), tmp_path / "parts", 1, objective, resume=False)) == 1


def test_the_handler_that_was_there_is_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        run(binary(), tmp_path, objective=Terminated(lk.vae.ELBO(), 2))
    assert signal.getsignal(signal.SIGTERM) is before


# The checkpoint


def test_a_tree_comes_back_as_it_was(tmp_path):
    shared = torch.randn(3, 4)
    tree = {
        1: [shared.t(), shared.t(), shared[1:]],
        "a": (1, 2.5, -0.0, 1e-320, math.inf, True, None, "é"),
        "empty": torch.empty(0, 3, dtype=torch.int64),
        "none": torch.empty(0, 3, dtype=torch.int64),
        "half": torch.randn(3).half(),
        "nested": [[], {}, (), torch.tensor(2.0)],
    }
    checkpoint.save(tmp_path, tree)
    loaded = checkpoint.load(tmp_path)
    assert same(loaded, tree)
    assert str(loaded["a"][2]) == "-0.0"
    with pytest.raises(TypeError, match="keeps .* in its state, a set"):
        checkpoint.save(tmp_path, {"x": {1, 2}})
    assert same(checkpoint.load(tmp_path), tree)  # and the old one is still there


def test_shared_tensors_are_written_once(tmp_path):
    vae = dropout_and_vamp()
    state = vae.state_dict()
    checkpoint.save(tmp_path, state)
    (file,) = tmp_path.glob("*.safetensors")
    distinct = {value.data_ptr(): value.nbytes for value in state.values()}
    assert sum(distinct.values()) < 0.8 * sum(value.nbytes for value in state.values())
    header = int.from_bytes(file.read_bytes()[:8], "little")
    assert file.stat().st_size == 8 + header + sum(distinct.values())


def test_each_flipped_byte_is_refused(tmp_path):
    checkpoint.save(tmp_path, {"a": torch.arange(4.0), "b": 0.1, "c": [True, None]})
    for path in list(tmp_path.iterdir()):
        good = path.read_bytes()
        for place in range(len(good)):
            for bit in (0, 5):
                bad = bytearray(good)
                bad[place] ^= 1 << bit
                path.write_bytes(bad)
                with pytest.raises(ValueError, match=r"not as it was written.*resume=False"):
                    checkpoint.load(tmp_path)
        path.write_bytes(good[:-1])
        with pytest.raises(ValueError, match="not as it was written"):
            checkpoint.load(tmp_path)
        path.write_bytes(good)
    assert checkpoint.load(tmp_path)["b"] == 0.1
    next(tmp_path.glob("*.safetensors")).unlink()
    with pytest.raises(ValueError, match="not as it was written"):
        checkpoint.load(tmp_path)


def test_a_write_that_is_cut_off_leaves_the_checkpoint_before(tmp_path):
    old, new = {"a": torch.zeros(3)}, {"a": torch.ones(3)}
    replace = checkpoint._replace
    for name in ("checkpoint-", "checkpoint.json"):
        checkpoint.save(tmp_path, old)

        def cut(path, content, name=name):
            if path.name.startswith(name):
                path.with_suffix(".part").write_bytes(content[:7])
                raise OSError("no space left")
            replace(path, content)

        with mock.patch.object(checkpoint, "_replace", cut), pytest.raises(OSError, match="no space"):
            checkpoint.save(tmp_path, new)
        assert same(checkpoint.load(tmp_path), old)
    checkpoint.save(tmp_path, new)
    assert same(checkpoint.load(tmp_path), new)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_a_flipped_byte_stops_a_resumption(tmp_path):
    run(binary(), tmp_path, 1)
    (file,) = tmp_path.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=file.name):
        run(binary(), tmp_path, 2)
    assert len(run(binary(), tmp_path, 1, resume=False)) == 1


def test_no_pickle_is_written(tmp_path):
    run(binary(), tmp_path, 1)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    json.loads((tmp_path / "checkpoint.json").read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": lk.vae.ELBO(beta=2.0)}, r"objective \"ELBO\(.*beta=1.0.*now it is \"ELBO\(.*beta=2.0"),
        ({"lr": 0.5}, r"optimizer 'Adam .* lr: 0.02 .*now it is 'Adam .* lr: 0.5 "),
        ({"batch_size": 10}, "batch_size 16, and now it is 10"),
        ({"vae": binary(hidden=3)}, "of another model"),
    ],
)
def test_another_run_is_not_resumed(tmp_path, options, message):
    run(binary(), tmp_path, 1, lk.vae.ELBO())
    with pytest.raises(ValueError, match=message):
        run(**{"vae": binary(), "out": tmp_path, "epochs": 2, "objective": lk.vae.ELBO()} | options)


# Early stopping


def test_the_validation_bound_is_the_true_one_whatever_is_trained(tmp_path):
    vae = binary()
    history = run(vae, tmp_path, 2, lk.vae.ELBO(beta=0.1))
    with torch.no_grad():
        q = vae.encode(VALID)
        state = checkpoint.load(tmp_path)
        torch.manual_seed(state["seed"])
        bounds = [lk.vae.ELBO()(vae, x).bound.sum() for x in VALID.split(16)]
    assert q.batch_shape == (40,)
    assert max(row.valid for row in history) == pytest.approx(float(sum(bounds)) / 40, rel=1e-14)


@pytest.mark.parametrize("patience", [1, 3])
def test_patience(tmp_path, patience):
    vae = binary()
    bounds = iter([-5.0, -4.0, -4.5, -4.0, -4.2, -4.1, -1.0])
    weights = []

    def validate(vae, *_):
        weights.append(vae.decoder.weight.detach().clone())
        return next(bounds)

    with mock.patch("likelihoods.vae.training._validate", validate):
        history = run(vae, tmp_path, 7, patience=patience)
    assert len(history) == 2 + patience  # a bound as high as the best is no higher one
    assert torch.equal(vae.decoder.weight, weights[1]) and not torch.equal(weights[1], weights[-1])
    assert not vae.training


# Losses that are not finite


def test_impossible_data_are_named(tmp_path):
    pixels = lk.Independent(F(D.Gamma, concentration=2.0, rate=P()), 1)
    vae = lk.vae.VAE(nn.Linear(6, 4), nn.Linear(2, 6), pixels, latent=2)
    x = torch.ones(50, 6)
    x[17, 2] = -1.0
    with pytest.raises(FloatingPointError, match=r"at step \d; .* train\[17\]\. .*impossible.*check\(train\)"):
        lk.vae.fit(vae, x, x[:9], lk.vae.ELBO(), 1, tmp_path, batch_size=16, progress=False)


@pytest.mark.parametrize("validation", [False, True])
def test_a_broken_update_is_named(tmp_path, validation):
    class Broken(lk.vae.Objective):
        def forward(self, vae, x, step=None):
            terms = lk.vae.ELBO()(vae, x)
            if step == 5:
                terms.surrogate.register_hook(lambda slope: slope * math.nan)
            return terms

    # torch's own validation sees the laws of broken weights first, if it is on
    validate = mock.patch.object(torch.distributions.Distribution, "_validate_args", validation)
    with (
        validate,
        pytest.raises(FloatingPointError, match=r"at step 6.*The weights '.*' were not finite.*earlier gradient"),
    ):
        run(binary(), tmp_path, 3, Broken())
    assert checkpoint.load(tmp_path)["step"] == STEPS  # the last state that was good


def test_an_encoder_that_overflows_is_named(tmp_path):
    vae = binary()
    vae.encoder.register_forward_hook(lambda module, inputs, raw: raw * torch.tensor([1e200, 1.0, 1.0, 1.0]))
    vae.decoder.register_forward_hook(lambda module, inputs, raw: raw.clamp(-1.0, 1.0))
    with pytest.raises(FloatingPointError, match=r"at step 0.*KL.*encoder"):
        run(vae, tmp_path)


def test_validation_data_are_looked_at(tmp_path):
    x = VALID.clone()
    x[3, 3] = math.nan
    silent = mock.patch.object(torch.distributions.Distribution, "_validate_args", False)
    with silent, pytest.raises(FloatingPointError, match=r"validation bound is nan after step 4"):
        lk.vae.fit(binary(), TRAIN, x, lk.vae.ELBO(), 1, tmp_path, batch_size=16, progress=False)


def test_what_a_law_refuses_is_refused_with_the_step(tmp_path):
    x = TRAIN.clone()
    x[3, 3] = math.nan
    # torch.compile, where an earlier test used it, has switched validation off for good
    validated = mock.patch.object(torch.distributions.Distribution, "_validate_args", True)
    with validated, pytest.raises(ValueError, match="Real") as error:
        lk.vae.fit(binary(), x, VALID, lk.vae.ELBO(), 1, tmp_path, batch_size=16, progress=False)
    assert any("training step" in note for note in error.value.__notes__)


def test_the_first_of_several_steps_is_named(tmp_path):
    """On an accelerator the losses are looked at in groups."""
    unseen = []
    for step, value in enumerate([1.0, math.inf, math.nan]):
        each = torch.tensor([1.0, value])
        rows = torch.tensor([10 * step, 10 * step + 1])
        unseen.append((step, rows, lk.vae.Terms(-each, each, each, torch.ones(2, 2)), each.mean()))
    training._check(unseen[:1], binary(), tmp_path)
    with pytest.raises(FloatingPointError, match=r"loss is inf at step 1; .* train\[11\]\. .*impossible"):
        training._check(unseen, binary(), tmp_path)


# Input


def test_what_cannot_be_trained(tmp_path):
    with pytest.raises(ValueError, match=r"'train': 0, 'valid': 40"):
        lk.vae.fit(binary(), TRAIN[:0], VALID, lk.vae.ELBO(), 1, tmp_path)
    for name, value in (("epochs", 0), ("batch_size", 2.5), ("patience", 0)):
        with pytest.raises(ValueError, match=f"{name}={value}; give a whole number"):
            run(**{"vae": binary(), "out": tmp_path, name: value})
    with pytest.raises(ValueError, match=r"\[50, 49\] rows"):
        lk.vae.fit(binary(), (TRAIN, TRAIN[1:]), (VALID, VALID), lk.vae.ELBO(), 1, tmp_path)


def test_progress_has_nats_and_a_rate(tmp_path, capsys):
    run(binary(), tmp_path, 2, progress=True)
    shown = capsys.readouterr().err
    assert "validation bound -" in shown and "nats" in shown and "step/s" in shown
    assert "8/8" in shown


def test_tables_of_columns(tmp_path):
    likelihood = lk.Joint({"a": F(D.Normal, loc=P(), scale=lk.learned()), "b": F(D.Poisson, rate=P())})

    class Encoder(nn.Linear):
        def forward(self, x):
            return super().forward(torch.stack([x["a"], x["b"]], -1))

    vae = lk.vae.VAE(Encoder(2, 4), nn.Linear(2, likelihood.width), likelihood, latent=2)
    x = {"a": torch.randn(30), "b": torch.ones(30)}
    history = lk.vae.fit(vae, x, x, lk.vae.ELBO(), 2, tmp_path, batch_size=8, lr=0.05, progress=False)
    assert history[1].valid > history[0].valid


def test_each_epoch_has_all_data_in_an_order_and_with_noise_of_its_own(tmp_path):
    x = torch.eye(50, dtype=torch.float64)
    seen, noise = [], []

    class Watch(lk.vae.Objective):
        def forward(self, vae, x, step=None):
            if vae.training:
                seen.append(x.argmax(-1))
                if step % STEPS == 0:
                    noise.append(torch.get_rng_state())
            return lk.vae.ELBO()(vae, x)

    lk.vae.fit(binary(pixels=50), x, x[:9], Watch(), 3, tmp_path, batch_size=16, progress=False)
    assert [len(rows) for rows in seen] == [16, 16, 16, 2] * 3
    epochs = [torch.cat(seen[i : i + STEPS]) for i in (0, 4, 8)]
    assert all(torch.equal(epoch.sort().values, torch.arange(50)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 3
    expected = binary_noise(3, noise[0])
    assert torch.equal(noise[1], expected[0]) and torch.equal(noise[2], expected[1])


def binary_noise(epochs, state):
    """The generator's states at the start of each later epoch where training alone draws from it."""
    torch.set_rng_state(state)
    states = []
    for _ in range(epochs - 1):
        for n in (16, 16, 16, 2):
            torch.randn(1, n, 2, dtype=torch.float64)  # z of k, batch, latents
        states.append(torch.get_rng_state())
    return states
