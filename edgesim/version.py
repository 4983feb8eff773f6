"""Which edgesim this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edgesim")
except PackageNotFoundError:  # run from a checkout that nobody installed
    __version__ = "0+unknown"
