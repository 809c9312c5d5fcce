"""How an annotation is turned into a frequency; docs/method.md has the table."""

from __future__ import annotations

from kgmed.config import LikelihoodConfig
from kgmed.ontology import Edge

__all__ = ["MAX_FREQUENCY", "MAX_NEGATIVE", "counted", "smoothed"]

MAX_FREQUENCY = 0.99  # no finding is certain: an obligate one can be overlooked
MAX_NEGATIVE = 0.5  # 0 of 1 patients is no proof of absence, but no sign of presence either


def smoothed(k: float, n: float, config: LikelihoodConfig) -> float:
    """Frequency from k of n patients, pulled towards the usual frequency of an annotation.

    The mean of a Beta posterior whose prior counts for `prior_patients` patients.

    >>> round(smoothed(1, 1, LikelihoodConfig()), 3)
    0.533
    """
    a = config.prior_patients
    return (k + config.prior_frequency * a) / (n + a)


def counted(edge: Edge, config: LikelihoodConfig) -> tuple[float, float]:
    """The same for one edge."""
    if edge.negated:
        return 0.0, config.class_patients
    if edge.denominator:
        return float(edge.numerator or 0), float(edge.denominator)
    if edge.frequency is not None:
        return edge.frequency * config.class_patients, config.class_patients
    return config.frequency_unknown, 1.0
