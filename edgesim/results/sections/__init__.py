"""The sections of result files, of a run and of a stack.

Field names are a contract with scripts and CI: fields are added freely and never renamed. The name of each number ends
in its unit, or its section's name does. A figure that this host does not report is None.
"""

from edgesim.results.sections.base import Section, optional_section, section
from edgesim.results.sections.conditions import (
    HOST_CORE,
    ComparedSection,
    ConfigurationSection,
    DeviceSection,
    HostSection,
    ImageSection,
    LimitSection,
    ModelSection,
    ProfileSection,
    RuntimeSection,
    ScenarioSection,
    WarmUpSection,
)
from edgesim.results.sections.device_time import (
    DeviceTimeSection,
    EnergySection,
    ScaledModelSection,
    ScalingSection,
    ShareTry,
    ThrottleSection,
)
from edgesim.results.sections.judged import AgreementSection, OutputSection, RuleSection, ScaledSection, ValiditySection
from edgesim.results.sections.measured import (
    Distribution,
    EmulatorSection,
    GeneratorSection,
    HostLoadSection,
    InterleavedSection,
    Level,
    LifecycleSection,
    PredictedRatio,
    RequestsSection,
    ResourcesSection,
    Restart,
    SearchSection,
    Spread,
)

__all__ = [
    "HOST_CORE",
    "AgreementSection",
    "ComparedSection",
    "ConfigurationSection",
    "DeviceSection",
    "DeviceTimeSection",
    "Distribution",
    "EmulatorSection",
    "EnergySection",
    "GeneratorSection",
    "HostLoadSection",
    "HostSection",
    "ImageSection",
    "InterleavedSection",
    "Level",
    "LifecycleSection",
    "LimitSection",
    "ModelSection",
    "OutputSection",
    "PredictedRatio",
    "ProfileSection",
    "RequestsSection",
    "ResourcesSection",
    "Restart",
    "RuleSection",
    "RuntimeSection",
    "ScaledModelSection",
    "ScaledSection",
    "ScalingSection",
    "ScenarioSection",
    "SearchSection",
    "Section",
    "ShareTry",
    "Spread",
    "ThrottleSection",
    "ValiditySection",
    "WarmUpSection",
    "optional_section",
    "section",
]
