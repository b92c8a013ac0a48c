"""The training loop: resumed bit for bit, stopped early on the true bound, and never silently on NaN."""

from __future__ import annotations

import copy
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from tqdm.auto import tqdm

from likelihoods.vae import batches, checkpoint
from likelihoods.vae.model import VAE
from likelihoods.vae.terms import Objective, Terms

LOOK = 50  # steps between two looks at numbers on an accelerator, each of which waits for it


@dataclass(frozen=True)
class Epoch:
    """What an epoch gave, in nats a datum: the mean of ``Terms.bound``, weight 1 on the KL term whatever was trained.

    Attributes:
        epoch: its number, from 1.
        train: the mean over the training data, each under the weights of its own step.
        valid: the mean over the validation data, under the weights at the epoch's end, with the same noise each time.
    """

    epoch: int
    train: float
    valid: float


def fit(
    vae: VAE,
    train: Any,
    valid: Any,
    objective: Objective,
    epochs: int,
    out: str | os.PathLike[str],
    *,
    resume: bool = True,
    batch_size: int = 128,
    optimizer: Optimizer | None = None,
    lr: float = 1e-3,
    patience: int | None = None,
    progress: bool = True,
) -> list[Epoch]:
    """Train a VAE, and leave it in evaluation mode with the weights of the epoch that has the highest validation bound.

    After each epoch a checkpoint replaces the one in ``out``. A run that was stopped goes on from there and ends with the bits
    of one that was not: weights, optimizer, torch's generators, order of the data and training step are all in it. On
    SIGTERM the run finishes its step, writes a checkpoint and raises ``SystemExit(143)``.

    Args:
        vae: the model, on the device and in the dtype to train in.
        train: the data, ``(N, …)`` as the model takes x, or a mapping or tuple of such tensors.
        valid: other data of the same kind.
        objective: what to descend.
        epochs: how many passes over the data, those before a resumption included.
        out: the folder of the checkpoint.
        resume: go on from the checkpoint in ``out`` if there is one; else start anew and overwrite it.
        batch_size: data a step; the last batch of an epoch has what is left.
        optimizer: of the model's parameters; None is Adam with the rate ``lr``.
        lr: the learning rate of that Adam.
        patience: stop after this many epochs without a higher validation bound; None never does.
        progress: whether to show the bound in nats and the steps a second.

    Returns:
        One :class:`Epoch` for each epoch, those before a resumption included.

    Raises:
        FloatingPointError: the loss is not finite; the message has the step, the datum and the likely cause.
        ValueError: the checkpoint is damaged or of another run, or there are no data.

    >>> import tempfile, torch, likelihoods as lk
    >>> pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    >>> vae = lk.vae.VAE(torch.nn.Linear(6, 4), torch.nn.Linear(2, 6), pixels, latent=2)
    >>> x = torch.ones(40, 6)
    >>> with tempfile.TemporaryDirectory() as out:
    ...     history = fit(vae, x[:30], x[30:], lk.vae.ELBO(), 3, out, batch_size=10, lr=0.1, progress=False)
    >>> len(history), history[-1].valid > history[0].valid
    (3, True)
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if not (isinstance(value, int) and value >= 1) and not (name == "patience" and value is None):
            raise ValueError(f"{name}={value!r}; give a whole number from 1 up.")
    sizes = {"train": batches.rows(train), "valid": batches.rows(valid)}
    if not all(sizes.values()):
        raise ValueError(f"The numbers of data are {sizes}; fit wants at least one of each.")
    optimizer = torch.optim.Adam(vae.parameters(), lr=lr) if optimizer is None else optimizer
    device = next(vae.parameters()).device
    folder, size = Path(out), sizes["train"]
    steps = math.ceil(size / batch_size)  # an epoch
    settings = " ".join(repr(optimizer).split())  # its learning rate among them, which the checkpoint's would replace
    run = {"objective": repr(objective), "batch_size": batch_size, "optimizer": settings, **sizes}

    state = checkpoint.load(folder) if resume else None
    if state is None:
        seed = int(torch.randint(2**62, ()))
        state = {"run": run, "seed": seed, "step": 0, "history": [], "best": None}
        state["total"] = torch.zeros((), dtype=torch.float64)
    else:
        _restore(state, run, vae, optimizer, device, folder)
    total: Tensor = state["total"].to(device)

    def save() -> None:
        state.update(total=total, model=vae.state_dict(), optimizer=optimizer.state_dict(), rng=_rng(device))
        checkpoint.save(folder, state)

    def done() -> bool:
        history = state["history"]
        return len(history) >= epochs or (patience is not None and len(history) - _best(history) >= patience)

    bar = tqdm(total=epochs * steps, initial=state["step"], unit="step", disable=not progress)
    look = 1 if device.type == "cpu" else LOOK
    with bar, _sigterm() as asked:
        while not done():
            vae.train()
            epoch = len(state["history"])
            order = torch.randperm(size, generator=torch.Generator().manual_seed(state["seed"] + epoch))
            unseen: list[tuple[int, Tensor, Terms, Any]] = []
            for batch in range(state["step"] - epoch * steps, steps):
                rows = order[batch * batch_size : (batch + 1) * batch_size]
                x = _pick(train, rows, device)
                try:
                    terms: Terms = vae(x, objective, state["step"])
                except ValueError as error:  # torch's validation is the first to see what is not finite
                    _explain(error, state["step"], vae, folder)
                    raise
                loss = terms.surrogate.mean()
                unseen.append((state["step"], rows, _detached(terms), loss.detach()))
                if len(unseen) == look or batch == steps - 1:
                    _check(unseen, vae, folder)
                    unseen.clear()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += terms.bound.detach().sum()
                state["step"] += 1
                bar.update()
                if state["step"] % LOOK == 0:
                    bar.set_postfix_str(f"bound {terms.bound.mean().item():.2f} nats", refresh=False)
                if asked:
                    if unseen:
                        _check(unseen, vae, folder)
                    save()
                    raise SystemExit(128 + signal.SIGTERM)
            bound = _validate(vae, valid, objective, state["step"], batch_size, device, state["seed"])
            if not math.isfinite(bound):
                raise FloatingPointError(
                    f"The validation bound is {bound} after step {state['step']}. Look for impossible data: "
                    f"vae.likelihood.check(valid). The last good state is in {folder}."
                )
            state["history"].append((epoch + 1, total.item() / size, bound))
            if _best(state["history"]) == epoch + 1:
                state["best"] = copy.deepcopy(vae.state_dict())
            total.zero_()
            save()
            bar.set_postfix_str(f"epoch {epoch + 1}, validation bound {bound:.2f} nats")
            if asked:
                raise SystemExit(128 + signal.SIGTERM)
    vae.load_state_dict(state["best"])
    vae.eval()
    return [Epoch(*row) for row in state["history"]]


@torch.no_grad()
def _validate(
    vae: VAE, valid: Any, objective: Objective, step: int, batch_size: int, device: torch.device, seed: int
) -> float:
    """Return the mean bound, on the same noise at each call, and leave torch's generators as they were."""
    vae.eval()
    before, total = _rng(device), torch.zeros((), dtype=torch.float64, device=device)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    try:
        for rows in torch.arange(batches.rows(valid)).split(batch_size):
            total += vae(_pick(valid, rows, device), objective, step).bound.sum()
    finally:
        _set_rng(before, device)
    return total.item() / batches.rows(valid)


def _check(unseen: list[tuple[int, Tensor, Terms, Any]], vae: VAE, folder: Path) -> None:
    """Raise FloatingPointError for the first step whose loss is not finite."""
    if bool(torch.stack([loss for *_, loss in unseen]).isfinite().all()):
        return
    step, rows, terms, loss = next(each for each in unseen if not bool(each[-1].isfinite()))
    bad = ~terms.surrogate.isfinite().cpu()
    where = f"; the first datum is train[{int(rows[bad][0])}]" if bool(bad.any()) else ""
    # on an accelerator the weights are those of a later step, and say nothing about this one
    if (broken := _broken(vae)) and len(unseen) == 1:
        cause = broken
    elif bool((terms.distortion == math.inf).any()):
        cause = "-log p(x|z) is infinite: x is impossible under the likelihood. Write vae.likelihood.check(train)."
    elif not bool(terms.distortion.isfinite().all()):
        cause = "-log p(x|z) is NaN: x has NaN, or the decoder's output overflowed. Look at x, then lower the learning rate."
    elif not bool(terms.rate.isfinite().all()):
        cause = "KL(q(z|x)‖p(z)) is not finite: the encoder's output overflowed. Scale x, or lower the learning rate."
    else:
        cause = "Distortion and rate are finite: their weights or a penalty of the objective are not."
    raise FloatingPointError(
        f"The loss is {loss.item()} at step {step}{where}. {cause} The last good state is in {folder}."
    )


def _broken(vae: VAE) -> str:
    """Return a sentence about the first weights that are not finite, empty where all are."""
    for name, parameter in vae.named_parameters():
        if not bool(parameter.isfinite().all()):
            return (
                f"The weights {name!r} were not finite before it: an earlier gradient was not. Lower the learning rate."
            )
    return ""


def _explain(error: ValueError, step: int, vae: VAE, folder: Path) -> None:
    if broken := _broken(vae):
        raise FloatingPointError(
            f"The laws have no parameters at step {step}. {broken} The last good state is in {folder}."
        ) from error
    error.add_note(f"This was at training step {step}, and the weights are finite: look at the data of that batch.")


def _restore(
    state: dict[str, Any], run: dict[str, Any], vae: VAE, optimizer: Optimizer, device: torch.device, folder: Path
) -> None:
    for name, value in run.items():
        if state["run"][name] != value:
            raise ValueError(
                f"The run in {folder} has {name} {state['run'][name]!r}, and now it is {value!r}. Give what it was, another "
                f"folder, or resume=False to start anew."
            )
    try:
        vae.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"The run in {folder} is of another model; give that, or resume=False. {error}") from None
    _set_rng(state["rng"], device)


def _rng(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_rng(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


@contextmanager
def _sigterm() -> Iterator[list[int]]:
    """Give a list that is empty until SIGTERM comes; the handler that was there is put back."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield asked
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


def _best(history: list[tuple[int, float, float]]) -> int:
    """Return the number of the first epoch with the highest validation bound, 0 where there is none."""
    return max(history, key=lambda row: row[2])[0] if history else 0


def _detached(terms: Terms) -> Terms:
    return Terms(terms.bound.detach(), terms.surrogate.detach(), terms.distortion.detach(), terms.rate.detach())


def _pick(x: Any, rows: Tensor, device: torch.device) -> Any:
    return batches.each(x, lambda part: part[rows.to(part.device)].to(device))
