"""Device profiles: descriptions of boards, read from YAML, validated and frozen."""

from edgesim.profiles.device_profile import DeviceProfile
from edgesim.profiles.loader import json_schema, load, names, of_facts, read, shipped

__all__ = ["DeviceProfile", "json_schema", "load", "names", "of_facts", "read", "shipped"]
