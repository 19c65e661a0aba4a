"""The facts of an installation, from ``site.yaml``."""

from edge_service.config.site_file import (
    ApiConfig,
    ChargerConfig,
    Config,
    ContactConfig,
    ControlConfig,
    MeterConfig,
    SiteConfig,
    SwitchConfig,
    load,
    parse,
)

__all__ = [
    "ApiConfig",
    "ChargerConfig",
    "Config",
    "ContactConfig",
    "ControlConfig",
    "MeterConfig",
    "SiteConfig",
    "SwitchConfig",
    "load",
    "parse",
]
