"""Device profiles: the description of a board, read from YAML, validated, frozen."""

from edgesim.profiles.device_profile import DeviceProfile
from edgesim.profiles.loader import json_schema, load, names, read

__all__ = ["DeviceProfile", "json_schema", "load", "names", "read"]
