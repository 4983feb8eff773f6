"""The version of edgesim that is installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edgesim")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"
