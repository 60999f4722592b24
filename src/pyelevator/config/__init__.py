"""The settings of ``elevator serve`` and ``elevator proxy``: from files, environment variables and the command line.

Each program has one attrs class. Its fields say how each setting is called and parsed, so that all three sources accept
the same settings and report mistakes alike. The command line overrides the environment, and that overrides the file.
"""

from pyelevator.config.proxy_settings import ProxySettings, read_proxy_config
from pyelevator.config.server_settings import ServerSettings, read_server_config

__all__ = ["ProxySettings", "ServerSettings", "read_proxy_config", "read_server_config"]
