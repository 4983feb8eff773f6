"""Device profiles: the description of a board, read from YAML, validated, frozen."""

from edgesim.profile.file import json_schema, load, names, read
from edgesim.profile.schema import DeviceProfile

__all__ = ["DeviceProfile", "json_schema", "load", "names", "read"]
