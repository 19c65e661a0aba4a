"""The facts of an installation, from ``site.yaml``."""

from edge_service.config.site_file import (
    ApiConfig,
    ChargerConfig,
    CompanionConfig,
    Config,
    ContactConfig,
    ControlConfig,
    MeterConfig,
    RelayConfig,
    SiteConfig,
    SwitchConfig,
    load,
    parse,
)

__all__ = [
    "ApiConfig",
    "ChargerConfig",
    "CompanionConfig",
    "Config",
    "ContactConfig",
    "ControlConfig",
    "MeterConfig",
    "RelayConfig",
    "SiteConfig",
    "SwitchConfig",
    "load",
    "parse",
]
