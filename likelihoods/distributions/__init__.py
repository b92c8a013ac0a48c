"""Distributions that can be trusted everywhere: one family a file, the same sections in each."""

from likelihoods.distributions.asymmetric_laplace import AsymmetricLaplace
from likelihoods.distributions.asymmetric_normal import AsymmetricNormal
from likelihoods.distributions.bernoulli import Bernoulli
from likelihoods.distributions.categorical import Categorical
from likelihoods.distributions.cauchy import Cauchy
from likelihoods.distributions.discretized import Discretized
from likelihoods.distributions.epsilon_insensitive import EpsilonInsensitive
from likelihoods.distributions.exponential import Exponential
from likelihoods.distributions.gumbel import Gumbel
from likelihoods.distributions.half_cauchy import HalfCauchy
from likelihoods.distributions.half_normal import HalfNormal
from likelihoods.distributions.huber import Huber, huber_log_normalizer
from likelihoods.distributions.hyperbolic_secant import HyperbolicSecant
from likelihoods.distributions.inverse_gaussian import InverseGaussian
from likelihoods.distributions.laplace import Laplace
from likelihoods.distributions.log_logistic import LogLogistic
from likelihoods.distributions.log_normal import LogNormal
from likelihoods.distributions.logistic import Logistic
from likelihoods.distributions.negative_binomial import NegativeBinomial
from likelihoods.distributions.normal import Normal
from likelihoods.distributions.poisson import Poisson
from likelihoods.distributions.uniform import Uniform
from likelihoods.distributions.weibull import Weibull

__all__ = [
    "AsymmetricLaplace",
    "AsymmetricNormal",
    "Bernoulli",
    "Categorical",
    "Cauchy",
    "Discretized",
    "EpsilonInsensitive",
    "Exponential",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Huber",
    "HyperbolicSecant",
    "InverseGaussian",
    "Laplace",
    "LogLogistic",
    "LogNormal",
    "Logistic",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "Uniform",
    "Weibull",
    "huber_log_normalizer",
]
