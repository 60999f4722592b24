"""The settings of ``elevator serve`` and ``elevator proxy``, and the files that they come from."""

from pyelevator.config.proxy_settings import ProxySettings, read_proxy_config
from pyelevator.config.server_settings import ServerSettings, read_server_config

__all__ = ["ProxySettings", "ServerSettings", "read_proxy_config", "read_server_config"]
