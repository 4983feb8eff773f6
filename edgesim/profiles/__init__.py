"""Device profiles: descriptions of boards, read from YAML, validated and frozen."""

from edgesim.profiles.device_profile import DeviceProfile
from edgesim.profiles.loader import is_profile, json_schema, load, names, of_facts, read, shipped

__all__ = ["DeviceProfile", "is_profile", "json_schema", "load", "names", "of_facts", "read", "shipped"]
