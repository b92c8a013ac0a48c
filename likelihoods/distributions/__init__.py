"""Distributions that can be trusted everywhere: one family a file, the same sections in each."""

from likelihoods.distributions import kl as kl  # registers the divergences between laws of different families
from likelihoods.distributions import kl_by_quadrature as kl_by_quadrature  # and those that are integrals
from likelihoods.distributions.asymmetric_laplace import AsymmetricLaplace
from likelihoods.distributions.asymmetric_normal import AsymmetricNormal
from likelihoods.distributions.barron import Barron, barron_log_normalizer
from likelihoods.distributions.bernoulli import Bernoulli
from likelihoods.distributions.beta import Beta
from likelihoods.distributions.beta_binomial import BetaBinomial
from likelihoods.distributions.binomial import Binomial
from likelihoods.distributions.categorical import Categorical
from likelihoods.distributions.cauchy import Cauchy
from likelihoods.distributions.censored import Censored
from likelihoods.distributions.continuation_ratio import ContinuationRatio
from likelihoods.distributions.continuous_bernoulli import ContinuousBernoulli
from likelihoods.distributions.dirichlet import Dirichlet
from likelihoods.distributions.dirichlet_multinomial import DirichletMultinomial
from likelihoods.distributions.discretized import Discretized
from likelihoods.distributions.discretized_logistic import DiscretizedLogistic
from likelihoods.distributions.epsilon_insensitive import EpsilonInsensitive
from likelihoods.distributions.exponential import Exponential
from likelihoods.distributions.failure_order import FailureOrderBreslow, FailureOrderEfron
from likelihoods.distributions.foreign import Foreign
from likelihoods.distributions.gamma import Gamma
from likelihoods.distributions.generalized_pareto import GeneralizedPareto
from likelihoods.distributions.geometric import Geometric
from likelihoods.distributions.gumbel import Gumbel
from likelihoods.distributions.half_cauchy import HalfCauchy
from likelihoods.distributions.half_normal import HalfNormal
from likelihoods.distributions.huber import Huber, huber_log_normalizer
from likelihoods.distributions.hurdle import Hurdle
from likelihoods.distributions.hyperbolic_secant import HyperbolicSecant
from likelihoods.distributions.inverse_gamma import InverseGamma
from likelihoods.distributions.inverse_gaussian import InverseGaussian
from likelihoods.distributions.joint import Joint
from likelihoods.distributions.kumaraswamy import Kumaraswamy
from likelihoods.distributions.label_normalized import LabelNormalized
from likelihoods.distributions.label_string import LabelString
from likelihoods.distributions.laplace import Laplace
from likelihoods.distributions.log_logistic import LogLogistic
from likelihoods.distributions.log_normal import LogNormal
from likelihoods.distributions.logistic import Logistic
from likelihoods.distributions.mixture import Mixture
from likelihoods.distributions.multinomial import Multinomial
from likelihoods.distributions.negative_binomial import NegativeBinomial
from likelihoods.distributions.normal import Normal
from likelihoods.distributions.ordered import OrderedCloglog, OrderedLogistic, OrderedProbit
from likelihoods.distributions.pareto import Pareto
from likelihoods.distributions.plackett_luce import PlackettLuce
from likelihoods.distributions.poisson import Poisson
from likelihoods.distributions.squared_epsilon_insensitive import SquaredEpsilonInsensitive
from likelihoods.distributions.student_t import StudentT
from likelihoods.distributions.truncated import Truncated
from likelihoods.distributions.tweedie import Tweedie
from likelihoods.distributions.uniform import Uniform
from likelihoods.distributions.von_mises import VonMises
from likelihoods.distributions.von_mises_fisher import VonMisesFisher
from likelihoods.distributions.weibull import Weibull
from likelihoods.distributions.weighted import Weighted
from likelihoods.distributions.zero_inflated import ZeroInflated

__all__ = [
    "AsymmetricLaplace",
    "AsymmetricNormal",
    "Barron",
    "Bernoulli",
    "Beta",
    "BetaBinomial",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Censored",
    "ContinuationRatio",
    "ContinuousBernoulli",
    "Dirichlet",
    "DirichletMultinomial",
    "Discretized",
    "DiscretizedLogistic",
    "EpsilonInsensitive",
    "Exponential",
    "FailureOrderBreslow",
    "FailureOrderEfron",
    "Foreign",
    "Gamma",
    "GeneralizedPareto",
    "Geometric",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Huber",
    "Hurdle",
    "HyperbolicSecant",
    "InverseGamma",
    "InverseGaussian",
    "Joint",
    "Kumaraswamy",
    "LabelNormalized",
    "LabelString",
    "Laplace",
    "LogLogistic",
    "LogNormal",
    "Logistic",
    "Mixture",
    "Multinomial",
    "NegativeBinomial",
    "Normal",
    "OrderedCloglog",
    "OrderedLogistic",
    "OrderedProbit",
    "Pareto",
    "PlackettLuce",
    "Poisson",
    "SquaredEpsilonInsensitive",
    "StudentT",
    "Truncated",
    "Tweedie",
    "Uniform",
    "VonMises",
    "VonMisesFisher",
    "Weibull",
    "Weighted",
    "ZeroInflated",
    "barron_log_normalizer",
    "huber_log_normalizer",
]
