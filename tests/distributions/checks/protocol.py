"""Checks of what every torch distribution promises: shapes, dtypes, copies, tracing, vectorising, validation."""

from __future__ import annotations

import copy
import io
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import constraints

from likelihoods.distributions.base import derived
from tests.distributions.case import Case
from tests.distributions.rows import blind, build, fixed, grid, is_discrete, require, tensors

POINTWISE = ("log_prob", "cdf", "log_cdf", "log_sf")
MOMENTS = ("mean", "variance", "stddev", "mode")


def _points(case: Case, setting: dict) -> torch.Tensor:
    own = [y for s, y in grid(case) if s is setting]
    return torch.tensor(own[len(own) // 4 : len(own) // 4 + 3], dtype=torch.float64)


def _equal(got: torch.Tensor, want: torch.Tensor) -> bool:
    return (
        got.shape == want.shape and got.dtype == want.dtype and torch.allclose(got, want, 1e-12, 1e-300, equal_nan=True)
    )


def _unbroadcast(setting: dict) -> dict[str, torch.Tensor]:
    """Give each parameter its own shape: (3, 1), (2,), then ()."""
    shapes = [(3, 1), (2,), *((),) * len(setting)]
    return {
        name: value[0].expand(torch.Size(shape) + value.shape[1:]).clone()
        for (name, value), shape in zip(tensors([setting], torch.float64).items(), shapes, strict=False)
    }


def check_shapes(case: Case) -> None:
    """Parameters of different shapes broadcast; every moment and sample has the batch shape; expand, to_event, empty."""
    for setting in case.parameters:
        law, single = case.family(**_unbroadcast(setting)), build(case, setting)
        batch = torch.Size((3, 2) if len(setting) > 1 else (3, 1))
        require(
            law.batch_shape == batch and law.event_shape == (), f"{case.name}: batch {law.batch_shape}, want {batch}"
        )
        _same_moments(case, law, single, batch)
        y = _points(case, setting)[0]
        for wide in (law.expand((5, *batch)), law.expand((5, *batch)).expand((4, 5, *batch))):
            require(type(wide) is type(law), f"{case.name}.expand gives a {type(wide).__name__}")
            _same_moments(case, wide, single, wide.batch_shape)
            require(wide.log_prob(y).shape == wide.batch_shape, f"{case.name}: log_prob after expand")
        event = law.to_event(1)
        require(event.batch_shape == batch[:1] and event.event_shape == batch[1:], f"{case.name}.to_event")
        total = event.log_prob(y.expand(batch))
        require(_equal(total, law.log_prob(y.expand(batch)).sum(-1)), f"{case.name}.to_event(1).log_prob")
        for method in POINTWISE:
            want = getattr(single, method)(y).expand(7, *batch)
            require(_equal(getattr(law, method)(y.expand(7, *batch)), want), f"{case.name}.{method}: shape (7, 3, 2)")
            require(_equal(getattr(law, method)(y), want[0]), f"{case.name}.{method}: one value, many parameters")
        require(law.icdf(torch.full((7, *batch), 0.4, dtype=y.dtype)).shape == (7, *batch), f"{case.name}.icdf shape")
        require(law.log_mass(y, y + 1).shape == batch, f"{case.name}.log_mass shape")
        require(law.sample((4, 5)).shape == (4, 5, *batch), f"{case.name}.sample shape")
        require(law.sample().shape == batch, f"{case.name}.sample shape")
        if case.family.has_rsample:
            require(law.rsample((4,)).shape == (4, *batch), f"{case.name}.rsample shape")


def _same_moments(case: Case, law: Any, single: Any, batch: torch.Size) -> None:
    for name in (*MOMENTS, "entropy"):
        got, want = getattr(law, name), getattr(single, name)
        got, want = (got(), want()) if callable(got) else (got, want)
        require(_equal(got, want.expand(batch)), f"{case.name}.{name}: {got} for batch {tuple(batch)}, want {want}")


def check_empty(case: Case) -> None:
    """A batch of no rows gives results of no rows."""
    setting = case.parameters[0]
    parameters = {k: v[:0] for k, v in tensors([setting], torch.float32).items()}
    law, none = case.family(**parameters), torch.empty(0)
    results = [getattr(law, method)(none) for method in (*POINTWISE, "icdf")]
    results += [getattr(law, name) for name in MOMENTS] + [law.entropy(), law.sample(), law.log_mass(none, none)]
    results += [law.rsample()] if case.family.has_rsample else []
    for result in results:
        require(result.shape == (0,), f"{case.name}: {result} for an empty batch")
    require(law.sample((3,)).shape == (3, 0), f"{case.name}: samples of an empty batch")


def check_numbers(case: Case) -> None:
    """Python numbers take the default dtype, or a tensor parameter's; results keep the parameters' dtype."""
    for setting in case.parameters:
        y = _points(case, setting)
        for dtype in (torch.float32, torch.float64):
            numbers = dict(setting)
            if dtype == torch.float64:
                name = next(iter(numbers))
                numbers[name] = torch.tensor(numbers[name], dtype=dtype)
            else:
                numbers = {k: torch.tensor(v) if isinstance(v, tuple) else v for k, v in numbers.items()}
            law, same = case.family(**numbers), build(case, setting, dtype)
            require(law.batch_shape == (), f"{case.name}: Python numbers give batch shape {law.batch_shape}")
            for method in (*POINTWISE, "icdf"):
                at = torch.tensor([0.2, 0.7], dtype=dtype) if method == "icdf" else y.to(dtype)
                got, want = getattr(law, method)(at), getattr(same, method)(at)
                require(
                    _equal(got, want), f"{case.name}.{method}: {got} from Python numbers, {want} from {dtype} tensors"
                )
            kinds = {law.sample().dtype, law.sample((2,)).dtype, law.mode.dtype}
            kinds -= {torch.int64} if is_discrete(case) else set()  # an index, as in torch's Categorical
            for result in kinds:
                require(result == dtype, f"{case.name}: samples or mode in {result} from {dtype} parameters")
            for result in (law.mean, law.variance, law.stddev, law.entropy()):
                require(result.dtype == dtype, f"{case.name}: {result.dtype} from {dtype} parameters")


def check_integer_values(case: Case) -> None:
    """Integer tensors (for counts bool tensors too) are values like any other."""
    integers = [torch.tensor([0, 1, 2, 3, -1]), *[torch.tensor([False, True])] * is_discrete(case)]
    for dtype in (torch.float32, torch.float64):
        for setting in case.parameters:
            law = case.family(**tensors([setting], dtype))
            for values in integers:
                for method in POINTWISE:
                    got, want = getattr(law, method)(values), getattr(law, method)(values.to(dtype))
                    require(_equal(got, want), f"{case.name}{setting}.{method}({values.dtype}): {got}, want {want}")


def check_copies(case: Case) -> None:
    """Pickle, deepcopy and torch.save give the same law."""
    for setting in case.parameters:
        law, y = build(case, setting), _points(case, setting)
        buffer = io.BytesIO()
        torch.save(law, buffer)
        buffer.seek(0)
        loaded = (pickle.loads(pickle.dumps(law)), torch.load(buffer, weights_only=False))
        for copied in (*loaded, copy.deepcopy(law), copy.copy(law)):
            require(type(copied) is type(law), f"{case.name}: a copy is a {type(copied).__name__}")
            require(_equal(copied.log_prob(y), law.log_prob(y)), f"{case.name}: a copy has another density")
            require(_equal(copied.expand((2,)).mean, law.mean.expand(2)), f"{case.name}: a copy cannot be expanded")
        require(case.name in repr(law), f"{case.name}: repr is {law!r}")


def check_parameters_are_validated(case: Case) -> None:
    """A parameter outside its constraint raises, naming the parameter; validation off lets it pass."""
    setting = case.parameters[0]
    for name, constraint in case.family.arg_constraints.items():
        if name not in setting or isinstance(setting[name], tuple):
            continue
        bad = setting | {name: -1.5 if float(constraint.check(torch.tensor(-1.5))) == 0 else math.nan}
        with pytest.raises(ValueError, match=name):
            build(case, bad, validate_args=True)
        require(
            build(case, setting, validate_args=False)._validate_args is False,
            f"{case.name}: validate_args=False is lost",
        )


def check_enumeration(case: Case) -> None:
    """A finite support is enumerated whole, with and without the batch shape; an infinite one says that it cannot."""
    for setting in case.parameters:
        law, wide = build(case, setting), case.family(**_unbroadcast(setting))
        finite = is_discrete(case) and bool(torch.isfinite(law.icdf(torch.tensor(1.0, dtype=torch.float64))))
        require(
            law.has_enumerate_support == finite, f"{case.name}: has_enumerate_support is {law.has_enumerate_support}"
        )
        if not finite:
            with pytest.raises(NotImplementedError):
                law.enumerate_support()
            continue
        points = law.enumerate_support()
        total = float(law.log_prob(points).exp().sum())
        require(abs(total - 1) < 1e-10, f"{case.name}{setting}: enumerate_support covers {total}")
        for expand, batch in ((True, wide.batch_shape), (False, (1,) * len(wide.batch_shape))):
            shape = wide.enumerate_support(expand=expand).shape
            require(
                shape == (len(points), *batch), f"{case.name}: enumerate_support(expand={expand}) has shape {shape}"
            )


def check_compiles(case: Case) -> None:
    """torch.compile traces construction and log_prob whole, with validation on and off."""
    setting = case.parameters[0]
    parameters, y = tensors([setting] * 3, torch.float32), _points(case, setting).float()
    y = y.expand(3) if len(y) == 1 else torch.cat([y, y, y])[:3]
    with blind():  # compiled code cannot look at numbers
        want = case.family(**parameters).log_prob(y)
    for validate in (True, False):

        def density(y: torch.Tensor, validate: bool = validate, **parameters: torch.Tensor) -> torch.Tensor:
            return case.family(**parameters, validate_args=validate).log_prob(y)

        default = torch.distributions.Distribution._validate_args
        try:
            torch._dynamo.reset()
            got = torch.compile(density, fullgraph=True, backend="eager")(y, **parameters)
        finally:  # the first compilation switches validation off for the whole process
            torch.distributions.Distribution.set_default_validate_args(default)
        require(_equal(got, want), f"{case.name}: compiled, validate_args={validate}: {got}, want {want}")


def check_device(case: Case) -> None:
    """log_prob and its slopes stay on the parameters' device and never wait for it: the meta device has no numbers to ask."""
    default = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(False)  # validation does ask, for the laws inside too
    try:
        for dtype in (torch.float32, torch.float64):
            for setting in case.parameters:
                parameters = {k: v.to("meta") for k, v in tensors([setting] * 3, dtype).items()}
                leaves = [v.requires_grad_() for k, v in parameters.items() if k not in fixed(case)]
                y = torch.zeros(3, dtype=dtype, device="meta", requires_grad=not is_discrete(case))
                density = case.family(**parameters, validate_args=False).log_prob(y)
                slopes = torch.autograd.grad(density.sum(), leaves, allow_unused=True)
                for result in (density, *[slope for slope in slopes if slope is not None]):
                    require(result.device.type == "meta", f"{case.name}{setting}: a result on {result.device}")
                require(
                    density.shape == (3,) and density.dtype == dtype, f"{case.name}: {density.shape}, {density.dtype}"
                )
    finally:
        torch.distributions.Distribution.set_default_validate_args(default)


def check_functional(case: Case) -> None:
    """torch.func's vmap, grad and their composition agree with the batch and its backward pass."""
    for setting in case.parameters:
        y = _points(case, setting)
        parameters = tensors([setting] * len(y), torch.float64)

        def density(y: torch.Tensor, parameters: dict[str, torch.Tensor]) -> torch.Tensor:
            return case.family(**parameters, validate_args=False).log_prob(y)

        with blind():  # under vmap no number can be looked at either
            eager = density(y, parameters)
        require(_equal(torch.func.vmap(density)(y, parameters), eager), f"{case.name}: vmap")
        free = {k: v for k, v in parameters.items() if k not in fixed(case)}
        rest = {k: v for k, v in parameters.items() if k in fixed(case)}
        slope = torch.func.grad(lambda free, rest, y: density(y, free | rest))
        got = torch.func.vmap(slope)(free, rest, y)
        leaves = {k: v.clone().requires_grad_() for k, v in free.items()}
        want = torch.autograd.grad(density(y, leaves | rest).sum(), list(leaves.values()))
        for name, w in zip(leaves, want, strict=True):
            require(
                torch.allclose(got[name], w, 1e-9, 1e-12), f"{case.name}: vmap(grad) in {name}: {got[name]}, want {w}"
            )


def check_class(case: Case) -> None:
    """The class says what it is: docstring with a source, the parameters' constraints, no state shared with torch's."""
    text = case.family.__doc__ or ""
    require("Source" in text and ">>>" in text, f"{case.name}: the docstring needs a source and a doctest")
    law = build(case, case.parameters[0])
    for name, constraint in case.family.arg_constraints.items():
        require(isinstance(constraint, constraints.Constraint), f"{case.name}.arg_constraints[{name!r}]")
        require(isinstance(getattr(law, name), torch.Tensor), f"{case.name}.{name} is not a tensor")
        computed = isinstance(vars(case.family).get(name), derived)
        require(name in law.__dict__ or computed, f"{case.name}.{name} is neither stored nor derived")
    require(np.isfinite(float(law.log_prob(_points(case, case.parameters[0])[0]))), f"{case.name}: log_prob")
