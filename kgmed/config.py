"""Settings of an engine: frozen dataclasses, read from TOML; unknown keys are errors."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgmed.errors import ConfigError

__all__ = ["EngineConfig", "LikelihoodConfig", "read_toml", "settings_of"]


@dataclass(frozen=True, kw_only=True)
class LikelihoodConfig:
    """Constants of the likelihood-ratio reasoner; `docs/method.md` explains each.

    All were chosen on the `dev` split of the published patients only, by the
    means of benchmarks/rare_disease.py; none is a property of a disease.

    Attributes:
        frequency_unknown: Frequency taken for an annotation without one, 0..1.
        class_patients: Patients that a frequency class or percentage counts for.
        prior_frequency, prior_patients: The count that smooths every frequency:
            p = (k + prior_frequency * prior_patients) / (n + prior_patients).
        specific_penalty: log10 lost when the finding is more specific than the annotation.
        related_penalty: log10 lost when they only share an ancestor.
        looked_for: log10 by which an absent finding is likelier to be written down
            in a disease that can show it (selective reporting of pertinent negatives); 0 for
            curated diseases, whose absences are asked for as a routine.
        attention: Exponent of the number of publications in the pretest probability.
        correlation: Mean correlation of two findings of one patient given the disease, for ranking.
        overlap: The same for how sure the ranking is: diseases that share a cause share findings,
            so the distance between them is less than their findings say one by one.
        onset_patients: Patients that the general distribution of onset counts for.
        male_share: Share of males among patients with an X-linked recessive disease.
        mix_primary, mix_emergency, mix_hospital: How often a patient of unknown setting is
            from each; scaled to a sum of 1.
        rare_primary, rare_emergency, rare_hospital, rare_clinic, rare_unknown: Pretest
            probability of all diseases together that no card states a prevalence for, by
            setting; high where it is unknown, as a rare disease is what kgmed is often asked for.
        base_weight: Share of the stated base rate of a finding that its background is at least.
        told_history, told_exam, told_exposure: Probability that a note of many findings tells of a
            complaint, of a sign, and of an exposure that its patient has. Fitted on dev.
        told_half: Findings of a note that tells half as much.
        prevalence: Share of the log10 pretest probability that counts in ranking. Less than 1, since
            patients whose diagnosis is asked for are not drawn at random from all who come: the
            obvious has been seen off. Fitted on dev.
        tempo_weight: Share of the evidence of the time since the first symptom that counts.
    """

    frequency_unknown: float = 0.5
    class_patients: float = 8.0
    prior_frequency: float = 0.3
    prior_patients: float = 2.0
    specific_penalty: float = 0.5
    related_penalty: float = 0.8
    looked_for: float = 0.5
    attention: float = 0.6
    correlation: float = 0.03
    overlap: float = 0.12
    onset_patients: float = 1.0
    male_share: float = 0.9
    mix_primary: float = 0.5
    mix_emergency: float = 0.3
    mix_hospital: float = 0.2
    rare_primary: float = 0.01
    rare_emergency: float = 0.01
    rare_hospital: float = 0.05
    rare_clinic: float = 0.9
    rare_unknown: float = 0.03
    prevalence: float = 0.5
    tempo_weight: float = 1.0
    base_weight: float = 0.4
    told_history: float = 0.4
    told_exam: float = 0.2
    told_exposure: float = 0.6
    told_half: float = 5.0

    def __post_init__(self) -> None:
        for name in (
            "frequency_unknown",
            "prior_frequency",
            "correlation",
            "male_share",
            "rare_primary",
            "rare_emergency",
            "rare_hospital",
            "rare_clinic",
            "rare_unknown",
            "overlap",
            "told_history",
            "told_exam",
            "told_exposure",
        ):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError("must be in [0, 1)", key=f"likelihood.{name}")
        for name in ("class_patients", "prior_patients", "onset_patients", "told_half"):
            if not getattr(self, name) > 0.0:
                raise ConfigError("must be above 0", key=f"likelihood.{name}")
        for name in (
            "specific_penalty",
            "related_penalty",
            "looked_for",
            "attention",
            "mix_primary",
            "mix_emergency",
            "mix_hospital",
            "prevalence",
            "tempo_weight",
            "base_weight",
        ):
            if not getattr(self, name) >= 0.0:
                raise ConfigError("must not be negative", key=f"likelihood.{name}")

    def setting_weights(self, setting: str) -> tuple[float, float, float]:
        """Weights of primary care, emergency and hospital for a setting, "" when it is unknown."""
        match setting:
            case "primary":
                return (1.0, 0.0, 0.0)
            case "emergency":
                return (0.0, 1.0, 0.0)
            case "hospital":
                return (0.0, 0.0, 1.0)
        total = self.mix_primary + self.mix_emergency + self.mix_hospital
        return (self.mix_primary / total, self.mix_emergency / total, self.mix_hospital / total)

    def rare_share(self, setting: str) -> float:
        """Pretest probability of all diseases together that are not curated."""
        shares = {
            "primary": self.rare_primary,
            "emergency": self.rare_emergency,
            "hospital": self.rare_hospital,
            "rare_disease": self.rare_clinic,
        }
        return shares.get(setting, self.rare_unknown)


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Everything that is set about an engine.

    Attributes:
        graph: Folder of the compiled graph; "" is the one that ships with kgmed.
            In a TOML file, folders and files are relative to that file.
        policy: What to do about problems in a record: `default` keeps going and
            reports, `strict` stops at the first error.
        rules: Further rule files or folders.
        similar: Whether notes are also read for what is told in other words than any name;
            without, reading is several times as fast.
        likelihood: Constants of the reasoner.
    """

    graph: str = ""
    policy: str = "default"
    rules: tuple[str, ...] = ()
    similar: bool = True
    likelihood: LikelihoodConfig = field(default_factory=LikelihoodConfig)

    def __post_init__(self) -> None:
        if self.policy not in ("lenient", "default", "strict"):
            raise ConfigError("must be lenient, default or strict", key="policy")

    @classmethod
    def load(cls, path: str | Path) -> EngineConfig:
        """Read a TOML file.

        Raises:
            ConfigError: If it is not TOML, or a key is unknown, of the wrong type or out of range.
        """
        table = read_toml(path)
        likelihood = table.pop("likelihood", {})
        if not isinstance(likelihood, dict):
            raise ConfigError("must be a table", key="likelihood")
        # Paths are meant from where the file lies, so it works from any folder.
        base = Path(path).parent
        if isinstance(table.get("graph"), str) and table["graph"]:
            table["graph"] = str(base / table["graph"])
        if isinstance(table.get("rules"), list):
            table["rules"] = [str(base / place) for place in table["rules"]]
        config: EngineConfig = settings_of(
            cls, {**table, "likelihood": settings_of(LikelihoodConfig, likelihood, "likelihood.")}
        )
        return config

    def to_dict(self) -> dict[str, Any]:
        """All settings, for the provenance of a result."""
        return dataclasses.asdict(self)


def read_toml(path: str | Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        ConfigError: If it cannot be read as TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as TOML ({error})") from None


def settings_of(cls: Any, table: dict[str, Any], prefix: str = "") -> Any:
    """A dataclass of settings from a table; a whole number may stand for any, a list of strings for a tuple.

    Raises:
        ConfigError: If a key is unknown, of the wrong type or out of range.
    """
    defaults = {f.name: getattr(cls(), f.name) for f in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in defaults:
            raise ConfigError(f"unknown setting; known: {', '.join(defaults)}", key=prefix + key)
        wanted = type(defaults[key])
        if wanted is float and type(value) is int:
            value = float(value)
        if wanted is tuple and isinstance(value, list) and all(isinstance(v, str) for v in value):
            value = tuple(value)
        if type(value) is not wanted:
            kind = "a list of strings" if wanted is tuple else wanted.__name__
            raise ConfigError(f"must be {kind}", key=prefix + key)
        values[key] = value
    return cls(**values)
